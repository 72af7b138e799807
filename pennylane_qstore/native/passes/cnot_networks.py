"""Networks of CNOTs, resynthesised while they are still CNOTs."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from pennylane_qstore.native.frontend.program import ComplexArray, Gate, Program
from pennylane_qstore.native.passes.kak import CNOT, CNOT_REVERSED, SWAP, cheapest


def resynthesise_cnots(program: Program) -> Program:
    """Replace every region of CNOTs and SWAPs by the shortest network found for it."""
    level = [0] * program.wires
    others: dict[int, list[Gate]] = {}
    regions: dict[int, list[Gate]] = {}
    for gate in program.gates:
        at = max(level[q] for q in gate.wires)
        if gate.name in ("CNOT", "SWAP"):
            regions.setdefault(at, []).append(gate)
        else:
            at += 1
            others.setdefault(at, []).append(gate)
        for q in gate.wires:
            level[q] = at
    gates: list[Gate] = []
    for at in range(max(level, default=0) + 1):
        gates += others.get(at, [])
        for region in _connected(regions.get(at, [])):
            gates += _shortest(region)
    return replace(program, gates=tuple(gates))


def _connected(region: Sequence[Gate]) -> list[list[Gate]]:
    """Split a region into parts that share no wire."""
    parts: list[tuple[set[int], list[Gate]]] = []
    for gate in region:
        touching = [part for part in parts if part[0] & set(gate.wires)]
        wires = set(gate.wires).union(*(part[0] for part in touching))
        gates = [g for part in touching for g in part[1]] + [gate]
        parts = [part for part in parts if part not in touching] + [(wires, gates)]
    return [gates for _, gates in parts]


def _shortest(region: list[Gate]) -> list[Gate]:
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
    network, where = linear_network([rows[q] for q in wires])
    gates = [Gate("CNOT", (wires[c], wires[t])) for c, t in network]
    if _entanglers(gates) >= _entanglers(region):
        return region
    spots = list(where)
    for i in range(len(wires)):  # outputs back to their wires, by SWAPs that cost nothing
        while spots[i] != i:
            j = spots[i]
            gates.append(Gate("SWAP", (wires[i], wires[j])))
            k = spots.index(i)
            spots[i], spots[k] = i, j
    return gates


def _entanglers(region: Iterable[Gate]) -> int:
    """Entanglers of a CNOT network when neighbours on the same pair merge."""
    total = 0
    last: dict[int, tuple[int, tuple[int, ...]]] = {}
    blocks: list[ComplexArray] = []
    for gate in region:
        a, b = gate.wires
        key = last.get(a)
        if key is None or key != last.get(b):
            blocks.append(np.eye(4, dtype=complex))
            key = (len(blocks) - 1, (a, b))
            last[a] = last[b] = key
        m = SWAP if gate.name == "SWAP" else CNOT if key[1] == (a, b) else CNOT_REVERSED
        blocks[key[0]] = m @ blocks[key[0]]
    for m in blocks:
        total += cheapest(m).cost[0]
    return total


def linear_network(rows: Sequence[int]) -> tuple[list[tuple[int, int]], list[int]]:
    """CNOTs (control, target) in time order for an invertible matrix over GF(2).

    Args:
        rows: row i as a bit mask: output i is the XOR of these inputs.

    Returns:
        The CNOTs, and ``where``: output i is found on wire ``where[i]``. Relabelling is free,
        so the network is found up to a permutation: exactly the fewest CNOTs up to four
        wires, greedily beyond.
    """
    network, where = _network(tuple(rows))
    return list(network), list(where)


@functools.lru_cache(maxsize=1024)
def _network(target: tuple[int, ...]) -> tuple[list[tuple[int, int]], list[int]]:
    return _exact(target) if len(target) <= 4 else _greedy(target)


def _exact(target: tuple[int, ...]) -> tuple[list[tuple[int, int]], list[int]]:
    n = len(target)
    table = _all_networks(n)
    best = min(itertools.permutations(range(n)), key=lambda w: len(table[_permuted(target, w)]))
    return list(table[_permuted(target, best)]), list(best)


def _permuted(rows: tuple[int, ...], where: tuple[int, ...]) -> tuple[int, ...]:
    """Rows as found on the wires when output i is on wire where[i]."""
    out = [0] * len(rows)
    for i, w in enumerate(where):
        out[w] = rows[i]
    return tuple(out)


@functools.cache
def _all_networks(n: int) -> dict[tuple[int, ...], tuple[tuple[int, int], ...]]:
    """Shortest CNOT network of every element of GL(n, 2), by breadth-first search."""
    start = tuple(1 << i for i in range(n))
    found: dict[tuple[int, ...], tuple[tuple[int, int], ...]] = {start: ()}
    layer = [start]
    while layer:
        following = []
        for rows in layer:
            for c, t in itertools.permutations(range(n), 2):
                moved = list(rows)
                moved[t] ^= moved[c]
                key = tuple(moved)
                if key not in found:
                    found[key] = (*found[rows], (c, t))
                    following.append(key)
        layer = following
    return found


def _greedy(target: tuple[int, ...]) -> tuple[list[tuple[int, int]], list[int]]:
    """Row additions that shorten a matrix and its inverse most (after De Brugière et al.)."""
    n = len(target)
    candidates = [_elimination(target)]
    # E_k…E_1·A = P gives A = E_1…E_k·P: the additions reversed, on relabelled wires.
    if (found := _reduce(target)) is not None:
        additions, where = found
        candidates.append(([(where[c], where[t]) for c, t in reversed(additions)], where))
    # E_k…E_1·A⁻¹ = P gives A = P⁻¹·E_k…E_1: the additions as they come, relabelled after.
    if (found := _reduce(_inverse(target))) is not None:
        additions, where = found
        candidates.append((additions, [where.index(i) for i in range(n)]))
    return min(candidates, key=lambda network: len(network[0]))


def _reduce(target: tuple[int, ...]) -> tuple[list[tuple[int, int]], list[int]] | None:
    """Row additions (source, target) that bring rows to a permutation, or None if stuck."""
    n, rows, inverse = len(target), list(target), list(_inverse(target))
    additions: list[tuple[int, int]] = []
    score = _length(rows, inverse)
    while any(x.bit_count() > 1 for x in rows):
        best = None
        for s, t in itertools.permutations(range(n), 2):
            moved = list(rows)
            moved[t] ^= moved[s]
            undone = [x ^ (((x >> t) & 1) << s) for x in inverse]
            value = _length(moved, undone)
            if best is None or value < best[0] - 1e-12:
                best = (value, s, t, moved, undone)
        if best is None or best[0] >= score - 1e-12:
            return None
        score, s, t, rows, inverse = best
        additions.append((s, t))
    return additions, [x.bit_length() - 1 for x in rows]


def _length(rows: Sequence[int], inverse: Sequence[int]) -> float:
    """Sum of the logarithms of the weights of the rows and of the inverse's columns."""
    columns = [sum(((x >> j) & 1) << i for i, x in enumerate(inverse)) for j in range(len(rows))]
    return sum(math.log2(x.bit_count()) for x in (*rows, *columns))


def _elimination(target: tuple[int, ...]) -> tuple[list[tuple[int, int]], list[int]]:
    """Plain Gaussian elimination, for what the greedy search gets stuck on."""
    n, rows = len(target), list(target)
    operations: list[tuple[int, int]] = []
    for col in range(n):
        if not rows[col] >> col & 1:
            pivot = next(i for i in range(col + 1, n) if rows[i] >> col & 1)
            rows[col] ^= rows[pivot]
            operations.append((pivot, col))
        for i in range(n):
            if i != col and rows[i] >> col & 1:
                rows[i] ^= rows[col]
                operations.append((col, i))
    return list(reversed(operations)), list(range(n))


def _inverse(rows: tuple[int, ...]) -> tuple[int, ...]:
    n = len(rows)
    left, right = list(rows), [1 << i for i in range(n)]
    for col in range(n):
        pivot = next(i for i in range(col, n) if left[i] >> col & 1)
        left[col], left[pivot] = left[pivot], left[col]
        right[col], right[pivot] = right[pivot], right[col]
        for i in range(n):
            if i != col and left[i] >> col & 1:
                left[i] ^= left[col]
                right[i] ^= right[col]
    return tuple(right)
