"""Small windows of a circuit, rewritten one after another where that is cheaper.

A window is a set of operations on few wires that can stand together in time: nothing that is
left out has to come between two of them.
"""

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
from pennylane_qstore.native.passes.kak import EntanglingCost
from pennylane_qstore.native.passes.pairs import entangling_cost

_MIN_ENTANGLERS = 3
"""Entanglers of a window worth rewriting: pairs are synthesised exactly already."""
_SIZES = (3, 4, 4, 4, 4)
"""Wires of a random window."""
_LENGTHS = (4, 14)
"""Most entanglers of a random window: from the first to less than the second."""

Rewrite = Callable[[IRCircuit, EntanglingCost], IRCircuit | None]
"""From a circuit and its cost to a cheaper circuit, or None."""


def rewrite_windows(circuit: IRCircuit, size: int, rewrite: Rewrite) -> IRCircuit:
    """Rewrite every window that gets cheaper.

    Windows start at each ZZ rotation in turn and reach as far as nothing comes between.

    Args:
        circuit: operations without two-qubit unitaries.
        size: wires of a window.
        rewrite: called with each window (outputs: its wires) and its cost.

    Returns:
        A circuit with the same unitary.
    """
    tried: dict[tuple[int, ...], list[Operation]] = {}
    start = 0
    while start < len(circuit.operations):
        for wires, members in windows(circuit.operations, start, size):
            inside = [circuit.operations[m] for m in members]
            key = tuple(id(op) for op in inside if isinstance(op, ZZRotation))
            if key not in tried:
                tried[key] = inside  # kept, so that no other operation gets its identity
                new = _window_rewritten(circuit, wires, members, rewrite)
                if new is not None:
                    circuit = new
                    break
        else:
            start += 1
    return circuit


def rewrite_at_random(circuit: IRCircuit, rng: np.random.Generator, rewrite: Rewrite) -> IRCircuit:
    """Rewrite one window: its start, its three or four wires and its length at random.

    Args:
        circuit: operations without two-qubit unitaries.
        rng: random number generator.
        rewrite: called with the window (outputs: its wires) and its cost.

    Returns:
        A circuit with the same unitary; the very same where the window stays.
    """
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
    remaining = int(rng.integers(*_LENGTHS))
    kept: list[int] = []
    for m in members:
        remaining -= isinstance(operations[m], ZZRotation)
        if remaining < 0:
            break
        kept.append(m)
    return _window_rewritten(circuit, sorted(wires), kept, rewrite) or circuit


def windows(
    operations: Sequence[Operation], start: int, size: int
) -> Iterator[tuple[list[int], list[int]]]:
    """Iterate over the windows that start at a ZZ rotation, large ones first.

    Args:
        operations: operations in time order.
        start: index of the ZZ rotation; another operation starts no window.
        size: wires of a window.

    Yields:
        Wires of a window, ascending, and the indices of its operations.
    """
    if not isinstance(operations[start], ZZRotation):
        return
    reached: dict[frozenset[int], list[int]] = {}
    todo = [frozenset(wires_of(operations[start]))]
    while todo:
        wires = todo.pop()
        if wires in reached:
            continue
        reached[wires], neighbours = _reach(operations, start, wires)
        if len(wires) < size:
            todo += [wires | {q} for q in neighbours]
    for wires, members in sorted(reached.items(), key=lambda item: -len(item[1])):
        if len(wires) == size:
            yield sorted(wires), members


def circuit_on(wires: Sequence[int], operations: Sequence[Operation]) -> IRCircuit:
    """Take operations for a circuit of their own.

    Args:
        wires: all wires of the operations.
        operations: in time order.

    Returns:
        The circuit, wire k of which is ``wires[k]``; its outputs are its wires.
    """
    at = {q: k for k, q in enumerate(wires)}
    small = tuple(moved(op, [at[q] for q in wires_of(op)]) for op in operations)
    outputs = tuple(OutputParity(frozenset((k,))) for k in range(len(wires)))
    return IRCircuit(len(wires), small, outputs)


def _window_rewritten(
    circuit: IRCircuit, wires: list[int], members: list[int], rewrite: Rewrite
) -> IRCircuit | None:
    """Rewrite one window; what follows moves to where its wires went. None where it stays."""
    operations, start = circuit.operations, members[0]
    cost = entangling_cost([operations[m] for m in members])
    if cost.entanglers < _MIN_ENTANGLERS:
        return None
    new = rewrite(circuit_on(wires, [operations[m] for m in members]), cost)
    if new is None:
        return None
    where = list(range(circuit.wires))
    for q, output in zip(wires, new.outputs, strict=True):
        where[q] = wires[next(iter(output.wires))]
    inside = set(members)
    rest = (op for j, op in enumerate(operations[start:], start) if j not in inside)
    out = (
        *operations[:start],
        *(moved(op, [wires[k] for k in wires_of(op)]) for op in new.operations),
        *(moved(op, [where[q] for q in wires_of(op)]) for op in rest),
    )
    outputs = tuple(bit.relabelled(where) for bit in circuit.outputs)
    return IRCircuit(circuit.wires, out, outputs)


def _reach(
    operations: Sequence[Operation], start: int, wires: frozenset[int]
) -> tuple[list[int], list[int]]:
    """Return the operations on these wires before anything else comes between, and wires that do.

    A wire is closed once an operation on it is left out.
    """
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
