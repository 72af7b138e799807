"""Tapes to circuits: rows of one structure are stacked, bound at once, and encoded."""

from __future__ import annotations

import functools
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple
from zlib import crc32

import numpy as np
from pennylane.tape import QuantumScript

from pennylane_qstore.backends import BACKENDS, Backend
from pennylane_qstore.execution.literals import (
    ChooseConstants,
    Structure,
    joined,
    no_constants,
    structures_of,
)
from pennylane_qstore.execution.outcomes import Rows, Shots
from pennylane_qstore.execution.partial_results import TapeContext
from pennylane_qstore.execution.stats import BatchMeter
from pennylane_qstore.ionq.messages.histograms import Histogram
from pennylane_qstore.ionq.messages.job_request import encode_circuits
from pennylane_qstore.measurement.keys import measurement_key
from pennylane_qstore.measurement.plan import analyse
from pennylane_qstore.measurement.recipes import Basis, Plan
from pennylane_qstore.native.cache import SmartCircuitCache
from pennylane_qstore.native.folding import fold
from pennylane_qstore.native.frontend.folds import warn_of_folds
from pennylane_qstore.native.frontend.program import FloatArray, StructuredTape, bind_constants
from pennylane_qstore.native.frontend.structure import extract_structure, with_every_wire
from pennylane_qstore.native.marks import CORRECT, FOLD, take_marks
from pennylane_qstore.native.passes.sections import boxed, outside_boxes
from pennylane_qstore.native.pipeline import compile_program
from pennylane_qstore.native.symmetrize import Assignment
from pennylane_qstore.native.template.batch import NativeBatch, NativeBlock, Readout
from pennylane_qstore.native.template.qis import QisTemplate
from pennylane_qstore.native.verbatim import has_boxes

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
        symmetrize: seed of each row's own qubits and Pauli frame; None for none.
        verbatim: send all gates as they are written.
        effort: seconds that the thorough search for fewer gates may take; None for the quick one.
    """

    backend: Backend
    gateset: str
    family: str
    absorb: bool
    exact: bool
    noise: str | None = None
    described: str = ""
    symmetrize: int | None = None
    verbatim: bool = False
    effort: float | None = None

    @property
    def machine(self) -> str | None:
        """IonQ's id of the machine, or of the one that the noise model is of; None for none."""
        if self.backend.is_qpu:
            return self.backend.name
        return f"qpu.{self.noise}" if f"qpu.{self.noise}" in BACKENDS else None


class TapePlan(NamedTuple):
    """A tape's bases and its rows of parameters.

    Attributes:
        measurement: bases to run and a recipe for each result.
        pieces: rows of parameters by structure.
        wires: index of each wire label.
        tape: the tape.
        scale: factor of the noise to which the compiled circuits are folded.
        copies: circuits that are to calibrate its readout; 0 for no correction.
    """

    measurement: Plan
    pieces: list[StructuredTape]
    wires: dict[Any, int]
    tape: QuantumScript
    scale: float = 1.0
    copies: int = 0

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
    return with_every_wire(tape, order, lambda wires: _planned(tape, wires, cache))


def _planned(tape: QuantumScript, wires: dict[Any, int], cache: SmartCircuitCache) -> TapePlan:
    tape, wanted = take_marks(tape)
    finite = bool(tape.shots)
    key = measurement_key(tape.measurements, wires)
    if key is None:
        plan = analyse(tape.measurements, wires, finite)
    else:
        plan = cache.get(
            ("measure", key, finite, len(wires)),
            lambda: analyse(tape.measurements, wires, finite),
        )
    pieces = extract_structure(tape, wires)
    if pieces[0].by_value:
        cache.count_by_value(pieces[0].by_value)
    plan.check_size(sum([len(piece.parameters) for piece in pieces]))
    return TapePlan(plan, pieces, wires, tape, wanted.get(FOLD, 1.0), int(wanted.get(CORRECT, 0)))


