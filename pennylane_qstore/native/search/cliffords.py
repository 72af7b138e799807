"""Clifford sections, resynthesised from their tableaus where that takes fewer entanglers.

A section is what can stand together in time of gates that map Paulis to Paulis. Its tableau is
a grid of blocks: what X and Z of each output are on each input. Entanglers and relabellings bring
any grid to one block in each row and column, which is a Clifford on each wire. They are found by a
beam search for the least sum of the logarithms of the weights of rows and columns, as de Brugière
et al. do for networks of CNOTs ("Gaussian elimination versus greedy methods for the synthesis of
linear reversible circuits").
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pennylane_qstore.native.ir import (
    IRCircuit,
    OneQubitUnitary,
    Operation,
    ZZRotation,
    moved,
    wires_of,
)
from pennylane_qstore.native.passes.cnot_networks import regions
from pennylane_qstore.native.passes.pairs import entangling_cost
from pennylane_qstore.native.search.frames import UnitaryFrame
from pennylane_qstore.native.search.gadgets import gadgets_of, quarter_turns
from pennylane_qstore.native.search.pauli import GENERATORS, PAIR_CODE, entangler, is_clifford
from pennylane_qstore.native.search.windows import circuit_on

WORK, QUICK_WORK = 2e8, 1e7
"""Blocks that the sections of a circuit may take together: some seconds, some tenths of one."""
_CHOICE = 10_000
"""Blocks that take as long as what every choice takes besides."""
_WIDTH = 32
"""Most tableaus of a beam: with 100 of them, eight wires take 3 % fewer entanglers."""

_Entanglers = tuple[tuple[int, int, int], ...]
"""Wires and generator of each, in time order."""
_Blocks = npt.NDArray[Any]
"""Blocks 4x + z: the codes of the images of X and Z on a wire. (outputs, inputs) or more."""


def resynthesise_cliffords(circuit: IRCircuit, *, work: float = WORK) -> IRCircuit:
    """Rewrite Clifford sections that take fewer entanglers otherwise.

    Args:
        circuit: operations without two-qubit unitaries.
        work: blocks that may be looked at, some ten nanoseconds each; a large section is
            searched narrowly then, or left as it is.

    Returns:
        A circuit with the same unitary; the very same where no section gets shorter.
    """
    parts = regions(circuit.operations, circuit.wires, wires_of, _is_clifford)
    candidates = [i for i, part in enumerate(parts) if _may_shorten(part)]
    rewritten = {
        i: new
        for i in candidates
        if (new := _shorter(parts[i], work / len(candidates))) is not None
    }
    if not rewritten:
        return circuit
    where = list(range(circuit.wires))
    out: list[Operation] = []
    for i, part in enumerate(parts):
        new = rewritten.get(i)
        wires: Sequence[int] = range(circuit.wires) if new is None else _wires(part)
        operations = part if new is None else new.operations
        out += [moved(op, [where[wires[q]] for q in wires_of(op)]) for op in operations]
        if new is not None:
            ends = [where[wires[next(iter(bit.wires))]] for bit in new.outputs]
            for q, end in zip(wires, ends, strict=True):
                where[q] = end
    outputs = tuple(bit.relabelled(where) for bit in circuit.outputs)
    return IRCircuit(circuit.wires, tuple(out), outputs)


def _is_clifford(operation: Operation) -> bool:
    """Return True for an operation that maps Paulis to Paulis."""
    if isinstance(operation, OneQubitUnitary):
        return is_clifford(operation.matrix)
    return isinstance(operation, ZZRotation) and quarter_turns(operation.angle) is not None


def _may_shorten(section: Sequence[Operation]) -> bool:
    """Return False for pairs, and up to two ladders: they are many, and seldom get shorter."""
    if len(section) == 1:
        return False
    wires = _wires(section)
    return len(wires) > 2 and entangling_cost(section).entanglers > 2 * (len(wires) - 1)


def _wires(section: Sequence[Operation]) -> list[int]:
    return sorted({q for op in section for q in wires_of(op)})


def _shorter(section: Sequence[Operation], work: float) -> IRCircuit | None:
    """Return a circuit of fewer entanglers on a section's wires, numbered from 0, or None."""
    wires = _wires(section)
    present = entangling_cost(section).entanglers
    choices = min(present, len(wires) ** 2 // 2)
    blocks = len(GENERATORS) * len(wires) ** 2 * (len(wires) - 1) / 2
    width = min(_WIDTH, int((work / choices - _CHOICE) / blocks))
    if width < 1:
        return None
    small = circuit_on(wires, section)
    table = gadgets_of(small).frame
    tableau = (4 * table.codes[: len(wires)] + table.codes[len(wires) :]).tobytes()
    found = _network(tableau, len(wires), present - 1, 1)
    if found is None:
        return None
    found = _network(tableau, len(wires), len(found), width) or found
    operations: list[Operation] = []
    for step in found:
        operations += entangler(*step)
        table.conjugate_by_entangler(*step)
    last, ends = UnitaryFrame(table).finish(small.outputs)
    return IRCircuit(len(wires), (*operations, *last), ends)


@functools.lru_cache(maxsize=1024)
def _network(tableau: bytes, wires: int, most: int, width: int) -> _Entanglers | None:
    """Find entanglers that bring a tableau to one block in each row and column.

    Args:
        tableau: blocks, int8, (wires, wires).
        wires: number of wires.
        most: entanglers there may be.
        width: tableaus that are looked at further after each entangler.

    Returns:
        The entanglers; None where they are too many.
    """
    states: _Blocks = np.frombuffer(tableau, dtype=np.int8).reshape(1, wires, wires)
    left, right = np.array(list(itertools.combinations(range(wires), 2))).T
    paths: list[_Entanglers] = [()]
    seen: set[bytes] = set()
    for _ in range(most + 1):
        done = np.flatnonzero((states > 0).sum(axis=(1, 2)) == wires)
        if len(done):
            return paths[int(done[0])]
        costs = _costs_after(states, left, right)
        following: list[tuple[_Blocks, _Entanglers]] = []
        for i in np.argsort(costs, axis=None, kind="stable"):
            from_, g, p = (int(k) for k in np.unravel_index(i, costs.shape))
            a, b = int(left[p]), int(right[p])
            new = states[from_].copy()
            pair = 16 * new[:, a].astype(int) + new[:, b]
            new[:, a], new[:, b] = _LEFT[g, pair], _RIGHT[g, pair]
            key = _WEIGHT[new].tobytes()
            if key not in seen:
                seen.add(key)
                following.append((new, (*paths[from_], (a, b, g))))
                if len(following) == width:
                    break
        if not following:
            return None
        states, paths = np.array([new for new, _ in following]), [path for _, path in following]
    return None


def _costs_after(
    states: _Blocks, left: npt.NDArray[np.intp], right: npt.NDArray[np.intp]
) -> npt.NDArray[np.float64]:
    """Return the cost of each tableau after each entangler, (states, generators, pairs)."""
    weights = _WEIGHT[states]
    rows, columns = weights.sum(axis=2), weights.sum(axis=1)
    pair = 16 * states[:, :, left].astype(int) + states[:, :, right]
    new_left, new_right = _WEIGHT[_LEFT][:, pair], _WEIGHT[_RIGHT][:, pair]
    unchanged = rows[:, :, None] - weights[:, :, left] - weights[:, :, right]
    lost = np.log2(columns[:, left]) + np.log2(columns[:, right])
    new = np.log2(unchanged + new_left + new_right).sum(axis=2)
    new += np.log2(new_left.sum(axis=2)) + np.log2(new_right.sum(axis=2))
    costs = (new - lost).swapaxes(0, 1) + np.log2(columns).sum(axis=1)[:, None, None]
    return np.asarray(np.round(costs, 9))  # sums of logarithms: equal ones shall compare as equal


def _block_tables() -> tuple[_Blocks, _Blocks, _Blocks]:
    """Return weights of blocks, and both new blocks by generator and pair of blocks."""
    x, z = np.divmod(np.arange(16), 4)
    # Of the images of X, Y and Z on a wire those that are not I.
    weights = (x > 0) * 1 + (z > 0) + (x != z)
    first, second = np.divmod(np.arange(256), 16)
    of_x, of_z = (PAIR_CODE[:, 4 * code[first] + code[second]] for code in (x, z))
    left, right = 4 * (of_x >> 2) + (of_z >> 2), 4 * (of_x & 3) + (of_z & 3)
    return weights, left.astype(np.int8), right.astype(np.int8)


_WEIGHT, _LEFT, _RIGHT = _block_tables()
