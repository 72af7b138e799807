"""Differentiations by autograd under way, which its own count does not tell after an error."""

from __future__ import annotations

from pennylane_qstore.compat import current_frame, open_traces, trace_stack


def tracing(stale: int) -> bool:
    """Return True while autograd differentiates.

    Args:
        stale: traces that are over but that autograd still counts, see :func:`stale_traces`.
    """
    traces: int = trace_stack.top + 1
    return traces > stale or traced_here()


def traced_here() -> bool:
    """Return True while autograd differentiates in this thread, whatever an error left behind."""
    return trace_stack.top >= 0 and open_traces(current_frame(1)) > 0


def stale_traces() -> int:
    """Return how many traces autograd counts although they are over.

    Autograd does not take back a trace that an error or Ctrl-C has ended, so its count alone
    would say for the rest of the process that something is being differentiated.
    """
    traces: int = trace_stack.top + 1
    return traces - open_traces(current_frame(1)) if traces > 0 else 0
