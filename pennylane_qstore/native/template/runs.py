"""A circuit as runs of one-qubit operations between entanglers.

A wire with k entanglers has k+1 runs. Each run is a product of constants and rotations; as a
unitary of determinant 1, [[α, -β*], [β, α*]], it is known by its first column (α, β).

A fence ends the runs of its wires: what follows on them is another *part*, with entanglers and runs
of its own, so that nothing moves from one part to the next. A circuit without fences has one part
for each wire.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from pennylane_qstore.native.frontend.program import Affine, Gate
from pennylane_qstore.native.ir import (
    H,
    IRCircuit,
    OneQubitUnitary,
    Rotation,
    TwoQubitUnitary,
    Z,
    ZZRotation,
    is_constant,
    matrix,
    wires_of,
)

_TOL = 1e-10


class Fence(NamedTuple):
    """A place that nothing moves across.

    Attributes:
        at: index of the operation that it stands before.
        wires: wires it stands on; of ``gate``, in order.
        exact: whether virtual rotations about Z are written as pulses before it.
        gate: native gate that is sent here as it is.
        kept: whether what follows is sent at every angle, where it does nothing, too.
    """

    at: int
    wires: tuple[int, ...]
    exact: bool = False
    gate: Gate | None = None
    kept: bool = False


class EndOfParts(NamedTuple):
    """A fence as gates are written: after ``entanglers``, these parts end.

    Attributes:
        entanglers: number of entanglers before it.
        parts: those that end.
        fence: on native wires.
    """

    entanglers: int
    parts: tuple[int, ...]
    fence: Fence


class Entangler(NamedTuple):
    """An interaction between two parts, after run ``run_a`` of a and ``run_b`` of b.

    The angle is in turns; a constant one lies within (-1/4, 1/4].
    """

    a: int
    run_a: int
    b: int
    run_b: int
    angle: Affine


@dataclass(frozen=True, slots=True)
class Runs:
    """Runs per part, and the entanglers between them in time order.

    Args:
        wires: circuit wire of each native wire.
        runs: ``runs[q][i]`` is run i of part q: constants and rotations in time order.
        entanglers: in time order.
        parts: native wire of each part.
        kept: parts that are sent at every angle.
        ends: fences, in time order.
    """

    wires: tuple[int, ...]
    runs: tuple[tuple[tuple[OneQubitUnitary | Rotation, ...], ...], ...]
    entanglers: tuple[Entangler, ...]
    parts: tuple[int, ...]
    kept: frozenset[int] = frozenset()
    ends: tuple[EndOfParts, ...] = ()


def runs_of(
    circuit: IRCircuit, family: str, *, compact: bool = True, fences: Sequence[Fence] = ()
) -> Runs:
    """Split a circuit without two-qubit unitaries into runs.

    Args:
        circuit: the circuit.
        family: ``"zz"`` keeps interactions about Z; ``"ms"`` has them about X, with the
            changes of basis in the runs.
        compact: whether wires without operations are left out.
        fences: in time order.

    Returns:
        Runs and entanglers.
    """
    used = {q for op in circuit.operations for q in wires_of(op)}
    used |= {q for fence in fences if fence.gate for q in fence.wires}
    wires = sorted(used) if compact else list(range(circuit.wires))
    parts = _Parts(wires, family)
    left = list(reversed(fences))
    for i, op in enumerate(circuit.operations):
        while left and left[-1].at <= i:
            parts.end(left.pop())
        if isinstance(op, ZZRotation):
            parts.entangle(op)
        else:
            assert not isinstance(op, TwoQubitUnitary)  # noqa: S101 - synthesised before
            parts.append(op)
    while left:
        parts.end(left.pop())
    return parts.finished()


class _Parts:
    """Runs and entanglers as operations come."""

    def __init__(self, wires: Sequence[int], family: str) -> None:
        self._wires, self._family = wires, family
        self._native = {q: i for i, q in enumerate(wires)}
        self._at = dict(self._native)  # the part that each wire is in
        self._parts = list(self._native.values())
        self._kept: set[int] = set()
        self._ends: list[EndOfParts] = []
        self._runs: list[list[list[OneQubitUnitary | Rotation]]] = [[[]] for _ in wires]
        self._entanglers: list[Entangler] = []

    def append(self, op: OneQubitUnitary | Rotation) -> None:
        """Add an operation to the last run of its wire."""
        _append(self._runs[self._at[op.wire]][-1], op)

    def entangle(self, op: ZZRotation) -> None:
        """Add an entangler, or none if its angle is zero."""
        angle, half = _within_quarter(op.angle)
        on = op.a, op.b
        if half:
            for q in on:
                self.append(OneQubitUnitary(q, Z))
        if not angle.terms and abs(angle.const) < _TOL:
            return
        a, b = (self._at[q] for q in on)
        if self._family == "ms":
            for q in on:
                self.append(OneQubitUnitary(q, H))
        runs = self._runs
        self._entanglers.append(Entangler(a, len(runs[a]) - 1, b, len(runs[b]) - 1, angle))
        for q, part in zip(on, (a, b), strict=True):
            runs[part].append([OneQubitUnitary(q, H)] if self._family == "ms" else [])

    def end(self, fence: Fence) -> None:
        """End the parts of a fence's wires; those that have nothing go on."""
        wires = [q for q in fence.wires if q in self._at]
        ended = []
        for q in wires:
            part = self._at[q]
            if self._runs[part] != [[]]:
                ended.append(part)
                self._at[q] = part = len(self._parts)
                self._parts.append(self._native[q])
                self._runs.append([[]])
            if fence.kept:
                self._kept.add(part)
            else:
                self._kept.discard(part)
        native = fence._replace(wires=tuple([self._native[q] for q in wires]))
        self._ends.append(EndOfParts(len(self._entanglers), tuple(ended), native))

    def finished(self) -> Runs:
        """Return what was added."""
        return Runs(
            tuple(self._wires),
            tuple([tuple([tuple(run) for run in part]) for part in self._runs]),
            tuple(self._entanglers),
            tuple(self._parts),
            frozenset(self._kept),
            tuple(self._ends),
        )


def _within_quarter(angle: Affine) -> tuple[Affine, bool]:
    """A constant angle within (-1/4, 1/4], and whether half a turn (Z⊗Z) was taken off."""
    if angle.terms:
        return angle, False
    halves = int(np.ceil(2 * angle.const - 0.5 - _TOL))
    return Affine((), angle.const - halves / 2), bool(halves % 2)


def _append(run: list[OneQubitUnitary | Rotation], op: OneQubitUnitary | Rotation) -> None:
    """Append, merging neighbours about the same axis and neighbouring constants."""
    if run:
        last = run[-1]
        if isinstance(last, OneQubitUnitary) and isinstance(op, OneQubitUnitary):
            run[-1] = OneQubitUnitary(op.wire, op.matrix @ last.matrix)
            return
        if isinstance(last, Rotation) and isinstance(op, Rotation) and last.axis == op.axis:
            run[-1] = last._replace(angle=last.angle.plus(op.angle))
            return
    if isinstance(op, Rotation) and is_constant(op):
        _append(run, OneQubitUnitary(op.wire, matrix(op)))
        return
    run.append(op)
