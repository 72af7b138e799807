"""Readout passes: drop what the known start and the final measurement make superfluous.

They keep the distribution of outcomes of the wires in ``circuit.outputs``, not the
unitary. For every measurement that is enough, shot by shot and exactly:

- **sample, counts**: the readout maps each shot's bits before anything else looks at them,
- **probs**: the map moves probabilities from machine outcomes to the tape's,
- **expval, var** of what is diagonal, or was made so by the rotations to its basis, which stand
  before the measurement and are part of the circuit: sums over outcomes. What does not commute
  is measured in another circuit, absorbed for itself,
- broadcast rows and shot vectors: the same map for every row and shot of a template.

With a noise model, what was absorbed makes no noise; averages of ideal circuits do not change.

Each pass walks through the operations once and gives each to the first of its rules that deals
with it (:data:`INITIAL_STATE_RULES`, :data:`MEASUREMENT_RULES`); what no rule deals with is kept.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from pennylane_qstore.native.frontend.program import Affine, ComplexArray, FloatArray
from pennylane_qstore.native.gates import TURN
from pennylane_qstore.native.ir import (
    CNOT,
    CNOT_REVERSED,
    I2,
    IRCircuit,
    OneQubitUnitary,
    Operation,
    Rotation,
    TwoQubitUnitary,
    X,
    ZZRotation,
    matrix,
    rotation,
    wires_of,
)
from pennylane_qstore.native.passes.kak import before_diagonal, cheapest, prepare_state
from pennylane_qstore.native.passes.pairs import entangling_cost
from pennylane_qstore.native.su2 import so3

_TOL = 1e-10
_Z_AXIS = 2


def simplify_initial_state(circuit: IRCircuit) -> IRCircuit:
    """Return a circuit without what does nothing to |0…0⟩.

    Controls on |0⟩, rotations about a qubit's own axis, and all but one entangler of a two-qubit
    state's preparation go.
    """
    state = _InitialState(circuit.wires)
    for op in circuit.operations:
        state.take(op)
    for q in range(circuit.wires):
        state.close(q)
    return replace(circuit, operations=tuple(state.kept))


def absorb_into_readout(circuit: IRCircuit, *, from_zero: bool = True) -> IRCircuit:
    """Return a circuit whose end changes more than the labels of outcomes.

    Trailing diagonal operations go, trailing X, CNOT and SWAP (and what conjugates to them)
    become an affine map over GF(2) on the measured bits, and operations outside the light
    cone of what is measured are not kept.

    Args:
        circuit: the circuit.
        from_zero: whether it starts in |0…0⟩, so that wires without operations are read as 0.

    Returns:
        The circuit, with other outputs.
    """
    while True:
        measurement = _Measurement(circuit)
        for op in reversed(circuit.operations):
            measurement.take(op)
        shorter = measurement.remaining(from_zero=from_zero)
        unchanged = shorter.outputs == circuit.outputs
        if unchanged and len(shorter.operations) == len(circuit.operations):
            return shorter
        circuit = shorter


def simplify_ends(circuit: IRCircuit) -> IRCircuit:
    """Return a circuit without what its start and its measurement make superfluous.

    In the better of two orders: what one end leaves can be in the other's way.
    """
    orders = (
        absorb_into_readout(simplify_initial_state(circuit)),
        absorb_into_readout(simplify_initial_state(absorb_into_readout(circuit))),
    )
    return min(orders, key=lambda shortened: entangling_cost(shortened.operations))


# --- the known start -----------------------------------------------------------------------


class _InitialState:
    """Each wire's state while it is known and unentangled, followed forward in time."""

    def __init__(self, wires: int) -> None:
        # Gate that takes |0⟩ to the state of each known wire.
        self.gates: dict[int, ComplexArray] = dict.fromkeys(range(wires), I2)
        self.kept: list[Operation] = []

    def take(self, op: Operation) -> None:
        """Give an operation to the first rule that deals with it, or keep it."""
        if not any(rule(self, op) for rule in INITIAL_STATE_RULES):
            for q in wires_of(op):
                self.close(q)
            self.kept.append(op)

    def close(self, q: int) -> None:
        """Follow a wire no further: prepare the state it is in."""
        gate = self.gates.pop(q, I2)
        if abs(gate[1, 0]) > _TOL:
            self.kept.append(OneQubitUnitary(q, X if abs(gate[0, 0]) < _TOL else gate))

    def bloch(self, q: int) -> FloatArray:
        """Return the Bloch vector of a known wire's state, shape (3,)."""
        return so3(self.gates[q])[:, _Z_AXIS]


