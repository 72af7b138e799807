"""Mid-circuit measurements, postselection and classical shadows."""

import numpy as np
import pennylane as qml
import pytest
from support.batches import UNTOLD

from pennylane_qstore.measurement.keys import measurement_key
from pennylane_qstore.measurement.prepare import prepare
from pennylane_qstore.measurement.recipes import ImpossiblePostselection, Postselected

REFERENCE = qml.device("default.qubit", seed=3)


def device(wires=2, **options):
    return qml.device("qstore.ionq", wires=wires, seed=3, **options)


def selective(x, measure):
    qml.RX(x, 0)
    qml.RY(0.4, 1)
    m = qml.measure(0, postselect=1)
    qml.RY(0.4, 0)
    other = qml.measure(1, reset=True)
    qml.cond(other, qml.X)(0)
    return measure(m, other)


@pytest.mark.parametrize(
    "measure",
    [
        lambda m, n: qml.expval(qml.Z(0)),
        lambda m, n: qml.var(qml.X(0)),
        lambda m, n: qml.expval(2 * n + m),
        lambda m, n: qml.probs(op=[m, n]),
        lambda m, n: (qml.expval(qml.X(0) + qml.Z(0)), qml.probs(wires=[1, 0])),
    ],
)
@pytest.mark.parametrize("x", [0.9, np.array([0.4, 0.9, 2.0])], ids=["one row", "broadcast"])
@pytest.mark.parametrize("two_qubit", ["ms", "zz"])
def test_postselection_equals_default_qubit(measure, x, two_qubit):
    got = qml.QNode(selective, device(two_qubit=two_qubit))(x, measure)
    want = qml.QNode(selective, REFERENCE)(x, measure)
    for one, other in zip(
        *([r] if not isinstance(r, tuple) else r for r in (got, want)), strict=True
    ):
        assert np.shape(one) == np.shape(other)
        assert np.allclose(one, other, atol=1e-8)


@pytest.mark.parametrize(
    "measure",
    [
        lambda m, n: qml.sample(n),
        lambda m, n: qml.sample([m, n]),
        lambda m, n: qml.sample(wires=[0, 1]),
    ],
)
def test_postselected_samples_are_fewer_than_the_shots(measure):
    got = qml.QNode(selective, device(), shots=400)(0.9, measure)
    share = np.sin(0.45) ** 2
    assert abs(len(got) / 400 - share) < 0.1
    want = qml.QNode(selective, REFERENCE, shots=400, mcm_method="deferred")(0.9, measure)
    assert np.shape(got)[1:] == np.shape(want)[1:]


def test_postselected_counts_name_what_was_selected():
    counts = qml.QNode(selective, device(), shots=400)(0.9, lambda m, n: qml.counts([m, n]))
    assert all(key.startswith("1") for key in counts)
    assert 0 < sum(counts.values()) < 200


def test_nothing_selected_is_not_a_number():
    def circuit():
        qml.measure(0, postselect=1)
        return qml.expval(qml.Z(0))

    assert np.isnan(qml.QNode(circuit, device(), shots=10)())


def test_reset_and_reuse():
    def circuit():
        qml.RX(0.9, 0)
        first = qml.measure(0, reset=True)
        qml.RX(0.4, 0)
        second = qml.measure(0)
        qml.cond(first & ~second, qml.X)(1)
        return qml.expval(first), qml.expval(second), qml.expval(qml.Z(1))

    assert np.allclose(qml.QNode(circuit, device())(), qml.QNode(circuit, REFERENCE)())


@pytest.mark.parametrize("shots", [None, 4000])
def test_a_wire_that_was_reset_is_used_again_whatever_the_order_of_wires(shots):
    def circuit():
        qml.RY(0.8, 1)
        qml.CNOT([1, 2])
        qml.measure(1, reset=True)
        qml.CNOT([1, 0])
        return qml.expval(qml.Z(2)), qml.probs(wires=[2, 1, 0])

    value, probs = qml.QNode(circuit, device(None), shots=shots)()
    atol = 1e-8 if shots is None else 0.06
    assert np.isclose(value, np.cos(0.8), atol=atol)
    assert np.allclose(probs[[0, 4]], [np.cos(0.4) ** 2, np.sin(0.4) ** 2], atol=atol)
    assert np.isclose(probs[0] + probs[4], 1)


def test_counts_of_several_values_take_no_arithmetic():
    def circuit():
        m, n = qml.measure(0), qml.measure(1)
        return qml.counts([m, n + 1])

    dev = device()
    with pytest.raises(qml.exceptions.QuantumFunctionError, match="Only sequences of"):
        qml.QNode(circuit, dev, shots=10)()
    assert not dev.stats["jobs"]


