"""From an intent in the ledger to the id of one job: the POST that is never repeated blindly.

After an answer that was lost, the service's job list is searched for the token that the POST
carried, until the settle time has passed. What is found is adopted; of two, the first is kept
and the other cancelled. What is not found may be sent again on a simulator; anything that
costs money raises :class:`AmbiguousSubmission` unless the user chose otherwise. The one limit
of all this: a service that creates a job later than the settle time.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from pennylane_qstore.errors import (
    AmbiguousSubmission,
    LedgerError,
    QStoreError,
    ServiceError,
)
from pennylane_qstore.ionq.http.api import PAGE, Api, Throttled
from pennylane_qstore.ionq.http.retry import NotSent, ResponseLost
from pennylane_qstore.ionq.http.transport import Traffic, post_timeout_s
from pennylane_qstore.ionq.ledger.lease import new_owner
from pennylane_qstore.ionq.ledger.ledger import (
    OPEN_STATES,
    UNSENT_STATES,
    Ledger,
    State,
    Submission,
)
from pennylane_qstore.ionq.messages.responses import (
    JobState,
)
from pennylane_qstore.validation import check_one_of

ON_AMBIGUOUS = ("raise", "resubmit")
"""Allowed values of the option of this name."""

logger = logging.getLogger(__name__)

SKEW_S = 600.0
"""Clocks of client and service may differ by this, where both are known."""

FREE = frozenset({"simulator"})
"""Backends on which a job too many costs nothing."""

_FIRST_LOOK_S = 0.1
_LONGEST_LOOK_S = 10.0
_UNKNOWN_SKEW_S = 86_400.0
_WAIT_FOR_OTHER_S = 0.1
_STALE = 0.1  # of the settle time: as old may the entry be that a POST's time is counted from


class _Taken(Exception):  # noqa: N818
    """The lease of a row ran out, and another has it: the POST did not go out."""


class Submitter:
    """Carries submissions of one client through. Runs on the loop.

    Args:
        api: the service.
        ledger: where every step is written down first.
        on_ambiguous: ``"raise"``, or ``"resubmit"`` also where jobs cost money.
    """

    def __init__(self, api: Api, ledger: Ledger, on_ambiguous: str = "raise") -> None:
        self.api = api
        self.ledger = ledger
        self.on_ambiguous = check_one_of("on_ambiguous", on_ambiguous, ON_AMBIGUOUS)

    async def submit(
        self, row: Submission, body: bytes, traffic: Traffic
    ) -> tuple[str, bool] | None:
        """Make the job of a fresh intent.

        Args:
            row: in state ``INTENT``, its lease held.
            body: of the POST, with the row's token.
            traffic: counters.

        Returns:
            The job id, and whether an earlier POST may have made one too (see :meth:`sweep`);
            ``None`` if the row was not sent for so long that another took it over, to its end.

        Raises:
            ServiceError, ConnectionFailed: no job was created.
            AmbiguousSubmission: a job may have been created.
        """
        owner = row.owner or new_owner()
        try:
            return await self._send(row, body, traffic, owner, doubtful=False)
        except BaseException:
            await self._release(row, owner)
            raise

    async def adopt(
        self, row: Submission, body: bytes | None, traffic: Traffic
    ) -> tuple[str, bool] | None:
        """Find the job of an intent that another process (or an earlier run) left behind.

        Args:
            row: in any state.
            body: to send if there is no job and sending again is allowed; ``None`` never
                sends.
            traffic: counters.

        Returns:
            As :meth:`submit`; ``None`` if the row turns out to have no job to wait for.

        Raises:
            AmbiguousSubmission: there may be a job, and it cannot be found.
        """
        owner = new_owner()
        lease_s = self._lease_s(body)
        try:
            row = await self._claimed(row, owner, lease_s)
            if row.state is State.SUBMITTED and row.job_id is not None:
                return row.job_id, False
            if row.state not in UNSENT_STATES:
                return None
            settled_at = row.updated_at + (1 + _STALE) * self.api.settle_s
            left_s = settled_at - self.api.clock.now()
            left_s = min(left_s, (1 + _STALE) * self.api.settle_s)  # a clock may be set back
            job_id = await self.recover(row, traffic, settle_s=left_s, owner=owner)
            if job_id is not None:
                await self._accepted(row, job_id)
                return job_id, False
            self._may_resubmit(row)
            if body is None:
                return None
            return await self._send(row, body, traffic, owner, doubtful=True)
        finally:
            await self._release(row, owner)

    async def give_up(self, row: Submission, reason: str) -> Submission:
        """Cancel a row whose job cannot be reached ever again.

        Returns:
            The row as it then stands: somebody else may have brought it to an end meanwhile.
        """
        owner, ledger = new_owner(), self.ledger
        try:
            now = await self._claimed(row, owner, self._lease_s(None))
            if now.state in OPEN_STATES:
                await ledger.off_loop(ledger.canceled, row.id, reason)
                now = await ledger.off_loop(ledger.get, row.id)
            return now
        finally:
            await self._release(row, owner)

    async def recover(
        self, row: Submission, traffic: Traffic, *, settle_s: float, owner: str
    ) -> str | None:
        """Look for the job of a row until ``settle_s`` seconds have passed.

        Returns:
            Its id, or ``None``: a look after the settle time did not find it.

        Raises:
            AmbiguousSubmission: the list cannot be read.
        """
        clock = self.api.clock
        settled_at = clock.monotonic() + max(settle_s, 0.0)
        give_up_at = settled_at + 2 * self.api.settle_s
        delay_s = _FIRST_LOOK_S
        while True:
            started = clock.monotonic()
            try:
                found = await self._look(row, traffic)
            except QStoreError as error:
                logger.warning("Looking for the job of submission %d failed: %s", row.id, error)
                if clock.monotonic() >= give_up_at:
                    raise _ambiguous(row, f"the job list cannot be read ({error})") from None
            else:
                if found:
                    traffic.reconciled += 1
                    await self._cancel_others(row, found[0].id, found[1:], traffic)
                    logger.warning(
                        "The answer to a POST was lost; its job %s was found by its token.",
                        found[0].id,
                    )
                    return found[0].id
                if started >= settled_at:
                    return None
            lease_s = delay_s + 2 * self.api.settle_s + 60
            await self.ledger.off_loop(self.ledger.claim, row.id, owner, lease_s)
            left_s = settled_at - clock.monotonic()
            await clock.sleep(min(delay_s, left_s) if left_s > 0 else delay_s)
            delay_s = min(2 * delay_s, _LONGEST_LOOK_S)

    async def sweep(self, row: Submission, job_id: str, traffic: Traffic) -> None:
        """After a second POST: cancel what the first may have created after all."""
        try:
            found = await self._look(row, traffic)
        except QStoreError as error:
            logger.warning("Looking for duplicates of job %s failed: %s", job_id, error)
            return
        await self._cancel_others(row, job_id, [j for j in found if j.id != job_id], traffic)

    async def watch(self, row: Submission, job_id: str, traffic: Traffic) -> None:
        """Sweep while the job of a second POST is waited for: in a queue there is time to."""
        for pauses in (1, 3):
            await self.api.clock.sleep(pauses * self.api.settle_s)
            await self.sweep(row, job_id, traffic)

    # ---- private --------------------------------------------------------------------

    async def _send(
        self, row: Submission, body: bytes, traffic: Traffic, owner: str, *, doubtful: bool
    ) -> tuple[str, bool] | None:
        """Send, again and again where that is safe. ``doubtful``: an earlier POST was lost."""
        policy, quota = self.api.policy, self.api.quota
        failures = throttled = 0
        posts = int(doubtful)
        while True:
            posts += 1
            hint_s = None
            error: QStoreError
            try:
                post = self._uninterrupted(row, body, traffic, owner, doubtful)
                return await post, doubtful
            except _Taken:
                return await self.adopt(row, body, traffic)
            except Throttled as busy:
                throttled += 1
                error, hint_s = busy.error, busy.hint_s
                is_busy = True
                again = throttled < policy.throttled_attempts and quota.take(policy.throttle_cost)
            except NotSent as reason:
                failures += 1
                error = self.api.unreachable(reason, "POST /jobs")
                is_busy = False
                again = (
                    not reason.permanent
                    and failures < policy.attempts
                    and quota.take(policy.retry_cost)
                )
            except ResponseLost as reason:
                doubtful = True
                failures += 1
                job_id = await self.recover(row, traffic, settle_s=self.api.settle_s, owner=owner)
                if job_id is not None:
                    await self._accepted(row, job_id)
                    return job_id, posts > 1
                self._may_resubmit(row)
                if failures >= policy.attempts or not quota.take(policy.retry_cost):
                    raise _ambiguous(row, f"{posts} POSTs were lost, the last: {reason}") from None
                traffic.retries += 1
                continue
            if not again:
                await self._not_sent(row, str(error), owner, doubtful)
                raise error
            pause = self.api.pause(
                throttled if is_busy else failures, is_busy, hint_s, traffic, "POST /jobs", error
            )
            await self._or_not_sent(pause, row, owner, doubtful)
            if not await self._is_mine(row, body, owner):
                return await self.adopt(row, body, traffic)

    async def _claimed(self, row: Submission, owner: str, lease_s: float) -> Submission:
        """Take the lease of a row, and then look how the row stands.

        In this order: between the two nobody else can change it. Another process that is sending
        it at this moment is waited for: its answer is ours too.
        """
        while not await self.ledger.off_loop(self.ledger.claim, row.id, owner, lease_s):
            await self.api.clock.sleep(_WAIT_FOR_OTHER_S)
        return await self.ledger.off_loop(self.ledger.get, row.id)

    async def _is_mine(self, row: Submission, body: bytes, owner: str) -> bool:
        """Whether the row is still this sender's, after a pause that may have been long."""
        ledger = self.ledger
        if not await ledger.off_loop(ledger.claim, row.id, owner, self._lease_s(body)):
            return False
        now = await ledger.off_loop(ledger.get, row.id)
        if now.state in UNSENT_STATES:
            return True
        await self._release(row, owner)  # the lease was free, since there is nothing left to send
        return False

    async def _or_not_sent(
        self, waiting: Coroutine[Any, Any, None], row: Submission, owner: str, doubtful: bool
    ) -> None:
        """Wait before a POST; interrupted here, it was surely not sent."""
        try:
            await waiting
        except asyncio.CancelledError:
            await self._not_sent(row, "interrupted before it was sent", owner, doubtful)
            raise

    async def _uninterrupted(
        self, row: Submission, body: bytes, traffic: Traffic, owner: str, doubtful: bool
    ) -> str:
        """One POST; if it is on its way, to its end, so that its outcome is known.

        If this task is cancelled while it waits in line, it does not go out any more.
        """
        on_its_way = asyncio.Event()
        post = asyncio.ensure_future(
            self._post(row, body, traffic, owner, doubtful, on_its_way.set)
        )
        try:
            return await asyncio.shield(post)
        except asyncio.CancelledError:
            if not on_its_way.is_set():
                post.cancel()
            if not post.done():
                await asyncio.wait({post})
            if post.cancelled() or isinstance(post.exception(), (Throttled, NotSent)):
                await self._not_sent(row, "interrupted before it was accepted", owner, doubtful)
            raise

    async def _post(
        self,
        row: Submission,
        body: bytes,
        traffic: Traffic,
        owner: str,
        doubtful: bool,
        on_its_way: Callable[[], None],
    ) -> str:
        """One POST and its entry in the ledger, which belong together."""

        async def before() -> None:
            # A pause, a lost POST or a long line for a connection may lie behind: were this
            # process killed now, the settle time would seem to be over already. And the lease
            # may be: then whoever has it now sends.
            if self.api.clock.now() - row.updated_at > _STALE * self.api.settle_s:
                if not await self._is_mine(row, body, owner):
                    raise _Taken
                await self.ledger.off_loop(self.ledger.sending, row.id)
            on_its_way()

        try:
            job_id = await self.api.create(body, traffic, before)
        except ResponseLost as reason:
            await self.ledger.off_loop(self.ledger.ambiguous, row.id, str(reason), owner)
            raise
        except ServiceError as error:
            await self._not_sent(row, str(error), owner, doubtful)
            raise
        await self._accepted(row, job_id)
        return job_id

    async def _accepted(self, row: Submission, job_id: str) -> None:
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

    async def _release(self, row: Submission, owner: str) -> None:
        """Give a lease back. If that fails it runs out by itself: no reason to lose a job."""
        try:
            await self.ledger.off_loop(self.ledger.release, row.id, owner)
        except LedgerError as error:
            logger.warning("The lease of submission %d is not given back: %s", row.id, error)

    async def _not_sent(self, row: Submission, reason: str, owner: str, doubtful: bool) -> None:
        # Surely no job from this POST; but an earlier one of the same row may have made one.
        call = self.ledger.ambiguous if doubtful else self.ledger.rejected
        await self.ledger.off_loop(call, row.id, reason, owner)

    def _may_resubmit(self, row: Submission) -> None:
        if row.backend not in FREE and self.on_ambiguous != "resubmit":
            raise _ambiguous(row, "it is not in the job list")

    async def _look(self, row: Submission, traffic: Traffic) -> list[JobState]:
        """Jobs that carry the token, the one to keep first."""
        oldest = self._on_service_clock(row.created_at)
        found: dict[str, JobState] = {}
        newest_first, previous = True, float("inf")
        async for page in self.api.pages(f"target={row.backend}&limit={PAGE}", traffic):
            for job in page.jobs:
                if job.submitted_at is not None:
                    newest_first &= job.submitted_at <= previous
                    previous = job.submitted_at
                mine = job.token == row.token or (job.name or "").endswith(row.token or "\0")
                if mine and job.parent_id is None:
                    found[job.id] = job
            # The order of the list is not documented: only while it is seen to be newest
            # first does an old entry mean that the rest is older.
            if newest_first and previous < oldest:
                break
        dead = ("failed", "canceled", "deleted")
        return sorted(
            found.values(), key=lambda job: (job.status in dead, job.submitted_at or 0.0, job.id)
        )

    def _on_service_clock(self, moment: float) -> float:
        """A moment of ours on the service's clock, less what may be uncertain about it."""
        ahead_s = self.api.clock_ahead_s()
        return moment - (_UNKNOWN_SKEW_S if ahead_s is None else ahead_s + SKEW_S)

    async def _cancel_others(
        self, row: Submission, kept: str, others: list[JobState], traffic: Traffic
    ) -> None:
        for other in others:
            await self.ledger.off_loop(self.ledger.duplicate, row.id, other.id)
        alive = [other.id for other in others if not other.is_terminal]
        if others:
            logger.error(
                "Submission %d was accepted %d times by the service. Job %s is kept; cancelled: "
                "%s; already ended: %s. Check what was billed.", row.id, len(others) + 1, kept,
                ", ".join(alive) or "none",
                ", ".join(o.id for o in others if o.is_terminal) or "none",
            )  # fmt: skip
        if alive:
            try:
                await self.api.cancel(alive, traffic)
            except QStoreError:
                logger.exception("Cancelling %s failed: do it by hand.", ", ".join(alive))

    def _lease_s(self, body: bytes | None) -> float:
        return post_timeout_s(len(body or b"")) + 60.0


def taken(row: Submission) -> LedgerError:
    """The error for a row that another process brought to its end without results."""
    return LedgerError(
        f"Submission {row.id} was taken over by another process while it waited to be sent, and "
        "ended there without results. Nothing was sent for it from here; run it again."
    )


def _ambiguous(row: Submission, why: str) -> AmbiguousSubmission:
    return AmbiguousSubmission(
        f"A job for {row.backend} may have been created, but {why}. It was not sent again, since "
        f"it could be paid twice. Look at https://cloud.ionq.com/jobs for the name that ends with "
        f"{row.token}, or try `qstore jobs reconcile` later; on_ambiguous='resubmit' sends again.",
        submission=row.id, token=row.token,
    )  # fmt: skip
