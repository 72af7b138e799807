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
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import NamedTuple

from pennylane_qstore.errors import AmbiguousSubmission, LedgerError, QStoreError, ServiceError
from pennylane_qstore.ionq.http.api import Api, Throttled
from pennylane_qstore.ionq.http.retry import NotSent, ResponseLost
from pennylane_qstore.ionq.http.transport import Traffic, post_timeout_s
from pennylane_qstore.ionq.jobs.decisions import (
    DECISIONS,
    FREE,
    ON_AMBIGUOUS,
    Action,
    SubmissionOutcome,
)
from pennylane_qstore.ionq.jobs.job_finder import JobFinder, ambiguous_error
from pennylane_qstore.ionq.jobs.row_lease import RowLease
from pennylane_qstore.ionq.ledger.ledger import (
    OPEN_STATES,
    UNSENT_STATES,
    Ledger,
    State,
    Submission,
)
from pennylane_qstore.validation import check_one_of

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
    job_id: str = ""
    reason: str = ""
    error: QStoreError | None = None
    hint_s: float | None = None


@dataclass(slots=True)
class _Sending:
    """A row on its way to a job, by this process."""

    row: Submission
    body: bytes | None
    traffic: Traffic
    lease: RowLease
    doubtful: bool  # the answer to an earlier POST was lost
    settle_s: float
    posts: int = 0  # of this row, another process's included
    failures: int = 0  # own POSTs that were lost or did not reach the service
    throttled: int = 0
    lost_because: str = ""