def test_all_wires_do_not_include_ancillas():
    def circuit():
        qml.RX(0.9, 0)
        m = qml.measure(0)
        qml.cond(m, qml.X)(1)
        return qml.probs(wires=[0, 1]), qml.counts(m)

    probs, counts = qml.QNode(circuit, device(), shots=100)()
    assert probs.shape == (4,)
    assert sum(counts.values()) == 100


def test_all_wires_of_a_device_without_wires_ascend_with_ancillas_too():
    def circuit():
        qml.RX(0.9, 1)
        m = qml.measure(1)
        qml.cond(m, qml.X)(0)
        qml.RY(0.4, 1)
        return qml.probs()

    want = np.outer([np.cos(0.45) ** 2, np.sin(0.45) ** 2], [np.cos(0.2) ** 2, np.sin(0.2) ** 2])
    want[1] = want[1, ::-1]
    probs = qml.QNode(circuit, qml.device("qstore.ionq"))()
    assert np.allclose(probs, want.reshape(-1))


def entangled():
    qml.RX(0.5, 0)
    qml.CNOT([0, 1])
    qml.RY(0.3, 1)


def test_a_shadow_is_one_job_of_one_shot_per_snapshot():
    dev = device()

    @qml.qnode(dev, shots=300)
    def circuit():
        entangled()
        return qml.classical_shadow(wires=[1, 0], seed=2), qml.expval(qml.Z(1))

    with qml.Tracker(dev) as tracker:
        shadow, value = circuit()
    assert tracker.totals["jobs"] == 1
    assert tracker.totals["executions"] == 301
    assert shadow.shape == (2, 300, 2)
    bits, recipes = shadow
    assert set(np.unique(bits)) <= {0, 1}
    assert set(np.unique(recipes)) == {0, 1, 2}
    assert abs(value) <= 1


def test_a_shadow_has_the_correlations_of_the_state():
    @qml.qnode(device(), shots=3000)
    def circuit():
        qml.Hadamard(1)
        qml.CNOT([1, 0])
        qml.X(0)
        return qml.classical_shadow(wires=[0, 1], seed=6)

    shadow = qml.ClassicalShadow(*circuit())
    words = [pauli(0) @ pauli(1) for pauli in (qml.X, qml.Y, qml.Z)]
    assert np.allclose([shadow.expval(word, k=1) for word in words], [1, 1, -1], atol=0.25)


def test_shadow_expectations_are_right():
    observables = [qml.X(0) @ qml.Z(1), qml.Z(0), qml.Y(0) @ qml.X(1), qml.Z(0) @ qml.Z(1)]

    def estimated(dev, shots):
        @qml.qnode(dev, shots=shots)
        def circuit():
            entangled()
            return qml.shadow_expval(observables, seed=5)

        return circuit()

    @qml.qnode(REFERENCE)
    def exact():
        entangled()
        return [qml.expval(o) for o in observables]

    got, want = estimated(device(), 4900), exact()
    assert got.shape == (4,)
    assert np.abs(got - want).max() < 0.15


def test_shadows_know_shot_vectors():
    @qml.qnode(device(), shots=(10, 20))
    def circuit():
        entangled()
        return qml.classical_shadow(wires=[0, 1]), qml.expval(qml.Z(0))

    (one, _), (other, _) = circuit()
    assert one.shape == (2, 10, 2)
    assert other.shape == (2, 20, 2)


@pytest.mark.parametrize("operation", UNTOLD)
@pytest.mark.parametrize("shots", [3, (3, 2)])
def test_shadows_of_a_batch_have_default_qubits_shapes(operation, shots):
    """As many shots as rows, too: rows of the batch are no snapshots."""

    def circuit(operation, measure):
        operation(np.array([0.3, -1.2, 0.8]))
        return measure()

    for measure in (
        lambda: qml.classical_shadow([1, 0]),
        lambda: (qml.shadow_expval([qml.Z(0), qml.X(1)]), qml.expval(qml.Z(0))),
    ):
        got = qml.QNode(circuit, device(None), shots=shots)(UNTOLD[operation], measure)
        told = qml.QNode(circuit, REFERENCE, shots=shots)(lambda x: qml.RX(x, 0), measure)
        assert shapes(got) == shapes(told)


def shapes(result):
    return list(map(shapes, result)) if isinstance(result, tuple) else np.shape(result)


