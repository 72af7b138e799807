"""Whether autograd is differentiating, which its own count does not tell after an error."""

from __future__ import annotations

import sys
from types import FrameType

from autograd.tracer import trace, trace_stack

_TRACE = trace.__code__
"""Autograd's function that differentiates; on the stack while it does."""


def tracing(stale: int) -> bool:
    """Whether autograd is differentiating at the moment.

    Args:
        stale: traces that are over but that autograd still counts, see :func:`stale_traces`.
    """
    traces: int = trace_stack.top + 1
    return traces > stale or traced_here()


def traced_here() -> bool:
    """Whether autograd is differentiating in this thread, whatever an error has left behind."""
    return trace_stack.top >= 0 and _open_traces(sys._getframe(1)) > 0


def stale_traces() -> int:
    """Traces that autograd counts although they are over.

    Autograd does not take back a trace that an error or Ctrl-C has ended, so its count alone
    would say for the rest of the process that something is being differentiated.
    """
    traces: int = trace_stack.top + 1
    return traces - _open_traces(sys._getframe(1)) if traces > 0 else 0


def _open_traces(frame: FrameType | None) -> int:
    """Of this thread."""
    count = 0
    while frame is not None:
        count += frame.f_code is _TRACE
        frame = frame.f_back
    return count
