"""Decomposition into elementary gates, and what is refused."""

import gc
import pickle

import numpy as np
import pennylane as qml
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.random_compositions import WIRES, composed, right_values

from pennylane_qstore import IonQNativeGateCompiler
from pennylane_qstore.errors import CompileError
from pennylane_qstore.native.frontend import decompose
from pennylane_qstore.native.frontend.affine_fit import affine_program
from pennylane_qstore.native.frontend.decompose import UnknownWire, UnsupportedOperation, elementary
from pennylane_qstore.native.frontend.structure import extract_structure


def test_an_operation_without_decomposition_is_named():
    class Odd(qml.operation.Operation):
        num_wires = 1

    with pytest.raises(CompileError, match=r"Odd on wires \[0\] is not supported"):
        IonQNativeGateCompiler().compile(qml.tape.QuantumScript([Odd(wires=0)]))


@pytest.mark.parametrize(
    "op",
    [
        qml.QubitUnitary(np.ones((2, 2)), "a"),
        qml.QubitUnitary(np.ones((8, 8)), ["a", "b", "c"]),
        qml.QubitUnitary(np.full((2, 2), np.nan), "a"),
        qml.ControlledQubitUnitary(np.ones((2, 2)), ["b", "a"]),
        qml.adjoint(qml.ctrl(qml.QubitUnitary(np.ones((2, 2)), "a"), ["b", "c"])),
        qml.DiagonalQubitUnitary([1, 2], "a"),
        qml.ctrl(qml.DiagonalQubitUnitary([1, 0], "a"), "b"),
    ],
    ids=str,
)
def test_a_matrix_that_is_not_unitary_is_refused(op):
    with pytest.raises(CompileError, match=r"Unitary on wires \['a'.*is not unitary"):
        IonQNativeGateCompiler().compile(qml.tape.QuantumScript([op]))


TIMES = np.array([0.3, 0.7, -0.4])
TIMES.setflags(write=False)
WORDS = qml.Hamiltonian([0.3, 0.4], [qml.X(0) @ qml.X(1), qml.Z(1)])
ONE = qml.Hamiltonian([0.3, 0.4], [qml.X(0), qml.Z(0)])
UNITARIES = qml.Rot(TIMES, 2 * TIMES, -TIMES, 0).matrix()
PAIRS = qml.CRot.compute_matrix(TIMES, 2 * TIMES, -TIMES)
LAYERS = np.multiply.outer(TIMES, np.arange(12.0).reshape(2, 2, 3))
for array in (UNITARIES, PAIRS, LAYERS):
    array.setflags(write=False)


class BringsAWire(qml.operation.Operation):
    num_params, ndim_params = 1, (0,)

    @staticmethod
    def compute_decomposition(angle, wires):
        around = qml.CNOT([wires[0], "own"])
        return [around, qml.RX(angle, wires[0]), around]


def on_zero():
    return qml.ControlledQubitUnitary(UNITARIES, [2, 0], control_values=[0])


def power_of_controlled():
    return qml.pow(qml.ctrl(qml.evolve(qml.X(0) @ qml.Y(1), 0.3), 2), 2)


