"""Differentiations under way, and those that an error has left in autograd's count."""

from __future__ import annotations

import pytest
from autograd import grad
from autograd.tracer import trace_stack

from pennylane_qstore.deferral.autograd_traces import stale_traces, traced_here, tracing


@pytest.fixture(autouse=True)
def nothing_left_behind(monkeypatch):
    """No trace that another test's error has left in autograd's count."""
    monkeypatch.setattr(trace_stack, "top", -1)


@pytest.fixture
def left_behind(monkeypatch):
    """A trace that autograd still counts after an error."""
    monkeypatch.setattr(trace_stack, "top", trace_stack.top)
    with pytest.raises(ZeroDivisionError):
        grad(lambda x: 1 / 0)(1.0)


def test_nothing_is_differentiated():
    assert not tracing(0)
    assert not traced_here()
    assert stale_traces() == 0


def test_inside_a_gradient():
    seen = []

    def f(x):
        seen.append((tracing(0), traced_here(), stale_traces()))
        return x * x

    grad(f)(1.0)
    assert seen == [(True, True, 0)]


def test_what_an_error_leaves_behind_is_stale(left_behind):
    assert stale_traces() == 1
    assert not traced_here()
    assert tracing(0)  # by the count alone
    assert not tracing(stale_traces())


def test_a_gradient_after_an_error_is_seen(left_behind):
    seen = []
    stale = stale_traces()

    def f(x):
        seen.append((tracing(stale), traced_here(), stale_traces()))
        return x * x

    grad(f)(1.0)
    assert seen == [(True, True, 1)]