def _fold_into_state(state: _InitialState, op: Operation) -> bool:
    """Fold a one-qubit unitary into the state of a known wire."""
    if not isinstance(op, OneQubitUnitary) or op.wire not in state.gates:
        return False
    state.gates[op.wire] = op.matrix @ state.gates[op.wire]
    return True


def _drop_rotation_about_state(state: _InitialState, op: Operation) -> bool:
    """Drop a rotation of a known wire about the axis that its state points along."""
    if not isinstance(op, Rotation) or op.wire not in state.gates:
        return False
    return _is_along(state.bloch(op.wire), "xyz".index(op.axis))


def _rotate_instead_of_zz(state: _InitialState, op: Operation) -> bool:
    """Replace a ZZ rotation by one of a single wire where the other is |0⟩ or |1⟩."""
    if not isinstance(op, ZZRotation):
        return False
    for known, other in ((op.a, op.b), (op.b, op.a)):
        if known in state.gates and _is_along(bloch := state.bloch(known), _Z_AXIS):
            state.take(rotation(other, "z", op.angle.scaled(TURN * round(bloch[_Z_AXIS]))))
            return True
    return False


def _prepare_pair(state: _InitialState, op: Operation) -> bool:
    """Replace a two-qubit unitary on known wires by a cheaper preparation of its result.

    At equal cost the unitary stays as it is: its one-qubit unitaries fit what follows.
    """
    if not isinstance(op, TwoQubitUnitary) or not {op.a, op.b} <= state.gates.keys():
        return False
    left, right = state.gates[op.a], state.gates[op.b]
    parts = prepare_state(op.matrix @ np.kron(left[:, 0], right[:, 0]), op.a, op.b)
    if not entangling_cost(parts).cheaper_than(cheapest(op.matrix).cost):
        return False
    state.gates[op.a] = state.gates[op.b] = I2
    for part in parts:
        state.take(part)
    return True


INITIAL_STATE_RULES: tuple[Callable[[_InitialState, Operation], bool], ...] = (
    _fold_into_state,
    _drop_rotation_about_state,
    _rotate_instead_of_zz,
    _prepare_pair,
)
"""Each returns True if it dealt with the operation."""


# --- the final measurement -----------------------------------------------------------------


class _Measurement:
    """Constants that stand right before the measurement, and its outcomes, backward in time."""

    def __init__(self, circuit: IRCircuit) -> None:
        self.wires = circuit.wires
        self.outputs = list(circuit.outputs)
        # Product of the constants at the end of each wire on which nothing else is kept.
        self.tails: dict[int, ComplexArray] = dict.fromkeys(range(circuit.wires), I2)
        self.kept: list[Operation] = []  # in reverse

    def take(self, op: Operation) -> None:
        """Give an operation to the first rule that deals with it, or keep it."""
        on = wires_of(op)
        at_the_end = self.tails.keys() >= set(on)
        if not (at_the_end and any(rule(self, op) for rule in MEASUREMENT_RULES)):
            for q in on:
                self.close(q)
            self.kept.append(op)

    def close(self, q: int) -> None:
        """Keep the constants at the end of a wire, less a flip, which the readout can do."""
        tail = self.tails.pop(q, I2)
        if abs(tail[1, 0]) < _TOL or not self.measures(q):
            return
        if abs(tail[0, 0]) < _TOL:
            self.outputs = [bit._replace(flip=bit.flip ^ (q in bit.wires)) for bit in self.outputs]
        else:
            self.kept.append(OneQubitUnitary(q, tail))

    def remaining(self, *, from_zero: bool) -> IRCircuit:
        """Return the circuit that is left once all operations are taken."""
        for q in range(self.wires):
            self.close(q)
        outputs = tuple(self.outputs)
        if from_zero:
            touched = {q for op in self.kept for q in wires_of(op)}  # the others are |0⟩
            outputs = tuple(bit._replace(wires=bit.wires & touched) for bit in outputs)
        return IRCircuit(self.wires, tuple(reversed(self.kept)), outputs)

    def measures(self, q: int) -> bool:
        """Return True if an outcome depends on a wire."""
        return any(q in bit.wires for bit in self.outputs)

    def reads_z(self, q: int, axis: str = "z") -> bool:
        """Return True if σ before a wire's end is ±Z at the measurement, or not measured."""
        return not self.measures(q) or _is_along(so3(self.tails[q])[:, "xyz".index(axis)], _Z_AXIS)

    def read_cnot(self, control: int, target: int) -> None:
        """Read outcomes as if a CNOT stood before the measurement."""
        for i, bit in enumerate(self.outputs):
            if target in bit.wires:
                self.outputs[i] = bit._replace(wires=bit.wires ^ {control})
        self._drop_unmeasured_tails()

    def read_swap(self, a: int, b: int) -> None:
        """Read outcomes as if a SWAP stood before the measurement."""
        where = list(range(self.wires))
        where[a], where[b] = b, a
        self.outputs = [bit.relabelled(where) for bit in self.outputs]
        self._drop_unmeasured_tails()

    def _drop_unmeasured_tails(self) -> None:
        for q in self.tails:
            if not self.measures(q):
                self.tails[q] = I2


