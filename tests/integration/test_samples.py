"""Samples: in the order taken where the service tells it, of a histogram otherwise."""

import logging

import numpy as np
import pennylane as qml
import pytest

from pennylane_qstore.emulator import Emulator
from pennylane_qstore.execution.outcomes import agree
from pennylane_qstore.ionq.messages.histograms import Histogram


@pytest.fixture
def emulator():
    with Emulator(seed=4) as running:
        yield running


def noisy(emulator, **options):
    options = {"noise_model": "forte-1", "seed": 3, "wires": 3, **options}
    return qml.device("qstore.ionq", base_url=emulator.url, api_key="k", **options)


def entangle(x=0.9):
    qml.RX(x, 0)
    qml.CNOT([0, 1])
    qml.RY(0.4, 2)
    qml.CRX(1.1, [2, 1])


def circuit():
    entangle()
    return qml.sample(wires=[0, 1, 2])


def paths(emulator):
    return [path.partition("?")[0].rpartition("/")[2] for _, path, _ in emulator.requests]


def test_a_sample_comes_in_the_order_of_the_services_shots(emulator):
    # Kept whole, outcomes are the service's own: qubit k is wire k.
    dev = noisy(emulator, absorb=False)
    got = qml.QNode(circuit, dev, shots=200)()
    (job,) = emulator.jobs
    taken = job.results[0].ordered_shots()
    assert np.array_equal(got, (taken[:, None] >> np.arange(3, dtype=np.uint64)) & np.uint64(1))
    assert paths(emulator)[-1] == "shots"


def test_the_order_is_one_more_request(emulator):
    sent = []
    for order in (True, False):
        dev = noisy(emulator, shot_order=order)
        with qml.Tracker(dev) as tracker:
            qml.QNode(circuit, dev, shots=50)()
        sent.append(tracker.totals["requests"] - tracker.totals["polls"])
    assert sent[0] == sent[1] + 1


@pytest.mark.parametrize("absorb", [True, False])
def test_ordered_samples_have_the_histograms_multiplicities(emulator, absorb):
    def both():
        entangle()
        qml.CNOT([2, 0])
        return qml.sample(wires=[0, 1, 2]), qml.counts(wires=[0, 1, 2]), qml.sample(qml.Z(1))

    samples, counts, values = qml.QNode(both, noisy(emulator, absorb=absorb), shots=300)()
    found = ["".join(map(str, row)) for row in samples]
    assert {bits: found.count(bits) for bits in set(found)} == counts
    assert np.array_equal(values, 1 - 2 * samples[:, 1])


def test_order_does_not_change_what_is_sampled(emulator):
    ordered, shuffled = (
        qml.QNode(circuit, noisy(emulator, shot_order=order), shots=100)()
        for order in (True, False)
    )
    assert not np.array_equal(ordered, shuffled)
    for samples in (ordered, shuffled):
        assert samples.shape == (100, 3)
    assert sorted(map(tuple, ordered)) == sorted(map(tuple, shuffled))  # one noise seed


def test_broadcast_rows_and_bases_keep_their_own_order(emulator):
    dev = noisy(emulator, absorb=False)

    def two(x):
        entangle(x)
        return qml.sample(wires=[0, 1, 2]), qml.expval(qml.X(0))

    xs = np.array([0.1, 0.9, 2.2])
    samples, values = qml.QNode(two, dev, shots=60)(xs)
    assert samples.shape == (3, 60, 3)
    assert values.shape == (3,)
    assert paths(emulator).count("shots") == 3  # the other basis is not sampled
    (job,) = emulator.jobs
    expected = {
        tuple(map(int, result.ordered_shots())) for result in job.results
    }  # whichever circuit is whichever row
    powers = 1 << np.arange(3)
    for row in samples:
        assert tuple((row @ powers).tolist()) in expected


def test_shot_vectors_are_cut_from_the_order(emulator):
    whole, parts = (
        qml.QNode(circuit, noisy(emulator, absorb=False), shots=shots)() for shots in (50, (20, 30))
    )
    assert np.array_equal(np.concatenate(parts), whole)