class Submitter:
    """Carries submissions of one client through. Runs on the loop.

    Args:
        api: the service.
        ledger: where every step is written down first.
        on_ambiguous: ``"raise"``, or ``"resubmit"`` also where jobs cost money.

    Raises:
        ConfigurationError: another ``on_ambiguous``.
    """

    def __init__(self, api: Api, ledger: Ledger, on_ambiguous: str = "raise") -> None:
        self.api = api
        self.ledger = ledger
        self.finder = JobFinder(api, ledger)
        self.on_ambiguous = check_one_of("on_ambiguous", on_ambiguous, ON_AMBIGUOUS)

    async def submit(self, row: Submission, body: bytes, traffic: Traffic) -> CreatedJob | None:
        """Create the job of a fresh intent.

        Args:
            row: in state ``INTENT``, its lease held.
            body: of the POST, with the row's token.
            traffic: counters.

        Returns:
            The job; ``None`` if the row was not sent for so long that another process took it
            over, to its end.

        Raises:
            ServiceError, ConnectionFailed: no job was created.
            AmbiguousSubmission: a job may have been created.
            LedgerError: the job exists, but could not be written down; the error names it.
        """
        lease = RowLease(self.ledger, row.id, row.owner)
        sending = _Sending(row, body, traffic, lease, False, self.api.settle_s)
        try:
            return await self._drive(sending, Action.SEND)
        except BaseException:
            await lease.release()
            raise

    async def adopt(
        self, row: Submission, body: bytes | None, traffic: Traffic
    ) -> CreatedJob | None:
        """Find the job of an intent that another process (or an earlier run) left behind.

        Args:
            row: in any state.
            body: to send if there is no job and sending again is allowed; ``None`` never
                sends.
            traffic: counters.

        Returns:
            The job; ``None`` if the row turns out to have no job to wait for.

        Raises:
            AmbiguousSubmission: there may be a job, and it cannot be found.
            ServiceError, ConnectionFailed: the service refused another POST.
        """
        lease = RowLease(self.ledger, row.id)
        try:
            row = await lease.wait(_lease_s(body), self.api.clock)
            if row.state is State.SUBMITTED and row.job_id is not None:
                return CreatedJob(row.job_id, False)
            if row.state not in UNSENT_STATES:
                return None
            # All of it, from now on: how long ago the POST was, only a clock could tell that may
            # have been set since.
            sending = _Sending(row, body, traffic, lease, True, self.api.settle_s, posts=1)
            return await self._drive(sending, Action.SEARCH)
        finally:
            await lease.release()

    async def give_up(self, row: Submission, reason: str) -> Submission:
        """Cancel a row whose job cannot be reached ever again.

        Args:
            row: in any state.
            reason: for the ledger.

        Returns:
            The row as it then stands: somebody else may have brought it to an end meanwhile.
        """
        ledger = self.ledger
        lease = RowLease(ledger, row.id)
        try:
            current = await lease.wait(_lease_s(None), self.api.clock)
            if current.state in OPEN_STATES:
                await ledger.off_loop(ledger.canceled, row.id, reason)
                current = await ledger.off_loop(ledger.get, row.id)
            return current
        finally:
            await lease.release()

    # ---- the driver -----------------------------------------------------------------

    async def _drive(self, sending: _Sending, action: Action) -> CreatedJob | None:
        """Act and look up the next action, until the row has a job or an error."""
        result = _Result(SubmissionOutcome.READY)
        while True:
            if action is Action.SEND:
                result = await self._send(sending)
            elif action is Action.PAUSE:
                result = await self._pause(sending, result)
            elif action is Action.SEARCH:
                result = await self._search(sending)
            elif action is Action.RETURN:
                return CreatedJob(result.job_id, sending.doubtful and sending.posts > 1)
            elif action is Action.ADOPT:
                return await self.adopt(sending.row, sending.body, sending.traffic)
            elif action is Action.LEAVE:
                return None
            else:
                assert result.error is not None  # noqa: S101  (every outcome that raises has one)
                raise result.error
            action = DECISIONS[result.outcome].action

    async def _record(self, sending: _Sending, result: _Result) -> None:
        """Write down what the table says about an outcome."""
        entry = DECISIONS[result.outcome].entry(sending.doubtful)
        if entry is State.SUBMITTED:
            await self._record_job(sending.row, result.job_id)
        elif entry is not None:
            write = self.ledger.rejected if entry is State.REJECTED else self.ledger.ambiguous
            await self.ledger.off_loop(write, sending.row.id, result.reason, sending.lease.owner)

    async def _record_job(self, row: Submission, job_id: str) -> None:
        """Write down the id of a job; where that fails, the error and the log keep it."""
        try:
            await self.ledger.off_loop(self.ledger.submitted, row.id, job_id)
        except LedgerError as error:
            error.job_ids = (job_id,)
            logger.exception(
                "Job %s exists, but the ledger could not write it down for submission %d.",
                job_id, row.id,
            )  # fmt: skip
            raise

    # ---- actions --------------------------------------------------------------------

    async def _send(self, sending: _Sending) -> _Result:
        """POST once; a request on its way goes to its end, so that its outcome is known."""
        sending.posts += 1
        on_its_way = asyncio.Event()
        # A task of its own: Ctrl-C cancels this one, and must not tear a POST from its entry.
        post = asyncio.ensure_future(self._post(sending, on_its_way.set))
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
                await self._record_interrupt(sending, "interrupted before it was accepted")
            raise

    async def _post(self, sending: _Sending, on_its_way: Callable[[], None]) -> _Result:
        """POST, and write the outcome down: the two belong together."""

        async def before() -> None:
            # A pause, a lost POST or a long line for a connection may lie behind: were this
            # process killed now, the settle time would seem to be over already. And the lease
            # may be: then whoever has it now sends.
            if self.api.clock.now() - sending.row.updated_at > _STALE * self.api.settle_s:
                if not await sending.lease.is_still_held(_lease_s(sending.body)):
                    raise _TakenOver
                await self.ledger.off_loop(self.ledger.sending, sending.row.id)
            on_its_way()

        result = await self._post_once(sending, before)
        await self._record(sending, result)
        sending.doubtful |= result.outcome is SubmissionOutcome.LOST
        return result

    async def _post_once(self, sending: _Sending, before: Callable[[], Awaitable[None]]) -> _Result:
        """POST, and name the outcome; attempts that are left are counted here."""
        policy, quota = self.api.policy, self.api.quota
        assert sending.body is not None  # noqa: S101  (without a body a search never ends in SEND)
        try:
            job_id = await self.api.create(sending.body, sending.traffic, before)
        except _TakenOver:
            return _Result(SubmissionOutcome.TAKEN_OVER)
        except Throttled as busy:
            sending.throttled += 1
            again = sending.throttled < policy.throttled_attempts
            again = again and quota.take(policy.throttle_cost)
            outcome = SubmissionOutcome.BUSY if again else SubmissionOutcome.TOO_BUSY
            return _Result(outcome, reason=str(busy.error), error=busy.error, hint_s=busy.hint_s)
        except NotSent as reason:
            sending.failures += 1
            again = not reason.permanent and sending.failures < policy.attempts
            again = again and quota.take(policy.retry_cost)
            outcome = SubmissionOutcome.NOT_SENT if again else SubmissionOutcome.UNREACHABLE
            error = self.api.unreachable(reason, "POST /jobs")
            return _Result(outcome, reason=str(error), error=error)
        except ResponseLost as reason:
            sending.failures += 1
            sending.lost_because = str(reason)
            sending.settle_s = self.api.settle_s
            return _Result(SubmissionOutcome.LOST, reason=str(reason))
        except ServiceError as refusal:
            return _Result(SubmissionOutcome.REFUSED, reason=str(refusal), error=refusal)
        return _Result(SubmissionOutcome.ACCEPTED, job_id)

    async def _pause(self, sending: _Sending, result: _Result) -> _Result:
        """Wait before another POST, and make sure that the row is still this sender's."""
        busy = result.outcome is SubmissionOutcome.BUSY
        failures = sending.throttled if busy else sending.failures
        try:
            await self.api.pause(
                failures, busy, result.hint_s, sending.traffic, "POST /jobs", result.error
            )
        except asyncio.CancelledError:
            await self._record_interrupt(sending, "interrupted before it was sent")
            raise
        is_mine = await sending.lease.is_still_held(_lease_s(sending.body))
        return _Result(SubmissionOutcome.READY if is_mine else SubmissionOutcome.TAKEN_OVER)

    async def _search(self, sending: _Sending) -> _Result:
        """Look for the job of a lost answer; without one, say whether to send again."""
        row, policy = sending.row, self.api.policy
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
        if sending.failures:  # none yet where the lost POST was another process's
            again = sending.failures < policy.attempts
            if not (again and self.api.quota.take(policy.retry_cost)):
                why = f"{sending.posts} POSTs were lost, the last: {sending.lost_because}"
                too_often = SubmissionOutcome.ABSENT_TOO_OFTEN
                return _Result(too_often, error=ambiguous_error(row, why))
            sending.traffic.retries += 1
        return _Result(SubmissionOutcome.ABSENT)

    async def _record_interrupt(self, sending: _Sending, reason: str) -> None:
        await self._record(sending, _Result(SubmissionOutcome.INTERRUPTED, reason=reason))


def _lease_s(body: bytes | None) -> float:
    return post_timeout_s(len(body or b"")) + 60.0
