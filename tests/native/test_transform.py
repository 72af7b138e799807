"""compile_native: native gates on any device, results unchanged."""

import numpy as np
import pennylane as qml
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.batches import UNTOLD
from support.circuits import tapes

from pennylane_qstore.errors import CompileError
from pennylane_qstore.native.transform import compile_native

families = pytest.mark.parametrize("family", ["ms", "zz"])
NATIVE = {"GPI", "GPI2", "MS", "ZZ"}


@families
@settings(max_examples=40, deadline=None)
@given(
    made=tapes(max_operations=12),
    word=st.text("IXYZ", min_size=4, max_size=4),
    search=st.sampled_from([False, False, True]),
)
def test_results_are_unchanged(family, made, word, search):
    tape, n = made
    letters = [qml.Identity(0), *(getattr(qml, c)(q) for q, c in enumerate(word[:n]) if c != "I")]
    measurements = [
        qml.expval(qml.prod(*letters)),
        qml.probs(wires=range(n)),
        qml.expval(qml.Hermitian(np.array([[1, 2], [2, -1]]), n - 1)),
        qml.density_matrix(wires=[0, n - 1]),
    ]
    tape = qml.tape.QuantumScript(tape.operations, measurements)
    (native,), post = compile_native(tape, two_qubit=family, optimize_fidelity=search)
    assert {op.name for op in native.operations} <= NATIVE
    device = qml.device("default.qubit", wires=n)
    (want,) = qml.execute([tape], device)
    got = post(qml.execute([native], device))
    for one, other in zip(got, want, strict=True):
        assert np.allclose(one, other, atol=1e-9)


@families
def test_it_transforms_a_qnode_with_labels_and_a_batch(family):
    @qml.qnode(qml.device("default.qubit"))
    def circuit(x):
        qml.RX(x, "a")
        qml.SWAP(["a", "b"])
        qml.CRY(0.4, ["b", 7])
        qml.SWAP(["b", 7])
        return qml.expval(qml.X("b")), qml.probs(wires=["a", 7])

    x = np.array([0.3, 1.2, np.pi])
    got = compile_native(circuit, two_qubit=family)(x)
    for one, other in zip(got, circuit(x), strict=True):
        assert np.allclose(one, other)


@pytest.mark.parametrize("operation", UNTOLD)
@pytest.mark.parametrize("shots", [None, (3, 4)])
def test_a_batch_that_nobody_tells_is_split_into_rows(operation, shots):
    def circuit(x):
        qml.RY(0.6, 0)
        qml.RX(1.1, "last")
        UNTOLD[operation](x)
        qml.GlobalPhase(x, wires="unused")
        return qml.probs(), qml.expval(qml.X(0))

    want = qml.QNode(circuit, qml.device("default.qubit"), shots=shots)
    got = compile_native(want, optimize_fidelity=False)
    x = np.array([0.3, -1.2, 0.8])
    if shots is None:
        for one, other in zip(got(x), want(x), strict=True):
            assert np.allclose(one, other)
    else:
        shapes = [[np.shape(value) for value in copied] for copied in got(x)]
        assert shapes == [[np.shape(value) for value in copied] for copied in want(x)]


def test_all_wires_are_measured_in_their_own_order():
    def circuit(measure):
        qml.RX(np.pi, "b")
        qml.RZ(0.5, "a")  # of a wire that needs no pulse
        qml.Hadamard("c")
        qml.SWAP(["a", "c"])
        return measure()

    want = qml.QNode(circuit, qml.device("default.qubit"))
    got = compile_native(want)
    assert got(qml.probs) == pytest.approx(want(qml.probs))
    assert abs(np.vdot(got(qml.state), want(qml.state))) == pytest.approx(1)
    assert set(qml.set_shots(got, 50)(qml.counts)) == {"100", "110"}


def test_a_tape_without_operations_stays():
    tape = qml.tape.QuantumScript([], [qml.expval(qml.Z(0))])
    (native,), _ = compile_native(tape)
    assert native.operations == []


def test_differentiating_through_it_is_refused_with_the_way_out():
    @compile_native
    @qml.qnode(qml.device("default.qubit"))
    def circuit(x):
        qml.RX(x, "a")
        return qml.expval(qml.Z("a"))

    x = qml.numpy.array(0.3, requires_grad=True)
    assert circuit(x) == pytest.approx(np.cos(0.3))
    with pytest.raises(CompileError, match=r"RX on wires \['a'\].*without it"):
        qml.grad(circuit)(x)


def test_rows_of_a_nested_batch_keep_their_control_values():
    unitaries = qml.Rot([0.3, 0.7], [0.1, -0.4], [0.2, 0.5], 0).matrix()

    def circuit():
        qml.RY(0.7, 0)
        qml.RX(0.4, 1)
        qml.adjoint(qml.ControlledQubitUnitary(unitaries, [0, 1], control_values=[0]))
        return qml.probs(wires=[0, 1])

    plain = qml.QNode(circuit, qml.device("default.qubit"))
    np.testing.assert_allclose(compile_native(plain)(), plain(), atol=1e-7)
