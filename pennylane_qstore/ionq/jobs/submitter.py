"""From an intent in the ledger to the id of one job: the POST that is never repeated blindly.

After an answer that was lost, the service's job list is searched for the token that the POST
carried, until the settle time has passed. The job found is adopted; of two, the first is kept
and the other cancelled. Without one, a simulator may be sent the job again; anything that
costs money raises :class:`AmbiguousSubmission` unless the user chose otherwise. The rules are
the table in :mod:`decisions`. The one limit of all this: a service that creates a job later
than the settle time.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import NamedTuple

from pennylane_qstore.errors import (
    AmbiguousSubmission,
    ConnectionFailed,
    LedgerError,
    QStoreError,
    ServiceError,
)
from pennylane_qstore.ionq.http.api import Api
from pennylane_qstore.ionq.http.requester import Transient
from pennylane_qstore.ionq.http.retry import NotSent, ResponseLost
from pennylane_qstore.ionq.http.transport import Traffic
from pennylane_qstore.ionq.jobs.decisions import DECISIONS, FREE, Action, SubmissionOutcome
from pennylane_qstore.ionq.jobs.job_finder import Accounts, JobFinder, ambiguous_error
from pennylane_qstore.ionq.jobs.row_lease import RowLease, post_lease_s
from pennylane_qstore.ionq.ledger.ledger import Ledger, State, Submission
from pennylane_qstore.ionq.ledger.rows import UNSENT_STATES

logger = logging.getLogger(__name__)

_STALE = 0.1  # of the settle time: as old may the entry be that a POST's time is counted from


class CreatedJob(NamedTuple):
    """The job of a row.

    Attributes:
        id: IonQ's id.
        may_have_twin: whether an earlier POST may have created a second job (see
            :meth:`JobFinder.cancel_duplicates`).
    """

    id: str
    may_have_twin: bool


class _TakenOver(Exception):  # noqa: N818
    """The lease of a row ran out, and another has it: the POST did not go out."""


@dataclass(frozen=True, slots=True)
class _Result:
    """An outcome with what the next action needs of it."""

    outcome: SubmissionOutcome
    job_id: str | None = None
    reason: str = ""
    error: QStoreError | None = None
    pause: Transient | None = None


@dataclass(slots=True)
class _Sending:
    """A row on its way to a job, by this process."""

    row: Submission
    body: bytes | None
    traffic: Traffic
    lease: RowLease
    own: bool  # the lease is the one that the intent was written down with
    settle_s: float
    doubtful: bool = False  # the answer to an earlier POST was lost
    posts: int = 0  # of this row, another process's included
    lost: int = 0  # own POSTs
    throttled: int = 0
    unsent: int = 0  # tries in a row that did not reach the service
    give_up_at: float = 0.0  # end of the outage that those are part of
    lost_because: str = ""


class Submitter:
    """Carries submissions of one client through. Runs on the loop.

    Args:
        api: the service.
        ledger: where every step is written down first.
        on_ambiguous: ``"raise"``, or ``"resubmit"`` also where jobs cost money.
        accounts: what a POST is charged to that is sent again where the first may have a job.
    """

    def __init__(
        self, api: Api, ledger: Ledger, on_ambiguous: str = "raise", accounts: Accounts = ()
    ) -> None:
        self.api = api
        self.ledger = ledger
        self.finder = JobFinder(api, ledger)
        self.on_ambiguous = on_ambiguous
        self._accounts = accounts

    async def submit(
        self, row: Submission, body: bytes | None, traffic: Traffic, *, own: bool = False
    ) -> CreatedJob | None:
        """Create the job of a row, or find the one that an earlier POST may have created.

        Args:
            row: in any state; an own one is a fresh intent.
            body: of the POST, with the row's token; ``None`` never sends.
            traffic: counters.
            own: whether the row is this call's own, its lease held and its POST still to come.
                Otherwise another process (or an earlier run) left it behind.

        Returns:
            The job; ``None`` if there turns out to be none to wait for, or if another process took
            the row over meanwhile, to its end.

        Raises:
            ServiceError, ConnectionFailed: no job was created.
            AmbiguousSubmission: there may be a job, and it cannot be found.
            LedgerError: the job exists, but could not be written down; the error names it.
        """
        lease = RowLease(self.ledger, row.id, row.owner if own else None)
        sending = _Sending(row, body, traffic, lease, own, self.api.settle_s)
        result = _Result(SubmissionOutcome.READY if own else SubmissionOutcome.TAKEN_OVER)
        try:
            while (action := DECISIONS[result.outcome].action) is not Action.RETURN:
                if action is Action.SEND:
                    result = await self._send(sending)
                elif action is Action.PAUSE:
                    result = await self._pause(sending, result)
                elif action is Action.SEARCH:
                    result = await self._search(sending)
                elif action is Action.ADOPT:
                    result = await self._adopt(sending)
                else:
                    assert result.error is not None  # noqa: S101  (every outcome that raises has one)
                    raise result.error  # noqa: TRY301  (so that the lease is given back)
        except BaseException:
            await sending.lease.release()
            raise
        if not sending.own:  # an own one was given back when its job was written down
            await sending.lease.release()
        if result.job_id is None:
            return None
        return CreatedJob(result.job_id, sending.doubtful and sending.posts > 1)

    # ---- private --------------------------------------------------------------------

    async def _record(self, sending: _Sending, result: _Result) -> None:
        """Write down what the table says about an outcome."""
        ledger, row = self.ledger, sending.row
        entry = DECISIONS[result.outcome].entry(sending.doubtful)
        if entry is State.SUBMITTED:
            try:
                await ledger.off_loop_synced(ledger.submitted, row.id, result.job_id)
            except LedgerError as error:
                error.job_ids = (str(result.job_id),)
                logger.exception(
                    "Job %s exists, but the ledger could not write it down for submission %d.",
                    result.job_id, row.id,
                )  # fmt: skip
                raise
        elif entry is not None:
            write = ledger.rejected if entry is State.REJECTED else ledger.ambiguous
            await ledger.off_loop(write, row.id, result.reason, sending.lease.owner)
            if sending.doubtful and result.outcome is not SubmissionOutcome.LOST:
                await ledger.off_loop(ledger.not_sent_again, row.id)

    # ---- actions --------------------------------------------------------------------

    async def _send(self, sending: _Sending) -> _Result:
        """POST once; a request on its way goes to its end, so that its outcome is known."""
        sending.posts += 1
        on_its_way = asyncio.Event()
        # A task of its own: Ctrl-C cancels this one, and must not tear a POST from its entry.
        post = asyncio.ensure_future(self._post(sending, on_its_way))
        try:
            return await asyncio.shield(post)
        except asyncio.CancelledError:
            if not on_its_way.is_set():
                post.cancel()  # it waits in line for a connection, and does not go out any more
            if not post.done():
                await asyncio.wait({post})
            if post.cancelled() or (
                post.exception() is None and DECISIONS[post.result().outcome].action is Action.PAUSE
            ):
                await self._record(sending, _interrupted("before it was accepted"))
            raise

    async def _post(self, sending: _Sending, on_its_way: asyncio.Event) -> _Result:
        """POST, and write the outcome down: the two belong together."""
        api = self.api
        assert sending.body is not None  # noqa: S101  (without a body a search never ends in SEND)

        async def before() -> None:
            # A pause, a lost POST or a long line for a connection may lie behind: were this
            # process killed now, the settle time would seem to be over already. And the lease
            # may be: then whoever has it now sends.
            if api.clock.now() - sending.row.updated_at > _STALE * api.settle_s:
                if not await sending.lease.is_still_held(_lease_s(sending.body)):
                    raise _TakenOver
                await self.ledger.off_loop(self.ledger.sending, sending.row.id)
            on_its_way.set()

        try:
            job_id = await api.create(sending.body, sending.traffic, before)
        except (_TakenOver, Transient, NotSent, ResponseLost, ServiceError) as reason:
            result = self._failed_post(sending, reason)
        else:
            result = _Result(SubmissionOutcome.ACCEPTED, job_id)
        await self._record(sending, result)
        sending.doubtful |= result.outcome is SubmissionOutcome.LOST
        return result

    def _failed_post(self, sending: _Sending, reason: Exception) -> _Result:
        """Name the outcome of a POST that failed; attempts that are left are counted here."""
        api = self.api
        if isinstance(reason, _TakenOver):
            return _Result(SubmissionOutcome.TAKEN_OVER)
        if isinstance(reason, ServiceError):
            return _Result(SubmissionOutcome.REFUSED, reason=str(reason), error=reason)
        if isinstance(reason, Transient):
            sending.unsent = 0
            sending.throttled += 1
            again = api.may_retry(sending.throttled, throttled=True)
            outcome = SubmissionOutcome.BUSY if again else SubmissionOutcome.TOO_BUSY
            return _Result(outcome, reason=str(reason), error=reason.error, pause=reason)
        if isinstance(reason, NotSent):
            return self._unsent(sending, reason)
        sending.unsent = 0
        sending.lost += 1
        sending.lost_because, sending.settle_s = str(reason), api.settle_s
        return _Result(SubmissionOutcome.LOST, reason=str(reason))

    def _unsent(self, sending: _Sending, reason: NotSent) -> _Result:
        """Wait for a service that is away as long as reads do: there is surely no job."""
        api = self.api
        now, outage_s = api.clock.monotonic(), api.policy.outage_s
        if not sending.unsent:
            sending.give_up_at = now + outage_s
        sending.unsent += 1
        failed = Transient(api.unreachable(reason, "POST /jobs"))
        if not reason.permanent:
            if now < sending.give_up_at or api.may_retry(sending.unsent, throttled=False):
                return _Result(SubmissionOutcome.NOT_SENT, reason=str(failed), pause=failed)
            failed = Transient(
                ConnectionFailed(
                    f"{failed} The job was surely not sent, in {outage_s:,.0f} s of waiting "
                    "(outage_s); the same call again sends it."
                )
            )
        return _Result(SubmissionOutcome.UNREACHABLE, reason=str(failed), error=failed.error)

    async def _pause(self, sending: _Sending, result: _Result) -> _Result:
        """Wait before another POST, and make sure that the row is still this sender's."""
        reason = result.pause
        assert reason is not None  # noqa: S101  (every outcome that pauses has one)
        failures = sending.throttled if reason.throttled else sending.unsent
        try:
            await self.api.pause(failures, reason, sending.traffic, "POST /jobs")
            is_mine = await sending.lease.is_still_held(_lease_s(sending.body))
        except asyncio.CancelledError:
            await self._record(sending, _interrupted("before it was sent"))
            raise
        return _Result(SubmissionOutcome.READY if is_mine else SubmissionOutcome.TAKEN_OVER)

    async def _adopt(self, sending: _Sending) -> _Result:
        """Wait for whoever holds the row, and look for the job that they may have left."""
        ledger = self.ledger
        sending.own, sending.lease = False, RowLease(ledger, sending.row.id)
        # All of the settle time, from now on: how long ago the POST was, only a clock could tell
        # that may have been set since.
        sending.doubtful, sending.settle_s = True, self.api.settle_s
        sending.lost = sending.throttled = sending.unsent = 0
        row = sending.row = await sending.lease.wait(_lease_s(sending.body), self.api.clock)
        sending.posts = 1 + await ledger.off_loop(ledger.expected_duplicates, row.id)
        if row.state is State.SUBMITTED and row.job_id is not None:
            return _Result(SubmissionOutcome.KNOWN, row.job_id)
        if row.state not in UNSENT_STATES:
            return _Result(SubmissionOutcome.ENDED)
        return await self._search(sending)

    async def _search(self, sending: _Sending) -> _Result:
        """Look for the job of a lost answer; without one, say whether to send again."""
        row = sending.row
        try:
            job_id = await self.finder.recover(
                row, sending.traffic, settle_s=sending.settle_s, lease=sending.lease
            )
        except AmbiguousSubmission as error:
            return _Result(SubmissionOutcome.UNREADABLE, error=error)
        if job_id is not None:
            result = _Result(SubmissionOutcome.FOUND, job_id)
            await self._record(sending, result)
            return result
        if row.backend not in FREE and self.on_ambiguous != "resubmit":
            absent = ambiguous_error(row, "it is not in the job list")
            return _Result(SubmissionOutcome.ABSENT_COSTLY, error=absent)
        if sending.body is None:
            return _Result(SubmissionOutcome.ABSENT_UNSENDABLE)
        if sending.lost:  # none yet where the lost POST was another process's
            if not self.api.may_retry(sending.lost, throttled=False):
                why = f"{sending.posts} POSTs were lost, the last: {sending.lost_because}"
                too_often = SubmissionOutcome.ABSENT_TOO_OFTEN
                return _Result(too_often, error=ambiguous_error(row, why))
            sending.traffic.retries += 1
        try:
            await self.finder.expect_duplicate(row, self._accounts)
        except AmbiguousSubmission as error:
            return _Result(SubmissionOutcome.ABSENT_COSTLY, error=error)
        return _Result(SubmissionOutcome.ABSENT)


def _interrupted(when: str) -> _Result:
    return _Result(SubmissionOutcome.INTERRUPTED, reason=f"interrupted {when}")


def _lease_s(body: bytes | None) -> float:
    return post_lease_s(len(body or b""))
