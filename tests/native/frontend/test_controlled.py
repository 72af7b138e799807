"""Rotations under several controls: the right unitary, and one structure for all angles."""

import numpy as np
import pennylane as qml
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.circuits import angles

from pennylane_qstore.native.frontend.affine_fit import program_of
from pennylane_qstore.native.frontend.controlled import controlled, double_excitation
from pennylane_qstore.native.frontend.structure import extract_structure

BASES = {
    "RX": lambda v, on: qml.RX(v[0], on[0]),
    "RY": lambda v, on: qml.RY(v[0], on[0]),
    "RZ": lambda v, on: qml.RZ(v[0], on[0]),
    "PhaseShift": lambda v, on: qml.PhaseShift(v[0], on[0]),
    "Rot": lambda v, on: qml.Rot(*v, on[0]),
    "IsingXX": lambda v, on: qml.IsingXX(v[0], on),
    "IsingYY": lambda v, on: qml.IsingYY(v[0], on),
    "MultiRZ": lambda v, on: qml.MultiRZ(v[0], on),
    "PauliRot": lambda v, on: qml.PauliRot(v[0], "XY", on),
}


@st.composite
def rotations(draw):
    base = draw(st.sampled_from(sorted(BASES)))
    most = 3 if base in ("IsingXX", "IsingYY", "MultiRZ", "PauliRot") else 4
    controls = draw(st.integers(1, most))
    wires = draw(st.permutations(range(controls + 2)))
    values = draw(st.lists(st.booleans(), min_size=controls, max_size=controls))
    with qml.QueuingManager.stop_recording():
        inner = BASES[base]([draw(angles) for _ in range(3)], list(wires[:2]))
        return qml.ops.Controlled(inner, list(wires[2:]), control_values=values)


@settings(max_examples=150, deadline=None)
@given(rotations())
def test_the_gates_are_the_controlled_rotation(op):
    wires = sorted(op.wires)
    gates = qml.tape.QuantumScript(controlled(op))
    want, got = (qml.matrix(thing, wire_order=wires) for thing in (op, gates))
    assert abs(np.vdot(want, got)) / len(want) == pytest.approx(1, abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(rotations())
def test_angles_are_affine_in_the_rotation_s(op):
    wires = {w: i for i, w in enumerate(op.wires)}
    (piece,) = extract_structure(qml.tape.QuantumScript([op]), wires)
    made = program_of(piece, wires)  # raises NotAffine where the gates depend on the values
    assert made.parameters == len(op.data)
    assert any(angle.terms for gate in made.gates for angle in gate.angles)


@pytest.mark.parametrize("kind", [qml.DoubleExcitationPlus, qml.DoubleExcitationMinus])
@pytest.mark.parametrize("angle", [0.7, -2.9, np.pi])
def test_double_excitations_with_phases(kind, angle):
    op = kind(angle, [2, 0, 3, 1])
    want, got = (
        qml.matrix(thing, wire_order=range(4))
        for thing in (op, qml.tape.QuantumScript(double_excitation(op)))
    )
    assert abs(np.vdot(want, got)) / 16 == pytest.approx(1, abs=1e-9)
    (piece,) = extract_structure(qml.tape.QuantumScript([op]), {i: i for i in range(4)})
    assert program_of(piece, {i: i for i in range(4)}).parameters == 1


def test_what_is_no_rotation_is_left_to_pennylane():
    assert controlled(qml.ops.Controlled(qml.Hadamard(0), [1, 2])) is None
    assert controlled(qml.ctrl(qml.IsingXX(0.1, [0, 1]), control=[2, 3, 4, 5])) is None
    assert controlled(qml.Toffoli([0, 1, 2])) is None
