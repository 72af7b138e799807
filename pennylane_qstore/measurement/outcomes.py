"""Outcomes in one basis, and the values that they have."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from pennylane_qstore.measurement.calibration import Correction
from pennylane_qstore.measurement.recipes import NotSupported, Term
from pennylane_qstore.native.frontend.program import FloatArray

BitArray = npt.NDArray[np.uint8]


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
        period: number of outcomes of each row, where all have the same ones in the same order.
        correction: gives words without misread bits; ``bits`` are those of the machine then.
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
    period: int | None = None
    correction: Correction | None = None

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

    def only_row(self, i: int) -> Outcomes:
        """Return the outcomes of one row, whose shots are those that were selected."""
        at = self.row == i
        total = np.reshape(self.total, -1)[i : i + 1]
        shots = None if self.shots is None else round(float(np.nan_to_num(total)[0]))
        row = np.zeros(np.count_nonzero(at), dtype=np.intp)
        out = Outcomes(self.wires, 1, row, self.bits[at], self.weight[at], shots, self.rng)
        out._total = total
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
                    "Samples of a broadcast circuit with postselection are not supported on "
                    "qstore.ionq: its rows keep different numbers of shots. Ask for counts."
                )
            counts = np.rint(self.weight).astype(int)
            bits = np.repeat(self.bits, counts, axis=0)
            shots = bits.reshape(self.rows, self.shots, self.bits.shape[1])
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
            part.reshape(-1, part.shape[-1]),
            np.ones(self.rows * n),
            n,
            self.rng,
            part,
            correction=self.correction,
        )

    def columns(self, wires: Sequence[int]) -> list[int]:
        """Return the columns of wires in ``bits``."""
        at = {w: i for i, w in enumerate(self.wires)}
        return [at[w] for w in wires]

    def of_bits(self, value: Callable[[BitArray], npt.NDArray[Any]]) -> npt.NDArray[Any]:
        """Return what follows from the outcome of each entry.

        Args:
            value: gives it for outcomes, (outcomes, wires).

        Returns:
            The values, shape (entries,); computed once where all rows have the same outcomes.
        """
        if self.period is None:
            return value(self.bits)
        return np.tile(value(self.bits[: self.period]), len(self.bits) // self.period)

    def mean(self, values: FloatArray) -> FloatArray:
        """Return the weighted mean of a value per entry, shape (rows,)."""
        total = np.bincount(self.row, weights=self.weight * values, minlength=self.rows)
        return np.asarray(total / self.total)


def values_of(terms: Iterable[Term], constant: float, where: Outcomes) -> FloatArray:
    """Return the value of a sum of terms for each outcome.

    Args:
        terms: the terms, all in one basis.
        constant: added to them.
        where: outcomes in that basis.

    Returns:
        The values, shape (entries,).
    """
    values = np.full(len(where.bits), constant)
    for term in terms:
        values += term.coefficient * product_of(term, where)
    return values


def product_of(term: Term, where: Outcomes) -> FloatArray:
    """Return the product of a term's factors for each outcome.

    Args:
        term: the term.
        where: outcomes in its basis.

    Returns:
        The products, shape (entries,).
    """
    if where.correction is not None:
        columns = where.columns([w for factor in term.factors for w in factor.wires])
        return where.correction.parity(columns, where.row, where.bits)

    def product(every: BitArray) -> FloatArray:
        out = np.ones(len(every))
        for factor in term.factors:
            bits = every[:, where.columns(factor.wires)]
            if factor.values is None:
                out *= 1.0 - 2.0 * (bits.sum(axis=1) & 1)
            else:
                out *= factor.values[state_of(bits)]
        return out

    return where.of_bits(product)


def state_of(bits: BitArray) -> npt.NDArray[np.int64]:
    """Return the big-endian state index of each outcome."""
    index = np.zeros(len(bits), dtype=np.int64)
    for column in bits.T:
        index <<= 1
        index |= column
    return index
