"""Search for fewer entanglers: candidates that cost no more than the circuit that is there.

A circuit is resynthesised from its Pauli gadgets (:mod:`~.resynthesis`) as a whole where it is not
too large, in windows of three wires everywhere, and in random windows of up to four wires (seeded:
equal circuits give equal candidates). The whole is taken twice: as it is, and as it was written
before pairs were merged, since merging hides gadgets: a product of excitations becomes less than
half of what its pairs are. Rotations about paths of strings are turned over besides
(:mod:`~.turnovers`). Only candidates with no more entanglers are returned, and with more entangling
angle only where that costs less than the entanglers saved; the caller weighs pulses and depth.
"""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable, Hashable, Iterable, Sequence

import numpy as np

from pennylane_qstore.native.ir import IRCircuit, OneQubitUnitary
from pennylane_qstore.native.passes.kak import EntanglingCost
from pennylane_qstore.native.passes.pairs import entangling_cost, merge_pairs, synthesise
from pennylane_qstore.native.search.cliffords import QUICK_WORK, WORK, resynthesise_cliffords
from pennylane_qstore.native.search.resynthesis import (
    GREEDY_WEIGHTS,
    GreedyWeights,
    gadgets_within,
    resynthesise,
    resynthesise_gadgets,
)
from pennylane_qstore.native.search.turnovers import turned_over
from pennylane_qstore.native.search.windows import Rewrite, rewrite_at_random, rewrite_windows

_WORK, _QUICK_WORK = 1e9, 1.5e8
"""Elementary steps that resynthesising the whole may take: some seconds, half a second."""
_QUICK_WEIGHTS = GREEDY_WEIGHTS[:5]
"""Weights of the quick search, nearly as good as all."""
_FINISHED, _KEPT = 12, 3
"""Resyntheses of the whole that are finished, and looked at further."""
_WINDOW_WIRES = 3
_WINDOW_ENTANGLERS, _QUICK_ENTANGLERS = 600, 40
"""Most entanglers of a circuit whose windows are rewritten: more take longer than anybody waits
for, or a training step."""
_RANDOM_ENTANGLERS = 9
"""Fewest entanglers for random windows: less is found by looking at the whole."""
_TRIAL, _SHORT, _LONG = 20, 250, 500
"""Random windows that show whether there is anything to gain, of each walk, and of the best."""
_MERGING = 0.2
"""Probability that the pairs of a whole circuit are merged after a random window."""
_STEADY_ENTANGLERS = 150
"""Walks through more than this have fewer steps, each of which takes longer."""
_DETOUR = 0.375
"""Turns the angle may grow by on a walk: what is gained later is often worth it."""
_FADING, _FRAME, _EAGER = (0.15, 0.3, 0.5, 0.7, 0.85), (0.05, 0.1, 0.2, 0.4), (0.0, 1.01, 1.5)
"""Greedy weights of random windows."""
_SEEDS = 1000


class Deadline:
    """The end of the time that a search may take.

    Args:
        seconds: from now on; infinity for no end.
        clock: returns seconds; by default those that the processor spends on this thread.

    Attributes:
        passed: whether somebody has asked after the end, and so has left something out.
    """

    def __init__(
        self, seconds: float = math.inf, clock: Callable[[], float] = time.thread_time
    ) -> None:
        self.seconds, self.passed = seconds, False
        self._clock, self._end = clock, clock() + seconds

    def is_over(self) -> bool:
        """Return whether the time is over."""
        self.passed = self.passed or self._clock() >= self._end
        return self.passed


Finish = Callable[[IRCircuit], IRCircuit]
"""Passes that follow a rewriting."""


