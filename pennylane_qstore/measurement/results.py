"""Histograms to PennyLane results.

A :class:`.Plan` says how each result follows from the outcomes in a few bases.
:func:`results` computes all rows at once.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from pennylane.measurements import CountsMP, SampleMP
from pennylane.tape import QuantumScript
from pennylane.wires import Wires

from pennylane_qstore.measurement.outcomes import Outcomes, state_of, values_of
from pennylane_qstore.measurement.recipes import Plan, Recipe, Term
from pennylane_qstore.native.frontend.program import FloatArray

Results = Any

_DIGITS = 12
"""Decimals to which eigenvalues have to agree to be the same."""


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
    computed: list[Any] = []
    following = [*(recipe.kind for recipe in plan.recipes[1:]), ""]
    for recipe, m, after in zip(plan.recipes, tape.measurements, following, strict=True):
        if recipe.kind in _NUMBERS:
            values, errors = _NUMBERS[recipe.kind](recipe, outcomes)
            numbers = [values, errors()] if after == f"{recipe.kind} error" else [values]
            computed += [some if batched else some[0] for some in numbers]
        elif recipe.kind in _KINDS:
            kind, recipe = _KINDS[recipe.kind], recipe._replace(measurement=m)
            if plan.selected and batched and isinstance(m, CountsMP):  # rows keep their own shots
                rows = ([o.only_row(i) for o in outcomes] for i in range(outcomes[0].rows))
                computed.append([kind(recipe, row, False) for row in rows])
            else:
                computed.append(kind(recipe, outcomes, batched))
    return computed[0] if len(computed) == 1 else tuple(computed)


def _expval(recipe: Recipe, outcomes: Sequence[Outcomes]) -> _Numbers:
    parts = _parts(recipe.terms, outcomes)
    return _mean(recipe.constant, parts, outcomes), lambda: _error(parts, outcomes)


def _var(recipe: Recipe, outcomes: Sequence[Outcomes]) -> _Numbers:
    where = outcomes[recipe.basis]
    squares = _squares(values_of(recipe.terms, recipe.constant, where), where)
    return where.mean(squares), lambda: _error({recipe.basis: squares}, outcomes)


def _moment(recipe: Recipe, outcomes: Sequence[Outcomes]) -> _Numbers:
    firsts, seconds = _parts(recipe.terms, outcomes), _parts(recipe.squared, outcomes)
    mean = _mean(recipe.constant, firsts, outcomes)

    def errors() -> FloatArray:
        parts: dict[int, FloatArray] = dict(seconds)
        for i, values in firsts.items():
            parts[i] = parts.get(i, 0.0) - 2 * mean[outcomes[i].row] * values
        return _error(parts, outcomes)

    return _mean(recipe.squared_constant, seconds, outcomes) - mean**2, errors


def _probs(recipe: Recipe, outcomes: Sequence[Outcomes]) -> _Numbers:
    where = outcomes[recipe.basis]
    size = 2 ** len(recipe.wires)
    columns = where.columns(recipe.wires)
    index = where.of_bits(lambda bits: state_of(bits[:, columns]))
    flat = np.bincount(where.row * size + index, where.weight, where.rows * size)
    table = flat.reshape(where.rows, size) / np.reshape(where.total, (-1, 1))
    return table, lambda: np.sqrt(_per_shot(table * (1 - table), where))


def _observed(recipe: Recipe, outcomes: Sequence[Outcomes], batched: bool) -> Results:
    """Return samples or counts of an observable's values."""
    where = outcomes[recipe.basis]
    samples = where.samples()
    rows, shots, wires = samples.shape
    flat = Outcomes(
        where.wires, 1, np.zeros(1, int), samples.reshape(rows * shots, wires), np.ones(1), None
    )
    values = values_of(recipe.terms, recipe.constant, flat).reshape(rows, shots)
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
        possible = values_of(recipe.terms, recipe.constant, every)
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


def _mean(
    constant: float, parts: Mapping[int, FloatArray], outcomes: Sequence[Outcomes]
) -> FloatArray:
    """Return the mean, (rows,), of a constant and a value per outcome of each basis."""
    total = np.full(outcomes[0].rows, constant)
    for i, values in parts.items():
        total += outcomes[i].mean(values)
    return total


def _error(parts: Mapping[int, FloatArray], outcomes: Sequence[Outcomes]) -> FloatArray:
    """Return the standard error, (rows,), of a sum of means of a value per outcome of each basis.

    Values of one basis are of the same shots: their covariances are in the variance of their sum.
    Those of different bases are of different shots, and independent.
    """
    variance = np.zeros(outcomes[0].rows)
    for i, values in parts.items():
        where = outcomes[i]
        variance += _per_shot(where.mean(_squares(values, where))[:, None], where)[:, 0]
    return np.sqrt(variance)


def _squares(values: FloatArray, where: Outcomes) -> FloatArray:
    """Return the squared distance of each outcome's value from the mean of its row."""
    centred: FloatArray = values - where.mean(values)[where.row]
    return centred**2


def _per_shot(variance: FloatArray, where: Outcomes) -> FloatArray:
    """Return the unbiased variance of a mean, (rows, values); NaN for a single shot."""
    if where.shots is None:
        return np.zeros_like(variance)
    left = np.reshape(where.total, (-1, 1)) - 1.0
    return variance / np.where(left > 0, left, np.nan)


def _parts(terms: Sequence[Term], outcomes: Sequence[Outcomes]) -> dict[int, FloatArray]:
    """Return the sum of the terms of each basis that has some, for each outcome."""
    by_basis: dict[int, list[Term]] = {}
    for term in terms:
        by_basis.setdefault(term.basis, []).append(term)
    return {i: values_of(some, 0.0, outcomes[i]) for i, some in by_basis.items()}


_Numbers = tuple[FloatArray, Callable[[], FloatArray]]
"""Values, (rows,) or (rows, states), and a function that returns their standard errors."""

_NUMBERS: Mapping[str, Callable[[Recipe, Sequence[Outcomes]], _Numbers]] = {
    "expval": _expval,
    "var": _var,
    "moment": _moment,
    "probs": _probs,
}
"""Kinds that have standard errors; the recipe of an error follows the value's."""

_KINDS: Mapping[str, Callable[[Recipe, Sequence[Outcomes], bool], Results]] = {
    "values": _observed,
    "bits": _bits,
}
"""Kinds of samples and counts. All others have no result of their own: errors, selections."""
