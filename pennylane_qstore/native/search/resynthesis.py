r"""Pauli gadgets back to gates, with partial interactions: :func:`resynthesise`.

A rotation about a string on one wire is a rotation of that wire, one about a string on two wires
is a single partial interaction. Longer strings are shortened by full interactions
:math:`\exp(-i\frac{\pi}{4} P \otimes Q)`, each chosen to shorten what follows most: near
rotations count more than far ones, and what is left of the Clifford counts too. A Toffoli
becomes five interactions of 3.5 full angles altogether this way, against six of 6.

The choice is greedy and made with several weights; the caller picks among the results.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pennylane_qstore.native.gates import TURN
from pennylane_qstore.native.ir import IRCircuit, Operation, OutputParity, pauli_pair, rotation
from pennylane_qstore.native.search.frames import Frame, OutcomeFrame, UnitaryFrame, Weights
from pennylane_qstore.native.search.gadgets import Gadgets, gadgets_of, layers
from pennylane_qstore.native.search.pauli import (
    AXES,
    GENERATORS,
    LOST,
    Codes,
    anticommuting,
    entangler,
    weight,
)

_PATIENCE = 4
"""Full interactions per wire that may pass without a rotation getting done."""
_CHOICE = 20_000
"""Elementary steps of a choice, however few there are to choose from."""
_TIE = 1e-6
"""Largest random gain, which orders equals."""


class GreedyWeights(NamedTuple):
    """Weights of the greedy choice.

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


GREEDY_WEIGHTS = tuple(
    GreedyWeights(*weights)
    for weights in (
        *((0.5, 0.1, 1.01), (0.15, 0.4, 1.01), (0.3, 0.2, 1.01), (0.7, 0.05, 1.01)),
        *((0.15, 0.4, 1.5), (0.7, 0.2, 1.5), (0.15, 0.1, 1.5), (0.85, 0.05, 1.5)),
        *((0.7, 0.2, 1.01), (0.7, 0.4, 0.0), (0.85, 0.4, 1.01), (0.7, 0.1, 0.0)),
    )
)
"""Weights that together came nearest to the best of sixty on forty circuits, each the ones that
add most to those before: the first alone are within 4 % of all on average."""


def resynthesise(
    circuit: IRCircuit,
    weights: Sequence[GreedyWeights] = GREEDY_WEIGHTS,
    *,
    most: int,
    outcomes: bool = False,
    work: float | None = None,
) -> list[IRCircuit]:
    """Write a circuit anew from its Pauli gadgets.

    Args:
        circuit: operations without two-qubit unitaries.
        weights: weights of the greedy choice to try.
        most: entanglers beyond which a try is given up.
        outcomes: keep only the outcomes of ``circuit.outputs`` from |0…0⟩, not the unitary.
        work: elementary steps that all tries may take together, some nanoseconds each; of a
            large circuit only the first weights are tried, or none.

    Returns:
        A circuit for each of the weights that needs few enough entanglers.
    """
    gadgets = gadgets_within(circuit, most=most, outcomes=outcomes, work=work)
    if gadgets is None:
        return []
    return resynthesise_gadgets(
        gadgets, circuit.outputs, weights, most=most, outcomes=outcomes, work=work
    )


def gadgets_within(
    circuit: IRCircuit, *, most: int, outcomes: bool = False, work: float | None = None
) -> Gadgets | None:
    """Write a circuit as Pauli gadgets, unless even that would be too much work.

    Args:
        circuit: as of :func:`resynthesise`.
        most: as there.
        outcomes: as there.
        work: as there.

    Returns:
        The gadgets; None of too large a circuit.
    """
    frame_rows = len(circuit.outputs) if outcomes else 2 * circuit.wires
    least = max(len(circuit.operations) ** 2, _work(circuit.wires, 0, frame_rows, most))
    if work is not None and least > work:
        return None
    return gadgets_of(circuit, outcomes=outcomes)