@pytest.mark.parametrize("operation", [lambda x: qml.RX(x, 0), UNTOLD["trotter"]])
def test_shadow_expectations_of_a_batch_are_each_rows_own(operation):
    x = np.array([0.2, 1.2, 2.2])

    def circuit(measure):
        qml.RY(0.4, 1)
        operation(x)
        return measure()

    got = qml.QNode(circuit, device(), shots=900)(
        lambda: qml.shadow_expval([qml.Z(0), qml.Z(0) @ qml.Z(1)], seed=4)
    )
    want = qml.QNode(circuit, REFERENCE)(
        lambda: [qml.expval(qml.Z(0)), qml.expval(qml.Z(0) @ qml.Z(1))]
    )
    assert np.abs(got - np.transpose(want)).max() < 0.3


def test_what_shadows_cannot_do_is_said():
    def circuit(x):
        qml.RX(x, 0)
        return qml.classical_shadow(wires=[0])

    with pytest.raises(qml.exceptions.DeviceError, match="shots"):
        qml.QNode(circuit, device())(0.1)


def test_readings_of_mid_circuit_measurements_are_told_apart_by_their_values():
    wires = {i: i for i in range(4)}
    with qml.queuing.AnnotatedQueue():
        m, n = qml.measure(0), qml.measure(1)
        values = (m, m + n, 2 * m + n, ~m)
        kinds = (qml.expval, qml.var, qml.counts, qml.sample)
        tapes = [
            qml.tape.QuantumScript([m.measurements[0], n.measurements[0]], [kind(value)])
            for kind in kinds
            for value in values
        ]

    def key(tape):
        (deferred,), _ = qml.defer_measurements(tape)
        found = measurement_key(deferred.measurements, wires)
        assert found is not None
        return found

    keys = [key(tape) for tape in tapes]
    assert keys == [key(tape) for tape in tapes]
    assert len(set(keys[:8])) == 8  # expectation values and variances differ by what is read
    assert len({key[0][0] for key in keys}) == len(kinds)


def test_the_selection_is_part_of_the_key():
    wires = {0: 0, 1: 1}
    one, other = (
        measurement_key([qml.expval(qml.Z(0)), Postselected([1], [v])], wires) for v in (0, 1)
    )
    assert one != other


def one_of_two(kind, postselect=1):
    def circuit():
        qml.Hadamard(0)
        qml.RY(0.7, 1)
        qml.CNOT([0, 1])
        qml.measure(0, postselect=postselect)
        return kind()

    return circuit


def test_postselection_may_fill_the_shots_where_probabilities_are_exact():
    circuit = one_of_two(lambda: (qml.counts(wires=1), qml.sample(wires=1), qml.expval(qml.Z(1))))
    counts, samples, value = qml.QNode(
        circuit, device(), shots=4000, postselect_mode="fill-shots", mcm_method="deferred"
    )()
    exact = qml.QNode(one_of_two(lambda: qml.expval(qml.Z(1))), REFERENCE)()
    assert sum(counts.values()) == len(samples) == 4000
    assert abs(value - exact) < 0.08
    fewer = qml.QNode(circuit, device(), shots=4000)()[1]
    assert 1800 < len(fewer) < 2200


def test_postselection_cannot_fill_shots_that_were_measured():
    noisy = device(noise_model="aria-1")
    circuit = one_of_two(lambda: qml.sample(wires=1))
    with pytest.raises(qml.exceptions.DeviceError, match=r"not supported on qstore.*hw-like"):
        qml.QNode(circuit, noisy, shots=20, postselect_mode="fill-shots")()
    assert len(qml.QNode(circuit, noisy, shots=20, postselect_mode="hw-like")()) < 20


def selected_batch(x, matrices, measure):
    qml.RY(0.7, 0)
    qml.RY(1.1, 1)
    value = qml.measure(0, postselect=1)
    qml.ControlledQubitUnitary(matrices, wires=[1, 2], control_values=[0])
    qml.cond(value, qml.ctrl(qml.RX, control=1, control_values=[0]))(x, wires=2)
    qml.change_op_basis(qml.RY(x, 2), qml.RZ(0.4, 2))
    return measure()


BATCH = np.array([0.3, 0.9]), np.array([qml.RX.compute_matrix(t) for t in (0.3, 0.9)])


def test_a_batch_stays_what_it_is_where_something_is_selected():
    """PennyLane splits it into rows, and loses control values by it."""

    def measure():
        return qml.probs(wires=[1, 2]), qml.expval(qml.X(2))

    got = qml.QNode(selected_batch, device(None))(*BATCH, measure)
    row = qml.QNode(selected_batch, REFERENCE)
    want = [row(x, matrix, measure) for x, matrix in zip(*BATCH, strict=True)]
    for one, other in zip(got, zip(*want, strict=True), strict=True):
        assert np.allclose(one, other)


