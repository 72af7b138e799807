"""Structures of tapes: equal keys mean equal circuits, whatever the parameters."""

import itertools

import numpy as np
import pennylane as qml
import pytest
from support.batches import UNTOLD
from support.circuits import EVERY, unitary_of

from pennylane_qstore import IonQNativeGateCompiler
from pennylane_qstore.errors import CompileError
from pennylane_qstore.native.frontend.structure import extract_structure


@pytest.mark.parametrize("name", sorted(EVERY))
def test_equal_keys_and_parameters_mean_equal_circuits(name):
    """All variants of an operation on all orders of its wires, by key and parameters."""
    needed, count, made = EVERY[name]
    wires = {i: i for i in range(needed)}
    values = [0.3, 0.7, -1.1, 2.0, 0.4, 1.3][:count]
    found = {}
    for order in itertools.islice(itertools.permutations(range(needed)), 12 if needed < 4 else 3):
        for variant in range(16 if needed < 4 else 8):
            tape = qml.tape.QuantumScript([made(values, list(order), variant)])
            (piece,) = extract_structure(tape, wires)
            kind = piece.key, piece.parameters.tobytes()
            found.setdefault(kind, []).append(unitary_of(tape, needed))
    assert found
    for first, *others in found.values():
        for other in others:
            assert abs(abs(np.vdot(first, other)) / len(first) - 1) < 1e-9


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (qml.CNOT([0, 1]), qml.CNOT([1, 0])),
        (qml.PauliRot(0.3, "XY", [0, 1]), qml.PauliRot(0.3, "XZ", [0, 1])),
        (
            qml.AngleEmbedding([0.1, 0.2], [0, 1], rotation="Y"),
            qml.AngleEmbedding([0.1, 0.2], [0, 1], rotation="Z"),
        ),
        (
            qml.StronglyEntanglingLayers(np.ones((2, 3, 3)), range(3), ranges=[1, 1]),
            qml.StronglyEntanglingLayers(np.ones((2, 3, 3)), range(3), ranges=[1, 2]),
        ),
        (qml.QubitUnitary(np.eye(2), 0), qml.QubitUnitary(np.diag([1, -1]), 0)),
        (qml.adjoint(qml.S(0)), qml.S(0)),
        (
            qml.ctrl(qml.RX(0.1, 0), control=[1, 2]),
            qml.ctrl(qml.RX(0.1, 0), control=[1, 2], control_values=[0, 1]),
        ),
    ],
)
def test_different_structures_have_different_keys(one, other):
    wires = {0: 0, 1: 1, 2: 2}
    keys = [extract_structure(qml.tape.QuantumScript([op]), wires)[0].key for op in (one, other)]
    assert keys[0] != keys[1]


def test_parameters_are_no_part_of_the_key():
    wires = {0: 0, 1: 1}
    tapes_ = [qml.tape.QuantumScript([qml.RX(x, 0), qml.CRY(x + 1, [0, 1])]) for x in (0.1, 0.2)]
    assert extract_structure(tapes_[0], wires)[0].key == extract_structure(tapes_[1], wires)[0].key


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_parameter_that_is_not_finite_is_named(bad):
    with pytest.raises(CompileError, match=r"RY on wires \[1\].*not finite"):
        IonQNativeGateCompiler().compile(qml.tape.QuantumScript([qml.RX(0.1, 0), qml.RY(bad, 1)]))


@pytest.mark.parametrize("bad", [None, "0.3", {}, 10**400])
def test_objects_that_are_no_numbers_are_refused(bad):
    tape = qml.tape.QuantumScript([qml.RX(np.array(bad, dtype=object), 0)])
    with pytest.raises(CompileError, match="not a real number"):
        extract_structure(tape, {0: 0})


def test_a_batch_that_only_gates_tell_stands_beside_one_that_is_decomposed_row_by_row():
    """Rows of the latter had the whole batch of the former: three times too many results."""
    x = np.array([0.3, -1.1, 0.8])
    for untold in UNTOLD.values():
        with qml.queuing.AnnotatedQueue() as queue:
            untold(x)
            qml.exp(qml.dot([0.3, 0.5, 0.4], [qml.Y(1), qml.Z(0) @ qml.Y(1), qml.X(2)]), 0.5j * x)
            qml.RY(x, 0)
        tape = qml.tape.QuantumScript.from_queue(queue)
        pieces = extract_structure(tape, {wire: wire for wire in range(3)})
        assert sum(len(piece.parameters) for piece in pieces) == 3
        assert all(piece.batched for piece in pieces)
