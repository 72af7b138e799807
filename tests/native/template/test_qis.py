"""Templates of IonQ's abstract gates: the circuit as written, by IonQ's names."""

from __future__ import annotations

import numpy as np
import pennylane as qml
import pytest
from hypothesis import given, settings
from support.circuits import tapes, unitary_of

from pennylane_qstore.gateset import QIS
from pennylane_qstore.native.frontend.affine_fit import affine_program
from pennylane_qstore.native.frontend.json_circuit import tape_from_json
from pennylane_qstore.native.frontend.program import Gate
from pennylane_qstore.native.frontend.structure import extract_structure
from pennylane_qstore.native.template.qis import QisTemplate


def bound(tape, wires, basis=(), measured=None):
    labels = {i: i for i in range(wires)}
    piece, program = affine_program(extract_structure(tape, labels)[0], labels)
    template = QisTemplate(program, basis, list(range(wires)) if measured is None else measured)
    return template.bind(piece.parameters)


def json_gates(block, row):
    values = list(block.params[row])
    gates = []
    for name, targets, controls in block.gates:
        spec = QIS[name]
        numbers = [values.pop(0) for _ in range(spec.slots)]
        gates.append(spec.to_json(targets, numbers, controls))
    assert not values
    return gates


@settings(max_examples=40, deadline=None)
@given(tapes(max_wires=3, max_operations=12))
def test_the_gates_are_the_tape_s_unitary(made):
    tape, n = made
    (block,) = bound(tape, n).blocks
    again = tape_from_json({"qubits": n, "circuit": json_gates(block, 0)})
    overlap = np.vdot(unitary_of(tape, n), qml.matrix(again, wire_order=range(n))) / 2**n
    assert abs(overlap) == pytest.approx(1, abs=1e-9)


def test_gates_that_ionq_has_are_sent_as_they_are_written():
    ops = [qml.Hadamard(0), qml.CNOT([0, 1]), qml.RY([0.1, 0.2], 1), qml.adjoint(qml.T(0))]
    batch = bound(qml.tape.QuantumScript(ops), 2)
    (block,) = batch.blocks
    assert block.gates == (
        ("h", (0,), ()), ("cnot", (1,), (0,)), ("ry", (1,), ()), ("ti", (0,), ()),
    )  # fmt: skip
    assert block.params.tolist() == [[0.1], [0.2]]
    assert batch.rows == 2


def test_the_basis_comes_last_and_nothing_is_left_to_the_readout():
    batch = bound(
        qml.tape.QuantumScript([qml.RX(0.3, 0)]), 2, [Gate("Hadamard", (1,))], measured=[1, 0]
    )
    assert batch.blocks[0].gates == (("rx", (0,), ()), ("h", (1,), ()))
    assert batch.measured == (1, 0)
    assert np.array_equal(batch.readout.apply(np.array([[0, 1]])), [[0, 1]])


def test_an_empty_program_is_two_gates_that_undo_each_other():
    (block,) = bound(qml.tape.QuantumScript([]), 1).blocks
    assert block.gates == (("x", (0,), ()), ("x", (0,), ()))
    assert block.params.shape == (1, 0)