def rewritten(
    circuit: IRCircuit,
    source: IRCircuit,
    finish: Finish,
    *,
    outcomes: bool,
    thorough: bool = True,
    deadline: Deadline | None = None,
) -> list[IRCircuit]:
    """Find circuits that cost no more, the cheapest first.

    The search is bounded by amounts: while no deadline passes, equal circuits give equal
    candidates on every machine.

    Args:
        circuit: operations without two-qubit unitaries.
        source: the same before pairs were merged, whose gadgets are often fewer.
        finish: passes that follow a rewriting; leaves no two-qubit unitaries.
        outcomes: keep only the outcomes of ``circuit.outputs`` from |0…0⟩.
        thorough: spend seconds if need be. Otherwise there are no random windows, and windows
            only in circuits of a few dozen entanglers.
        deadline: after it nothing new is tried.

    Returns:
        Candidates of different costs; the circuit itself is not among them.
    """
    limit = _cost(circuit)
    if limit.entanglers < (1 if outcomes else 2):
        return []
    deadline = deadline or Deadline()
    weights = GREEDY_WEIGHTS if thorough else _QUICK_WEIGHTS
    whole, turned = _resynthesised(
        (source, circuit),
        weights,
        most=limit.entanglers + 2 + limit.entanglers // 8,
        outcomes=outcomes,
        work=_WORK if thorough else _QUICK_WORK,
        is_over=deadline.is_over,
    )
    finished = _FINISHED if thorough or limit.entanglers <= _QUICK_ENTANGLERS else _KEPT
    candidates = _distinct(map(finish, [*turned, *whole[:finished]]))[:_KEPT]
    best = candidates[0] if turned and _pays(_cost(candidates[0]), limit) else circuit
    work = WORK if thorough else QUICK_WORK
    in_time = (start for start in (source, best) if not deadline.is_over())
    shorter = (resynthesise_cliffords(start, work=work) for start in in_time)
    shorter = (new for new in shorter if new is not source and new is not best)
    candidates = _distinct([*candidates, *map(finish, shorter)])
    largest = _WINDOW_ENTANGLERS if thorough else _QUICK_ENTANGLERS
    written = [circuit, *candidates] if best is circuit else candidates
    small = [new for new in written if _cost(new).entanglers <= largest]
    rewrite = _in_time(deadline, _without_repeats(functools.partial(_cheapest, weights)))
    in_windows = [finish(_in_windows(start, rewrite)) for start in small]
    candidates = _distinct([*candidates, *in_windows, best])
    if thorough and _RANDOM_ENTANGLERS <= limit.entanglers <= _WINDOW_ENTANGLERS:
        candidates += [finish(new) for new in _random_window_search(best, candidates, deadline)]
    return [new for new in _distinct(candidates) if new is not circuit and _pays(_cost(new), limit)]


def _resynthesised(
    starts: Iterable[IRCircuit],
    weights: Sequence[GreedyWeights],
    *,
    most: int,
    outcomes: bool,
    work: float,
    is_over: Callable[[], bool],
) -> tuple[list[IRCircuit], list[IRCircuit]]:
    """Resynthesise whole circuits from their gadgets.

    Args:
        starts: ways that one circuit is written.
        weights: as of :func:`~.resynthesise`, as is what follows.
        most: as there.
        outcomes: as there.
        work: as there.
        is_over: as there.

    Returns:
        Circuits of different costs, the cheapest first; the cheapest from gadgets that were
        turned over, if any were.
    """
    again = functools.partial(
        resynthesise_gadgets, most=most, outcomes=outcomes, work=work, is_over=is_over
    )
    whole: list[IRCircuit] = []
    turned: list[IRCircuit] = []
    for start in starts:
        gadgets = gadgets_within(start, most=most, outcomes=outcomes, work=work)
        if gadgets is None:
            continue
        whole += again(gadgets, start.outputs, weights)
        if not turned and (other := turned_over(gadgets)) is not None:
            # Strings on two wires come out the same with any weights.
            turned += again(other, start.outputs, weights[:1])
    return _distinct(whole), _distinct(turned)[:1]


def _pays(new: EntanglingCost, limit: EntanglingCost) -> bool:
    """Return whether there are no more entanglers, nor more angle than those saved are worth.

    A turn of angle is as dear as an entangler.
    """
    fewer = new.entanglers < limit.entanglers and sum(new) < sum(limit)
    return fewer or new.no_worse_than(limit)


def _in_windows(circuit: IRCircuit, rewrite: Rewrite) -> IRCircuit:
    """Rewrite all windows until none gets cheaper."""
    while True:
        before = _cost(circuit)
        circuit = rewrite_windows(circuit, _WINDOW_WIRES, rewrite)
        if not _cost(circuit).cheaper_than(before):
            return circuit


