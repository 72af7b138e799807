"""Networks of CNOTs, resynthesised while they are still CNOTs.

A network is a matrix over GF(2), written as rows of bits: output i is the XOR of the inputs in
row i. A CNOT adds the control's row to the target's.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple, TypeVar

import numpy as np

from pennylane_qstore.native.frontend.program import Gate, Program
from pennylane_qstore.native.passes.lower import lower
from pennylane_qstore.native.passes.pairs import entangling_cost, merge_pairs

_EXACT_WIRES = 4
"""Most wires with a table of all networks: 20,160 elements of GL(4, 2), ten million of GL(5, 2)."""

_T = TypeVar("_T")
Rows = tuple[int, ...]
"""An invertible matrix over GF(2): row i as a bit mask of the inputs whose XOR is output i."""
Cnots = tuple[tuple[int, int], ...]
"""CNOTs (control, target) in time order; as additions of rows (source, target)."""


class CnotNetwork(NamedTuple):
    """CNOTs, and the wire ``where[i]`` on which output i is found."""

    cnots: Cnots
    where: tuple[int, ...]


def resynthesise_cnots(program: Program) -> Program:
    """Return a program whose regions of CNOTs and SWAPs are the shortest networks found."""
    gates: list[Gate] = []
    for region in regions(program.gates, program.wires, lambda gate: gate.wires, _is_linear):
        gates += _shortest(region, program) if _is_linear(region[0]) else region
    return replace(program, gates=tuple(gates))


def regions(
    items: Iterable[_T],
    wires: int,
    wires_of: Callable[[_T], Sequence[int]],
    belongs: Callable[[_T], bool],
) -> list[list[_T]]:
    """Divide gates into what can stand together in time.

    Args:
        items: gates or operations, in time order.
        wires: number of wires.
        wires_of: the wires of one.
        belongs: whether it may be part of a region.

    Returns:
        In time order, connected regions of those that belong, and each of the others alone.
    """
    level = [0] * wires
    others: dict[int, list[_T]] = {}
    inside: dict[int, list[_T]] = {}
    for item in items:
        on = wires_of(item)
        at = max(level[q] for q in on)
        if belongs(item):
            inside.setdefault(at, []).append(item)
        else:
            at += 1
            others.setdefault(at, []).append(item)
        for q in on:
            level[q] = at
    parts: list[list[_T]] = []
    for at in range(max(level, default=0) + 1):
        parts += [[item] for item in others.get(at, [])]
        parts += _connected(inside.get(at, []), wires_of)
    return parts


def _is_linear(gate: Gate) -> bool:
    return gate.name in ("CNOT", "SWAP")


@functools.lru_cache(maxsize=1024)
def linear_network(rows: Rows) -> CnotNetwork:
    """Find a short CNOT network for an invertible matrix over GF(2).

    Relabelling is free, so the network is found up to a permutation: exactly the fewest CNOTs
    up to four wires, greedily beyond.
    """
    return _exact(rows) if len(rows) <= _EXACT_WIRES else _greedy(rows)


def _connected(region: Sequence[_T], wires_of: Callable[[_T], Sequence[int]]) -> list[list[_T]]:
    """Split a region into parts that share no wire."""
    parts: list[tuple[set[int], list[_T]]] = []
    for gate in region:
        on = set(wires_of(gate))
        touching = [part for part in parts if part[0] & on]
        wires = on.union(*(part[0] for part in touching))
        gates = [g for part in touching for g in part[1]] + [gate]
        parts = [part for part in parts if part not in touching] + [(wires, gates)]
    return [gates for _, gates in parts]


def _shortest(region: list[Gate], program: Program) -> list[Gate]:
    """Return the shortest network found for a connected region, the region itself included."""
    wires = sorted({q for gate in region for q in gate.wires})
    if len(wires) < 3:
        return region
    rows = {q: 1 << i for i, q in enumerate(wires)}
    for gate in region:
        a, b = gate.wires
        if gate.name == "SWAP":
            rows[a], rows[b] = rows[b], rows[a]
        else:
            rows[b] ^= rows[a]
    target = tuple(rows[q] for q in wires)
    present = _entanglers(region, program)
    if present <= _least(target):
        return region
    network = linear_network(target)
    gates = [Gate("CNOT", (wires[c], wires[t])) for c, t in network.cnots]
    if _entanglers(gates, program) >= present:
        return region
    where = list(network.where)
    for i in range(len(wires)):  # outputs back to their wires, by SWAPs that cost nothing
        if (j := where[i]) != i:
            gates.append(Gate("SWAP", (wires[i], wires[j])))
            where[where.index(i)], where[i] = j, i
    return gates


def _entanglers(region: Iterable[Gate], program: Program) -> int:
    """Count entanglers of a CNOT network when neighbours on the same pair merge."""
    merged = merge_pairs(lower(replace(program, gates=tuple(region))))
    return entangling_cost(merged.operations).entanglers


def _exact(target: Rows) -> CnotNetwork:
    table = _all_networks(len(target))
    networks = (
        CnotNetwork(table[_permuted(target, where)], where)
        for where in itertools.permutations(range(len(target)))
    )
    return min(networks, key=lambda network: len(network.cnots))


def _permuted(rows: Rows, where: Sequence[int]) -> Rows:
    """Return rows as found on the wires when output i is on wire ``where[i]``."""
    out = [0] * len(rows)
    for row, wire in zip(rows, where, strict=True):
        out[wire] = row
    return tuple(out)


@functools.cache
def _all_networks(n: int) -> dict[Rows, Cnots]:
    """Return a shortest CNOT network of every element of GL(n, 2), by breadth-first search."""
    start = _identity(n)
    networks: dict[Rows, Cnots] = {start: ()}
    layer = [start]
    while layer:
        following = []
        for rows in layer:
            for cnot in itertools.permutations(range(n), 2):
                new = _added((cnot,), rows)
                if new not in networks:
                    networks[new] = (*networks[rows], cnot)
                    following.append(new)
        layer = following
    return networks


def _greedy(target: Rows) -> CnotNetwork:
    """Find a network by additions that shorten a matrix and its inverse most.

    After De Brugière et al., "Gaussian elimination versus greedy methods for the synthesis of
    linear reversible circuits". A search that gets stuck is left out; elimination never does.
    """
    identity = tuple(range(len(target)))
    networks = [CnotNetwork(_elimination(target)[::-1], identity)]
    # E_k…E_1·A = P gives A = E_1…E_k·P: the additions reversed, on relabelled wires.
    if (reduction := _reduce(target)) is not None:
        additions, where = reduction
        cnots = tuple((where[s], where[t]) for s, t in reversed(additions))
        networks.append(CnotNetwork(cnots, where))
        if len(cnots) <= _least(target):
            return networks[-1]
    # E_k…E_1·A⁻¹ = P gives A = P⁻¹·E_k…E_1: the additions as they come, relabelled after.
    if (reduction := _reduce(_inverse(target))) is not None:
        additions, where = reduction
        networks.append(CnotNetwork(additions, tuple(where.index(i) for i in identity)))
    return min(networks, key=lambda network: len(network.cnots))


def _least(target: Rows) -> int:
    """Return a lower bound of the CNOTs of a network: rows with more than one input."""
    return sum(row.bit_count() > 1 for row in target)


def _reduce(target: Rows) -> tuple[Cnots, tuple[int, ...]] | None:
    """Find additions that bring rows to a permutation; None where no addition shortens them.

    The length is the sum of the logarithms of the weights of the rows and of the inverse's
    columns. Adding row s to row t changes row t and, of the inverse, column s.
    """
    n = len(target)
    bits = np.arange(n)
    rows = np.array([[row >> j & 1 for j in range(n)] for row in target], dtype=bool)
    columns = np.array([[row >> j & 1 for row in _inverse(target)] for j in range(n)], dtype=bool)
    # Weights of row t and of column s after the addition, at [s, t]; on the diagonal nothing is.
    row_after, column_after = (
        np.log2((some[:, None] ^ some).sum(axis=2) + 2 * n * np.eye(n)) for some in (rows, columns)
    )
    row_before, column_before = (np.log2(some.sum(axis=1)) for some in (rows, columns))
    additions: list[tuple[int, int]] = []
    while row_before.any():
        change = row_after - row_before + column_after - column_before[:, None]
        # Sums of logarithms are rounded, so that equal ones compare as equal.
        s, t = divmod(int(np.round(change, 9).argmin()), n)
        if change[s, t] >= -1e-9:
            return None
        additions.append((s, t))
        for some, before, after, i, j in (
            (rows, row_before, row_after, t, s),
            (columns, column_before, column_after, s, t),
        ):
            some[i] ^= some[j]
            before[i] = np.log2(some[i].sum())
            after[i] = after[:, i] = np.log2((some ^ some[i]).sum(axis=1) + 2 * n * (bits == i))
    return tuple(additions), tuple(rows.argmax(axis=1).tolist())


def _elimination(target: Rows) -> Cnots:
    """Return the additions of Gaussian elimination, which bring rows to the identity."""
    rows = list(target)
    additions: list[tuple[int, int]] = []

    def add(source: int, to: int) -> None:
        rows[to] ^= rows[source]
        additions.append((source, to))

    for col in range(len(rows)):
        if not rows[col] >> col & 1:
            add(next(i for i in range(col + 1, len(rows)) if rows[i] >> col & 1), col)
        for i in range(len(rows)):
            if i != col and rows[i] >> col & 1:
                add(col, i)
    return tuple(additions)


def _inverse(rows: Rows) -> Rows:
    return _added(_elimination(rows), _identity(len(rows)))


def _identity(n: int) -> Rows:
    return tuple(1 << i for i in range(n))


def _added(additions: Cnots, rows: Rows) -> Rows:
    """Return rows after additions, one after another."""
    out = list(rows)
    for source, target in additions:
        out[target] ^= out[source]
    return tuple(out)
