"""Jobs of a service in memory: by id, by the id of a child, and by age."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from operator import attrgetter
from typing import Generic, TypeVar

from pennylane_qstore.server.errors import not_found
from pennylane_qstore.server.service import ServiceJob

_J = TypeVar("_J", bound=ServiceJob)


class JobIndex(Generic[_J]):
    """Jobs, newest last."""

    def __init__(self) -> None:
        self._jobs: dict[str, _J] = {}
        self._order: list[_J] = []  # by sequence
        self._children: dict[str, tuple[_J, int]] = {}
        self._version = 0
        self.next_sequence = 0

    def __len__(self) -> int:
        return len(self._jobs)

    @property
    def oldest(self) -> _J:
        """The oldest job; there must be one."""
        return self._order[0]

    def insert(self, job: _J) -> None:
        """Keep a job, which is newer than all others."""
        self._jobs[job.id] = job
        self._order.append(job)
        for k, child in enumerate(job.child_ids):
            self._children[child] = (job, k)
        self.next_sequence = max(self.next_sequence, job.sequence + 1)
        self.touch(job)

    def discard(self, job: _J) -> None:
        """Forget a job and its children."""
        if self._jobs.pop(job.id, None) is not None:
            del self._order[self._place(job.sequence)]
        for child in job.child_ids:
            self._children.pop(child, None)

    def touch(self, job: _J) -> None:
        """Note that a job has changed."""
        self._version += 1
        job.version = self._version

    def find(self, job_id: str) -> tuple[_J, int | None]:
        """Return the job, and the position of the circuit where the id is a child's.

        Raises:
            BadRequest: 404, no such job.
        """
        if job_id in self._jobs:
            return self._jobs[job_id], None
        if job_id not in self._children:
            raise not_found()
        return self._children[job_id]

    def known(self, job_ids: Iterable[str]) -> dict[str, _J]:
        """Return the jobs of the ids that exist (parents, for the ids of children)."""
        there = (i for i in job_ids if i in self._jobs or i in self._children)
        return {job_id: self.find(job_id)[0] for job_id in there}

    def newest_first(self, before: int | None = None) -> Iterator[_J]:
        """Yield jobs, from the newest (or the newest before a sequence number) on."""
        place = len(self._order) if before is None else self._place(before)
        while place > 0:
            place -= 1
            yield self._order[place]

    def all(self) -> list[_J]:
        """Return all jobs, in the order they were accepted."""
        return list(self._order)

    def _place(self, sequence: int) -> int:
        return bisect_left(self._order, sequence, key=attrgetter("sequence"))
