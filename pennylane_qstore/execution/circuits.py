"""Tapes to circuits: rows of one structure are stacked, bound at once, and written as bytes."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from pennylane.tape import QuantumScript

from pennylane_qstore.backends import Backend
from pennylane_qstore.execution.outcomes import Rows, Shots
from pennylane_qstore.execution.partial_results import About
from pennylane_qstore.execution.stats import Stats
from pennylane_qstore.ionq.messages import job_request as wire
from pennylane_qstore.ionq.messages.job_request import Histogram
from pennylane_qstore.measurement.plan import analyse, measurement_key
from pennylane_qstore.measurement.results import Basis, Plan
from pennylane_qstore.native.cache import SmartCircuitCache
from pennylane_qstore.native.compiler import compile_program
from pennylane_qstore.native.frontend.affine_fit import NotAffine, program_of
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
    """What the circuits are compiled for and sent to.

    Args:
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


@dataclass(slots=True)
class Work:
    """One tape in one basis: which circuits it became.

    Args:
        tape: its number in the batch.
        basis: what is measured.
        pieces: the tape's rows.
        searched: whether the compiler may look for better circuits.
        first: position of the first circuit.
        readouts: measured qubits, readout and number of circuits, piece by piece.
    """

    tape: int
    basis: Basis
    pieces: list[StructuredTape]
    searched: bool = True
    first: int = 0
    readouts: list[tuple[tuple[int, ...], Readout, int]] = field(default_factory=list)

    @property
    def rows(self) -> int:
        """Circuits it became."""
        return sum(len(piece.parameters) for piece in self.pieces)

    def results(
        self, histograms: Sequence[Histogram], shots: Mapping[int, Shots]
    ) -> Iterator[Rows]:
        """What came of it, by readout."""
        position = self.first
        for measured, readout, rows in self.readouts:
            where = range(position, position + rows)
            position += rows
            yield Rows(
                measured,
                readout,
                [histograms[i] for i in where],
                [shots[i] for i in where] if all(i in shots for i in where) else None,
            )


@dataclass(slots=True)
class Circuits:
    """All circuits of a batch, by position."""

    encoded: list[bytes]
    gates: list[int]
    qubits: int = 1


class Prepared(NamedTuple):
    """A tape's bases and recipes, its rows, and its wires' indices."""

    plan: Plan
    pieces: list[StructuredTape]
    wires: dict[Any, int]

    @property
    def structures(self) -> int:
        """How many structures its rows have: rows of unitaries have one each."""
        if len(self.pieces) == 1:
            return 1
        return len({piece.key for piece in self.pieces})

    @property
    def batched(self) -> bool:
        """Whether results have a leading dimension of rows."""
        return any(piece.batched for piece in self.pieces)


def prepare(tape: QuantumScript, order: Sequence[Any] | None, cache: SmartCircuitCache) -> Prepared:
    """Look at a tape.

    Args:
        tape: the tape.
        order: the device's wires, or None to number the tape's own.
        cache: keeps the analysis of measurements.
    """
    wires = {w: i for i, w in enumerate(order or ())}
    if order is None:
        others = standard_order(tape)
    else:
        try:  # quicker than to look first: a tape has to gather its wires
            return _prepared(tape, wires, cache)
        except KeyError:
            others = standard_order(tape)  # ancillas
    for w in others:
        wires.setdefault(w, len(wires))
    return _prepared(tape, wires, cache)


def _prepared(tape: QuantumScript, wires: dict[Any, int], cache: SmartCircuitCache) -> Prepared:
    finite = bool(tape.shots)
    key = measurement_key(tape.measurements, wires)
    if key is None:
        plan = analyse(tape.measurements, wires, finite)
    else:
        plan = cache.get(
            ("measure", key, finite, len(wires)),
            lambda: analyse(tape.measurements, wires, finite),
        )
    return Prepared(plan, extract_structure(tape, wires), wires)


def works_of(prepared: Sequence[Prepared]) -> list[Work]:
    """What is to be run: every tape in each of its bases."""
    works: list[Work] = []
    for i, tape in enumerate(prepared):
        searched = tape.structures * len(tape.plan.bases) <= _SEARCHED
        works += [Work(i, basis, tape.pieces, searched) for basis in tape.plan.bases]
    return works


def build(
    works: Sequence[Work],
    prepared: Sequence[Prepared],
    target: Target,
    cache: SmartCircuitCache,
    stats: Stats,
) -> Circuits:
    """Stack rows of one template over the batch, bind them once, encode them."""
    groups: dict[int, tuple[Any, list[FloatArray], list[tuple[Work, int, int]]]] = {}
    position = 0
    for work in works:
        work.first = position
        with stats.timer("compile"), About(work.tape):
            templates = list(_templates(work, prepared[work.tape].wires, target, cache))
        for template, rows in templates:
            _, stacked, members = groups.setdefault(id(template), (template, [], []))
            stacked.append(rows)
            members.append((work, position, len(rows)))
            position += len(rows)
            work.readouts.append((template.measured, template.readout, len(rows)))
    circuits = Circuits([b""] * position, [0] * position)
    for template, stacked, members in groups.values():
        with stats.timer("bind"):
            rows = stacked[0] if len(stacked) == 1 else np.concatenate(stacked)
            batch: NativeBatch = template.bind(rows)
        where = [position for _, at, n in members for position in range(at, at + n)]
        circuits.qubits = max(circuits.qubits, batch.qubits)
        with stats.timer("encode"):
            for block in batch.blocks:
                encoded = wire.encode_circuits(block.gates, block.params)
                for row, text in zip(block.rows.tolist(), encoded, strict=True):
                    circuits.encoded[where[row]] = text
                    circuits.gates[where[row]] = len(block.gates)
    return circuits


def _templates(
    work: Work, wires: Mapping[Any, int], target: Target, cache: SmartCircuitCache
) -> Iterator[tuple[Any, FloatArray]]:
    """Templates of a tape in a basis, each with the rows of parameters it is for, in order."""
    for piece in work.pieces:
        made = _program(piece, wires, cache)
        if made is not None:
            yield _template(piece, made, work, wires, target, cache), piece.parameters
            continue
        for part in expand_by_value(piece, wires):  # the key then holds the values
            made = _program(part, wires, cache)
            if made is None:
                raise NotAffine(part.key)
            yield _template(part, made, work, wires, target, cache), part.parameters


def _template(
    piece: StructuredTape,
    elementary: Program,
    work: Work,
    wires: Mapping[Any, int],
    target: Target,
    cache: SmartCircuitCache,
) -> Any:
    basis = work.basis
    options = (target.gateset, target.family, target.absorb, work.searched)
    key: Hashable = ("template", piece.key, len(wires), basis.key, options)

    def made_now() -> Any:
        if target.gateset == "qis":
            return QisTemplate(elementary, basis.gates, basis.wires)
        return compile_program(
            elementary,
            measured=basis.wires,
            basis=basis.gates,
            family=target.family,
            absorb=target.absorb,
            optimize_fidelity=work.searched,
            thorough=False,
        )

    return cache.get(key, made_now)


def _program(
    piece: StructuredTape, wires: Mapping[Any, int], cache: SmartCircuitCache
) -> Program | None:
    def made_now() -> Program | None:
        try:
            return program_of(piece, wires)
        except NotAffine:
            return None

    found: Program | None = cache.get(("program", piece.key, len(wires)), made_now)
    return found