NUMBERS = np.array([0.1, 0.2], dtype=object)
BATCHED_AND_NESTED = {
    "exponential": lambda: qml.exp(2 * qml.X(0), 1j * TIMES),
    "exponential, controlled": lambda: qml.ctrl(qml.exp(2 * qml.X(0), 1j * TIMES), 2),
    "exponential, adjoint": lambda: qml.adjoint(qml.exp(2 * qml.X(0), 1j * TIMES)),
    "exponential of one": lambda: qml.exp(2 * qml.X(0), 1j * np.array(0.3)),
    "evolution": lambda: qml.evolve(WORDS, TIMES),
    "evolution, scaled word": lambda: qml.evolve(2 * qml.X(0), TIMES),
    "unitary on 0, adjoint": lambda: qml.adjoint(on_zero()),
    "unitary of a pair on 0": lambda: qml.ctrl(qml.QubitUnitary(PAIRS, [1, 2]), 0, [0]),
    "unitary on 0, controlled on 0": lambda: qml.ctrl(qml.adjoint(on_zero()), 1, control_values=0),
    "unitary on 0, product": lambda: qml.prod(qml.RX(0.3, 0), on_zero()),
    "unitary on 0, power": lambda: qml.pow(on_zero(), 2),
    "change of basis": lambda: qml.change_op_basis(
        qml.RX(TIMES, 0), qml.QubitUnitary(UNITARIES, 0), qml.RY(0.4, 0)
    ),
    "Trotter, two controls": lambda: qml.ctrl(qml.TrotterProduct(ONE, TIMES), [1, 2]),
    "Trotter, controlled on 0 and 1": lambda: qml.ctrl(
        qml.TrotterProduct(ONE, TIMES, n=2, order=2), [1, 2], control_values=[0, 1]
    ),
    "approximate evolution, controlled": lambda: qml.ctrl(
        qml.ApproxTimeEvolution(ONE, TIMES, 2), [1, 2]
    ),
    "layers, controlled": lambda: qml.ctrl(qml.StronglyEntanglingLayers(LAYERS, wires=[0, 1]), 2),
    "selected": lambda: qml.Select([qml.RX(TIMES, 0), qml.RY(0.2, 0)], control=[1]),
    "power of controlled evolution": power_of_controlled,
    "power of evolution": lambda: qml.pow(qml.evolve(WORDS, 0.3), 2),
    "root of a product": lambda: qml.pow(qml.prod(qml.RX(0.3, 0), qml.CNOT([0, 1])), 0.5),
    "Grover": lambda: qml.GroverOperator(range(4), work_wires=["spare"]),
    "comparator": lambda: qml.IntegerComparator(2, wires=[0, 1, 2], work_wires=["spare"]),
    "controlled X": lambda: qml.MultiControlledX([0, 1, 2, 3, 4], work_wires=["spare"]),
    "controlled SWAP": lambda: qml.ctrl(qml.SWAP([0, 1]), [2, 3, 4], work_wires=["spare"]),
    "controlled rotation": lambda: qml.ctrl(
        qml.Rot(0.1, 0.2, 0.3, 0), [2, 3, 4], work_wires=["spare"], work_wire_type="zeroed"
    ),
    "controlled unitary": lambda: qml.ControlledQubitUnitary(
        UNITARIES[0], [2, 3, 4, 0], control_values=[0, 1, 1], work_wires=["spare"]
    ),
    "controlled by nothing": lambda: qml.ctrl(qml.PhaseShift(0.4, 0), []),
    "amplification on one wire": lambda: qml.AmplitudeAmplification(
        qml.RX(0.3, 0), qml.FlipSign(1, [0]), iters=2
    ),
    "numbers as objects": lambda: qml.AngleEmbedding(NUMBERS, wires=[0, 1]),
    "one number as an object": lambda: qml.PauliRot(np.array(0.1, dtype=object), "XY", [0, 1]),
    "a matrix of objects": lambda: qml.QubitUnitary(np.array([[0, 1j], [1j, 0]], dtype=object), 0),
    "a wire of its own": lambda: BringsAWire(0.4, wires=0),
}


def probabilities(operation, device):
    def function():
        for wire in range(5):
            qml.RY(0.4 + 0.2 * wire, wire)
        operation()
        qml.RX(0.5, 0)
        qml.CNOT([0, 1])
        return qml.probs(wires=range(5))

    return np.asarray(qml.QNode(function, device)(), dtype=float)


@pytest.mark.parametrize("wires", [None, 5])
@pytest.mark.parametrize("name", BATCHED_AND_NESTED)
def test_probabilities_are_those_of_default_qubit(name, wires):
    operation = BATCHED_AND_NESTED[name]
    device = qml.device("qstore.ionq", wires=wires)
    if name == "a wire of its own" and wires is not None:
        with pytest.raises(qml.exceptions.WireError, match="'own'"):
            probabilities(operation, device)
        return
    try:
        want = probabilities(operation, qml.device("default.qubit"))
    except TypeError:  # of objects, where they are complex
        want = probabilities(
            lambda: qml.QubitUnitary([[0, 1j], [1j, 0]], 0), qml.device("default.qubit")
        )
    np.testing.assert_allclose(probabilities(operation, device), want, rtol=0, atol=1e-7)


def test_values_of_an_exponential_stay_the_users():
    times = 1j * np.array([0.3, 0.7])
    tape = qml.tape.QuantumScript([qml.exp(2 * qml.X(0), times)])
    for _ in range(2):
        extract_structure(tape, {0: 0})
    np.testing.assert_array_equal(times, [0.3j, 0.7j])


