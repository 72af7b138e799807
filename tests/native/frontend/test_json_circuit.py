"""Circuits as dictionaries: what they mean, and what is refused."""

import numpy as np
import pennylane as qml
import pytest

from pennylane_qstore import IonQNativeGateCompiler
from pennylane_qstore.errors import CompileError
from pennylane_qstore.native.frontend.json_circuit import tape_from_json


@pytest.mark.parametrize(
    ("gate", "message"),
    [
        ({"gate": "warp", "target": 0}, "warp.*unknown"),
        ({"gate": "h"}, "needs 1 target"),
        ({"gate": "h", "target": 5}, "qubit 5; allowed are 0 to 1"),
        ({"gate": "rx", "target": 0}, 'needs a "rotation"'),
        ({"gate": "cnot", "target": 0}, 'needs a "control"'),
        ({"gate": "cnot", "control": 0, "target": 0}, "twice"),
        ({"gate": "ms", "targets": [0, 1]}, "lacks its phases"),
        ({"gate": "ms", "targets": [0, 1], "phases": 0.1}, "lacks its phases"),
        ({"gate": "ms", "targets": [0, 1], "phases": [0.1, 0.2, 0.3]}, "needs 2 phases, not 3"),
        ({"gate": "gpi", "target": 0, "phase": None}, "lacks its phase"),
        ({"gate": "gpi", "target": 0, "phase": "x"}, "'x'. Allowed: a number"),
        ({"gate": "gpi", "target": 0, "phase": 0.1, "control": 1}, "takes no controls"),
        ({"gate": "zz", "targets": [0], "angle": 0.1}, "needs 2 targets, not 1"),
    ],
)
def test_a_bad_gate_in_a_dictionary_is_named(gate, message):
    with pytest.raises(CompileError, match=message):
        IonQNativeGateCompiler().compile_circuit({"qubits": 2, "circuit": [gate]})


@pytest.mark.parametrize("circuit", [{"circuit": []}, {"qubits": 1, "circuit": "h"}, None, [], 5])
def test_a_circuit_that_is_none_is_refused(circuit):
    with pytest.raises(CompileError, match="qubits"):
        IonQNativeGateCompiler().compile_circuit(circuit)


def test_one_wire_may_stand_by_itself_or_in_a_list():
    alone = {"gate": "x", "target": 0, "control": 1}
    listed = {"gate": "x", "targets": [0], "controls": [], "control": 1}
    mixed = {"gate": "x", "targets": 0, "controls": np.array([1])}
    compiler = IonQNativeGateCompiler()
    made = [compiler.compile_circuit({"qubits": 2, "circuit": [g]}) for g in (alone, listed, mixed)]
    assert made[0] == made[1] == made[2]
    assert len(made[0]["circuit"]) == 3


def test_a_z_with_a_rotation_is_a_phase():
    z = {"gate": "z", "target": 0, "control": 1, "rotation": 0.3}
    (op,) = tape_from_json({"qubits": 2, "circuit": [z]}).operations
    np.testing.assert_allclose(
        qml.matrix(op, wire_order=[1, 0]), qml.ControlledPhaseShift.compute_matrix(0.3)
    )
