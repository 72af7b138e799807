"""From histograms, and single shots where there are any, to a tape's outcomes in one basis."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pennylane_qstore.ionq.messages.histograms import Histogram
from pennylane_qstore.measurement.outcomes import BitArray, Outcomes
from pennylane_qstore.measurement.recipes import ImpossiblePostselection, Plan
from pennylane_qstore.native.frontend.program import FloatArray
from pennylane_qstore.native.template.batch import Readout

Shots = npt.NDArray[np.uint64]
"""Outcomes of one circuit in the order in which they were taken."""

_IMPOSSIBLE = 1e-12
"""Probability that is 0 but for the service's rounding."""


class Rows(NamedTuple):
    """Results of circuits that are read alike.

    Attributes:
        measured: qubit of each bit that the readout takes.
        readout: from these bits to the tape's.
        histograms: by row.
        shots: by row, in the order taken; None where the order is not known.
    """

    measured: tuple[int, ...]
    readout: Readout
    histograms: Sequence[Histogram]
    shots: Sequence[Shots] | None = None

    @property
    def alike(self) -> bool:
        """True where all histograms have one array of outcomes, as a job's full ones do."""
        first = self.histograms[0].states
        return all(histogram.states is first for histogram in self.histograms)

    def all_bits(self) -> BitArray:
        """The tape's bits of all histograms' outcomes, one after the other, (outcomes, wires)."""
        if self.alike:
            return np.tile(self.bits(self.histograms[0].states), (len(self.histograms), 1))
        return self.bits(np.concatenate([histogram.states for histogram in self.histograms]))

    def bits(self, states: Shots) -> BitArray:
        """The tape's bits of some outcomes, (outcomes, wires)."""
        places = np.array(self.measured, dtype=np.uint64)
        return self.readout.apply(((states[:, None] >> places) & np.uint64(1)).astype(np.uint8))


def gather_outcomes(
    plan: Plan,
    wires: tuple[int, ...],
    parts: Iterable[Rows],
    *,
    shots: int | None,
    exact: bool,
    rng: np.random.Generator,
) -> Outcomes:
    """Return the outcomes of one tape in one basis, in the tape's own bits.

    Args:
        plan: of the tape's measurements: what is selected.
        wires: tape wires, by bit.
        parts: rows in order.
        shots: of the tape; None for exact probabilities.
        exact: whether histograms are probabilities that shots have to be drawn from.
        rng: draws and shuffles.

    Returns:
        The outcomes of all rows.

    Raises:
        ImpossiblePostselection: shots are to be drawn from outcomes of probability 0.
    """
    bits: list[BitArray] = []
    weights: list[FloatArray] = []
    sizes: list[int] = []
    ordered: list[BitArray] | None = []
    alike: list[bool] = []
    for part in parts:
        some = part.all_bits()
        bits.append(some)
        alike.append(part.alike)
        rows = [len(histogram.states) for histogram in part.histograms]
        sizes += rows
        chances = np.concatenate([histogram.probabilities for histogram in part.histograms])
        if shots is None:
            weights.append(chances)
        elif exact:
            kept = _kept(plan, wires, some)
            weights += _drawn(chances if kept is None else chances * kept, rows, shots, rng)
        else:
            weights.append(_whole(chances * shots, rows, shots))
        if part.shots is None or ordered is None:
            ordered = None
        else:
            ordered += [part.bits(row) for row in part.shots]
    row = np.repeat(np.arange(len(sizes)), sizes)
    all_bits, weight = np.concatenate(bits), np.concatenate(weights)
    if shots is not None:
        seen = weight > 0
        row, all_bits, weight = row[seen], all_bits[seen], weight[seen]
    samples = np.stack(ordered) if ordered else None
    period = sizes[0] if shots is None and alike == [True] else None
    return Outcomes(wires, len(sizes), row, all_bits, weight, shots, rng, samples, period=period)


def agree(taken: Shots, histogram: Histogram, shots: int) -> bool:
    """Tell whether single shots are those of a histogram.

    They are not where the service has worked on the histogram (debiasing, aggregation).

    Args:
        taken: outcomes, shape (shots,).
        histogram: of the same circuit.
        shots: that were asked for.

    Returns:
        True if each outcome occurs as often as the histogram says.
    """
    states, counts = np.unique(taken, return_counts=True)
    if len(taken) != shots:
        return False
    expected = histogram.probabilities * shots
    seen = expected > 0.5
    return np.array_equal(states, histogram.states[seen]) and bool(
        np.all(np.abs(counts - expected[seen]) < 0.5)
    )


def _kept(plan: Plan, wires: Sequence[int], bits: BitArray) -> npt.NDArray[np.bool_] | None:
    """Return a mask of the outcomes that shots may be drawn from; None for all."""
    if not plan.fill:
        return None
    columns = [wires.index(wire) for wire, _ in plan.selected]
    return np.asarray((bits[:, columns] == [value for _, value in plan.selected]).all(axis=1))


def _drawn(
    chances: FloatArray, rows: Sequence[int], shots: int, rng: np.random.Generator
) -> Iterator[FloatArray]:
    """Yield counts of shots drawn from the probabilities of each row.

    Raises:
        ImpossiblePostselection: a row has none.
    """
    for start, end in pairwise(accumulate(rows, initial=0)):
        row = chances[start:end]
        if row.sum() <= _IMPOSSIBLE:
            raise ImpossiblePostselection(
                "The probability of the postselected mid-circuit measurement outcome is "
                "0: postselect_mode='fill-shots' has nothing to fill the shots with. "
                "Use 'hw-like', which keeps the shots that were selected."
            )
        yield rng.multinomial(shots, row / row.sum()).astype(float)


def _whole(expected: FloatArray, rows: Sequence[int], shots: int) -> FloatArray:
    """Whole counts that add up to the shots in each row: the largest remainders are rounded up."""
    counts = np.floor(expected + 1e-9)
    sizes = np.asarray(rows, dtype=np.intp)
    ends = np.cumsum(sizes)
    missing = shots - np.add.reduceat(counts, ends - sizes)
    for row in np.flatnonzero(missing > 0):
        own = slice(ends[row] - sizes[row], ends[row])
        order = np.argsort(counts[own] - expected[own], kind="stable")
        counts[own][order[: int(missing[row])]] += 1
    return np.asarray(counts)
