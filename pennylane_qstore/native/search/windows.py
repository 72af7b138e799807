"""Small windows of a circuit, rewritten one after another where that is cheaper."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from pennylane_qstore.native.ir import (
    IRCircuit,
    Operation,
    OutputParity,
    ZZRotation,
    moved,
    wires_of,
)
from pennylane_qstore.native.passes.pairs import entangling_cost

_MIN_ENTANGLERS = 3
_SIZES = (3, 4, 4, 4, 4)
"""Wires of a window chosen by chance."""

Rewrite = Callable[[IRCircuit, tuple[int, float]], IRCircuit | None]
"""A circuit, and its entanglers and their angle, to one that has fewer or less, or None."""


def rewrite_windows(circuit: IRCircuit, size: int, rewrite: Rewrite) -> IRCircuit:
    """Rewrite every window of ``size`` wires that gets cheaper.

    A window is a set of operations on few wires that can stand together in time. Windows
    start at each interaction in turn and reach as far as nothing comes between.

    Args:
        circuit: operations without two-qubit blocks.
        size: wires of a window.
        rewrite: called with each window (outputs: its wires) and its cost.
    """
    tried: dict[tuple[int, ...], list[Operation]] = {}
    start = 0
    while start < len(circuit.operations):
        rewritten = _rewritten(circuit, start, size, rewrite, tried)
        if rewritten is None:
            start += 1
        else:
            circuit = rewritten
    return circuit


def rewrite_at_random(circuit: IRCircuit, rng: np.random.Generator, rewrite: Rewrite) -> IRCircuit:
    """Rewrite one window, chosen by chance: its start, its three or four wires, its length."""
    operations = circuit.operations
    starts = [i for i, op in enumerate(operations) if isinstance(op, ZZRotation)]
    if not starts:
        return circuit
    start = starts[int(rng.integers(len(starts)))]
    size = min(int(rng.choice(_SIZES)), circuit.wires)
    wires = frozenset(wires_of(operations[start]))
    members, neighbours = _reach(operations, start, wires)
    while neighbours and len(wires) < size:
        wires |= {neighbours[int(rng.integers(len(neighbours)))]}
        members, neighbours = _reach(operations, start, wires)
    longest = int(rng.integers(4, 14))
    kept: list[int] = []
    for m in members:
        longest -= isinstance(operations[m], ZZRotation)
        if longest < 0:
            break
        kept.append(m)
    on = sorted(wires)
    window = _window(operations, on, kept)
    cost = entangling_cost(window.operations)
    new = rewrite(window, cost) if cost[0] >= _MIN_ENTANGLERS else None
    if new is None:
        return circuit
    return _replaced(circuit, on, kept, new)


def _rewritten(
    circuit: IRCircuit,
    start: int,
    size: int,
    rewrite: Rewrite,
    tried: dict[tuple[int, ...], list[Operation]],
) -> IRCircuit | None:
    """The circuit with one window from ``start`` rewritten, or None where none gets cheaper."""
    operations = circuit.operations
    if not isinstance(operations[start], ZZRotation):
        return None
    for wires, members in windows(operations, start, size):
        inside = [operations[m] for m in members]
        cost = entangling_cost(inside)
        key = tuple(id(op) for op in inside if isinstance(op, ZZRotation))
        if cost[0] < _MIN_ENTANGLERS or key in tried:
            continue
        tried[key] = inside  # kept, so that no other operation gets its identity
        new = rewrite(_window(operations, wires, members), cost)
        if new is not None:
            return _replaced(circuit, wires, members, new)
    return None


def _window(operations: Sequence[Operation], wires: list[int], members: list[int]) -> IRCircuit:
    """The members as a circuit of their own, wire k of it being ``wires[k]``."""
    at = {q: k for k, q in enumerate(wires)}
    inside = [operations[m] for m in members]
    small = tuple(moved(op, [at[q] for q in wires_of(op)]) for op in inside)
    outputs = tuple(OutputParity(frozenset((k,))) for k in range(len(wires)))
    return IRCircuit(len(wires), small, outputs)


def _replaced(
    circuit: IRCircuit, wires: list[int], members: list[int], new: IRCircuit
) -> IRCircuit:
    """The circuit with the members replaced, and what follows moved to where their wires went."""
    where = list(range(circuit.wires))
    for q, output in zip(wires, new.outputs, strict=True):
        where[q] = wires[next(iter(output.wires))]
    operations, taken, start = circuit.operations, set(members), members[0]
    rest = (op for j, op in enumerate(operations[start:], start) if j not in taken)
    out = (
        *operations[:start],
        *(moved(op, [wires[k] for k in wires_of(op)]) for op in new.operations),
        *(moved(op, [where[q] for q in wires_of(op)]) for op in rest),
    )
    outputs = tuple(bit.relabelled(where) for bit in circuit.outputs)
    return IRCircuit(circuit.wires, out, outputs)


def windows(
    operations: Sequence[Operation], start: int, size: int
) -> Iterator[tuple[list[int], list[int]]]:
    """Windows of ``size`` wires that start at an interaction: (wires, operations), large first."""
    found: dict[frozenset[int], list[int]] = {}
    todo = [frozenset(wires_of(operations[start]))]
    while todo:
        wires = todo.pop()
        if wires in found:
            continue
        found[wires], neighbours = _reach(operations, start, wires)
        if len(wires) < size:
            todo += [wires | {q} for q in neighbours]
    for wires, members in sorted(found.items(), key=lambda item: -len(item[1])):
        if len(wires) == size:
            yield sorted(wires), members


def _reach(
    operations: Sequence[Operation], start: int, wires: frozenset[int]
) -> tuple[list[int], list[int]]:
    """Operations on these wires before anything else comes between, and wires that do."""
    closed: set[int] = set()
    members: list[int] = []
    neighbours: list[int] = []
    for j in range(start, len(operations)):
        on = wires_of(operations[j])
        if not closed.isdisjoint(on):
            closed.update(on)
        elif wires.issuperset(on):
            members.append(j)
        elif len(on) == 2:
            neighbours += [q for q in on if q not in wires and not wires.isdisjoint(on)]
            closed.update(on)
        if wires <= closed:
            break
    return members, neighbours
