"""What the known start and the final measurement make superfluous.

Both passes keep the distribution of outcomes of the wires in ``circuit.outputs``, not the unitary.
For every measurement that is enough, shot by shot and exactly:

- **sample, counts**: the readout maps each shot's bits before anything else looks at them,
- **probs**: the map moves probabilities from machine outcomes to the tape's,
- **expval, var** of what is diagonal, or was made so by the rotations to its basis, which stand
  before the measurement and are part of the circuit: sums over outcomes. What does not commute is
  measured in another circuit, absorbed for itself,
- broadcast rows and shot vectors: the same map for every row and shot of a template.

With a noise model, what was absorbed makes no noise; averages of ideal circuits do not change.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from pennylane_qstore.native.frontend.program import Affine, ComplexArray, FloatArray
from pennylane_qstore.native.gates import TURN
from pennylane_qstore.native.ir import (
    I2,
    IRCircuit,
    OneQubitUnitary,
    Operation,
    OutputParity,
    Rotation,
    TwoQubitUnitary,
    X,
    ZZRotation,
    matrix,
    wires_of,
)
from pennylane_qstore.native.passes.kak import (
    CNOT,
    CNOT_REVERSED,
    before_diagonal,
    cheapest,
    prepared,
)
from pennylane_qstore.native.passes.pairs import cheaper, entangling_cost
from pennylane_qstore.native.su2 import so3

_TOL = 1e-10
_Z_AXIS = 2


def simplify_initial_state(circuit: IRCircuit) -> IRCircuit:
    """Drop what does nothing to |0…0⟩: controls on |0⟩, rotations about a qubit's own axis."""
    return _Start(circuit).run()


def absorb_into_readout(circuit: IRCircuit) -> IRCircuit:
    """Drop what only relabels outcomes.

    Trailing diagonal operations go, trailing X, CNOT and SWAP (and what conjugates to them)
    become an affine map over GF(2) on the measured bits, and operations outside the light
    cone of what is measured are not kept. ``circuit.outputs`` lists the measured wires only.
    """
    while True:
        shorter = _End(circuit).run()
        if (
            len(shorter.operations) == len(circuit.operations)
            and shorter.outputs == circuit.outputs
        ):
            return shorter
        circuit = shorter


# --- the known start -----------------------------------------------------------------------


class _Start:
    """Follows each wire's state while it is known and unentangled."""

    def __init__(self, circuit: IRCircuit) -> None:
        self.circuit = circuit
        self.gate: list[ComplexArray | None] = [I2] * circuit.wires  # takes |0⟩ to the state
        self.out: list[Operation] = []

    def run(self) -> IRCircuit:
        for op in self.circuit.operations:
            self._take(op)
        for q in range(self.circuit.wires):
            self._forget(q)
        return replace(self.circuit, operations=tuple(self.out))

    def _take(self, op: Operation) -> None:
        match op:
            case OneQubitUnitary(q, m) if (gate := self.gate[q]) is not None:
                self.gate[q] = m @ gate
            case Rotation(q, axis, _) if (gate := self.gate[q]) is not None:
                if _is_along(so3(gate)[:, _Z_AXIS], "xyz".index(axis)):
                    return
                self._forget(q)
                self.out.append(op)
            case ZZRotation(a, b, angle):
                for known, other in ((a, b), (b, a)):
                    gate = self.gate[known]
                    if gate is not None and _is_along(bloch := so3(gate)[:, _Z_AXIS], _Z_AXIS):
                        turned = angle.scaled(TURN * round(bloch[_Z_AXIS]))
                        if turned.terms:
                            self._take(Rotation(other, "z", turned))
                        else:
                            self._take(OneQubitUnitary(other, matrix(Rotation(other, "z", turned))))
                        return
                self._forget(a)
                self._forget(b)
                self.out.append(op)
            case TwoQubitUnitary(a, b, m):
                left, right = self.gate[a], self.gate[b]
                if left is not None and right is not None:
                    parts = prepared(m @ np.kron(left[:, 0], right[:, 0]), a, b)
                    # At equal cost the unitary stays as it is: its locals fit what follows.
                    if cheaper(entangling_cost(parts), cheapest(m).cost):
                        self.gate[a] = self.gate[b] = I2
                        for part in parts:
                            self._take(part)
                        return
                self._forget(a)
                self._forget(b)
                self.out.append(op)
            case _:
                self.out.append(op)

    def _forget(self, q: int) -> None:
        """From here on the wire's state is not followed; prepare what it was."""
        gate = self.gate[q]
        if gate is not None and abs(gate[1, 0]) > _TOL:
            self.out.append(OneQubitUnitary(q, X if abs(gate[0, 0]) < _TOL else gate))
        self.gate[q] = None


# --- the final measurement -----------------------------------------------------------------


