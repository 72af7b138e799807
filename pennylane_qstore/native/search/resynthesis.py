r"""Pauli gadgets back to gates, with partial interactions: :func:`resynthesise`.

A rotation about a string on one wire is a turn, one about a string on two wires is a single
partial interaction. Longer strings are shortened by full interactions
:math:`\exp(-i\frac{\pi}{4} P \otimes Q)`, each chosen to shorten what follows most: near
rotations count more than far ones, and what is left of the Clifford counts too. A Toffoli
becomes five interactions of 3.5 full angles altogether this way, against six of 6.

The choice is greedy and made in several styles; the caller picks among the results.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pennylane_qstore.native.frontend.program import Affine
from pennylane_qstore.native.gates import TURN
from pennylane_qstore.native.ir import (
    TO_Z,
    IRCircuit,
    OneQubitUnitary,
    Operation,
    OutputParity,
    Rotation,
    matrix,
    pauli_pair,
)
from pennylane_qstore.native.search.gadgets import Gadgets, gadgets_of, layers
from pennylane_qstore.native.search.pauli import (
    AXES,
    GENERATORS,
    LOST,
    Rows,
    anticommuting,
    clifford,
    product,
    turn_pair,
    weight,
)

Weights = npt.NDArray[Any]
"""float64 or small integers."""

_QUARTER = Affine((), 0.25)
_PATIENCE = 4
"""Full interactions per wire that may pass without a rotation getting done."""


_CHOICE = 20_000
"""Elementary steps of a choice, however few there are to choose from."""


class GreedyWeights(NamedTuple):
    """How the greedy choice weighs things.

    Args:
        fading: weight of a rotation per layer of depth.
        frame: weight of the final Clifford's rows.
        eager: full interactions that gain more than this go before partial ones.
        seed: of the order among equals.
    """

    fading: float
    frame: float
    eager: float
    seed: int = 0


STYLES = tuple(
    GreedyWeights(*weights)
    for weights in (
        *((0.5, 0.1, 1.01), (0.15, 0.4, 1.01), (0.3, 0.2, 1.01), (0.7, 0.05, 1.01)),
        *((0.15, 0.4, 1.5), (0.7, 0.2, 1.5), (0.15, 0.1, 1.5), (0.85, 0.05, 1.5)),
        *((0.7, 0.2, 1.01), (0.7, 0.4, 0.0), (0.85, 0.4, 1.01), (0.7, 0.1, 0.0)),
    )
)
"""Styles that together came nearest to the best of sixty on forty circuits, each the one that
adds most to those before it: the first alone is within 4 % of all on average."""


def resynthesise(
    circuit: IRCircuit,
    styles: Sequence[GreedyWeights] = STYLES,
    *,
    most: int,
    outcomes: bool = False,
    work: float | None = None,
) -> list[IRCircuit]:
    """The circuit in other words, one for each style that needs few enough entanglers.

    Args:
        circuit: operations without two-qubit blocks.
        styles: styles of the greedy choice.
        most: entanglers beyond which a style is given up.
        outcomes: whether only the outcomes of ``circuit.outputs`` from |0…0⟩ are kept, not the
            unitary.
        work: elementary steps that all styles may take together, some nanoseconds each; of a
            large circuit only the first styles are tried, or none.
    """
    if work is not None and len(circuit.operations) ** 2 > work:
        return []
    gadgets = gadgets_of(circuit, outcomes=outcomes)
    if work is not None:
        styles = styles[: int(work / _work(gadgets, most))]
    order = _Order.of(gadgets)
    kind = _OutcomeRun if outcomes else _Run
    found = []
    for style in styles:
        run = kind(gadgets, order, style, most)
        bits = run.finish() if run.rotate() else None
        if bits is not None:
            if outcomes:
                outputs = tuple(
                    OutputParity(bit.wires, bit.flip ^ before.flip)
                    for bit, before in zip(bits, circuit.outputs, strict=True)
                )
            else:
                where = [next(iter(bit.wires)) for bit in bits]
                outputs = tuple(bit.relabelled(where) for bit in circuit.outputs)
            found.append(IRCircuit(circuit.wires, tuple(run.out), outputs))
    return found


def _work(gadgets: Gadgets, most: int) -> float:
    """Elementary steps of one style: each choice weighs all generators on all pairs."""
    rotations, wires = (int(size) for size in gadgets.paulis.shape)
    generators = len(GENERATORS) * wires * (wires - 1) / 2
    return (rotations + most) * (_CHOICE + (rotations + len(gadgets.rows)) * generators)


class _Order(NamedTuple):
    """What every style's run starts from.

    Attributes:
        anti: which rotations do not commute.
        depth: their layers.
        blockers: how many rotations each has to wait for.
        left, right: all pairs of wires.
    """

    anti: npt.NDArray[np.bool_]
    depth: npt.NDArray[np.intp]
    blockers: npt.NDArray[np.intp]
    left: npt.NDArray[np.intp]
    right: npt.NDArray[np.intp]

    @classmethod
    def of(cls, gadgets: Gadgets) -> _Order:
        anti = anticommuting(gadgets.paulis, gadgets.paulis)
        pairs = np.array(list(itertools.combinations(range(gadgets.paulis.shape[1]), 2)), dtype=int)
        left, right = pairs.reshape(-1, 2).T
        return cls(anti, layers(anti), np.triu(anti).sum(axis=0), left, right)


class _Run:
    """One greedy run; the Clifford that remains is kept as a unitary."""

    def __init__(self, gadgets: Gadgets, order: _Order, style: GreedyWeights, most: int) -> None:
        self.gadgets, self.style, self.most = gadgets, style, most
        self.out: list[Operation] = []
        self.used = self.circling = 0
        self.count = len(gadgets.angles)
        self.wires = gadgets.paulis.shape[1]
        self.rows = np.concatenate([gadgets.paulis, gadgets.rows])
        self.signs = np.concatenate([gadgets.signs, gadgets.row_signs])
        self.frame, self.frame_signs = self.rows[self.count :], self.signs[self.count :]
        self.anti, self.depth, blockers, self.left, self.right = order
        self.blockers = blockers.copy()
        self.alive = np.ones(self.count, dtype=bool)
        self.rng = np.random.default_rng(style.seed)

    def rotate(self) -> bool:
        """Emit all rotations; False where that takes too many entanglers."""
        self._progress()
        while (front := self._front()) is not None:
            weights = self._weights()
            lost = self._lost(self.rows)
            gain = self._gain(weights, lost)
            score = np.where((lost[front] > 0).any(axis=0), gain, -np.inf)
            ready = [j for j in front if np.count_nonzero(self.rows[j]) == 2]
            if ready and (not self.style.eager or score.max() <= self.style.eager):
                # First the one that is most in the way of the best full interaction.
                without = gain - weights[ready, None, None] * lost[ready]
                self._emit(ready[int(without.max(axis=(1, 2)).argmax())])
                self.used += 1
            else:
                if self.used >= self.circling:  # what each turn gains another loses: one to its end
                    shortest = min(front, key=lambda j: int(np.count_nonzero(self.rows[j])))
                    score = np.where(lost[shortest] > 0, gain, -np.inf)
                self._turn(score)
            if self.used > self.most:
                return False
        return True

    def finish(self) -> list[OutputParity] | None:
        """Emit the Clifford; where each wire is found, or None where it takes too many."""
        if not self._shortened():
            return None
        n = self.wires
        where = [int(np.flatnonzero(row)[0]) for row in self.frame[:n]]
        for q, w in enumerate(where):
            x = int(self.frame[q, w]), int(self.frame_signs[q])
            z = int(self.frame[n + q, w]), int(self.frame_signs[n + q])
            self.out.append(OneQubitUnitary(w, clifford(x, z)))
        return [OutputParity(frozenset((w,))) for w in where]

    def _shortened(self) -> bool:
        """Turn until no row of the frame is longer than one; False where it takes too many."""
        self._progress()
        while (weight(self.frame) > 1).any():
            lost = self._lost(self.frame)
            gain = self._gain(np.ones(len(lost)), lost)
            if gain.max() < 0.5 or self.used >= self.circling:
                gain = np.where(self._certain(lost), gain, -np.inf)
            self._turn(gain)
            if self.used > self.most:
                return False
        return True

    def _progress(self) -> None:
        """Something got done: turns may again be chosen by what they gain."""
        self.circling = self.used + _PATIENCE * self.wires

    def _certain(self, lost: Weights) -> npt.NDArray[np.bool_]:
        """Candidates that bring one wire to its end: its Z first, then X leaving Z alone."""
        n = self.wires
        lengths = weight(self.frame)
        both = lengths[:n] + lengths[n:]
        q = int(np.where(both > 2, both, 10 * n).argmin())
        if lengths[n + q] > 1:
            return np.asarray(lost[n + q] > 0)
        return np.asarray((lost[q] > 0) & (lost[n + q] >= 0))

    def _front(self) -> list[int] | None:
        """Rotations that may come next, those on one wire emitted; None when all are done."""
        while True:
            front = [int(j) for j in np.flatnonzero(self.alive & (self.blockers == 0))]
            if not front:
                return None
            short = [j for j in front if np.count_nonzero(self.rows[j]) == 1]
            if not short:
                return front
            for j in short:
                self._emit(j)

    def _weights(self) -> Weights:
        """How much each row's length counts."""
        out = np.full(len(self.rows), self.style.frame)
        depth = self.depth - self.depth[self.alive].min()
        out[: self.count] = np.where(self.alive, self.style.fading**depth, 0.0)
        return out

    def _lost(self, rows: Rows) -> Weights:
        """Weight each row loses by each candidate, (rows, pairs, generators)."""
        return np.asarray(LOST[4 * rows[:, self.left] + rows[:, self.right]])

    def _gain(self, weights: Weights, lost: Weights) -> Weights:
        """Weight lost altogether, (pairs, generators), in a random order among equals."""
        gain = (weights @ lost.reshape(len(lost), -1)).reshape(lost.shape[1:])
        return np.asarray(gain + 1e-6 * self.rng.random(gain.shape))

    def _emit(self, j: int) -> None:
        """The rotation as a turn or an interaction."""
        on = [int(q) for q in np.flatnonzero(self.rows[j])]
        axes = "".join(AXES[self.rows[j, q]] for q in on)
        angle = self.gadgets.angles[j].scaled(float(self.signs[j]))
        if len(on) == 2:
            self.out += pauli_pair(on[0], on[1], axes, angle.scaled(1 / TURN))
        elif on:
            turn = Rotation(on[0], axes, angle)
            self.out.append(turn if angle.terms else OneQubitUnitary(turn.wire, matrix(turn)))
        self._progress()
        self.alive[j] = False
        self.blockers[j + 1 :] -= self.anti[j, j + 1 :]

    def _turn(self, score: Weights) -> None:
        """The full interaction with the highest score."""
        pair, generator = np.unravel_index(int(score.argmax()), score.shape)
        a, b = int(self.left[pair]), int(self.right[pair])
        axes = "".join(AXES[c] for c in GENERATORS[generator])
        self.out += pauli_pair(a, b, axes, _QUARTER)
        turn_pair(self.rows, self.signs, a, b, int(generator))
        self.used += 1