def _cheapest(
    weights: Sequence[GreedyWeights], window: IRCircuit, cost: EntanglingCost
) -> IRCircuit | None:
    """Return the cheapest resynthesis of a window that is better than what is there."""
    best: IRCircuit | None = None
    for new in _distinct(resynthesise(window, weights, most=cost.entanglers + 2)):
        merged = synthesise(merge_pairs(new))
        new_cost = _cost(merged)
        if new_cost.no_worse_than(cost) and new_cost.cheaper_than(cost):
            best, cost = merged, new_cost
    return best


def _without_repeats(rewrite: Rewrite) -> Rewrite:
    """Skip windows that did not get cheaper, in another round or circuit."""
    hopeless: set[Hashable] = set()

    def first_time(window: IRCircuit, cost: EntanglingCost) -> IRCircuit | None:
        key = tuple(
            (op.wire, op.matrix.tobytes()) if isinstance(op, OneQubitUnitary) else op
            for op in window.operations
        )
        new = None if key in hopeless else rewrite(window, cost)
        if new is None:
            hopeless.add(key)
        return new

    return first_time


def _in_time(deadline: Deadline, rewrite: Rewrite) -> Rewrite:
    """Leave windows as they are after a deadline."""
    return lambda window, cost: None if deadline.is_over() else rewrite(window, cost)


def _random_window_search(
    circuit: IRCircuit, candidates: list[IRCircuit], deadline: Deadline
) -> list[IRCircuit]:
    """Walk from the circuit and the best candidates; return where walks end, if any gains."""
    count = _cost(circuit).entanglers
    share = min(1.0, _STEADY_ENTANGLERS / count)
    trial = _RandomWalk(candidates[0], np.random.default_rng(0), deadline)
    trial.walk(_TRIAL + 3 * min(count, _STEADY_ENTANGLERS))
    if not trial.least.cheaper_than(_cost(circuit)):
        return []
    starts = [circuit, trial.best, *candidates[:2]]
    walks = [
        _RandomWalk(start, np.random.default_rng(seed), deadline)
        for seed, start in enumerate(starts)
    ]
    for walk in walks:
        walk.walk(int(share * _SHORT))
    walks.sort(key=lambda walk: walk.least.rank)
    walks[0].walk(int(share * _LONG))
    return [walk.best for walk in walks]


class _RandomWalk:
    """Random windows with random weights, none with more entanglers than the best so far."""

    def __init__(self, circuit: IRCircuit, rng: np.random.Generator, deadline: Deadline) -> None:
        self.circuit = self.best = circuit
        self.least = _cost(circuit)
        self.rng, self.deadline = rng, deadline

    def walk(self, steps: int) -> None:
        """Try this many windows."""
        for _ in range(steps):
            if self.deadline.is_over():
                return
            new = rewrite_at_random(self.circuit, self.rng, self._rewrite)
            if new is self.circuit:
                continue
            if self.rng.random() < _MERGING:
                new = synthesise(merge_pairs(new))
            cost = _cost(new)
            detour = cost.angle - self.least.angle
            if cost.entanglers <= self.least.entanglers and detour <= _DETOUR:
                self.circuit = new
            if cost.cheaper_than(self.least):
                self.best, self.least = new, cost

    def _rewrite(self, window: IRCircuit, cost: EntanglingCost) -> IRCircuit | None:
        fading, frame, eager = (
            float(self.rng.choice(values)) for values in (_FADING, _FRAME, _EAGER)
        )
        weights = GreedyWeights(fading, frame, eager, int(self.rng.integers(_SEEDS)))
        for new in resynthesise(window, (weights,), most=cost.entanglers + 1):
            merged = synthesise(merge_pairs(new))
            if _cost(merged).entanglers <= cost.entanglers:
                return merged
        return None


def _distinct(circuits: Iterable[IRCircuit]) -> list[IRCircuit]:
    """Return one circuit of each cost, the cheapest first."""
    by_cost: dict[tuple[int, float], IRCircuit] = {}
    for circuit in circuits:
        by_cost.setdefault(_cost(circuit).rank, circuit)
    return [by_cost[rank] for rank in sorted(by_cost)]


def _cost(circuit: IRCircuit) -> EntanglingCost:
    return entangling_cost(circuit.operations)
