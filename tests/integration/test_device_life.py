"""Devices are copied, pickled and tracked; equal ones share their connections."""

import copy
import pickle
import statistics
import time

import numpy as np
import pennylane as qml
import pytest

WAYS = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda device: pickle.loads(pickle.dumps(device)),
}


def remote(emulator, **options):
    options = {"wires": 2, "seed": 5, **options}
    return qml.device("qstore.ionq", base_url=emulator.url, api_key="k", **options)


def sampled(device, x=0.4):
    @qml.qnode(device, shots=50)
    def circuit(x):
        qml.RX(x, device.wires[0] if device.wires else 0)
        return qml.counts()

    return circuit(x)


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_a_copy_goes_on_as_the_original_would(way, monkeypatch, emulator):
    monkeypatch.setenv("IONQ_API_KEY", "k")
    device = remote(
        emulator, wires=["a", 3], noise_model="aria-1", absorb=False, max_circuits_per_job=7
    )
    sampled(device)
    other = way(device)
    assert other.wires == device.wires
    assert repr(other) == repr(device)
    kept = vars(device.executor.options).keys() - {"api_key", "queue"}
    assert {k: getattr(other.executor.options, k) for k in kept} == {
        k: getattr(device.executor.options, k) for k in kept
    }
    assert sampled(other) == sampled(device)


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_a_copy_has_its_own_chance_and_counts(way, monkeypatch, emulator):
    monkeypatch.setenv("IONQ_API_KEY", "k")
    device = remote(emulator)
    sampled(device)
    other = way(device)
    sampled(other)
    sampled(other)
    assert device.stats["jobs"] == 1
    assert other.stats["jobs"] == 2


@pytest.mark.parametrize("way", [*WAYS.values(), None], ids=[*WAYS, "made alike"])
def test_equal_devices_share_loop_and_pool(way, monkeypatch, emulator):
    monkeypatch.setenv("IONQ_API_KEY", "k")
    device = remote(emulator)
    other = way(device) if way else remote(emulator, seed=9, wires=4)
    assert device.client._api() is other.client._api()
    for each in (device, other, device, other):
        sampled(each)
    assert emulator.stats()["connections"] == 1


def test_devices_of_other_keys_or_pools_do_not_share(emulator):
    device = remote(emulator)
    assert device.client._api() is not remote(emulator, pool_size=2).client._api()
    stranger = qml.device("qstore.ionq", wires=2, base_url=emulator.url, api_key="other")
    assert device.client._api() is not stranger.client._api()


def test_a_pickled_device_works_in_another_process(other_process):
    device = qml.device("qstore.ionq", wires=["left", 1], seed=5)
    out = other_process(
        "import pickle, pennylane as qml\n"
        f"device = pickle.loads({pickle.dumps(device)!r})\n"
        "def circuit():\n"
        "    qml.RX(0.4, 'left')\n"
        "    return qml.expval(qml.Z('left'))\n"
        "print(float(qml.QNode(circuit, device, shots=500)()))\n"
    )

    def circuit():
        qml.RX(0.4, "left")
        return qml.expval(qml.Z("left"))

    assert float(out) == qml.QNode(circuit, device, shots=500)()


@pytest.mark.parametrize(
    "labels",
    [
        [0, 1, 2],
        [2, 0, 1],
        ["a", "b", "c"],
        [(0, 1), (1, 0), (2, 2)],
        ["ψ", -1, 2.5],
        [7, "x", None],
    ],
)
@pytest.mark.parametrize("on_device", [True, False])
def test_any_label_and_any_subset(labels, on_device):
    def circuit(measure):
        qml.RX(0.3, [labels[0]])
        qml.CNOT([labels[0], labels[2]])
        return measure()

    measurements = (
        lambda: qml.expval(qml.Z([labels[2]])),
        lambda: qml.probs(wires=[labels[2], labels[0]]),
        lambda: qml.probs(wires=[labels[1]]),
        lambda: qml.probs(wires=sorted(labels, key=repr)),
        *([lambda: qml.probs()] if on_device else []),
    )
    wires = labels if on_device else None
    ours, theirs = (qml.device(name, wires=wires) for name in ("qstore.ionq", "default.qubit"))
    for measure in measurements:
        got = qml.QNode(circuit, ours)(measure)
        assert np.allclose(got, qml.QNode(circuit, theirs)(measure), atol=1e-9)


def test_the_tracker_has_everything(emulator):
    device = remote(emulator, noise_model="forte-1")
    with qml.Tracker(device) as tracker:
        sampled(device, np.array([0.1, 0.2, 0.3]))
        sampled(device)
    totals = tracker.totals
    assert totals["batches"] == 2
    assert totals["executions"] == 4
    assert totals["shots"] == 200
    assert totals["jobs"] == 2
    assert totals["requests"] == len(emulator.requests)
    assert totals["cost_usd"] == 0
    assert totals["queue_s"] >= 0
    assert totals["run_s"] >= 0
    assert tracker.history["job_id"] == [job.id for job in emulator.jobs]
    assert tracker.latest["executions"] == 1


def test_the_tracker_tells_every_job_of_a_batch(emulator):
    device = remote(emulator, max_circuits_per_job=2)
    with qml.Tracker(device, persistent=True) as tracker:
        sampled(device, np.linspace(0, 1, 5))
    assert tracker.totals["jobs"] == 3
    assert sorted(tracker.history["job_id"]) == sorted(job.id for job in emulator.jobs)
    with tracker:
        sampled(device)
    assert tracker.totals["jobs"] == 4


def test_a_callback_sees_each_batch(emulator):
    seen = []
    device = remote(emulator)
    with qml.Tracker(device, callback=lambda totals, history, latest: seen.append(dict(latest))):
        sampled(device)
        sampled(device)
    assert [latest["jobs"] for latest in seen] == [1, 1]


@pytest.mark.benchmark
def test_tracking_does_not_slow_a_batch():
    """PennyLane's own simulator tracking makes 23 ms 143 ms for 200 tapes."""
    device = qml.device("qstore.ionq", wires=4)
    tapes = tuple(
        qml.tape.QuantumScript(
            [*(qml.RX(x, w) for w in range(4)), qml.CNOT([0, 1]), qml.CNOT([2, 3])],
            [qml.expval(qml.Z(0))],
            shots=100,
        )
        for x in np.linspace(0, 1, 200)
    )
    device.execute(tapes)
    taken = {True: [], False: []}
    for turn in range(24):
        tracked = turn % 2 == 0
        tracker = qml.Tracker(device)
        start = time.perf_counter()
        if tracked:
            with tracker:
                device.execute(tapes)
        else:
            device.execute(tapes)
        taken[tracked].append(time.perf_counter() - start)
    with_it, without = (1e3 * statistics.median(taken[kind]) for kind in (True, False))
    print(f"\n  200 tapes: {without:.1f} ms, tracked {with_it:.1f} ms")
    assert min(taken[True]) < 1.3 * min(taken[False])
