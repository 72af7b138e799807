"""Data of a training run: the rows of each step."""

from __future__ import annotations

import hashlib
import secrets
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pennylane.numpy import tensor

from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.training.parameters import is_jax, is_torch
from pennylane_qstore.validation import check_count


class RunData:
    """Data of a run: rows to train on, in mini-batches, and rows to validate on.

    Args:
        data: arrays, tables or lists with one row per sample; None without data.
        validation: like ``data``.
        size: rows of a step; None for all.
        drop_last: leave the short batch at an epoch's end out.
        seed: of the shuffles; drawn if not given.

    Raises:
        ConfigurationError: data that are no numbers or of several lengths, or a size that is not
            possible.
    """

    def __init__(
        self,
        data: Sequence[Any] | None,
        validation: Sequence[Any] | None,
        size: int | None,
        drop_last: bool,
        seed: int | None,
    ) -> None:
        seed = check_count("seed", seed, least=0, optional=True)
        check_count("batch_size", size, optional=True)
        self.train = None if data is None else checked(data, "data")
        self.validation = None if validation is None else checked(validation, "validation")
        if self.train is None and size is not None:
            raise ConfigurationError("batch_size= needs data=: give data=(x, y), or no batch_size.")
        self.size: int | None = check_count("batch_size", size, most=self.total, optional=True)
        """Rows of a step, if a number was given."""
        self._drop_last, self._seed_given = drop_last, seed is not None
        self._seed = secrets.randbits(32) if seed is None else seed

    @property
    def total(self) -> int | None:
        """Number of rows to train on; None without data."""
        return None if self.train is None else len(self.train[0])

    @property
    def per_epoch(self) -> int:
        """Steps of an epoch; without data, an epoch is a step."""
        if self.total is None or self.size is None:
            return 1
        return self.total // self.size if self._drop_last else -(-self.total // self.size)

    def epoch(self, step: int) -> int:
        """Return the epoch of a step; both count from 1."""
        return (step - 1) // self.per_epoch + 1

    def rows(self, step: int, span: tuple[int, int] | None = None) -> NDArray[np.int64] | None:
        """Return the positions in the data of a step's rows, shuffled in each epoch.

        Args:
            step: counted from 1.
            span: rows before the step, of all epochs, and rows of it; None for batches of one size.

        Returns:
            Positions, ``[rows]``, a function of the seed and these alone: all in order where that
            many are asked for; None without data.
        """
        total, size = self.total, self.size if span is None else span[1]
        if total is None:
            return None
        if size is None or size >= total:
            return np.arange(total)
        if span is None:
            start = (step - 1) % self.per_epoch * size
            return self._order(self.epoch(step))[start : start + size]
        first, last = span[0] // total, (sum(span) - 1) // total
        begin = span[0] % total
        orders = [self._order(epoch + 1) for epoch in range(first, last + 1)]
        return np.concatenate(orders)[begin : begin + size]

    def samples(
        self, step: int, span: tuple[int, int] | None = None
    ) -> tuple[tuple[Any, ...], int]:
        """Return the rows of a step.

        Args:
            step: counted from 1.
            span: as of :meth:`rows`.

        Returns:
            The rows of each part of the data, and the epoch.
        """
        if self.train is None:
            return (), step
        rows = self.rows(step, span)
        epoch = self.epoch(step) if span is None else span[0] // len(self.train[0]) + 1
        return tuple(part[rows] for part in self.train), epoch

    def settings(self) -> dict[str, Any]:
        """Return the settings that have to be the same when a run goes on."""
        return {
            "seed": self._seed,
            "batch_size": self.size,
            "drop_last": self._drop_last,
            "data": digest(self.train),
            "validation": digest(self.validation),
        }

    def take_seed(self, seed: Any) -> None:
        """Take over the seed of an earlier start, unless one was given.

        Raises:
            ConfigurationError: it is no seed.
        """
        seed = check_count("seed", seed, least=0)
        if not self._seed_given:
            self._seed = seed

    def _order(self, epoch: int) -> NDArray[np.int64]:
        return np.random.default_rng([self._seed, epoch]).permutation(self.total or 0)


def checked(data: Any, name: str) -> tuple[Any, ...]:
    """Return data as arrays of one length, which is not 0; rows count by position.

    Arrays of NumPy, PennyLane, torch and JAX stay what they are. Tables, columns with an index,
    lists, sparse matrices and arrays of Python objects become NumPy arrays.

    Args:
        data: one array or table, or several with one row per sample.
        name: of the option, for the message.

    Returns:
        The arrays.

    Raises:
        ConfigurationError: texts, gaps, or numbers that are not finite; no rows, or several
            lengths.
    """
    parts = tuple(data) if isinstance(data, list | tuple) else (data,)
    arrays = tuple(_as_array(part, f"{name}[{i}]") for i, part in enumerate(parts))
    lengths = {len(array) for array in arrays}
    if len(lengths) != 1:
        raise ConfigurationError(
            f"{name} needs arrays of one length, as (x, y); these have {sorted(lengths)}."
        )
    if not lengths.pop():
        raise ConfigurationError(f"{name} has no rows.")
    return arrays


def _as_array(part: Any, name: str) -> Any:
    """Return a part of the data as an array whose rows are taken by position."""
    if is_torch(part):
        array = part if part.layout == sys.modules["torch"].strided else part.to_dense()
        numbers = _numbers_of(array)
    elif is_jax(part):
        array, numbers = part, np.asarray(part)
    else:
        if np.ma.is_masked(part):
            raise ConfigurationError(f"{name} has masked values: give numbers for them.")
        try:
            array = _plain_array(part)
        except (TypeError, ValueError, OverflowError) as error:
            raise ConfigurationError(f"{name} is not an array of numbers: {error}.") from error
        numbers = array
        if array.dtype.kind not in "biufc":
            found = "texts" if array.dtype.kind in "USTO" else f"values of type {array.dtype}"
            raise ConfigurationError(f"{name} has {found}: give numbers only.")
    if not array.ndim:
        raise ConfigurationError(f"{name} is not an array with one row per sample.")
    finite = np.isfinite(numbers)
    if not finite.all():
        row = np.argwhere(~finite)[0, 0]
        raise ConfigurationError(
            f"{name} has values that are NaN or infinite, the first of them in row {row}."
        )
    return array


def _plain_array(part: Any) -> Any:
    if isinstance(part, tensor):
        return part
    array = np.asarray(part.toarray() if hasattr(part, "toarray") else part)  # of SciPy's sparse
    if array.dtype.hasobject and array.ndim:
        array = np.array(array.tolist())  # numbers in columns of several types, or boxed ones
    return array.astype(np.float64) if array.dtype.hasobject else array


def _numbers_of(array: Any) -> NDArray[Any]:
    """Return a torch tensor as NumPy has it; types that it has not, such as bfloat16, as float."""
    array = array.detach().cpu().resolve_conj().resolve_neg()
    return np.asarray(array.float() if "bfloat" in str(array.dtype) else array)


def digest(data: tuple[Any, ...] | None) -> str | None:
    """Return a short name of the values of data; another process gives equal data the same one.

    Args:
        data: as :func:`checked` returns it.
    """
    if data is None:
        return None
    content = hashlib.sha256()
    for part in data:
        array = np.ascontiguousarray(_numbers_of(part) if is_torch(part) else part)
        content.update(f"{array.dtype} {array.shape}".encode())
        content.update(array.tobytes())
    return content.hexdigest()[:16]
