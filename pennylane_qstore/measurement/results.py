"""Histograms to PennyLane results.

A :class:`.Plan` says how each result follows from the outcomes in a few bases.
:func:`results` computes all rows at once.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from pennylane.measurements import (
    CountsMP,
    SampleMP,
)
from pennylane.tape import QuantumScript
from pennylane.wires import Wires

from pennylane_qstore.measurement.recipes import NotSupported, Plan, Recipe, Term
from pennylane_qstore.native.frontend.program import FloatArray

BitArray = npt.NDArray[np.uint8]
Results = Any

_DIGITS = 12
"""Decimals to which eigenvalues have to agree to be the same."""


@dataclass
class Outcomes:
    """Outcomes in one basis, over all rows of a tape.

    Args:
        wires: tape wires, by column of ``bits``.
        rows: number of rows.
        row: row of each entry, ascending.
        bits: outcome of each entry, (entries, wires).
        weight: probability of each entry, or its count of shots.
        shots: shots per row; None for exact probabilities.
        rng: shuffles samples.
        _samples: shots one by one, (rows, shots, wires), once known.
    """

    wires: tuple[int, ...]
    rows: int
    row: npt.NDArray[np.intp]
    bits: BitArray
    weight: FloatArray
    shots: int | None
    rng: np.random.Generator | None = None
    _samples: BitArray | None = field(default=None, repr=False)
    _total: FloatArray | None = field(default=None, repr=False)

    @property
    def total(self) -> FloatArray | float:
        """Weight of each row, shape (rows,), or of every row."""
        if self._total is not None:
            return self._total
        return 1.0 if self.shots is None else float(self.shots)

    def selected(self, wanted: Sequence[tuple[int, int]]) -> Outcomes:
        """Return only the outcomes in which these (wire, value) pairs hold."""
        columns = self.columns([w for w, _ in wanted])
        kept = (self.bits[:, columns] == [v for _, v in wanted]).all(axis=1)
        row, weight = self.row[kept], self.weight[kept]
        total = np.bincount(row, weight, self.rows)
        shots = self.shots
        if shots is not None:
            shots = round(total[0])
        out = Outcomes(self.wires, self.rows, row, self.bits[kept], weight, shots, self.rng)
        out._total = np.where(total > 0, total, np.nan)
        if self._samples is not None and (total == total[0]).all():
            kept = (self._samples[:, :, columns] == [v for _, v in wanted]).all(axis=2)
            out._samples = self._samples[kept].reshape(self.rows, shots or 0, len(self.wires))
        return out

    def samples(self) -> BitArray:
        """Return single shots in the order taken where that is known.

        Otherwise in random order: exact multiplicities, shuffled once.

        Returns:
            Bits, shape (rows, shots, wires).

        Raises:
            NotSupported: rows keep different numbers of shots.
        """
        if self._samples is None:
            assert self.shots is not None and self.rng is not None  # noqa: S101, PT018
            if self._total is not None and len(np.unique(np.nan_to_num(self._total))) > 1:
                raise NotSupported(
                    "Samples and counts of a broadcast circuit with postselection are not "
                    "supported on qstore.ionq: its rows keep different numbers of shots."
                )
            counts = np.rint(self.weight).astype(int)
            bits = np.repeat(self.bits, counts, axis=0)
            shots = bits.reshape(self.rows, self.shots, len(self.wires))
            self._samples = np.stack([row[self.rng.permutation(self.shots)] for row in shots])
        return self._samples

    def part(self, start: int, stop: int) -> Outcomes:
        """Return the outcomes of some shots of every row.

        Args:
            start: first shot.
            stop: end of the shots, itself excluded.

        Returns:
            The outcomes, each shot an entry.
        """
        part = self.samples()[:, start:stop]
        n = stop - start
        return Outcomes(
            self.wires,
            self.rows,
            np.repeat(np.arange(self.rows), n),
            part.reshape(-1, len(self.wires)),
            np.ones(self.rows * n),
            n,
            self.rng,
            part,
        )

    def columns(self, wires: Sequence[int]) -> list[int]:
        """Return the columns of wires in ``bits``."""
        at = {w: i for i, w in enumerate(self.wires)}
        return [at[w] for w in wires]

    def mean(self, values: FloatArray) -> FloatArray:
        """Return the weighted mean of a value per entry, shape (rows,)."""
        total = np.bincount(self.row, weights=self.weight * values, minlength=self.rows)
        return np.asarray(total / self.total)


def results(
    plan: Plan, outcomes: Sequence[Outcomes], tape: QuantumScript, *, batched: bool
) -> Results:
    """Return the results of one tape in PennyLane's order and shape.

    Args:
        plan: of the tape's measurements.
        outcomes: per basis.
        tape: the tape (its measurements and shots).
        batched: whether results have a leading dimension of rows.

    Returns:
        A result, a tuple of them, or for a shot vector a tuple of these.
    """
    if tape.shots.has_partitioned_shots:
        bounds = [0, *itertools.accumulate(tape.shots)]
        return tuple(
            _one_copy(plan, [o.part(a, b) for o in outcomes], tape, batched)
            for a, b in itertools.pairwise(bounds)
        )
    return _one_copy(plan, outcomes, tape, batched)


# --- results -------------------------------------------------------------------------------


def _one_copy(
    plan: Plan, outcomes: Sequence[Outcomes], tape: QuantumScript, batched: bool
) -> Results:
    if plan.selected:
        outcomes = [o.selected(plan.selected) for o in outcomes]
    computed = [
        _KINDS[recipe.kind](recipe._replace(measurement=m), outcomes, batched)
        for recipe, m in zip(plan.recipes, tape.measurements, strict=True)
    ]
    return computed[0] if len(computed) == 1 else tuple(computed)


def _expval(recipe: Recipe, outcomes: Sequence[Outcomes], batched: bool) -> Results:
    return _shaped(_sum(recipe.terms, recipe.constant, outcomes), batched)


def _var(recipe: Recipe, outcomes: Sequence[Outcomes], batched: bool) -> Results:
    where = outcomes[recipe.basis]
    values = _values(recipe, where)
    mean = where.mean(values)
    return _shaped(where.mean((values - mean[where.row]) ** 2), batched)


def _moment(recipe: Recipe, outcomes: Sequence[Outcomes], batched: bool) -> Results:
    mean = _sum(recipe.terms, recipe.constant, outcomes)
    return _shaped(_sum(recipe.squared, recipe.squared_constant, outcomes) - mean**2, batched)


def _probs(recipe: Recipe, outcomes: Sequence[Outcomes], batched: bool) -> Results:
    where = outcomes[recipe.basis]
    size = 2 ** len(recipe.wires)
    index = _state(where.bits[:, where.columns(recipe.wires)])
    flat = np.bincount(where.row * size + index, where.weight, where.rows * size)
    table = flat.reshape(where.rows, size) / np.reshape(where.total, (-1, 1))
    return table if batched else table[0]


def _observed(recipe: Recipe, outcomes: Sequence[Outcomes], batched: bool) -> Results:
    """Return samples or counts of an observable's values."""
    where = outcomes[recipe.basis]
    samples = where.samples()
    rows, shots, wires = samples.shape
    flat = Outcomes(
        where.wires, 1, np.zeros(1, int), samples.reshape(rows * shots, wires), np.ones(1), None
    )
    values = _values(recipe, flat).reshape(rows, shots)
    if isinstance(recipe.measurement, SampleMP):
        values = values.astype(recipe.measurement._dtype or float, copy=False)
        return values if batched else values[0]
    counts = [_counted(row, recipe, where) for row in values]
    return counts if batched else counts[0]


