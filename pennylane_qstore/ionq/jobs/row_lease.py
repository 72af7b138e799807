"""The lease of a row, held by whoever sends it or looks for its job."""

from __future__ import annotations

import logging

from pennylane_qstore.errors import LedgerError
from pennylane_qstore.ionq.http.retry import Clock
from pennylane_qstore.ionq.ledger.lease import new_owner
from pennylane_qstore.ionq.ledger.ledger import UNSENT_STATES, Ledger, Submission

logger = logging.getLogger(__name__)

_WAIT_FOR_OTHER_S = 0.1


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


def taken_over_error(row: Submission) -> LedgerError:
    """Return the error for a row that another process brought to its end without results."""
    return LedgerError(
        f"Submission {row.id} was taken over by another process while it waited to be sent, and "
        "ended there without results. Nothing was sent for it from here; run it again."
    )
