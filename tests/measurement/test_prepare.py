"""Mid-circuit measurements, postselection and classical shadows."""

import numpy as np
import pennylane as qml
import pytest

from pennylane_qstore.measurement.keys import measurement_key
from pennylane_qstore.measurement.prepare import prepare
from pennylane_qstore.measurement.recipes import ImpossiblePostselection, Postselected

REFERENCE = qml.device("default.qubit", seed=3)


def device(**options):
    return qml.device("qstore.ionq", wires=2, seed=3, **options)


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


def test_what_shadows_cannot_do_is_said():
    def circuit(x):
        qml.RX(x, 0)
        return qml.classical_shadow(wires=[0])

    with pytest.raises(qml.exceptions.DeviceError, match="broadcast"):
        qml.QNode(circuit, device(), shots=5)(np.array([0.1, 0.2]))
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
    def circuit():
        qml.RX(0.9, 0)
        return qml.expval(qml.measure(0))

    node = qml.QNode(circuit, device(), shots=50, mcm_method=method)
    with pytest.warns(UserWarning, match="not supported on qstore.ionq"):
        value = node()
    assert 0 <= value <= 1


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
    qml.measure(0, postselect=1)
    return kind()


@pytest.mark.parametrize(
    "kind",
    [
        lambda: qml.expval(qml.Z(1)),
        lambda: qml.probs(wires=1),
        lambda: qml.sample(wires=1),
        lambda: qml.counts(wires=1, all_outcomes=True),
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
    assert np.isnan(exact(lambda: qml.expval(qml.Z(1))))


def test_the_others_of_a_batch_with_an_impossible_selection_have_their_results():
    dev = device()
    tapes = []
    for operation in (qml.X(0), qml.I(0)):
        operations = [operation, qml.ops.MidMeasure(0, postselect=1), qml.RX(0.4, 1)]
        tape = qml.tape.QuantumScript(operations, [qml.expval(qml.Z(1))], shots=500)
        tapes += prepare(tape, dev.wires, fill=True)[0]
    with pytest.raises(ImpossiblePostselection) as caught:
        dev.execute(tapes)
    (value, _), nothing = caught.value.details["tape_results"]
    assert 0.8 < value < 1
    assert nothing is None
    assert caught.value.details["failed_tapes"] == [1]
