"""The same flow in other words: candidates that cost no more than what is there.

A flow is resynthesised from its Pauli gadgets (:mod:`~pennylane_qstore.native.resynthesis`) as
a whole where it has few wires, and in windows of three wires everywhere. Only candidates with
no more entanglers and no more entangling angle are returned; whether pulses agree is for the
caller to see.
"""

from __future__ import annotations

from collections.abc import Callable

from pennylane_qstore.native.lower import Flow
from pennylane_qstore.native.passes import entangling_cost, gather, synthesise
from pennylane_qstore.native.resynthesis import STYLES, resynthesise
from pennylane_qstore.native.windows import rewrite_windows

_WHOLE_WIRES = 10
"""Most wires of a flow that is resynthesised as a whole."""
_WHOLE_ENTANGLERS = 150
_KEPT = 3
"""Candidates of the whole that are looked at further."""
_WINDOW = 3

Finish = Callable[[Flow], Flow]
"""The passes that follow a rewriting."""


def rewritten(flow: Flow, finish: Finish, *, outcomes: bool) -> list[Flow]:
    """Candidates that cost no more, the cheapest first (the flow itself is not among them).

    Args:
        flow: operations without two-qubit blocks.
        finish: the passes that follow a rewriting; leaves no blocks.
        outcomes: whether only the outcomes of ``flow.outputs`` from |0…0⟩ are kept.
    """
    limit = entangling_cost(flow.operations)
    count = limit[0]
    if count < 2:
        return []
    found: list[Flow] = []
    if flow.wires <= _WHOLE_WIRES and count <= _WHOLE_ENTANGLERS:
        most = count + 2 + count // 8
        whole = resynthesise(flow, STYLES, most=most, outcomes=outcomes)
        found = _distinct([finish(new) for new in _distinct(whole)])[:_KEPT]
    found += [finish(_in_windows(start)) for start in (flow, *found)]
    return [new for new in _distinct(found) if _no_worse(entangling_cost(new.operations), limit)]


def _in_windows(flow: Flow) -> Flow:
    while True:
        before = entangling_cost(flow.operations)
        flow = rewrite_windows(flow, _WINDOW, _cheapest)
        if not _less(entangling_cost(flow.operations), before):
            return flow


def _cheapest(window: Flow, cost: tuple[int, float]) -> Flow | None:
    """The cheapest resynthesis of a window that is better than what is there."""
    best: Flow | None = None
    for new in _distinct(resynthesise(window, STYLES, most=cost[0] + 2)):
        merged = synthesise(gather(new))
        its = entangling_cost(merged.operations)
        if _no_worse(its, cost) and _less(its, cost):
            best, cost = merged, its
    return best


def _distinct(flows: list[Flow]) -> list[Flow]:
    """One flow of each cost, cheapest first."""
    costs: dict[tuple[int, float], Flow] = {}
    for flow in flows:
        count, angle = entangling_cost(flow.operations)
        costs.setdefault((count, round(angle, 6)), flow)
    return [costs[cost] for cost in sorted(costs)]


def _no_worse(one: tuple[int, float], other: tuple[int, float]) -> bool:
    return one[0] <= other[0] and one[1] <= other[1] + 1e-6


def _less(one: tuple[int, float], other: tuple[int, float]) -> bool:
    return one[0] < other[0] or one[1] < other[1] - 1e-6