def test_a_refused_operation_leaves_the_queue_alone():
    def refuse():
        with pytest.raises(CompileError) as caught:
            elementary([qml.ControlledQubitUnitary(np.ones((2, 2)), [0, 1])], {0: 0, 1: 1})
        return caught

    caught = refuse()
    with qml.queuing.AnnotatedQueue() as queue:
        del caught
        gc.collect()
        qml.Hadamard(0)
    assert len(queue.queue) == 1


def test_work_wires_that_there_are_are_used():
    operation = qml.MultiControlledX([0, 1, 2, 3, 4], work_wires=["spare"])
    wires = {wire: i for i, wire in enumerate([*range(5), "spare"])}
    assert any("spare" in gate.wires for gate in elementary([operation], wires))
    del wires["spare"]
    assert not any("spare" in gate.wires for gate in elementary([operation], wires))


@pytest.mark.parametrize("name", ["Grover", "comparator", "controlled X", "controlled SWAP"])
def test_circuits_with_work_wires_of_the_device_are_right(name):
    """Their gates act on more than the operation's own wires."""
    operation = BATCHED_AND_NESTED[name]
    want = probabilities(operation, qml.device("default.qubit"))
    for wires in ([*range(5), "spare"], ["spare", *range(5)]):
        device = qml.device("qstore.ionq", wires=wires)
        np.testing.assert_allclose(probabilities(operation, device), want, atol=1e-7)


def test_an_unknown_wire_survives_pickling():
    error = pickle.loads(pickle.dumps(UnknownWire("CNOT", "own")))
    assert (error.gate, error.wire) == ("CNOT", "own")
    assert "'own'" in str(error)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.sampled_from(sorted(BATCHED_AND_NESTED)), min_size=1, max_size=3), st.data())
def test_no_array_of_the_user_is_written_to(names, data):
    operations = [BATCHED_AND_NESTED[name]() for name in names]
    arrays = [value for op in operations for value in op.data if isinstance(value, np.ndarray)]
    before = [array.copy() for array in arrays]
    if data.draw(st.booleans()):  # then writing raises
        for array in arrays:
            array.setflags(write=False)
    wires = {wire: i for i, wire in enumerate([*range(5), "own"])}
    for piece in extract_structure(qml.tape.QuantumScript(operations), wires):
        affine_program(piece, wires)
    for array, old in zip(arrays, before, strict=True):
        np.testing.assert_array_equal(array, old)


EXPONENTIAL = qml.exp(0.7 * qml.X(1) @ qml.Z(0), 0.3j)
MEETING = qml.prod(qml.S(3), qml.RX(-0.3, 2), qml.CNOT([3, 1]))
BASIS = qml.change_op_basis(qml.RX(0.3, 1), qml.CRY(0.7, [1, 0]))
LAYER = qml.BasicEntanglerLayers([[0.2, 0.3]], [0, 1])


