"""All jobs of a service in memory, within limits, and the ids that they get."""

from __future__ import annotations

import uuid
from bisect import bisect_left
from collections.abc import Iterator
from operator import attrgetter

import numpy as np

from pennylane_qstore.emulator.service.jobs import StoredJob
from pennylane_qstore.server.service import TERMINAL


class IdGenerator:
    """UUIDs of version 7: ordered by time, and by creation within one millisecond.

    Args:
        rng: source of the random bits.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._last = 0

    def follow(self, last: str) -> None:
        """Go on above an id that was given out by another emulator."""
        number = uuid.UUID(last).int
        stamp = number >> 80 << 26 | (number >> 64 & 0xFFF) << 14 | number >> 48 & 0x3FFF
        self._last = max(self._last, stamp)

    def take(self, now: float, count: int = 1) -> list[str]:
        """Return new ids, ascending, above all given out before.

        Args:
            now: seconds since the epoch.
            count: number of ids.

        Returns:
            The ids.
        """
        first = max(int(now * 1000) << 26, self._last + 1)
        self._last = first + count - 1
        tails = self._rng.integers(0, 2**48, count).tolist()
        return [_uuid7(first + k, tail) for k, tail in enumerate(tails)]


def _uuid7(stamp: int, tail: int) -> str:
    """Milliseconds (48 bits) and a counter (26 bits) in ``stamp``, 48 random bits behind.

    RFC 9562, section 5.7, with the counter of section 6.2 (method 1).
    """
    counter = stamp & 0x3FFFFFF
    high = stamp >> 26 << 16 | 0x7000 | counter >> 14
    low = 0b10 << 62 | (counter & 0x3FFF) << 48 | tail
    return str(uuid.UUID(int=high << 64 | low))


class _Sizes:
    """Sizes by job, oldest first, with a limit to their sum."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._sizes: dict[str, int] = {}
        self._sum = 0

    def add(self, job_id: str, size: int) -> None:
        self._sizes[job_id] = size
        self._sum += size

    def drop(self, job_id: str) -> None:
        self._sum -= self._sizes.pop(job_id, 0)

    def too_old(self) -> str | None:
        """Return the oldest job if the sum is over the limit; the only one may be larger."""
        over = self._sum > self._limit and len(self._sizes) > 1
        return next(iter(self._sizes)) if over else None


class JobStore:
    """All jobs, newest last.

    Args:
        keep: jobs kept; beyond that the oldest finished ones are forgotten.
        keep_requests: circuits kept as they were sent (for clones, artifacts and the page),
            over all jobs; beyond that the oldest are forgotten, their results are not.
        keep_outcomes: outcomes kept in results, 16 bytes each, over all jobs; beyond that the
            oldest finished jobs are forgotten.
    """

    def __init__(
        self,
        *,
        keep: int = 100_000,
        keep_requests: int = 40_000,
        keep_outcomes: int = 100_000_000,
    ) -> None:
        self._jobs: dict[str, StoredJob] = {}
        self._order: list[StoredJob] = []  # by sequence
        self._children: dict[str, tuple[StoredJob, int]] = {}
        self._keep = keep
        self._requests = _Sizes(keep_requests)
        self._outcomes = _Sizes(keep_outcomes)
        self.accepted = 0
        self.next_sequence = 0
        self.circuits = 0
        self.version = 0

    def __len__(self) -> int:
        return len(self._jobs)

    def add(self, job: StoredJob, now: float) -> None:
        """Keep a job, and forget what is too old.

        Args:
            job: the job.
            now: the time; only jobs that have ended are forgotten.
        """
        self._jobs[job.id] = job
        self._order.append(job)
        for k, child in enumerate(job.child_ids):
            self._children[child] = (job, k)
        self.accepted += 1
        self.next_sequence = job.sequence + 1
        self.circuits += len(job.circuits)
        self._requests.add(job.id, len(job.circuits))
        while (oldest := self._requests.too_old()) is not None:
            self._requests.drop(oldest)
            if oldest in self._jobs:
                self._jobs[oldest].request = None
        self.count_outcomes(job, now)
        while len(self._jobs) > self._keep and self._order[0].status(now) in TERMINAL:
            self.remove(self._order[0])
        self.touch(job)

    def count_outcomes(self, job: StoredJob, now: float) -> None:
        """Count a job's results, and forget the oldest jobs if there are too many.

        Args:
            job: the job; nothing is counted without results.
            now: the time; only jobs that have ended are forgotten.
        """
        if job.id not in self._jobs or job.results is None:
            return
        self._outcomes.add(job.id, sum(len(result.states) for result in job.results))
        while (oldest := self._outcomes.too_old()) is not None:
            if oldest == job.id or self._jobs[oldest].status(now) not in TERMINAL:
                break
            self.remove(self._jobs[oldest])

    def touch(self, job: StoredJob) -> None:
        """Note that a job has changed (for those who watch)."""
        self.version += 1
        job.version = self.version

    def remove(self, job: StoredJob) -> None:
        """Forget a job and its children."""
        if self._jobs.pop(job.id, None) is not None:
            del self._order[self._place(job.sequence)]
        for child in job.child_ids:
            self._children.pop(child, None)
        self._requests.drop(job.id)
        self._outcomes.drop(job.id)
        self.version += 1

    def find(self, job_id: str) -> tuple[StoredJob, int | None] | None:
        """Return the job of an id, and the circuit's position where the id is a child's."""
        job = self._jobs.get(job_id)
        return self._children.get(job_id) if job is None else (job, None)

    def newest_first(self, before: int | None = None) -> Iterator[StoredJob]:
        """Yield jobs, from the newest (or the newest before a sequence number) on."""
        place = len(self._order) if before is None else self._place(before)
        while place > 0:
            place -= 1
            yield self._order[place]

    def all(self) -> list[StoredJob]:
        """Return all jobs, in the order they were accepted."""
        return list(self._order)

    def _place(self, sequence: int) -> int:
        return bisect_left(self._order, sequence, key=attrgetter("sequence"))
