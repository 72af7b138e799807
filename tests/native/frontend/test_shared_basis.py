"""The one basis that all measurements of a tape share."""

import numpy as np
import pennylane as qml
import pytest

from pennylane_qstore import IonQNativeGateCompiler
from pennylane_qstore.errors import CompileError
from pennylane_qstore.native.frontend.shared_basis import shared_basis


@pytest.mark.parametrize(
    ("measurements", "message"),
    [
        ([qml.expval(qml.X(0)), qml.expval(qml.Z(0))], "wire 0 both in the X and in the Z"),
        ([qml.expval(qml.X(0)), qml.probs(wires=[0, 1])], "wire 0 both in the X and in the Z"),
        ([qml.expval(qml.Hermitian(np.eye(2), 0))], "not made of Pauli words"),
        ([qml.state()], "cannot be measured on a machine"),
    ],
)
def test_measurements_that_do_not_fit_one_circuit_are_refused(measurements, message):
    tape = qml.tape.QuantumScript([qml.Hadamard(0), qml.CNOT([0, 1])], measurements)
    with pytest.raises(CompileError, match=message):
        IonQNativeGateCompiler().compile(tape)


WIRES = {"a": 0, "b": 1, "c": 2}


def test_each_axis_is_turned_to_z_and_wires_come_as_they_first_appear():
    gates, measured = shared_basis(
        [qml.expval(qml.Y("c") @ qml.X("a")), qml.var(qml.Z("b"))], WIRES
    )
    named = {(gate.name, gate.wires) for gate in gates}
    assert named == {("Adjoint(S)", (2,)), ("Hadamard", (2,)), ("Hadamard", (0,))}
    assert measured == [2, 0, 1]


def test_wires_in_common_are_turned_once():
    observable = qml.X("a") @ qml.X("b")
    gates, measured = shared_basis([qml.expval(observable), qml.var(qml.X("b"))], WIRES)
    assert [(gate.name, gate.wires) for gate in gates] == [("Hadamard", (0,)), ("Hadamard", (1,))]
    assert measured == [0, 1]


def test_a_measurement_of_no_wires_measures_all():
    assert shared_basis([qml.sample()], WIRES) == ([], [0, 1, 2])


def test_a_projector_on_basis_states_needs_no_turn():
    assert shared_basis([qml.expval(qml.Projector([1, 0], ["b", "a"]))], WIRES) == ([], [1, 0])


def test_a_mid_circuit_measurement_is_refused():
    with pytest.raises(CompileError, match="defer_measurements"):
        shared_basis([qml.expval(qml.measure("a"))], WIRES)