def test_rows_of_a_batch_keep_their_own_selected_shots():
    def circuit(x, measure):
        qml.RY(x, 0)
        qml.measure(0, postselect=1)
        qml.RY(x, 1)
        return measure()

    x = np.array([0.4, 2.8, 0.0])
    node = qml.QNode(circuit, device(), shots=2000)
    counts, readings = node(x, lambda: (qml.counts(wires=1), qml.counts(qml.Z(1))))
    for row, values, angle in zip(counts, readings, x, strict=True):
        kept = sum(row.values())
        assert abs(kept - 2000 * np.sin(angle / 2) ** 2) < 100
        assert abs(row.get("1", 0) - kept * np.sin(angle / 2) ** 2) < 100
        assert values == {value: row[bit] for value, bit in ((-1, "1"), (1, "0")) if bit in row}
    with pytest.raises(qml.exceptions.DeviceError, match="different numbers of shots"):
        node(x, lambda: qml.sample(wires=1))


def test_nothing_left_after_postselection_is_nan_or_nothing():
    def circuit(kind):
        qml.RX(0.4, 1)
        qml.measure(0, postselect=1)
        return kind()

    run = qml.QNode(circuit, device(), shots=5)
    assert np.isnan(run(lambda: qml.expval(qml.Z(1))))
    assert np.isnan(run(lambda: qml.probs(wires=1))).all()
    assert len(run(lambda: qml.sample(wires=1))) == 0
    assert run(lambda: qml.counts(wires=1)) == {}


@pytest.mark.parametrize("method", ["one-shot", "tree-traversal"])
def test_other_ways_of_mid_circuit_measurement_are_deferred_and_it_is_said(method):
    def parity():
        qml.Hadamard(2)
        qml.CNOT([2, 0])
        qml.CNOT([2, 1])
        qml.Hadamard(2)
        return qml.measure(2, reset=True)

    def circuit():
        values = parity(), parity()
        return [qml.sample(value) for value in values]

    node = qml.QNode(circuit, device(None), shots=200, mcm_method=method)
    with pytest.warns(UserWarning, match="not supported on qstore.ionq"):
        first, again = node()
    assert np.array_equal(first, again)  # the first measurement has prepared its value
    assert 60 < np.sum(first) < 140


def allocating(measure):
    with qml.allocate(1) as w:
        qml.RX(0.3, 0)
        qml.CNOT([0, w[0]])
    with qml.allocate(2) as w:
        qml.CNOT([0, w[0]])
        qml.CNOT([w[0], w[1]])
        qml.RY(0.4, 0)
    return measure()


@pytest.mark.parametrize("wires", [None, 5, 4])
@pytest.mark.parametrize("measure", [lambda: qml.expval(qml.X(0)), lambda: qml.probs(wires=0)])
def test_wires_are_allocated_as_on_default_qubit(wires, measure):
    node = qml.QNode(allocating, qml.device("qstore.ionq", wires=wires))
    assert np.allclose(node(measure), qml.QNode(allocating, REFERENCE)(measure))


def test_wires_that_are_not_there_are_not_allocated():
    with pytest.raises(qml.exceptions.AllocationError, match="Not enough"):
        qml.QNode(allocating, device())(lambda: qml.expval(qml.Z(0)))


def impossible(kind):
    qml.RX(0.4, 1)
    return kind(qml.measure(0, postselect=1))


@pytest.mark.parametrize(
    "kind",
    [
        lambda m: qml.expval(qml.Z(1)),
        lambda m: qml.probs(wires=1),
        lambda m: qml.sample(wires=1),
        lambda m: qml.counts(wires=1, all_outcomes=True),
        lambda m: qml.counts(m, all_outcomes=True),
    ],
)
def test_shots_cannot_be_filled_with_what_never_happens(kind):
    for dev in (device(), REFERENCE):
        node = qml.QNode(
            impossible, dev, shots=5, postselect_mode="fill-shots", mcm_method="deferred"
        )
        with pytest.raises(RuntimeError, match="probability of the postselected"):
            node(kind)
    exact = qml.QNode(impossible, device(), postselect_mode="fill-shots", mcm_method="deferred")
    assert np.isnan(exact(lambda m: qml.expval(qml.Z(1))))


def test_the_others_of_a_batch_with_an_impossible_selection_have_their_results():
    dev = device()
    tapes = []
    for operation in (qml.X(0), qml.I(0)):
        operations = [operation, qml.ops.MidMeasure(0, postselect=1), qml.RX(0.4, 1)]
        tape = qml.tape.QuantumScript(operations, [qml.expval(qml.Z(1))], shots=500)
        tapes += prepare(tape, dev.wires, fill=True)[0]
    with pytest.raises(ImpossiblePostselection) as caught:
        dev.execute(tapes)
    value, nothing = caught.value.details["tape_results"]
    assert 0.8 < value < 1
    assert nothing is None
    assert caught.value.details["failed_tapes"] == [1]
