"""Numbers of a run's batches: no two batches have the same one, whatever thread sends them."""

from __future__ import annotations

import heapq
import threading
from collections.abc import Iterable


class BatchNumbers:
    """Numbers from 0 on. One that is given back, since its batch failed, is the next one taken."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._next = 0
        self._given_back: list[int] = []

    @property
    def next(self) -> int:
        """Number that no batch has had yet."""
        return self._next

    def restart(self, number: int) -> None:
        """Go on from a number."""
        with self._lock:
            self._next, self._given_back = number, []

    def take(self) -> int:
        """Return the number of another batch."""
        with self._lock:
            if self._given_back:
                return heapq.heappop(self._given_back)
            self._next += 1
            return self._next - 1

    def give_back(self, numbers: Iterable[int]) -> None:
        """Let the next batches have these numbers."""
        with self._lock:
            back = {*self._given_back, *numbers}
            while self._next - 1 in back:
                self._next -= 1
                back.remove(self._next)
            self._given_back = sorted(back)