def resynthesise_gadgets(
    gadgets: Gadgets,
    outputs: Sequence[OutputParity],
    weights: Sequence[GreedyWeights] = GREEDY_WEIGHTS,
    *,
    most: int,
    outcomes: bool = False,
    work: float | None = None,
    is_over: Callable[[], bool] = bool,
) -> list[IRCircuit]:
    """Write a circuit from Pauli gadgets.

    Args:
        gadgets: of the circuit.
        outputs: the circuit's.
        weights: as of :func:`resynthesise`.
        most: as there.
        outcomes: whether the gadgets keep the outcomes only.
        work: as there.
        is_over: asked before each try; no other is made once it returns True.

    Returns:
        A circuit for each of the weights that needs few enough entanglers.
    """
    if work is not None:
        wires, frame_rows = gadgets.strings.codes.shape[1], len(gadgets.frame.codes)
        weights = weights[: int(work / _work(wires, len(gadgets.angles), frame_rows, most))]
    if not weights or is_over():
        return []
    order = _Order.of(gadgets)
    frame_of: type[Frame] = OutcomeFrame if outcomes else UnitaryFrame
    in_time = itertools.takewhile(lambda _: not is_over(), weights)
    runs = (_GreedyRun(gadgets, order, frame_of, one, most) for one in in_time)
    return [new for run in runs if (new := run.circuit(outputs)) is not None]


def _work(wires: int, rotations: int, frame_rows: int, most: int) -> float:
    """Return the elementary steps of one try: each choice weighs all generators on all pairs."""
    candidates = len(GENERATORS) * wires * (wires - 1) / 2
    return (rotations + most) * (_CHOICE + (rotations + frame_rows) * candidates)


class _Order(NamedTuple):
    """Order of the rotations, and candidates of a choice: the same for all weights.

    Attributes:
        anti: True where two rotations do not commute.
        depth: their layers.
        blockers: number of earlier rotations that each has to wait for.
        left, right: all pairs of wires.
    """

    anti: npt.NDArray[np.bool_]
    depth: npt.NDArray[np.intp]
    blockers: npt.NDArray[np.intp]
    left: npt.NDArray[np.intp]
    right: npt.NDArray[np.intp]

    @classmethod
    def of(cls, gadgets: Gadgets) -> _Order:
        codes = gadgets.strings.codes
        anti = anticommuting(codes, codes)
        pairs = np.array(list(itertools.combinations(range(codes.shape[1]), 2)), dtype=int)
        left, right = pairs.reshape(-1, 2).T
        return cls(anti, layers(anti), np.triu(anti).sum(axis=0), left, right)