@pytest.mark.parametrize(
    "op",
    [
        *(qml.pow(qml.ctrl(EXPONENTIAL, 2), z) for z in (-1, 0, 1, 3)),
        *(qml.ctrl(qml.pow(EXPONENTIAL, z), 2, control_values=[0]) for z in (-1, 3)),
        qml.pow(qml.pow(qml.ctrl(EXPONENTIAL, [2, 3]), -1), 2),
        *(qml.pow(MEETING, z) for z in (-1, 2, 0.5)),
        qml.ctrl(qml.pow(MEETING, 0.5), 0),
        *(qml.pow(op, -2) for op in (BASIS, qml.adjoint(BASIS), qml.ctrl(BASIS, 2), LAYER)),
        qml.ctrl(qml.pow(BASIS, -1), 3),
        qml.pow(qml.adjoint(qml.ctrl(LAYER, 2, control_values=[0])), -1),
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore:.*decomposed anew")
def test_powers_that_pennylane_refuses_or_has_another_matrix_for_are_right(op):
    def circuit():
        for wire in WIRES:
            qml.RY(0.4 + 0.3 * wire, wire)
        qml.apply(op)
        for wire in WIRES:
            qml.RX(0.9 - 0.2 * wire, wire)
        return [qml.probs(wires=WIRES)]

    node = qml.QNode(lambda: circuit()[0], qml.device("qstore.ionq", wires=WIRES), diff_method=None)
    (want,) = right_values(lambda _: circuit(), None)
    np.testing.assert_allclose(node(), want, atol=1e-9)


def test_a_type_error_of_a_users_decomposition_is_the_users():
    class Broken(qml.operation.Operation):
        num_wires = 1

        @staticmethod
        def compute_decomposition(wires):
            return len(3)

    with pytest.raises(TypeError, match="has no len"):
        IonQNativeGateCompiler().compile(qml.tape.QuantumScript([Broken(wires=0)]))


def test_a_circuit_of_too_many_gates_is_refused_while_they_are_counted(monkeypatch):
    monkeypatch.setattr("pennylane_qstore.native.frontend.decompose.MAX_ELEMENTARY", 20)
    tape = qml.tape.QuantumScript([qml.QFT(range(4)), qml.RX(0.3, 0), qml.QFT(range(4))])
    wires = dict(enumerate(range(4)))
    assert len(elementary(tape.operations[:2], wires)) <= 20
    with pytest.raises(UnsupportedOperation, match=r"too large.*QFT on 4 wires.*more than 20 "):
        elementary(tape.operations, wires)
    (piece,) = extract_structure(tape, wires)
    with pytest.raises(UnsupportedOperation, match="too large"):
        affine_program(piece, wires)
    dev = qml.device("qstore.ionq", wires=4)
    with pytest.raises(qml.exceptions.DeviceError, match="Nothing was sent"):
        dev.execute(tape.copy(measurements=[qml.probs(wires=0)]))
    assert not dev.stats["jobs"]


@pytest.fixture
def expanded(monkeypatch):
    """The number of operations that were taken apart, by a list that grows."""
    calls, inner = [], decompose._expanded

    def counted(op, *rest):
        calls.append(op.name)
        return inner(op, *rest)

    monkeypatch.setattr(decompose, "_expanded", counted)
    return calls


def test_an_operation_of_millions_of_gates_is_refused_before_they_are_made(expanded):
    """About 5,000 gates are made before all are counted; then the same parts are counted once."""
    wires = range(23)
    op = qml.ModExp(wires[:7], wires[7:14], 3, 128, wires[14:])
    with pytest.raises(UnsupportedOperation, match=r"too large.*ModExp on 23 .*more than 300,000 "):
        elementary([op], wires)
    assert len(expanded) < 15_000


@pytest.mark.parametrize(
    "op",
    [
        qml.pow(qml.QFT([0, 1]), 10**9),
        qml.adjoint(qml.pow(qml.ctrl(qml.QFT([0, 1]), 2), 10**9)),
        qml.TrotterProduct(qml.X(0) + qml.Z(0), 0.3, n=10**9),
        qml.ApproxTimeEvolution(qml.X(0) + qml.Z(0), 0.3, 10**9),
        qml.AmplitudeAmplification(qml.Hadamard(0), qml.FlipSign(1, [0]), iters=10**9),
    ],
    ids=str,
)
def test_repetitions_are_refused_before_they_are_listed(op):
    with pytest.raises(UnsupportedOperation, match=r"too large"):
        elementary([op], range(3))


def test_powers_of_what_has_a_power_of_its_own_have_no_limit():
    (gate,) = elementary([qml.pow(qml.ctrl(qml.PauliX(0), 1), 10**9 + 1)], range(2))
    assert gate == qml.CNOT([1, 0])


def test_ten_operations_that_are_too_many_together_are_refused_early(expanded, monkeypatch):
    monkeypatch.setattr(decompose, "MAX_ELEMENTARY", 100_000)
    monkeypatch.setattr(decompose, "_MANY", 100)
    wires = range(15)
    op = qml.ModExp(wires[:4], wires[4:8], 3, 16, wires[8:14])
    with pytest.raises(UnsupportedOperation, match=r"more than 100,000 elementary"):
        elementary([op] * 10, wires)
    assert len(expanded) < 1_000


@pytest.mark.parametrize("seed", range(0, 60, 3))
def test_gates_are_counted_as_they_are_made(seed):
    op = composed(np.random.default_rng(seed), 0.3)
    with qml.QueuingManager.stop_recording():
        known = {}
        counts = [decompose._gate_count(op, 0, WIRES, known) for _ in range(2)]
    assert counts == [len(elementary([op], WIRES))] * 2
