"""Waiting for what happens in another thread or process, without a sleep that guesses."""

from __future__ import annotations

import time
from collections.abc import Callable

LIMIT_S = 60.0
"""Longest wait, in seconds: what has not happened by then will not."""


def wait_until(condition: Callable[[], object]) -> None:
    """Return when the condition is true.

    Raises:
        AssertionError: it stays false.
    """
    end = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.001)
