"""Groups: what is sent to IonQ as one job, from the window in which it is gathered to its end.

A group's jobs and the ledger's intent are written down in one transaction, before the POST; of a
job that waits for no others in the one that accepts it. The ledger finds the intent again by the
group's number, so that a gateway that was killed goes on where it was: whatever it had sent is
found, nothing is sent a second time.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence
from copy import copy
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

from pennylane_qstore.errors import BudgetExceeded, ConfigurationError, QStoreError
from pennylane_qstore.gateway.ends import end_of, failure_of, is_refused
from pennylane_qstore.gateway.jobs import GatewayJob
from pennylane_qstore.gateway.merging import Size, group_intent, job_body, share_bill, size_of
from pennylane_qstore.gateway.store import Store, group_key
from pennylane_qstore.ionq.http.api import Api
from pennylane_qstore.ionq.http.transport import Traffic
from pennylane_qstore.ionq.jobs.cost import record_cost
from pennylane_qstore.ionq.jobs.poller import Poller
from pennylane_qstore.ionq.jobs.results import JobOutcome, JobRecord
from pennylane_qstore.ionq.jobs.runner import JobRunner
from pennylane_qstore.ionq.ledger.ledger import ENDED_STATES, Intent, State, Submission, is_paid
from pennylane_qstore.ionq.progress import Progress
from pennylane_qstore.server.job_index import JobIndex
from pennylane_qstore.server.service import TERMINAL, Failure

logger = logging.getLogger(__name__)

_ALIVE = ("submitted", "ready", "started")
_TRIES = 20
_PAUSE_S = 15.0


@dataclass(slots=True)
class _Gathering:
    """Jobs that wait for others to be sent with."""

    jobs: list[GatewayJob] = field(default_factory=list)
    size: Size = field(default_factory=lambda: Size(0, 0, 0))


@dataclass(slots=True)
class Group:
    """Jobs that are one job at IonQ."""

    number: int
    jobs: list[GatewayJob]
    job_id: str | None = None
    cancels: bool = False


class Groups:
    """Gathers jobs, sends them, and brings them to their end. Runs on the loop.

    Args:
        api: IonQ.
        poller: waits for jobs.
        store: where everything is written down.
        index: told of changes.
        window_s: how long jobs wait for others to be merged with, in seconds.
        on_ambiguous: ``"raise"``, or ``"resubmit"`` also where jobs cost money.
    """

    def __init__(
        self,
        api: Api,
        poller: Poller,
        store: Store,
        index: JobIndex[GatewayJob],
        *,
        window_s: float,
        on_ambiguous: str,
    ) -> None:
        self._api, self._poller, self._store, self._index = api, poller, store, index
        self._clock, self._service = api.clock, api.transport.endpoint.base_url
        self._window_s, self._on_ambiguous = window_s, on_ambiguous
        self._gathering: dict[bytes, _Gathering] = {}
        self._groups: dict[int, Group] = {}
        self._next = store.next_group()
        self._tasks: set[asyncio.Task[None]] = set()
        self.open: set[str] = set()
        """Ids of the jobs on their way."""
        self.traffic = Traffic()

    def alone(self, job: GatewayJob, request: bytes) -> Intent:
        """Make a group of one job that is not written down yet.

        Args:
            job: new.
            request: body of its request.

        Returns:
            The intent, to be written down with the job.
        """
        job.group, job.first = self._next, 0
        self._next += 1
        return group_intent(self._service, [job], [request])

    def add(
        self, job: GatewayJob, key: bytes | None, request: bytes, row: Submission | None = None
    ) -> None:
        """Send a job, perhaps with others.

        Args:
            job: written down, not sent yet.
            key: what jobs must have in common to be merged; ``None`` sends this one alone.
            request: body of its request.
            row: of its own intent, if that is written down already (see :meth:`alone`).
        """
        self.open.add(job.id)
        if row is not None and job.group is not None:
            group = self._groups[job.group] = Group(job.group, [job])
            self._spawn(self._run(group, request, row))
            return
        if key is None:
            self._send([job])
            return
        size = size_of(job, request)
        gathering = self._gathering.get(key)
        if gathering is not None and not gathering.size.fits_with(size):
            self._send(self._gathering.pop(key).jobs)
            gathering = None
        if gathering is None:
            gathering = self._gathering[key] = _Gathering()
            self._spawn(self._close(key, gathering))
        gathering.jobs.append(job)
        gathering.size = gathering.size.plus(size)

    def go_on(self, jobs: Iterable[GatewayJob]) -> None:
        """Take up groups that an earlier gateway has left, with all of their jobs."""
        for job in jobs:
            assert job.group is not None  # noqa: S101  (for the type checker)
            self._groups.setdefault(job.group, Group(job.group, [])).jobs.append(job)
        for group in list(self._groups.values()):
            group.jobs.sort(key=lambda job: job.first)
            if all(job.settled for job in group.jobs):
                del self._groups[group.number]
                self._spawn(self._wait_for_bill(group))
            else:
                self.open.update(job.id for job in group.jobs)
                self._spawn(self._run(group))

    def cancel(self, job: GatewayJob) -> None:
        """Cancel a job; what it is merged with goes on, and it pays its share all the same.

        Args:
            job: nothing happens if it has ended.
        """
        if job.state in TERMINAL:
            return
        job.state, job.over_at = "canceled", self._clock.now()
        if job.group is None:  # it waits to be sent, and is not
            job.billed_usd, job.is_billed, job.settled = 0.0, True, True
        self._store.save([job])
        self._tell_of([job])
        if job.group is not None:
            self._cancel_empty(self._groups[job.group])

    async def close(self) -> None:
        """Stop; requests on their way go to their end. A later start goes on."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._store.ledger.off_loop(self._store.leave)  # behind all that is being written

    def _spawn(self, coroutine: Any) -> None:
        task = asyncio.ensure_future(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _close(self, key: bytes, gathering: _Gathering) -> None:
        """Send what was gathered, when the window is over."""
        await self._clock.sleep(self._window_s)
        if self._gathering.get(key) is gathering:
            self._send(self._gathering.pop(key).jobs)

    def _send(self, jobs: Sequence[GatewayJob]) -> None:
        if group := self._group(jobs):
            self._spawn(self._run(group))

    def _group(self, jobs: Sequence[GatewayJob]) -> Group | None:
        """Make a group of those that are not cancelled; None where all are."""
        alive = [job for job in jobs if job.state not in TERMINAL]
        if not alive:
            return None
        group = self._groups[self._next] = Group(self._next, alive)
        self._next += 1
        sizes = [len(job.circuits) for job in alive]
        for job, end, size in zip(alive, accumulate(sizes), sizes, strict=True):
            job.group, job.first = group.number, end - size
        return group

    async def _run(self, group: Group, request: bytes = b"", row: Submission | None = None) -> None:
        """Bring a group to its end, whatever that is; with a row its intent is written down."""
        try:
            if row is None:
                await self._begin(group)
            else:
                await self._complete(group, [request], row, own=True)
        except Exception as error:
            logger.exception("Group %d failed.", group.number)
            # It cannot be known whether there is a job: what was reserved stays reserved.
            await self._settle(group, None, Failure(type(error).__name__, str(error)), None)

    async def _begin(self, group: Group) -> None:
        """Write down what is about to be sent, and send it."""
        store, ledger = self._store, self._store.ledger
        if all(job.state in TERMINAL for job in group.jobs) and not ledger.history(
            group_key(group.number)
        ):
            await self._settle(group, None, None, 0.0)
            return
        requests = await ledger.off_loop(store.requests, group.jobs)
        try:
            intent = group_intent(self._service, group.jobs, requests)
            row, own = await ledger.off_loop_synced(store.begin, group.jobs, intent)
        except (BudgetExceeded, ConfigurationError) as error:  # the ledger's own limit
            await self._settle(group, None, Failure("QuotaExhaustedError", str(error)), 0.0)
            return
        await self._complete(group, requests, row, own)

    async def _complete(
        self, group: Group, requests: Sequence[bytes], row: Submission, own: bool
    ) -> None:
        """Send and wait; a job that exists is waited for through failures to reach IonQ."""
        ledger, outcome, failure = self._store.ledger, None, None
        for attempt in range(_TRIES):
            record = JobRecord(0, row.circuits, group.jobs[0].dry_run, traffic=self.traffic)
            runner = JobRunner(
                self._api, ledger, self._poller, on_ambiguous=self._on_ambiguous,
                report=lambda progress: self._tell(group, progress),
            )  # fmt: skip
            try:
                outcome = await runner.complete(
                    row, record, lambda row: job_body(requests, row.token or ""),
                    own=own and not attempt,
                )  # fmt: skip
            except QStoreError as error:
                logger.warning("Group %d: %s", group.number, error)
                failure = failure_of(error)
            row = await ledger.off_loop(ledger.get, row.id)
            if outcome is not None or row.state is not State.SUBMITTED:
                break
            await self._clock.sleep(_PAUSE_S)
        if row.state is State.CANCELED:
            outcome = failure = None
        bill = row.billed_usd
        if row.state is State.REJECTED or record.dry_run or not is_paid(row.backend):
            bill = 0.0
        if len(group.jobs) > 1 and is_refused(row, outcome, failure):
            await self._split(group, bill)
            return
        await self._settle(group, outcome, failure, bill, row.id)
        if bill is None:
            await self._wait_for_bill(group)

    async def _split(self, group: Group, bill: float | None) -> None:
        """Send each job alone, since one of them may have been the others' failure."""
        share_bill(group.jobs, bill)
        del self._groups[group.number]
        now = self._clock.now()
        for job in group.jobs:
            job.is_billed = job.settled = job.state in TERMINAL
            job.over_at = now if job.settled else None
        alone = [made for job in group.jobs if (made := self._group([job]))]
        # In one transaction: the group is found again whole, or not at all.
        await self._store.ledger.off_loop(self._store.save, group.jobs)
        self._tell_of(group.jobs)
        for made in alone:
            self._spawn(self._run(made))

    async def _settle(
        self,
        group: Group,
        outcome: JobOutcome | None,
        failure: Failure | None,
        bill: float | None,
        row: int | None = None,
    ) -> None:
        """Write the ends of a group's jobs down, and their shares of the bill; then tell of them.

        A client may be told of an end only if a killed gateway would know it, too.
        """
        now, states, ends = self._clock.now(), [""], [*group.jobs]
        while states != [job.state for job in group.jobs]:  # one was cancelled meanwhile
            states, ends = [job.state for job in group.jobs], [copy(job) for job in group.jobs]
            for end in ends:
                if end.state not in TERMINAL:
                    end.state, end.failure = end_of(end, outcome, failure)
                end.over_at, end.settled = end.over_at or now, True
            share_bill(ends, bill)
            await self._store.ledger.off_loop(self._store.save, ends, row)
        for job, end in zip(group.jobs, ends, strict=True):
            job.become(end)
        self._tell_of(group.jobs)
        self._groups.pop(group.number, None)

    async def _wait_for_bill(self, group: Group) -> None:
        """Ask for the bill of a job that has ended until there is one."""
        ledger = self._store.ledger
        for _ in range(_TRIES):
            *_, row = ledger.history(group_key(group.number))
            if row.state not in ENDED_STATES or row.job_id is None:
                return
            bill = row.billed_usd
            if bill is None:
                bill = await record_cost(self._api, ledger, row, row.job_id, self.traffic)
            if bill is not None:
                share_bill(group.jobs, bill)
                await ledger.off_loop(self._store.save, group.jobs)
                return
            await self._clock.sleep(_PAUSE_S)

    def _tell_of(self, jobs: Iterable[GatewayJob]) -> None:
        for job in jobs:
            self._index.touch(job)
            if job.settled:
                self.open.discard(job.id)

    def _tell(self, group: Group, progress: Progress) -> None:
        """Take over what is known of the job at IonQ."""
        group.job_id = progress.job_id or group.job_id
        now, wait_s = self._clock.now(), progress.predicted_wait_s or 0.0
        for job in group.jobs if progress.state in _ALIVE else ():
            if job.follow(progress.state, now, wait_s):
                self._index.touch(job)
        self._cancel_empty(group)

    def _cancel_empty(self, group: Group) -> None:
        """Cancel a group at IonQ once, if all of its jobs are cancelled."""
        if group.cancels or group.job_id is None:
            return
        if all(job.state == "canceled" for job in group.jobs):
            group.cancels = True
            self._spawn(self._cancel_at_ionq(group.job_id))

    async def _cancel_at_ionq(self, job_id: str) -> None:
        try:
            await self._api.cancel([job_id], self.traffic)
        except QStoreError:
            logger.exception("Cancelling %s failed: it runs, and is paid.", job_id)
