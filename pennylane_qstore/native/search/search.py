"""The same circuit in other words: candidates that cost no more than what is there.

A circuit is resynthesised from its Pauli gadgets (:mod:`~.resynthesis`) as
a whole where it is not too large, in windows of three wires everywhere, and in windows of up to
four wires chosen by chance (seeded: equal circuits give equal candidates). The whole is taken
twice: as it is, and as it was written before pairs were merged, since merging hides gadgets: a
product of excitations becomes less than half of what its pairs are. Only candidates with
no more entanglers and no more entangling angle are returned; whether pulses agree is for the
caller to see.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable, Sequence

import numpy as np

from pennylane_qstore.native.ir import IRCircuit, OneQubitUnitary
from pennylane_qstore.native.passes.pairs import entangling_cost, merge_pairs, synthesise
from pennylane_qstore.native.search.resynthesis import STYLES, GreedyWeights, resynthesise
from pennylane_qstore.native.search.windows import Rewrite, rewrite_at_random, rewrite_windows

_WORK, _QUICK_WORK = 1e9, 1.5e8
"""Elementary steps that resynthesising the whole may take: some seconds, half a second."""
_QUICK_STYLES = STYLES[:5]
"""Nearly as good as all."""
_FINISHED, _KEPT = 12, 3
"""Resyntheses of the whole that are finished, and looked at further."""
_WINDOW = 3
_WINDOW_ENTANGLERS, _QUICK_ENTANGLERS = 600, 40
"""Most entanglers of a circuit whose windows are rewritten: more take longer than anybody waits
for, or a training step."""
_WANDER_ENTANGLERS = 9
"""Fewer than this are found by looking at the whole."""
_SCOUT, _SHORT, _LONG = 20, 250, 500
"""Windows that show whether there is anything to gain, of each walk, and of the best."""
_MERGING = 0.2
"""How often the pairs of a whole circuit are merged on the way."""
_STEADY_ENTANGLERS = 150
"""Walks through more than this have fewer steps, each of which takes longer."""
_DETOUR = 0.375
"""Turns the angle may grow by on the way."""
_WEIGHTS = (0.15, 0.3, 0.5, 0.7, 0.85), (0.05, 0.1, 0.2, 0.4), (0.0, 1.01, 1.5)
"""Styles of random windows: fading, frame, eager."""

Finish = Callable[[IRCircuit], IRCircuit]
"""The passes that follow a rewriting."""


def rewritten(
    circuit: IRCircuit, source: IRCircuit, finish: Finish, *, outcomes: bool, thorough: bool = True
) -> list[IRCircuit]:
    """Candidates that cost no more, the cheapest first (the circuit itself is not among them).

    What is looked at is bounded by amounts, never by a clock: equal circuits give equal
    candidates on every machine.

    Args:
        circuit: operations without two-qubit blocks.
        source: the same before pairs were merged, whose gadgets are often fewer.
        finish: the passes that follow a rewriting; leaves no blocks.
        outcomes: whether only the outcomes of ``circuit.outputs`` from |0…0⟩ are kept.
        thorough: whether seconds may be spent. Otherwise there are no random windows, and
            windows only in circuits of a few dozen entanglers.
    """
    limit = entangling_cost(circuit.operations)
    count = limit[0]
    if count < 2:
        return []
    most = count + 2 + count // 8
    styles, work = (STYLES, _WORK) if thorough else (_QUICK_STYLES, _QUICK_WORK)
    whole: list[IRCircuit] = []
    for start in (source, circuit):
        whole += resynthesise(start, styles, most=most, outcomes=outcomes, work=work)
    finished = _FINISHED if thorough or count <= _QUICK_ENTANGLERS else _KEPT
    found = _distinct([finish(new) for new in _distinct(whole)[:finished]])[:_KEPT]
    largest = _WINDOW_ENTANGLERS if thorough else _QUICK_ENTANGLERS
    small = [new for new in (circuit, *found) if entangling_cost(new.operations)[0] <= largest]
    rewrite = _without_repeats(functools.partial(_cheapest, styles))
    found = _distinct([*found, *(finish(_in_windows(start, rewrite)) for start in small), circuit])
    if thorough and _WANDER_ENTANGLERS <= count <= _WINDOW_ENTANGLERS:
        found += [finish(new) for new in _random_window_search(circuit, found)]
    return [
        new
        for new in _distinct(found)
        if new is not circuit and _no_worse(entangling_cost(new.operations), limit)
    ]


def _in_windows(circuit: IRCircuit, rewrite: Rewrite) -> IRCircuit:
    while True:
        before = entangling_cost(circuit.operations)
        circuit = rewrite_windows(circuit, _WINDOW, rewrite)
        if not _less(entangling_cost(circuit.operations), before):
            return circuit


def _without_repeats(rewrite: Rewrite) -> Rewrite:
    """Windows that did not get cheaper are not tried again in another pass or circuit."""
    hopeless: set[Hashable] = set()

    def tried(window: IRCircuit, cost: tuple[int, float]) -> IRCircuit | None:
        key = tuple(
            (op.wire, op.matrix.tobytes()) if isinstance(op, OneQubitUnitary) else op
            for op in window.operations
        )
        if key in hopeless:
            return None
        new = rewrite(window, cost)
        if new is None:
            hopeless.add(key)
        return new

    return tried


class _Walker:
    """Random windows in random styles, none with more entanglers than the best so far.

    The angle may grow a little on the way: what is gained later is often worth it.
    """

    def __init__(self, circuit: IRCircuit, seed: int) -> None:
        self.circuit = self.best = circuit
        self.least = entangling_cost(circuit.operations)
        self.rng = np.random.default_rng(seed)

    def walk(self, steps: int) -> None:
        """Try this many windows."""
        for _ in range(steps):
            new = rewrite_at_random(self.circuit, self.rng, self._rewrite)
            if new is self.circuit:
                continue
            if self.rng.random() < _MERGING:
                new = synthesise(merge_pairs(new))
            cost = entangling_cost(new.operations)
            if cost[0] <= self.least[0] and cost[1] <= self.least[1] + _DETOUR:
                self.circuit = new
            if cost[0] < self.least[0] or (_no_worse(cost, self.least) and _less(cost, self.least)):
                self.best, self.least = new, cost

    def _rewrite(self, window: IRCircuit, cost: tuple[int, float]) -> IRCircuit | None:
        fading, frame, eager = (float(self.rng.choice(weights)) for weights in _WEIGHTS)
        style = GreedyWeights(fading, frame, eager, int(self.rng.integers(1000)))
        for new in resynthesise(window, (style,), most=cost[0] + 1):
            merged = synthesise(merge_pairs(new))
            if entangling_cost(merged.operations)[0] <= cost[0]:
                return merged
        return None


def _random_window_search(circuit: IRCircuit, found: list[IRCircuit]) -> list[IRCircuit]:
    """What walks from the circuit and the best found so far end at; nothing where none gains."""
    count = entangling_cost(circuit.operations)[0]
    share = min(1.0, _STEADY_ENTANGLERS / count)
    scout = _Walker(found[0], seed=0)
    scout.walk(_SCOUT + 3 * min(count, _STEADY_ENTANGLERS))
    if not _less(scout.least, entangling_cost(circuit.operations)):
        return []
    starts = [circuit, scout.best, *found[:2]]
    walkers = [_Walker(start, seed) for seed, start in enumerate(starts)]
    for walker in walkers:
        walker.walk(int(share * _SHORT))
    walkers.sort(key=lambda walker: (walker.least[0], round(walker.least[1], 6)))
    walkers[0].walk(int(share * _LONG))
    return [walker.best for walker in walkers]


def _cheapest(
    styles: Sequence[GreedyWeights], window: IRCircuit, cost: tuple[int, float]
) -> IRCircuit | None:
    """The cheapest resynthesis of a window that is better than what is there."""
    best: IRCircuit | None = None
    for new in _distinct(resynthesise(window, styles, most=cost[0] + 2)):
        merged = synthesise(merge_pairs(new))
        its = entangling_cost(merged.operations)
        if _no_worse(its, cost) and _less(its, cost):
            best, cost = merged, its
    return best


def _distinct(circuits: list[IRCircuit]) -> list[IRCircuit]:
    """One circuit of each cost, cheapest first."""
    costs: dict[tuple[int, float], IRCircuit] = {}
    for circuit in circuits:
        count, angle = entangling_cost(circuit.operations)
        costs.setdefault((count, round(angle, 6)), circuit)
    return [costs[cost] for cost in sorted(costs)]


def _no_worse(one: tuple[int, float], other: tuple[int, float]) -> bool:
    return one[0] <= other[0] and one[1] <= other[1] + 1e-6


def _less(one: tuple[int, float], other: tuple[int, float]) -> bool:
    return one[0] < other[0] or one[1] < other[1] - 1e-6