def test_nothing_more_is_asked_where_order_does_not_matter(emulator):
    def counted():
        entangle()
        return qml.counts(), qml.probs(wires=0), qml.expval(qml.Z(1))

    qml.QNode(counted, noisy(emulator), shots=50)()
    exact = noisy(emulator, noise_model=None)
    qml.QNode(circuit, exact, shots=50)()
    assert "shots" not in paths(emulator)


def test_without_single_shots_the_seed_decides(caplog):
    faults = [{"kind": "status", "route": "results", "status": 404, "skip": 1, "times": 99}]
    runs = []
    for _ in range(2):
        with Emulator(seed=4, faults=faults) as emulator, caplog.at_level(logging.INFO):
            runs.append(qml.QNode(circuit, noisy(emulator), shots=80)())
            assert paths(emulator)[-1] == "shots"
    assert np.array_equal(*runs)


@pytest.mark.parametrize(
    ("fault", "told"),
    [({"kind": "status", "status": 400}, True), ({"kind": "missing_result"}, False)],
    ids=["refused", "one is missing"],
)
def test_whatever_is_wrong_with_the_shots_the_results_are_there(fault, told, caplog):
    faults = [{**fault, "route": "results", "skip": 1, "times": 99}]
    with Emulator(seed=4, faults=faults) as emulator:
        samples = qml.QNode(circuit, noisy(emulator, absorb=False), shots=80)()
        (job,) = emulator.jobs
        taken = job.results[0].ordered_shots()
    assert samples.shape == (80, 3)
    assert sorted((samples @ [1, 2, 4]).tolist()) == sorted(taken.tolist())
    assert ("its samples come in random order" in caplog.text) is told


def test_histograms_keep_their_multiplicities_in_samples():
    dev = qml.device("qstore.ionq", wires=3, seed=3, noise_model="forte-1", shot_order=False)

    def both():
        entangle()
        return qml.sample(wires=[0, 1, 2]), qml.counts(wires=[0, 1, 2])

    samples, counts = qml.QNode(both, dev, shots=500)()
    found = ["".join(map(str, row)) for row in samples]
    assert {bits: found.count(bits) for bits in set(found)} == counts


def test_shots_that_are_not_the_histograms_are_not_believed():
    histogram = Histogram(np.array([0, 3], dtype=np.uint64), np.array([0.25, 0.75]))
    taken = np.array([3, 0, 3, 3], dtype=np.uint64)
    assert agree(taken, histogram, 4)
    assert not agree(taken[:3], histogram, 4)
    assert not agree(np.array([3, 0, 0, 3], dtype=np.uint64), histogram, 4)
    assert not agree(np.array([3, 1, 3, 3], dtype=np.uint64), histogram, 4)


@pytest.mark.parametrize("shots", [10, (4, 6)])
@pytest.mark.parametrize("all_outcomes", [False, True])
def test_constants_are_sampled_too(shots, all_outcomes):
    def constant():
        qml.RX(0.3, 0)
        obs = qml.dot([1.5, 2.0], [qml.I(0), qml.I(1)])
        return qml.sample(obs), qml.counts(qml.I(0), all_outcomes=all_outcomes), qml.var(obs)

    dev = qml.device("qstore.ionq", wires=2)
    results = qml.QNode(constant, dev, shots=shots)()
    for n, (samples, counts, var) in zip(
        *((shots, results) if isinstance(shots, tuple) else ((shots,), (results,))), strict=True
    ):
        assert samples.tolist() == [3.5] * n
        assert counts == {1.0: n}
        assert var == 0


def test_an_exact_simulator_takes_more_shots_than_the_service_would():
    dev = qml.device("qstore.ionq", wires=1, seed=1)

    def circuit():
        qml.RX(0.9, 0)
        return qml.expval(qml.Z(0))

    assert qml.QNode(circuit, dev, shots=10**8)() == pytest.approx(np.cos(0.9), abs=1e-3)
    noisy = qml.device("qstore.ionq", wires=1, noise_model="forte-1")
    with pytest.raises(ValueError, match="1,000,000"):
        qml.QNode(circuit, noisy, shots=10**8)()
