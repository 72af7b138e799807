"""The queue of a backend that runs only so many jobs at once."""

from __future__ import annotations

import heapq
from collections import deque

from pennylane_qstore.emulator.service.jobs import StoredJob


class MachineQueue:
    """Jobs that take a machine's time, in the order they were accepted.

    Dry runs and jobs that failed before they ran take no place.

    Args:
        places: jobs that run at once, ``None`` for any number: then nobody waits.
    """

    def __init__(self, places: int | None) -> None:
        self._places = places
        self._jobs: deque[StoredJob] = deque()
        self._free: list[float] = []  # a heap: when each place that is taken becomes free

    def enter(self, job: StoredJob, now: float, *, seated: bool = False) -> None:
        """Put a job behind the others, and schedule it from when a place is free for it.

        Args:
            job: the job; its start and end are set.
            now: the time.
            seated: keep the job's schedule, which an earlier emulator made.
        """
        if self._places is None or job.dry_run or job.failure is not None:
            return
        while self._jobs and not _holds_place(self._jobs[0], now):
            self._jobs.popleft()
        self._jobs.append(job)
        if not seated:
            self._seat(job, now, self._places)

    def move_up(self, now: float) -> list[StoredJob]:
        """Seat waiting jobs anew: others, cancelled since, have left places free.

        Returns:
            The jobs that wait, whose start may have changed.
        """
        if self._places is None:
            return []
        self._jobs = deque(job for job in self._jobs if _holds_place(job, now))
        self._free = [job.end_at for job in self._jobs if job.start_at <= now]
        heapq.heapify(self._free)
        waiting = [job for job in self._jobs if job.start_at > now]
        for job in waiting:
            self._seat(job, now, self._places)
        return waiting

    def _seat(self, job: StoredJob, now: float, places: int) -> None:
        execution_s = job.end_at - job.start_at
        start = max(job.turn_at, now)
        while len(self._free) >= places:
            start = max(start, heapq.heappop(self._free))
        job.start_at, job.end_at = start, start + execution_s
        heapq.heappush(self._free, job.end_at)


def _holds_place(job: StoredJob, now: float) -> bool:
    return job.canceled_at is None and job.end_at > now