def _counted(values: FloatArray, recipe: Recipe, where: Outcomes) -> dict[Any, Any]:
    counts = _tally(values)
    if getattr(recipe.measurement, "all_outcomes", False):
        wires = sorted({w for term in recipe.terms for f in term.factors for w in f.wires})
        states = np.array(list(itertools.product((0, 1), repeat=len(wires))), dtype=np.uint8)
        every = Outcomes(
            tuple(wires), 1, np.zeros(1, int), states.reshape(len(states), -1), np.ones(1), None
        )
        possible = _values(recipe, every)
        seen = {round(value, _DIGITS): number for value, number in counts.items()}
        counts = {v: seen.get(round(v, _DIGITS), np.int64(0)) for v in _tally(possible)}
    return counts


def _tally(values: FloatArray) -> dict[Any, Any]:
    """Count each value; values that differ by rounding errors are one."""
    _, first, numbers = np.unique(np.round(values, _DIGITS), return_index=True, return_counts=True)
    return dict(zip(values[first], numbers, strict=True))


def _bits(recipe: Recipe, outcomes: Sequence[Outcomes], batched: bool) -> Results:
    """Return samples or counts of wires, by PennyLane's own processing."""
    where = outcomes[recipe.basis]
    samples = where.samples()[:, :, where.columns(recipe.wires)].astype(np.int64)
    order = recipe.measurement.wires or Wires(range(len(recipe.wires)))
    if isinstance(recipe.measurement, CountsMP) and not where.shots:
        nothing = _nothing_counted(recipe)  # PennyLane's own processing wants at least one shot
        return [dict(nothing) for _ in samples] if batched else nothing
    return recipe.measurement.process_samples(samples if batched else samples[0], order)


def _nothing_counted(recipe: Recipe) -> dict[str, np.int64]:
    """Return counts of wires where postselection left no shot."""
    if not getattr(recipe.measurement, "all_outcomes", False):
        return {}
    n = len(recipe.wires)
    return {f"{outcome:0{n}b}": np.int64(0) for outcome in range(2**n)}


def _nothing(recipe: Recipe, outcomes: Sequence[Outcomes], batched: bool) -> None:
    """Return nothing: postselection has no result of its own."""


_KINDS: Mapping[str, Callable[[Recipe, Sequence[Outcomes], bool], Results]] = {
    "expval": _expval,
    "var": _var,
    "moment": _moment,
    "probs": _probs,
    "values": _observed,
    "bits": _bits,
    "selected": _nothing,
}


def _sum(terms: Sequence[Term], constant: float, outcomes: Sequence[Outcomes]) -> FloatArray:
    total: FloatArray | float = constant
    for term in terms:
        where = outcomes[term.basis]
        total = total + term.coefficient * where.mean(_product(term, where))
    return np.broadcast_to(np.asarray(total, dtype=float), (outcomes[0].rows,)).copy()


def _values(recipe: Recipe, where: Outcomes) -> FloatArray:
    values = np.full(len(where.bits), recipe.constant)
    for term in recipe.terms:
        values += term.coefficient * _product(term, where)
    return values


def _product(term: Term, where: Outcomes) -> FloatArray:
    out = np.ones(len(where.bits))
    for factor in term.factors:
        bits = where.bits[:, where.columns(factor.wires)]
        if factor.values is None:
            out *= 1.0 - 2.0 * (bits.sum(axis=1) & 1)
        else:
            out *= factor.values[_state(bits)]
    return out


def _state(bits: BitArray) -> npt.NDArray[np.int64]:
    """Return the big-endian state index of each outcome."""
    powers = 1 << np.arange(bits.shape[1])[::-1]
    return bits.astype(np.int64) @ powers.astype(np.int64)


def _shaped(values: FloatArray, batched: bool) -> Results:
    return values if batched else np.float64(values[0])
