"""Calls that are made at once, each on a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

_A = TypeVar("_A")
_R = TypeVar("_R")


def in_threads(work: Callable[[_A], _R], arguments: Iterable[_A]) -> list[_R]:
    """Call a function with each argument; return the results, or raise the first error."""
    each = list(arguments)
    start = threading.Barrier(len(each))

    def run(argument: _A) -> _R:
        start.wait()
        return work(argument)

    with ThreadPoolExecutor(len(each)) as pool:
        return list(pool.map(run, each))
