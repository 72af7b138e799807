"""The queues of backends that run only so many jobs at once."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterable

from pennylane_qstore.emulator.service.jobs import StoredJob


class MachineQueue:
    """Jobs that take a machine's time, in the order they were accepted.

    Args:
        places: jobs that run at once.
    """

    def __init__(self, places: int) -> None:
        self._places = places
        self._jobs: deque[StoredJob] = deque()
        self._free: list[float] = []  # a heap: when each place that is taken becomes free

    def append(self, job: StoredJob, now: float) -> None:
        """Put a job behind the others, as it is scheduled.

        Args:
            job: the job.
            now: the time.
        """
        while self._jobs and not _holds_place(self._jobs[0], now):
            self._jobs.popleft()
        self._jobs.append(job)

    def seat(self, job: StoredJob, now: float) -> None:
        """Schedule a job from when a place is free for it.

        Args:
            job: the job; its start and end are set.
            now: the time.
        """
        execution_s = job.end_at - job.start_at
        start = max(job.turn_at, now)
        while len(self._free) >= self._places:
            start = max(start, heapq.heappop(self._free))
        job.start_at, job.end_at = start, start + execution_s
        heapq.heappush(self._free, job.end_at)

    def move_up(self, now: float) -> list[StoredJob]:
        """Seat waiting jobs anew: others, cancelled since, have left places free.

        Returns:
            The jobs that wait, whose start may have changed.
        """
        self._jobs = deque(job for job in self._jobs if _holds_place(job, now))
        self._free = [job.end_at for job in self._jobs if job.start_at <= now]
        heapq.heapify(self._free)
        waiting = [job for job in self._jobs if job.start_at > now]
        for job in waiting:
            self.seat(job, now)
        return waiting


class MachineQueues:
    """A queue for each backend. Dry runs and jobs that failed before they ran take no place.

    Args:
        places: jobs that run at once on a backend, ``None`` for any number.
    """

    def __init__(self, places: int | None) -> None:
        self._places = places
        self._queues: dict[str, MachineQueue] = {}

    def enter(self, job: StoredJob, now: float, *, seated: bool = False) -> None:
        """Put a job behind the others of its backend.

        Args:
            job: the job.
            now: the time.
            seated: keep the job's schedule, which an earlier emulator made.
        """
        if self._places is None or job.dry_run or job.failure is not None:
            return
        queue = self._queues.setdefault(job.backend, MachineQueue(self._places))
        queue.append(job, now)
        if not seated:
            queue.seat(job, now)

    def move_up(self, backends: Iterable[str], now: float) -> list[StoredJob]:
        """Seat the waiting jobs of some backends anew.

        Args:
            backends: names of backends whose queues have become shorter.
            now: the time.

        Returns:
            The jobs that wait, whose start may have changed.
        """
        queues = [self._queues[name] for name in backends if name in self._queues]
        return [job for queue in queues for job in queue.move_up(now)]


def _holds_place(job: StoredJob, now: float) -> bool:
    return job.canceled_at is None and job.end_at > now
