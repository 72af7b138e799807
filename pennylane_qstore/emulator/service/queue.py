"""The queue of a backend that runs only so many jobs at once."""

from __future__ import annotations

import heapq
from collections import deque

from pennylane_qstore.emulator.service.jobs import Job


class MachineQueue:
    """Jobs that take a machine's time, in the order they were accepted.

    Dry runs and jobs that failed before they ran take none: they never come here.

    Args:
        places: jobs that run at once.
    """

    def __init__(self, places: int) -> None:
        self._places = places
        self._jobs: deque[Job] = deque()
        self._free: list[float] = []  # a heap: when each place that is taken becomes free

    def append(self, job: Job, now: float) -> None:
        """Put a job behind the others."""
        while self._jobs and not _holds_place(self._jobs[0], now):
            self._jobs.popleft()
        self._jobs.append(job)

    def seat(self, job: Job, now: float) -> None:
        """Let a job start where a place is free for it."""
        execution_s = job.end_at - job.start_at
        start = max(job.turn_at, now)
        while len(self._free) >= self._places:
            start = max(start, heapq.heappop(self._free))
        job.start_at, job.end_at = start, start + execution_s
        heapq.heappush(self._free, job.end_at)

    def move_up(self, now: float) -> list[Job]:
        """Seat those who wait anew: others, cancelled since, have left places free.

        Returns:
            The jobs that wait, whose start may be another.
        """
        self._jobs = deque(job for job in self._jobs if _holds_place(job, now))
        self._free = [job.end_at for job in self._jobs if job.start_at <= now]
        heapq.heapify(self._free)
        waiting = [job for job in self._jobs if job.start_at > now]
        for job in waiting:
            self.seat(job, now)
        return waiting


def _holds_place(job: Job, now: float) -> bool:
    return job.canceled_at is None and job.end_at > now
