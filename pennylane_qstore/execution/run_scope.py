"""The run that a device's jobs belong to, and the numbers of its batches."""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any

from pennylane_qstore.ionq.ledger.rows import JobKey, key_conflict
from pennylane_qstore.run_names import in_job_names

if TYPE_CHECKING:
    from pennylane_qstore.ionq.ledger.ledger import Ledger
    from pennylane_qstore.ionq.messages.job_request import JobRequest


@dataclass(frozen=True, slots=True)
class RunScope:
    """The run that jobs belong to.

    Attributes:
        run: its name in the ledger; None for jobs of their own.
        part: name of what is executed beside the run's steps.
        budget_usd: limit of its spending over all its devices, in US dollars.
        progress: called with each change of a job's state; True shows a bar of each batch.
        account: name of the run that the budget is of; by default ``run``.
        repeats: whether the program may start again and then has to make the same jobs.
    """

    run: str | None = None
    part: str = ""
    budget_usd: float | None = None
    progress: bool | Callable[[Any], None] | None = None
    account: str | None = None
    repeats: bool = True

    @property
    def job_name(self) -> str | None:
        """Name of its jobs, with the characters that IonQ takes; None for jobs of their own."""
        name = self.account or self.run
        return None if name is None else in_job_names(name)


class BatchNumbers:
    """Numbers from 0 on, no two batches' alike, whatever thread sends them.

    One that is given back, since its batch failed, is the next one taken.

    Threads may come in another order than at an earlier start of a run. From the first batch on
    that is not the one that the ledger has under its number, batches are known by their content.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._next = 0
        self._given_back: list[int] = []
        self._owner = threading.get_ident()
        self._has_threads = False
        self._by_content: set[str] = set()  # runs

    @property
    def next(self) -> int:
        """Number that no batch has had yet."""
        return self._next

    def restart(self, number: int) -> None:
        """Go on from a number."""
        with self._lock:
            self._next, self._given_back, self._by_content = number, [], set()

    def take(self) -> int:
        """Return the number of another batch."""
        with self._lock:
            if self._given_back:
                return heapq.heappop(self._given_back)
            self._next += 1
            return self._next - 1

    def take_in(
        self,
        ledger: Ledger,
        run: str,
        start: str,
        jobs: Mapping[int, JobRequest],
        *,
        by_content: bool,
    ) -> int:
        """Return the number of another batch of a named run.

        Args:
            ledger: of the run.
            run: its name.
            start: name of this start of the program.
            jobs: the batch, by chunk.
            by_content: whether the batches of this start are known by their content anyway.

        Returns:
            The number; an earlier start's, if it had this batch.

        Raises:
            LedgerError: without threads, the batch is another one than at the earlier start.
        """
        if by_content:
            return ledger.claim_batch(run, start, _payloads(jobs))
        with self._lock:
            self._has_threads |= threading.get_ident() != self._owner
            if run not in self._by_content:
                number = self.take()
                stored = ledger.payloads(run, number)
                if not stored or all(stored.get(c, sha) == sha for c, sha in _payloads(jobs)):
                    return number
                self.give_back([number])
                taken = set(range(self._next)) - {*self._given_back, number}
                same = ledger.find_batches(run, _payloads(jobs)) - taken
                if not same and not self._has_threads:
                    raise key_conflict(JobKey(run, number, min(jobs)))
                ledger.claim_batches(run, start, taken)
                self._by_content.add(run)
            return ledger.claim_batch(run, start, _payloads(jobs))

    def give_back(self, numbers: Iterable[int]) -> None:
        """Let the next batches have these numbers."""
        with self._lock:
            back = {*self._given_back, *numbers}
            self._next = next(n for n in count(self._next, -1) if n - 1 not in back)
            self._given_back = sorted(n for n in back if n < self._next)

    def are_by_content(self, run: str) -> bool:
        """Return whether the batches of a run are claimed in the ledger by now."""
        return run in self._by_content


def _payloads(jobs: Mapping[int, JobRequest]) -> list[tuple[int, str]]:
    return [(chunk, job.payload_sha256) for chunk, job in jobs.items()]
