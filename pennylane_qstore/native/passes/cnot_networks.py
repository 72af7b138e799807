"""Networks of CNOTs, resynthesised while they are still CNOTs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from pennylane_qstore.native.frontend.program import ComplexArray, Gate, Program
from pennylane_qstore.native.passes.kak import (
    CNOT,
    CNOT_REVERSED,
    SWAP,
    cheapest,
    linear_network,
)


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
