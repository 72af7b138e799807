"""Tapes to circuits: rows of one structure are stacked, bound at once, and encoded."""

from __future__ import annotations

import functools
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from pennylane.tape import QuantumScript

from pennylane_qstore.backends import Backend
from pennylane_qstore.execution.outcomes import Rows, Shots
from pennylane_qstore.execution.partial_results import TapeContext
from pennylane_qstore.execution.stats import BatchMeter
from pennylane_qstore.ionq.messages.job_request import Histogram, encode_circuits
from pennylane_qstore.measurement.keys import measurement_key
from pennylane_qstore.measurement.plan import analyse
from pennylane_qstore.measurement.recipes import Basis, Plan
from pennylane_qstore.native.cache import SmartCircuitCache
from pennylane_qstore.native.compiler import compile_program
from pennylane_qstore.native.frontend.affine_fit import NotAffine, program_of
from pennylane_qstore.native.frontend.decompose import UnknownWire
from pennylane_qstore.native.frontend.program import FloatArray, Program
from pennylane_qstore.native.frontend.structure import (
    StructuredTape,
    expand_by_value,
    extract_structure,
    standard_order,
)
from pennylane_qstore.native.template.batch import NativeBatch, Readout
from pennylane_qstore.native.template.qis import QisTemplate

_SEARCHED = 64
"""With more structures and bases of one tape than this, circuits are compiled without looking
for better ones: each would be searched by itself."""


@dataclass(frozen=True, slots=True)
class Target:
    """The backend and gates that circuits are compiled for.

    Attributes:
        backend: figures of the backend.
        gateset: ``"native"`` or ``"qis"``.
        family: entangling gate, ``"ms"`` or ``"zz"``.
        absorb: leave relabelling of outcomes to the readout.
        exact: whether the backend returns exact probabilities (an ideal simulator).
        noise: name of the noise model sent, if any.
        described: backend and noise model as the user named them, for messages.
    """

    backend: Backend
    gateset: str
    family: str
    absorb: bool
    exact: bool
    noise: str | None = None
    described: str = ""


class TapePlan(NamedTuple):
    """A tape's bases and its rows of parameters.

    Attributes:
        measurement: bases to run and a recipe for each result.
        pieces: rows of parameters by structure.
        wires: index of each wire label.
    """

    measurement: Plan
    pieces: list[StructuredTape]
    wires: dict[Any, int]

    @property
    def batched(self) -> bool:
        """True where results have a leading dimension of rows."""
        return any(piece.batched for piece in self.pieces)

    @property
    def searched(self) -> bool:
        """True where the compiler may look for better circuits."""
        structures = 1
        if len(self.pieces) > 1:  # rows of unitaries have one each
            structures = len({piece.key for piece in self.pieces})
        return structures * len(self.measurement.bases) <= _SEARCHED


class MeasuredTape(NamedTuple):
    """The circuits of one tape in one basis.

    Attributes:
        number: of the tape in the batch.
        basis: gates before the measurement and wires measured.
        positions: the circuits, among those of the batch.
        readouts: measured qubits, readout and number of circuits, in order.
    """

    number: int
    basis: Basis
    positions: range
    readouts: list[tuple[tuple[int, ...], Readout, int]]

    def read(self, histograms: Sequence[Histogram], shots: Mapping[int, Shots]) -> Iterator[Rows]:
        """Yield the results by readout.

        Args:
            histograms: by position, of the whole batch.
            shots: single shots by position, where they are known.

        Yields:
            Histograms that share a readout.
        """
        first = self.positions.start
        for measured, readout, rows in self.readouts:
            where = range(first, first + rows)
            first += rows
            yield Rows(
                measured,
                readout,
                [histograms[i] for i in where],
                [shots[i] for i in where] if all(i in shots for i in where) else None,
            )


class Circuits(NamedTuple):
    """All circuits of a batch.

    Attributes:
        encoded: JSON of each circuit's gates, by position.
        gates: number of gates of each circuit, by position.
        qubits: number of qubits of the widest one.
        measured: which tape and basis they are for, in order.
    """

    encoded: list[bytes]
    gates: list[int]
    qubits: int
    measured: list[MeasuredTape]


