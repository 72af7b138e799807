"""How many circuits a job gets."""

import heapq
import math
import pickle

import numpy as np
import pennylane as qml
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pennylane_qstore.emulator import Emulator
from pennylane_qstore.emulator.service.latency import PROFILES
from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.execution.job_size import AdaptiveQueueManager, BatchTime, best_size

CONNECTIONS = 5


class Now:
    def __init__(self):
        self.s = 0.0

    def __call__(self):
        return self.s


@pytest.mark.parametrize(
    ("queue_s", "size"), [(0.0, 20), (0.99, 20), (1.0, 10), (2.99, 10), (3.0, 5), (500.0, 5)]
)
def test_tiers_are_those_of_v34(queue_s, size):
    queue = AdaptiveQueueManager()
    assert queue.get_optimal_batch_size() == 20
    queue.record_job(batch_size=20, queue_time=queue_s, execution_time=1.0)
    assert queue.get_optimal_batch_size() == size


def test_tiers_follow_the_mean_of_the_last_jobs():
    queue = AdaptiveQueueManager(window=4)
    for _ in range(4):
        queue.record_job(20, 10.0, 1.0)
    assert queue.get_optimal_batch_size() == 5
    for _ in range(3):
        queue.record_job(5, 0.0, 1.0)
    assert queue.get_optimal_batch_size() == 10  # (10 + 0 + 0 + 0) / 4 s
    queue.record_job(5, 0.0, 1.0)
    assert queue.get_optimal_batch_size() == 20


def test_the_reported_queue_counts_until_a_fresh_one_was_measured():
    now, asked = Now(), []

    def reported():
        asked.append(now.s)
        return 7.0

    queue = AdaptiveQueueManager(reported_queue_s=reported, stale_s=600.0, clock=now)
    assert queue.get_optimal_batch_size() == queue.get_optimal_batch_size() == 5
    assert asked == [0.0]  # and not twice a minute
    queue.record_job(5, 0.1, 1.0)
    assert queue.get_optimal_batch_size() == 20
    now.s = 700.0  # what was measured is old
    assert queue.get_optimal_batch_size() == 5
    assert asked == [0.0, 700.0]


def test_never_more_than_the_maximum():
    assert AdaptiveQueueManager(max_batch_size=7).get_optimal_batch_size() == 7


@pytest.mark.parametrize(
    "options", [{"policy": "fastest"}, {"window": 0}, {"max_batch_size": 0}, {"connections": 0}]
)
def test_what_is_not_allowed_is_refused(options):
    with pytest.raises(ConfigurationError):
        AdaptiveQueueManager(**options)


@pytest.mark.parametrize("times", [(math.nan, 1.0), (1.0, math.inf), (-1.0, 1.0)])
def test_times_that_are_none_are_refused(times):
    with pytest.raises(ConfigurationError):
        AdaptiveQueueManager().record_job(20, *times)


def test_what_was_learnt_survives_a_pickle():
    queue = AdaptiveQueueManager(reported_queue_s=lambda: 0.0)
    queue.record_job(20, 2.0, 1.0)
    again = pickle.loads(pickle.dumps(queue))
    assert again.get_optimal_batch_size() == 10


@given(
    st.integers(1, 500),
    st.lists(
        st.builds(BatchTime, st.integers(1, 500), st.integers(1, 60), st.floats(1e-3, 1e4)),
        max_size=30,
    ),
    st.integers(1, 8),
    st.integers(1, 500),
)
def test_a_size_is_always_possible(circuits, batches, connections, most):
    assert 1 <= best_size(circuits, batches, connections, most) <= min(circuits, most)


@pytest.mark.parametrize("circuits", [20, 60, 240])
@pytest.mark.parametrize("machines", [None, 1, 3])
@pytest.mark.parametrize("profile", [name for name in PROFILES if name != "none"])
def test_throughput_is_within_five_percent_of_the_best_fixed_size(profile, machines, circuits):
    """After ten batches, by the arithmetic of the emulator's profiles."""
    service = PROFILES[profile]
    sizes = sorted({math.ceil(circuits / k) for k in range(1, circuits + 1)})
    repeats = 60 if service.jitter else 1
    fixed = {
        size: np.mean(
            [
                seconds(service, machines, circuits, size, np.random.default_rng(i))
                for i in range(repeats)
            ]
        )
        for size in sizes
    }
    spent = []
    for seed in range(3 if service.jitter else 1):
        queue = AdaptiveQueueManager("throughput", connections=CONNECTIONS)
        rng = np.random.default_rng(seed)
        for batch in range(60):
            size = queue.get_optimal_batch_size(circuits)
            took = seconds(service, machines, circuits, size, rng)
            jobs = math.ceil(circuits / size)
            queue.record_batch([size] * (jobs - 1) + [circuits - size * (jobs - 1)],
                               [0.0] * jobs, [took] * jobs, took)  # fmt: skip
            if batch >= 10:
                spent.append(took)
    assert np.mean(spent) <= 1.05 * min(fixed.values())


@pytest.mark.parametrize(("policy", "posts"), [("adaptive", 3), (None, 1), (10, 6)])
def test_the_device_sends_jobs_of_the_chosen_size(policy, posts):
    with Emulator() as emulator:
        dev = qml.device("qstore.ionq", wires=1, emulator=emulator, max_circuits_per_job=policy)
        circuit(dev)(np.linspace(0, 1, 60))
        assert emulator.stats()["posts"] == posts


def test_the_device_asks_the_backend_and_then_measures():
    slow = {"queue_s": 0.004, "execution_s": 0.001}
    with Emulator(profile=slow) as emulator:
        queue = AdaptiveQueueManager()
        dev = qml.device("qstore.ionq", wires=1, emulator=emulator, max_circuits_per_job=queue)
        run = circuit(dev)
        run(np.linspace(0, 1, 40))
        asked = [r for r in emulator.requests if r.path.endswith("/backends")]
        assert len(asked) == 1
        run(np.linspace(0, 1, 40))
        assert len([r for r in emulator.requests if r.path.endswith("/backends")]) == 1
        assert queue.get_stats()["jobs"] == 4
        assert queue.expected_queue_s() >= 0.0039


def test_an_unknown_policy_of_the_device_is_refused():
    with pytest.raises(ConfigurationError, match="throughput"):
        qml.device("qstore.ionq", wires=1, max_circuits_per_job="adaptiv")


def circuit(dev):
    @qml.qnode(dev, diff_method=None)
    def run(x):
        qml.RX(x, 0)
        return qml.expval(qml.Z(0))

    return run


def seconds(service, machines, circuits, size, rng):
    """How long a batch takes: POSTs over the connections, jobs on the machines."""
    jobs = math.ceil(circuits / size)
    sizes = [size] * (jobs - 1) + [circuits - size * (jobs - 1)]
    connections = [0.0] * CONNECTIONS
    busy = [0.0] * (machines or service.concurrency or jobs)
    ends = []
    for n in sizes:
        job = service.draw(n, 500, rng)
        accepted = heapq.heappop(connections) + job.request_s
        heapq.heappush(connections, accepted)
        start = max(heapq.heappop(busy), accepted + job.verify_s + job.queue_s)
        heapq.heappush(busy, start + job.execution_s)
        ends.append(start + job.execution_s)
    return max(ends)