def compile_circuits(
    plans: Sequence[TapePlan],
    target: Target,
    cache: SmartCircuitCache,
    meter: BatchMeter,
    choose_constants: ChooseConstants = no_constants,
) -> Circuits:
    """Stack the rows of each template over the whole batch, bind them once, encode them.

    Args:
        plans: one per tape.
        target: backend and gates to compile for.
        cache: of templates and programs.
        meter: measures the stages ``compile``, ``bind`` and ``encode``.
        choose_constants: chooses the numbers of each structure that are compiled as constants.

    Returns:
        The circuits, tape by tape, basis by basis.
    """
    groups: dict[tuple[int, float], tuple[Any, list[FloatArray], list[int]]] = {}
    measured: list[MeasuredTape] = []
    assignments: list[Assignment] = []
    position, qubits = 0, 1
    with meter.stage("compile"):
        parts = [(plan.tape, plan.pieces, plan.wires) for plan in plans]
        structures, columns = structures_of(parts, cache, choose_constants)
    for i, plan in enumerate(plans):
        for basis in plan.measurement.bases:
            first, readouts = position, []
            with meter.stage("compile"), TapeContext(i):
                templates = templates_of(plan, basis, structures, target, cache)
                for template, rows in zip(templates, columns[i], strict=True):
                    group = (id(template), plan.scale)
                    _, stacked, positions = groups.setdefault(group, (template, [], []))
                    stacked.append(rows)
                    positions.extend(range(position, position + len(rows)))
                    if target.symmetrize is None:
                        readouts.append((template.measured, template.readout, len(rows)))
                    else:
                        some = _assigned(template, rows, position, plan, target)
                        assignments += some
                        qubits = max([qubits, *(1 + max(one.qubits) for one in some)])
                        readouts += [(*one.reading(template), 1) for one in some]
                    position += len(rows)
            measured.append(MeasuredTape(i, basis, range(first, position), readouts))
    encoded, gates = [b""] * position, [0] * position
    for (_, scale), (template, stacked, positions) in groups.items():
        with meter.stage("bind"):
            batch: NativeBatch = template.bind(joined(stacked))
        qubits = max(qubits, batch.qubits)
        with meter.stage("encode"):
            for block in batch.blocks:
                folded = block if scale == 1 else fold(block, scale)
                where = [positions[row] for row in block.rows.tolist()]
                own = [assignments[p] for p in where if assignments]
                for p, (text, count) in zip(where, _encoded(folded, own), strict=True):
                    encoded[p], gates[p] = text, count
    return Circuits(encoded, gates, qubits, measured)


def _assigned(
    template: Any, rows: FloatArray, position: int, plan: TapePlan, target: Target
) -> list[Assignment]:
    """Return qubits and frame of each row of a template, the first of which is at a position."""
    pool = max(template.qubits, min(len(plan.wires), target.backend.qubits))
    # the same rows have the same assignments when a run starts again, and other rows others
    seeds = [
        (target.symmetrize or 0, position + k, crc32(row.tobytes())) for k, row in enumerate(rows)
    ]
    return [Assignment.draw(template.qubits, pool, seed) for seed in seeds]


def _encoded(block: NativeBlock, assignments: Sequence[Assignment]) -> list[tuple[bytes, int]]:
    """Return JSON and number of gates of each row, on the row's own qubits where it has any."""
    if not assignments:
        count = len(block.gates)
        return [(text, count) for text in encode_circuits(block.gates, block.params)]
    out = []
    for assignment, numbers in zip(assignments, block.params, strict=True):
        gates, params = assignment.apply(block.gates, numbers)
        out += [(text, len(gates)) for text in encode_circuits(gates, params[None])]
    return out


def templates_of(
    plan: TapePlan,
    basis: Basis,
    structures: Mapping[Hashable, Structure],
    target: Target,
    cache: SmartCircuitCache,
) -> Iterator[Any]:
    """Compile a tape in one basis.

    Args:
        plan: of the tape.
        basis: of its measurements.
        structures: by key and number of wires.
        target: backend and gates to compile for.
        cache: of templates.

    Yields:
        The template of each piece of the tape.
    """
    searched = plan.searched
    options = (target.gateset, target.family, target.absorb, target.verbatim, target.effort)
    for piece in plan.pieces:
        structure = structures[piece.key, len(plan.wires)]
        key: Hashable = (
            *("template", piece.key, len(plan.wires), basis.key),
            *(options, searched, structure.constants),
        )
        build = functools.partial(_template, structure, piece, basis, searched, target)
        yield cache.get(key, build)


def _template(
    structure: Structure, piece: StructuredTape, basis: Basis, searched: bool, target: Target
) -> Any:
    elementary, constants = structure.program, structure.constants
    if target.gateset == "qis":
        gates = boxed(elementary) if target.verbatim else elementary.gates  # which is refused
        return QisTemplate(replace(elementary, gates=gates), basis.gates, basis.wires)
    if not (target.verbatim or has_boxes(piece.operations)):
        warn_of_folds(piece.operations)
    if constants:
        values = dict(constants)
        row = np.array([[values.get(i, 0.0) for i in range(elementary.parameters)]])
        bound = bind_constants(elementary, row, outside_boxes(elementary.gates), values)
        elementary = replace(bound, parameters=elementary.parameters)  # of the rows, as they are
    return compile_program(
        elementary,
        measured=basis.wires,
        basis=basis.gates,
        family=target.family,
        absorb=target.absorb,
        optimize_fidelity=searched,
        effort=target.effort,
        verbatim=target.verbatim,
    )
