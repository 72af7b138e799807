"""Sizes of jobs, chosen by the times that the last jobs took.

Two policies. ``"tiers"`` is Q-Store v3.4's: 20 circuits while jobs wait less than a second in
the queue, 10 while they wait less than three, 5 beyond. ``"throughput"`` tries a few sizes and
keeps the one with the most circuits per second.
"""

from __future__ import annotations

import itertools
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from pennylane_qstore.backends import MAX_CIRCUITS
from pennylane_qstore.compat.python import also_unmade
from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.validation import check_count, check_one_of

POLICIES = ("tiers", "throughput")
TIERS = ((1.0, 20), (3.0, 10), (math.inf, 5))
"""Seconds in the queue (excluded) and circuits per job below them."""

_REMEMBERED = 100
_REPORT_AGE_S = 60.0  # a reported queue is asked for again after this


class JobRecord(NamedTuple):
    """One job: its circuits, seconds in the queue and on the machine, when it was recorded."""

    batch_size: int
    queue_s: float
    execution_s: float
    at_s: float


class BatchTime(NamedTuple):
    """One batch: its circuits, the jobs they were divided over, seconds until all were done."""

    circuits: int
    jobs: int
    seconds: float


class AdaptiveQueueManager:
    """Chooses how many circuits to put into a job. Thread-safe.

    Args:
        policy: ``"tiers"`` or ``"throughput"``.
        window: jobs whose queue times are averaged (tiers).
        max_batch_size: never more circuits than this in a job.
        connections: jobs that travel at once (the client's ``pool_size``).
        reported_queue_s: asked for the backend's own figure, in seconds, where no measured one
            is fresh; None if it has none.
        stale_s: seconds after which a measured queue time says nothing any more.
        clock: monotonic seconds, for tests.

    Raises:
        ConfigurationError: a policy that does not exist, or a size below 1.

    **Example**

    >>> queue = AdaptiveQueueManager()
    >>> queue.get_optimal_batch_size()
    20
    >>> queue.record_job(batch_size=20, queue_time=1.5, execution_time=1.85)
    >>> queue.get_optimal_batch_size()
    10
    """

    def __init__(
        self,
        policy: str = "tiers",
        *,
        window: int = 10,
        max_batch_size: int | None = None,
        connections: int = 5,
        reported_queue_s: Callable[[], float | None] | None = None,
        stale_s: float = 600.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        check_one_of("policy", policy, POLICIES)
        limits = {"window": window, "max_batch_size": max_batch_size, "connections": connections}
        for name, value in limits.items():
            check_count(name, value, optional=True)
        self.policy = policy
        self.window = window
        self.max_batch_size = min(max_batch_size or MAX_CIRCUITS, MAX_CIRCUITS)
        self.connections = connections
        self.reported_queue_s = reported_queue_s
        self._stale_s, self._clock = stale_s, clock
        self._jobs: deque[JobRecord] = deque(maxlen=_REMEMBERED)
        self._batches: deque[BatchTime] = deque(maxlen=_REMEMBERED)
        self._reported: tuple[float, float | None] | None = None
        self._lock = threading.Lock()

    @also_unmade
    def __repr__(self) -> str:
        return f"<AdaptiveQueueManager: {self.policy}, {len(self._jobs)} jobs seen>"

    def get_optimal_batch_size(self, circuits: int | None = None) -> int:
        """Circuits to put into a job now.

        Args:
            circuits: how many there are to send; by default as many as last time. The tiers
                do not look at it.
        """
        if self.policy == "tiers":
            return min(_tier(self.expected_queue_s() or 0.0), self.max_batch_size)
        with self._lock:
            batches = list(self._batches)
        total = circuits or (batches[-1].circuits if batches else TIERS[0][1])
        return best_size(total, batches, self.connections, self.max_batch_size)

    def expected_queue_s(self) -> float | None:
        """Seconds a job will wait: the mean of the last ones, else what the backend says."""
        now = self._clock()
        with self._lock:
            last = list(self._jobs)[-self.window :]
        fresh = [job.queue_s for job in last if now - job.at_s <= self._stale_s]
        return sum(fresh) / len(fresh) if fresh else self._reported_s(now)

    def record_job(self, batch_size: int, queue_time: float, execution_time: float) -> None:
        """Learn from one job that travelled alone.

        Args:
            batch_size: its circuits.
            queue_time: seconds it waited.
            execution_time: seconds it ran.
        """
        self.record_batch([batch_size], [queue_time], [execution_time], queue_time + execution_time)

    def record_batch(
        self,
        sizes: Sequence[int],
        queue_s: Iterable[float],
        execution_s: Iterable[float],
        seconds: float,
    ) -> None:
        """Learn from jobs that travelled together.

        Args:
            sizes: circuits of each job.
            queue_s: seconds each one waited.
            execution_s: seconds each one ran.
            seconds: from the first POST to the last result.

        Raises:
            ConfigurationError: no jobs, or times that are not finite or negative.
        """
        now = self._clock()
        jobs = [
            JobRecord(int(n), float(q), float(e), now)
            for n, q, e in zip(sizes, queue_s, execution_s, strict=True)
        ]
        numbers = [seconds, *itertools.chain.from_iterable(job[:3] for job in jobs)]
        if not jobs or not all(math.isfinite(x) and x >= 0 for x in numbers):
            raise ConfigurationError(
                f"Jobs {jobs} in {seconds!r} s cannot be recorded. Allowed: one job or more, all "
                "numbers finite, 0 or more."
            )
        with self._lock:
            self._jobs.extend(jobs)
            self._batches.append(BatchTime(sum(sizes), len(jobs), float(seconds)))

    def get_stats(self) -> dict[str, Any]:
        """Return what was learnt.

        Returns:
            ``policy``, ``jobs``, ``current_batch_size``, ``avg_queue_time_ms`` and
            ``queue_depth_estimate`` (jobs like ours that fit into the time we wait).
        """
        with self._lock:
            jobs = list(self._jobs)
        expected = self.expected_queue_s()
        execution = sum(job.execution_s for job in jobs) / len(jobs) if jobs else 0.0
        return {
            "policy": self.policy,
            "jobs": len(jobs),
            "current_batch_size": self.get_optimal_batch_size(),
            "avg_queue_time_ms": None if expected is None else 1e3 * expected,
            "queue_depth_estimate": round((expected or 0.0) / execution) if execution else 0,
        }

    def __getstate__(self) -> dict[str, Any]:
        # What was learnt of a service does not depend on the process; callables and locks do.
        kept = {k: v for k, v in vars(self).items() if k not in ("_lock", "reported_queue_s")}
        return {**kept, "_clock": time.monotonic, "_reported": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.reported_queue_s = None
        self._lock = threading.Lock()

    def _reported_s(self, now: float) -> float | None:
        if self.reported_queue_s is None:
            return None
        if self._reported is None or now - self._reported[0] > _REPORT_AGE_S:
            self._reported = (now, self.reported_queue_s())
        return self._reported[1]


def best_size(
    circuits: int, batches: Sequence[BatchTime], connections: int, max_circuits: int = MAX_CIRCUITS
) -> int:
    """Return the number of circuits per job that finishes a batch soonest.

    Few numbers of jobs are tried once each: 1, 2, 3, and one to three per connection; after that
    the one with the least mean time per circuit is kept. On the emulator's latency profiles, with
    one, three or any number of machines behind the queue, that is within 5 % of the best fixed
    size after ten batches.

    Args:
        circuits: number of circuits of the batch.
        batches: durations of earlier ones; those of about as many circuits count.
        connections: jobs that travel at once.
        max_circuits: in a job at most.

    Returns:
        The circuits per job, from 1 to ``max_circuits``.
    """
    fewest = math.ceil(circuits / max_circuits)
    tried = (1, 2, 3, connections, 2 * connections, 3 * connections)
    counts = {min(max(n, fewest), circuits) for n in tried}
    means: dict[int, float] = {}
    for jobs in sorted({math.ceil(circuits / math.ceil(circuits / n)) for n in counts}):
        seconds = [
            batch.seconds / batch.circuits
            for batch in batches
            if batch.jobs == jobs and circuits <= 2 * batch.circuits <= 4 * circuits
        ]
        if not seconds:
            return math.ceil(circuits / jobs)
        means[jobs] = sum(seconds) / len(seconds)
    return math.ceil(circuits / min(means, key=means.__getitem__))


def _tier(queue_s: float) -> int:
    return next(size for below, size in TIERS if queue_s < below)