def _drop_unmeasured(measurement: _Measurement, op: Operation) -> bool:
    """Drop an operation on wires that no outcome depends on."""
    return not any(measurement.measures(q) for q in wires_of(op))


def _fold_into_tail(measurement: _Measurement, op: Operation) -> bool:
    """Fold a one-qubit unitary into the constants at the end of its wire."""
    if not isinstance(op, OneQubitUnitary):
        return False
    measurement.tails[op.wire] = measurement.tails[op.wire] @ op.matrix
    return True


def _drop_diagonal(measurement: _Measurement, op: Operation) -> bool:
    """Drop a rotation that only changes phases of outcomes."""
    if isinstance(op, Rotation):
        return measurement.reads_z(op.wire, op.axis)
    if isinstance(op, ZZRotation):
        return measurement.reads_z(op.a) and measurement.reads_z(op.b)
    return False


def _read_zz_as_cnot(measurement: _Measurement, op: Operation) -> bool:
    """Leave a quarter turn about Z⊗n, n in the equator at the measurement, to the readout.

    exp(-i s π/4 Z⊗X) = CNOT · exp(-i s π/4 Z) ⊗ exp(-i s π/4 X), up to phase; the rotations
    about Z, of n to X and of the control, are not seen by the measurement.
    """
    if not isinstance(op, ZZRotation) or op.angle.terms:
        return False
    if abs(op.angle.const % 0.5 - 0.25) > _TOL:
        return False
    for control, target in ((op.a, op.b), (op.b, op.a)):
        axis = so3(measurement.tails[target])[:, _Z_AXIS]
        if measurement.reads_z(control) and abs(axis[_Z_AXIS]) < _TOL:
            sign = 1 if op.angle.const % 1 < 0.5 else -1
            if measurement.measures(control):
                sign *= round(so3(measurement.tails[control])[_Z_AXIS, _Z_AXIS])
            to_x = Rotation(target, "z", Affine((), -float(np.arctan2(axis[1], axis[0]))))
            quarter = Rotation(target, "x", Affine((), sign * np.pi / 2))
            tail = measurement.tails[target]
            measurement.tails[target] = matrix(quarter) @ matrix(to_x) @ tail
            measurement.read_cnot(control, target)
            return True
    return False


def _relabel_two_qubit_unitary(measurement: _Measurement, op: Operation) -> bool:
    """Replace a two-qubit unitary by its cheapest form up to phases and labels of outcomes."""
    if not isinstance(op, TwoQubitUnitary):
        return False
    a, b = op.a, op.b
    if not (measurement.measures(a) and measurement.measures(b)):
        return False
    unitary = np.kron(measurement.tails[a], measurement.tails[b]) @ op.matrix
    relabellings = ((np.eye(4), None), (CNOT, (a, b)), (CNOT_REVERSED, (b, a)))
    forms = [(before_diagonal(relabel @ unitary), cnot) for relabel, cnot in relabellings]
    form, cnot = min(forms, key=lambda candidate: candidate[0].cost.rank)
    if cnot is not None:
        measurement.read_cnot(*cnot)
    if form.swapped:
        measurement.read_swap(a, b)
    measurement.tails[a] = measurement.tails[b] = I2
    for part in reversed(form.operations(a, b)):
        measurement.take(part)
    return True


MEASUREMENT_RULES: tuple[Callable[[_Measurement, Operation], bool], ...] = (
    _drop_unmeasured,
    _fold_into_tail,
    _drop_diagonal,
    _read_zz_as_cnot,
    _relabel_two_qubit_unitary,
)
"""Each returns True if it dealt with the operation, after which nothing else is kept."""


def _is_along(vector: FloatArray, axis: int) -> bool:
    """Return True if a unit vector points along an axis; by what is across, not by its cosine.

    The cosine is flat there: it would take 1e-5 for parallel at a tolerance of 1e-10.
    """
    return bool(np.hypot(*np.delete(vector, axis)) < _TOL)