class _GreedyRun:
    """One greedy run: rotations first, then the frame.

    Attributes:
        table: strings of the rotations, then rows of the frame; conjugated together.
        alive: True for rotations that are still to be emitted.
        circling: entanglers at which choosing by gain is given up for sure progress.
    """

    def __init__(
        self,
        gadgets: Gadgets,
        order: _Order,
        frame_of: type[Frame],
        weights: GreedyWeights,
        most: int,
    ) -> None:
        self.angles, self.weights, self.most = gadgets.angles, weights, most
        self.table = gadgets.strings.joined(gadgets.frame)
        self.rotations = self.table.rows(slice(len(self.angles)))
        self.frame_codes = self.table.codes[len(self.angles) :]
        self.frame = frame_of(self.table.rows(slice(len(self.angles), None)))
        self.order = order
        self.blockers = order.blockers.copy()
        self.alive = np.ones(len(self.angles), dtype=bool)
        self.rng = np.random.default_rng(weights.seed)
        self.operations: list[Operation] = []
        self.used = self.circling = 0

    def circuit(self, outputs: Sequence[OutputParity]) -> IRCircuit | None:
        """Return the circuit with these outputs; None where it takes too many entanglers."""
        if not (self._emit_rotations() and self._shorten_frame()):
            return None
        last, new_outputs = self.frame.finish(outputs)
        wires = self.table.codes.shape[1]
        return IRCircuit(wires, (*self.operations, *last), new_outputs)

    def _emit_rotations(self) -> bool:
        """Emit all rotations; False where that takes too many entanglers."""
        self._note_progress()
        while front := self._front():
            row_weights = self._row_weights()
            lost = self._lost(self.table.codes)
            gain = self._gain(row_weights, lost)
            score = np.where((lost[front] > 0).any(axis=0), gain, -np.inf)
            ready = [j for j in front if np.count_nonzero(self.rotations.codes[j]) == 2]
            eager = self.weights.eager
            if ready and (not eager or score.max() <= eager):
                # First the one that is most in the way of the best full interaction.
                without = gain - row_weights[ready, None, None] * lost[ready]
                self._emit(ready[int(without.max(axis=(1, 2)).argmax())])
                self.used += 1
            else:
                if self.used >= self.circling:
                    # No net progress: shorten one rotation to completion.
                    lengths = weight(self.rotations.codes[front])
                    score = np.where(lost[front[int(lengths.argmin())]] > 0, gain, -np.inf)
                self._entangle(score)
            if self.used > self.most:
                return False
        return True

    def _shorten_frame(self) -> bool:
        """Entangle until no row of the frame acts on two wires; False where it takes too many."""
        self._note_progress()
        while (weight(self.frame_codes) > 1).any():
            lost = self._lost(self.frame_codes)
            gain = self._gain(np.ones(len(lost)), lost)
            if gain.max() < 0.5 or self.used >= self.circling:
                gain = np.where(self.frame.certain(lost), gain, -np.inf)
            self._entangle(gain)
            if self.used > self.most:
                return False
        return True

    def _note_progress(self) -> None:
        """Choose by gain again, now that something got done."""
        self.circling = self.used + _PATIENCE * self.table.codes.shape[1]

    def _front(self) -> list[int]:
        """Return the rotations that may come next, those of one wire emitted."""
        while True:
            front = [int(j) for j in np.flatnonzero(self.alive & (self.blockers == 0))]
            short = [j for j in front if np.count_nonzero(self.rotations.codes[j]) == 1]
            if not short:
                return front
            for j in short:
                self._emit(j)

    def _row_weights(self) -> Weights:
        """Return how much each row's length counts, (rows,)."""
        depth = self.order.depth - self.order.depth[self.alive].min()
        fading = np.where(self.alive, self.weights.fading**depth, 0.0)
        return np.concatenate([fading, np.full(len(self.frame_codes), self.weights.frame)])

    def _lost(self, codes: Codes) -> Weights:
        """Return the weight each row loses by each candidate, (rows, pairs, generators)."""
        return np.asarray(LOST[4 * codes[:, self.order.left] + codes[:, self.order.right]])

    def _gain(self, row_weights: Weights, lost: Weights) -> Weights:
        """Return the weight lost altogether, (pairs, generators), equals in a random order."""
        gain = (row_weights @ lost.reshape(len(lost), -1)).reshape(lost.shape[1:])
        return np.asarray(gain + _TIE * self.rng.random(gain.shape))

    def _emit(self, j: int) -> None:
        """Emit a rotation about a string on one or two wires."""
        codes, signs = self.rotations
        on = [int(q) for q in np.flatnonzero(codes[j])]
        axes = "".join(AXES[codes[j, q]] for q in on)
        angle = self.angles[j].scaled(float(signs[j]))
        if len(on) == 2:
            self.operations += pauli_pair(on[0], on[1], axes, angle.scaled(1 / TURN))
        else:
            self.operations.append(rotation(on[0], axes, angle))
        self.alive[j] = False
        self.blockers[j + 1 :] -= self.order.anti[j, j + 1 :]
        self._note_progress()

    def _entangle(self, score: Weights) -> None:
        """Emit the full interaction with the highest score."""
        pair, generator = (int(i) for i in np.unravel_index(int(score.argmax()), score.shape))
        a, b = int(self.order.left[pair]), int(self.order.right[pair])
        self.operations += entangler(a, b, generator)
        self.table.conjugate_by_entangler(a, b, generator)
        self.frame.shorten()
        self.used += 1