def plan_tape(
    tape: QuantumScript, order: Sequence[Any] | None, cache: SmartCircuitCache
) -> TapePlan:
    """Analyse a tape: its bases, and its parameters by structure.

    Args:
        tape: the tape.
        order: labels of the device's wires, or None to number the tape's own.
        cache: keeps the analysis of measurements.

    Returns:
        The plan.
    """
    wires = {w: i for i, w in enumerate(order or ())}
    if order is not None:
        try:  # quicker than to look first: a tape has to gather its wires
            return _planned(tape, wires, cache)
        except (KeyError, UnknownWire):  # ancillas
            pass
    for w in standard_order(tape):
        wires.setdefault(w, len(wires))
    while True:
        try:
            return _planned(tape, wires, cache)
        except UnknownWire as error:  # of a decomposition
            if order is not None:
                raise
            wires[error.wire] = len(wires)


def _planned(tape: QuantumScript, wires: dict[Any, int], cache: SmartCircuitCache) -> TapePlan:
    finite = bool(tape.shots)
    key = measurement_key(tape.measurements, wires)
    if key is None:
        plan = analyse(tape.measurements, wires, finite)
    else:
        plan = cache.get(
            ("measure", key, finite, len(wires)),
            lambda: analyse(tape.measurements, wires, finite),
        )
    return TapePlan(plan, extract_structure(tape, wires), wires)


def compile_circuits(
    plans: Sequence[TapePlan], target: Target, cache: SmartCircuitCache, meter: BatchMeter
) -> Circuits:
    """Stack the rows of each template over the whole batch, bind them once, encode them.

    Args:
        plans: one per tape.
        target: backend and gates to compile for.
        cache: of templates and programs.
        meter: measures the stages ``compile``, ``bind`` and ``encode``.

    Returns:
        The circuits, tape by tape, basis by basis.
    """
    groups: dict[int, tuple[Any, list[FloatArray], list[int]]] = {}
    measured: list[MeasuredTape] = []
    position = 0
    for i, plan in enumerate(plans):
        searched = plan.searched
        for basis in plan.measurement.bases:
            first, readouts = position, []
            with meter.stage("compile"), TapeContext(i):
                for template, rows in _templates(plan, basis, searched, target, cache):
                    _, stacked, positions = groups.setdefault(id(template), (template, [], []))
                    stacked.append(rows)
                    positions.extend(range(position, position + len(rows)))
                    position += len(rows)
                    readouts.append((template.measured, template.readout, len(rows)))
            measured.append(MeasuredTape(i, basis, range(first, position), readouts))
    encoded, gates, qubits = [b""] * position, [0] * position, 1
    for template, stacked, positions in groups.values():
        with meter.stage("bind"):
            batch: NativeBatch = template.bind(
                stacked[0] if len(stacked) == 1 else np.concatenate(stacked)
            )
        qubits = max(qubits, batch.qubits)
        with meter.stage("encode"):
            for block in batch.blocks:
                texts = encode_circuits(block.gates, block.params)
                for row, text in zip(block.rows.tolist(), texts, strict=True):
                    encoded[positions[row]] = text
                    gates[positions[row]] = len(block.gates)
    return Circuits(encoded, gates, qubits, measured)


def _templates(
    plan: TapePlan, basis: Basis, searched: bool, target: Target, cache: SmartCircuitCache
) -> Iterator[tuple[Any, FloatArray]]:
    """Yield the templates of a tape in a basis, each with the rows it is for, in order."""
    options = (target.gateset, target.family, target.absorb, searched)
    for piece in plan.pieces:
        elementary = _program(piece, plan.wires, cache)
        if elementary is not None:
            programs: list[tuple[StructuredTape, Program | None]] = [(piece, elementary)]
        else:  # decomposed at its values, which the key then holds
            parts = expand_by_value(piece, plan.wires)
            programs = [(part, _program(part, plan.wires, cache)) for part in parts]
        for part, elementary in programs:
            if elementary is None:
                raise NotAffine(part.key)
            key: Hashable = ("template", part.key, len(plan.wires), basis.key, options)
            build = functools.partial(_template, elementary, basis, searched, target)
            yield cache.get(key, build), part.parameters


def _template(elementary: Program, basis: Basis, searched: bool, target: Target) -> Any:
    if target.gateset == "qis":
        return QisTemplate(elementary, basis.gates, basis.wires)
    return compile_program(
        elementary,
        measured=basis.wires,
        basis=basis.gates,
        family=target.family,
        absorb=target.absorb,
        optimize_fidelity=searched,
        thorough=False,
    )


def _program(
    piece: StructuredTape, wires: Mapping[Any, int], cache: SmartCircuitCache
) -> Program | None:
    """Return the elementary gates of a structure, None if they are not affine."""

    def build() -> Program | None:
        try:
            return program_of(piece, wires)
        except NotAffine:
            return None

    elementary: Program | None = cache.get(("program", piece.key, len(wires)), build)
    return elementary
