"""The lease of a row, held by whoever sends it or looks for its job."""

from __future__ import annotations

import logging

from pennylane_qstore.errors import LedgerError
from pennylane_qstore.ionq.http.retry import Clock
from pennylane_qstore.ionq.http.transport import post_timeout_s
from pennylane_qstore.ionq.ledger.lease import new_owner
from pennylane_qstore.ionq.ledger.ledger import OPEN_STATES, UNSENT_STATES, Ledger, Submission

logger = logging.getLogger(__name__)

_WAIT_FOR_OTHER_S = 0.1
_BESIDE_POST_S = 60.0


class RowLease:
    """One holder's claim to a row. On the loop.

    Args:
        ledger: of the row.
        row: its number.
        owner: who holds it already; by default a new owner, who holds nothing yet.
    """

    def __init__(self, ledger: Ledger, row: int, owner: str | None = None) -> None:
        self._ledger = ledger
        self._row = row
        self.owner = owner or new_owner()

    async def wait(self, lease_s: float, clock: Clock) -> Submission:
        """Take the lease, and then look how the row stands.

        In this order: between the two nobody else can change it. Another process that is sending
        it at this moment is waited for: its answer is ours too.

        Args:
            lease_s: time until others may take it, in seconds.
            clock: to wait by.

        Returns:
            The row.
        """
        while not await self.claim(lease_s):
            await clock.sleep(_WAIT_FOR_OTHER_S)
        return await self._ledger.off_loop(self._ledger.get, self._row)

    async def claim(self, lease_s: float) -> bool:
        """Take or prolong the lease, for so many seconds; return whether it is held now."""
        return await self._ledger.off_loop(self._ledger.claim, self._row, self.owner, lease_s)

    async def is_still_held(self, lease_s: float) -> bool:
        """Return whether the row is still to be sent by this holder, after a pause.

        The pause may have been longer than the lease.

        Args:
            lease_s: time until others may take it, in seconds, from now on.
        """
        if not await self.claim(lease_s):
            return False
        row = await self._ledger.off_loop(self._ledger.get, self._row)
        if row.state in UNSENT_STATES:
            return True
        await self.release()  # the lease was free, since there is nothing left to send
        return False

    async def release(self) -> None:
        """Give the lease back. If that fails it runs out by itself: no reason to lose a job."""
        try:
            await self._ledger.off_loop(self._ledger.release, self._row, self.owner)
        except LedgerError as error:
            logger.warning("The lease of submission %d is not given back: %s", self._row, error)


async def give_up(
    ledger: Ledger, clock: Clock, row: Submission, reason: str, *, absent: bool = False
) -> Submission:
    """End a row whose job cannot be reached ever again, or does not exist.

    Args:
        ledger: of the row.
        clock: to wait by, for whoever holds the row.
        row: in any state.
        reason: for the ledger.
        absent: True where the user knows that no job was created: the row counts as not sent, and
            what is reserved for it is free. One whose job is known stays as it is.

    Returns:
        The row as it then stands: somebody else may have brought it to an end meanwhile.
    """
    lease = RowLease(ledger, row.id)
    try:
        current = await lease.wait(post_lease_s(0), clock)
        if absent and current.state in UNSENT_STATES:
            await ledger.off_loop(ledger.rejected, row.id, reason, lease.owner)
            await ledger.off_loop(ledger.no_duplicate, row.id)
        elif not absent and current.state in OPEN_STATES:
            await ledger.off_loop(ledger.canceled, row.id, reason)
        return await ledger.off_loop(ledger.get, row.id)
    finally:
        await lease.release()


def post_lease_s(size_bytes: int) -> float:
    """Return the length of a lease that covers a POST of this size, in seconds."""
    return post_timeout_s(size_bytes) + _BESIDE_POST_S


def taken_over_error(row: Submission) -> LedgerError:
    """Return the error for a row that another process brought to its end without results."""
    return LedgerError(
        f"Submission {row.id} was taken over by another process while it waited to be sent, and "
        "ended there without results. Nothing was sent for it from here; run it again."
    )
