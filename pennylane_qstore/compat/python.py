"""Private hooks of CPython 3.11 to 3.13, and of aiohttp 3.14.5."""

from __future__ import annotations

import ctypes
import functools
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

current_frame: Callable[[int], FrameType] = sys._getframe
"""The frame so many calls above the caller's own."""


def stack(frame: FrameType | None) -> Iterator[FrameType]:
    """Yield a frame and those that called it, innermost first."""
    while frame is not None:
        yield frame
        frame = frame.f_back


def stack_of(thread: threading.Thread) -> list[FrameType]:
    """Return the frames of a thread, innermost first; without this one for the calling thread."""
    if thread.ident == threading.get_ident():
        return list(stack(sys._getframe(1)))
    return list(stack(sys._current_frames().get(thread.ident or 0)))


def is_foreign_thread() -> bool:
    """Return True in a thread that Python did not start; JAX runs callbacks on such."""
    return isinstance(threading.current_thread(), threading._DummyThread)


def interrupt(thread: threading.Thread) -> None:
    """Raise KeyboardInterrupt in another thread, at its next Python instruction."""
    ident = ctypes.c_ulong(thread.ident or 0)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ident, ctypes.py_object(KeyboardInterrupt))


def keep_forever(thing: Any) -> None:
    """Keep an object from being destroyed, whatever happens to its references.

    A forked child inherits the parent's sockets and selector. Destroying its copies would
    take the sockets out of the selector that the parent still uses.
    """
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))


def forget_applications() -> None:
    """Free applications that have ended; aiohttp keeps 1,024 in a cache, with all they hold."""
    from aiohttp import web_app

    if cached := getattr(web_app, "_cached_build_middleware", None):
        cached.cache_clear()


def also_unmade(show: Callable[[Any], str]) -> Callable[[Any], str]:
    """Let a ``__repr__`` work where the constructor has raised, before attributes were there.

    Tracebacks with locals (``unittest --locals``) fail on CPython 3.11 and 3.12 where the repr of
    one local does, and the error that was raised is not shown.
    """

    @functools.wraps(show)
    def shown(self: Any) -> str:
        try:
            return show(self)
        except (AttributeError, LookupError):
            return f"<{type(self).__name__}, not made>"

    return shown
