"""Processes of the suites that kill: where they print, and the point at which they die."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable


def print_to(out: str) -> None:
    """Send what this process prints to a file, and its errors to one beside it."""
    for stream, path in ((1, out), (2, f"{out}.err")):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), stream)


def dying_at(point: str) -> Callable[[str], None]:
    """A function to tell of each moment, which kills this process at the point.

    ``point`` is ``none``, or ``moment@n``: the n-th time that it comes, or the first.
    """
    moment, _, times = point.partition("@")
    left = int(times or 1)

    def reach(reached: str) -> None:
        nonlocal left
        left -= reached == moment
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    return reach