class _OutcomeRun(_Run):
    """One greedy run; of the Clifford only the measured products of Z are kept.

    They commute and may be multiplied by each other: outcome i is the XOR of ``parts[i]``.
    """

    def __init__(self, gadgets: Gadgets, order: _Order, style: GreedyWeights, most: int) -> None:
        super().__init__(gadgets, order, style, most)
        self.parts = [{i} for i in range(len(self.frame))]
        self._shorten()

    def finish(self) -> list[OutputParity] | None:
        """Emit what is left; each outcome as an XOR of wires, or None where too many."""
        if not self._shortened():
            return None
        at: list[set[int]] = []
        for row in self.frame:
            on = [int(q) for q in np.flatnonzero(row)]
            at.append(set(on))
            if on and row[on[0]] != 3:
                self.out.append(OneQubitUnitary(on[0], TO_Z[AXES[row[on[0]]]]))
        bits = []
        for parts in self.parts:
            wires: set[int] = set()
            for i in parts:
                wires ^= at[i]
            sign = np.prod([int(self.frame_signs[i]) for i in parts])
            bits.append(OutputParity(frozenset(wires), bool(sign < 0)))
        return bits

    def _certain(self, lost: Weights) -> npt.NDArray[np.bool_]:
        """Candidates that shorten the shortest row."""
        lengths = weight(self.frame)
        shortest = int(np.where(lengths > 1, lengths, 10 * self.wires).argmin())
        return np.asarray(lost[shortest] > 0)

    def _turn(self, score: Weights) -> None:
        super()._turn(score)
        self._shorten()

    def _shorten(self) -> None:
        """Multiply rows by others where that makes them shorter."""
        changed = True
        while changed:
            changed = False
            for i, j in itertools.permutations(range(len(self.frame)), 2):
                row, sign = product(self.frame[i], self.frame[j])
                if np.count_nonzero(row) < np.count_nonzero(self.frame[i]):
                    self.frame[i] = row
                    self.frame_signs[i] *= sign * self.frame_signs[j]
                    for parts in self.parts:
                        if i in parts:
                            parts ^= {j}
                    changed = True