class _End:
    """Walks back from the measurement, folding what only relabels outcomes."""

    def __init__(self, circuit: IRCircuit) -> None:
        self.circuit = circuit
        self.tail: list[ComplexArray | None] = [
            I2
        ] * circuit.wires  # constants after, if only those
        self.bits = list(circuit.outputs)
        self.out: list[Operation] = []  # in reverse

    def run(self) -> IRCircuit:
        for op in reversed(self.circuit.operations):
            self._take(op)
        for q in range(self.circuit.wires):
            self._close(q)
        operations = tuple(reversed(self.out))
        touched = {q for op in operations for q in wires_of(op)}
        bits = tuple(bit._replace(wires=bit.wires & touched) for bit in self.bits)  # untouched: |0⟩
        return IRCircuit(self.circuit.wires, operations, bits)

    def _take(self, op: Operation) -> None:
        on = wires_of(op)
        tails = [self.tail[q] for q in on]
        if any(tail is None for tail in tails):
            for q in on:
                self._close(q)
            self.out.append(op)
        elif isinstance(op, OneQubitUnitary):
            if self._needed(op.wire):
                self.tail[op.wire] = self._tail(op.wire) @ op.matrix
        elif isinstance(op, Rotation):
            if self._needed(op.wire) and not _is_along(
                so3(self._tail(op.wire))[:, "xyz".index(op.axis)], _Z_AXIS
            ):
                self._close(op.wire)
                self.out.append(op)
        elif isinstance(op, ZZRotation):
            self._take_interaction(op)
        else:
            self._take_block(op)

    def _take_interaction(self, op: ZZRotation) -> None:
        on = (op.a, op.b)
        needed = [self._needed(q) for q in on]
        axes = [so3(self._tail(q))[:, _Z_AXIS] for q in on]
        z = [not n or _is_along(axis, _Z_AXIS) for n, axis in zip(needed, axes, strict=True)]
        if all(z) or not any(needed):
            return
        quarter = not op.angle.terms and abs(abs((op.angle.const % 0.5) - 0.25)) < _TOL
        for i, j in ((0, 1), (1, 0)):
            if quarter and z[i] and abs(axes[j][2]) < _TOL:
                sign = (1 if op.angle.const % 1 < 0.5 else -1) * (axes[i][2] if needed[i] else 1)
                self._fold(control=on[i], target=on[j], axis=axes[j], sign=float(np.sign(sign)))
                return
        for q in on:
            self._close(q)
        self.out.append(op)

    def _fold(self, control: int, target: int, axis: FloatArray, sign: float) -> None:
        """exp(-i sign π/4 Z⊗n) at the end, n in the equator, is a CNOT up to locals.

        exp(-i s π/4 Z⊗X) = CNOT · exp(-i s π/4 Z) ⊗ exp(-i s π/4 X), up to phase; the
        rotations about Z, of n to X and of the control, are not seen by the measurement.
        """
        tail = self._tail(target)
        azimuth = Affine((), -float(np.arctan2(axis[1], axis[0])))
        half = Affine((), sign * np.pi / 2)
        to_x = matrix(Rotation(target, "z", azimuth))
        self.tail[target] = matrix(Rotation(target, "x", half)) @ to_x @ tail
        self._map_bits(lambda q: {q, control} if q == target else {q})

    def _take_block(self, op: TwoQubitUnitary) -> None:
        on = (op.a, op.b)
        if not any(self._needed(q) for q in on):
            return
        unitary = np.kron(self._tail(op.a), self._tail(op.b)) @ op.matrix
        if not all(self._needed(q) for q in on):
            for q in on:
                self._close(q)
            self.out.append(op)
            return
        relabellings = (np.eye(4), CNOT, CNOT_REVERSED)
        forms = [before_diagonal(relabel @ unitary) for relabel in relabellings]
        best = min(range(3), key=lambda i: (forms[i].cost[0], round(forms[i].cost[1], 6), i))
        a, b = on
        if best:  # outcome of the relabelled circuit: undo the CNOT on the bits
            control, target = (a, b) if best == 1 else (b, a)
            self._map_bits(lambda q: {q, control} if q == target else {q})
        if forms[best].swapped:
            self._map_bits(lambda q: {b if q == a else a if q == b else q})
        self.tail[a] = self.tail[b] = I2
        for part in reversed(forms[best].operations(a, b)):
            self._take(part)

    def _map_bits(self, images: Callable[[int], set[int]]) -> None:
        for i, bit in enumerate(self.bits):
            wires: frozenset[int] = frozenset()
            for q in bit.wires:
                wires ^= frozenset(images(q))
            self.bits[i] = OutputParity(wires, bit.flip)
        for q, tail in enumerate(self.tail):
            if tail is not None and not self._needed(q):
                self.tail[q] = I2

    def _needed(self, q: int) -> bool:
        return any(q in bit.wires for bit in self.bits)

    def _tail(self, q: int) -> ComplexArray:
        tail = self.tail[q]
        assert tail is not None  # noqa: S101 - only asked of open wires
        return tail

    def _close(self, q: int) -> None:
        """Emit the constants at the end of a wire, less what the readout can do."""
        tail = self.tail[q]
        self.tail[q] = None
        if tail is None or abs(tail[1, 0]) < _TOL or not self._needed(q):
            return
        if abs(tail[0, 0]) < _TOL:
            for i, bit in enumerate(self.bits):
                if q in bit.wires:
                    self.bits[i] = OutputParity(bit.wires, not bit.flip)
        else:
            self.out.append(OneQubitUnitary(q, tail))


def _is_along(vector: FloatArray, axis: int) -> bool:
    """Whether a unit vector points along an axis; by what is across, its cosine is too flat."""
    across = np.delete(vector, axis)
    return bool(np.hypot(*across) < _TOL)
