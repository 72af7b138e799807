"""Ids of jobs: UUIDs of version 7, ascending."""

from __future__ import annotations

import uuid

import numpy as np


class IdGenerator:
    """UUIDs of version 7: ordered by time, and by creation within one millisecond.

    Args:
        rng: source of the random bits.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._last = 0

    def follow(self, last: str) -> None:
        """Go on above an id that an earlier server has given out."""
        number = uuid.UUID(last).int
        stamp = number >> 80 << 26 | (number >> 64 & 0xFFF) << 14 | number >> 48 & 0x3FFF
        self._last = max(self._last, stamp)

    def take(self, now: float, count: int = 1) -> list[str]:
        """Return new ids, ascending, above all given out before.

        Args:
            now: seconds since the epoch.
            count: number of ids.

        Returns:
            The ids.
        """
        first = max(int(now * 1000) << 26, self._last + 1)
        self._last = first + count - 1
        tails = self._rng.integers(0, 2**48, count).tolist()
        return [*map(_uuid7, range(first, first + count), tails)]


def _uuid7(stamp: int, tail: int) -> str:
    """Milliseconds (48 bits) and a counter (26 bits) in ``stamp``, 48 random bits behind.

    RFC 9562, section 5.7, with the counter of section 6.2 (method 1).
    """
    time, counter = stamp >> 26, stamp & 0x3FFFFFF
    low = counter & 0x3FFF | 0x8000  # by uuid.UUID it takes five times as long
    return f"{time >> 16:08x}-{time & 0xFFFF:04x}-7{counter >> 14:03x}-{low:04x}-{tail:012x}"
