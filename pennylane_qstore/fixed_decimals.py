"""Objects of rows whose JSON differs in names and digits alone: written and read as tables.

The exact probabilities of a job's circuits have mostly the same outcomes. With equally many
decimals the text of one circuit is that of another but for digits at the same places: no number
becomes an object, and none is searched for. NumPy does it, and compiled code where that is worth
its import. A number takes 20 bytes, ``0.`` and 18 decimals, which is what a float64 below one takes
on average. Its rounding, 5e-19, is below that of a simulation.

A number stands for an integer over 10**18. Both are float64 exactly, so that their quotient is
what every decoder of JSON gives, to the last bit.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pennylane_qstore import compiled

_Words = NDArray[np.uint64]

_SCALE = 1e18
_ZERO = b"0.000000000000000000"
_WORDS = (0, "<u8", 0), (8, "<u8", 0), (16, "<u4", 32)
"""Place in a number, type and shift of the words that hold 1 + 6, 8 and 4 of its digits."""
_E4, _E8, _POINT = np.uint64(10**4), np.uint64(10**8), np.uint64(9 * 10**6)
"""The point's place is a digit of its word: what is above it is worth 9e6 more."""
SIXES, HIGH_BITS = np.uint64(0x7676_7676_7676_7676), np.uint64(0x8080_8080_8080_8080)
"""Bytes are more than 9 where they, or their sum with the first, have the second's bits."""
_ROW = re.compile(rb'\{"([\w-]++)":\{((?:"\d++":\d\.\d{18},)*+"\d++":\d\.\d{18})\}')
_NAME = re.compile(r"[\w-]+", re.ASCII)
_KEY = re.compile(rb'"(\d++)":')
_SAVED_S = 2e-8
"""Seconds for each number that NumPy takes longer than compiled code."""
_TOGETHER = 1 << 14
"""Numbers that are worked on together: they stay in the CPU's cache."""
_MOST_RUNS = 32
"""Runs of equally long keys up to which numbers are found by their places."""


class Rows(NamedTuple):
    """Numbers by name and key.

    Args:
        names: of the rows.
        keys: of the numbers in every row.
        numbers: shape [rows, keys].
    """

    names: list[str]
    keys: list[str]
    numbers: NDArray[np.float64]


class _Run(NamedTuple):
    """Numbers of a row whose keys are of one length: columns, first place, distance."""

    columns: slice
    place: int
    stride: int


def rounded(numbers: NDArray[Any]) -> NDArray[np.float64]:
    """Return numbers from 0 to 1 as they are read from 18 decimals."""
    return np.rint(numbers * _SCALE) / _SCALE


def write_rows(
    names: Sequence[str], keys: Sequence[str], numbers: NDArray[np.float64]
) -> memoryview:
    """Return members of an object that are objects of numbers.

    Args:
        names: of the members: ASCII, of one length, without anything that JSON escapes.
        keys: of the numbers in each member; the same.
        numbers: from 0 to 1, shape [names, keys].

    Returns:
        JSON without the outer braces; its numbers are read as :func:`rounded` returns them.
    """
    head = f'"{names[0]}":{{'
    members = [f'"{key}":{_ZERO.decode()}' for key in keys]
    row = np.frombuffer(f"{head}{','.join(members)}}},".encode(), np.uint8)
    text = np.tile(row, (len(names), 1))
    text[:, 1 : len(head) - 3] = np.frombuffer("".join(names).encode(), np.uint8).reshape(
        len(names), -1
    )
    runs = _runs(len(head), keys)
    if (kernel := _kernel(numbers.size)) is not None:
        kernel.write(_places(runs), numbers, text)
    else:
        for rows in _chunks(numbers):
            _write(text[rows], runs, numbers[rows])
    return text.ravel()[:-1].data


def read_rows(data: bytes) -> Rows | None:
    """Read an object of objects of numbers.

    Args:
        data: JSON, perhaps.

    Returns:
        What :func:`write_rows` wrote; ``None`` of anything else, valid or not, and where a name or
        a key is there twice.
    """
    found = _ROW.match(data)
    if found is None:
        return None
    keys = [key.decode() for key in _KEY.findall(found[2])]
    count, rest = divmod(len(data) - 1, found.end())
    runs = _runs(found.start(2) - 1, keys)
    if rest or data[-2:] != b"}}" or len({*keys}) < len(keys) or len(runs) > _MOST_RUNS:
        return None
    text = np.frombuffer(data, np.uint8, count * found.end(), 1).reshape(count, -1)
    names = [row.tobytes().decode("latin-1") for row in text[:, 1 : 1 + len(found[1])]]
    if len({*names}) < count or not all(map(_NAME.fullmatch, names)):
        return None
    row = np.frombuffer(found[0][1:] + b",", np.uint8)
    fixed = np.full_like(row, 0xFF)
    fixed[1 : 1 + len(found[1])] = 0
    for at in (0, *range(2, len(_ZERO))):
        for _, column in _columns(fixed[None], runs, "u1", at):
            column[...] = 0
    numbers = np.empty((count, len(keys)))
    kernel, places = _kernel(numbers.size), _places(runs)
    for rows in _chunks(numbers):
        different = (text[rows] ^ row) & fixed
        if rows.stop >= count:
            different[-1, -1] = 0  # the last row ends with a brace
        if different.any():
            return None
        if kernel is not None:
            good = kernel.read_decimals(places, text[rows], numbers[rows])
        else:
            good = _read(text[rows], runs, numbers[rows])
        if not good:
            return None
    return Rows(names, keys, numbers)


def _kernel(numbers: int) -> ModuleType | None:
    """Return the compiled reader and writer, where it pays for so many numbers."""
    return compiled.load("text_kernel") if compiled.pays("text", numbers * _SAVED_S) else None


def _places(runs: list[_Run]) -> NDArray[np.int64]:
    """Return the places of all numbers in a row."""
    return np.concatenate(
        [run.place + run.stride * np.arange(run.columns.stop - run.columns.start) for run in runs]
    )


def _write(text: NDArray[np.uint8], runs: list[_Run], numbers: NDArray[np.float64]) -> None:
    """Write the numbers of rows."""
    scaled = np.rint(numbers * _SCALE).astype(np.uint64)
    high = scaled // _E4
    top = high // _E8
    parts = top + (top >= 10**6) * _POINT, high - top * _E8, scaled - high * _E4
    for (at, kind, shift), digits in zip(_WORDS, parts, strict=True):
        word = (digits_of(digits) >> np.uint64(shift)).astype(kind, copy=False)
        word |= np.frombuffer(_ZERO, kind, 1, at)
        for run, column in _columns(text, runs, kind, at):
            column[...] = word[:, run.columns]


def _read(text: NDArray[np.uint8], runs: list[_Run], numbers: NDArray[np.float64]) -> bool:
    """Read the numbers of rows; return False where one has no digits, or more than a float64."""
    parts = []
    for at, kind, shift in _WORDS:
        word = np.empty(numbers.shape, kind)
        for run, column in _columns(text, runs, kind, at):
            word[:, run.columns] = column
        word ^= np.frombuffer(_ZERO, kind, 1, at)
        digits = word.astype(np.uint64, copy=False) << np.uint64(shift)
        # the highest bit of a byte is set in one of these where it is more than 9
        if np.bitwise_or.reduce(digits + SIXES | digits, axis=None) & HIGH_BITS:
            return False
        parts.append(value_of(digits))
    top, middle, low = parts
    if top.max() >= 2 * 10**7:
        return False
    top -= (top >= 10**7) * _POINT
    whole = (top * _E8 + middle) * _E4 + low
    scaled = whole.astype(np.float64)
    numbers[...] = scaled / _SCALE
    return bool((scaled.astype(np.uint64) == whole).all())


def _chunks(numbers: NDArray[np.float64]) -> Iterator[slice]:
    """Yield the rows that are worked on together."""
    rows, keys = numbers.shape
    step = max(1, _TOGETHER // keys)
    return (slice(first, first + step) for first in range(0, rows, step))


def _runs(place: int, keys: Sequence[str]) -> list[_Run]:
    """Return where numbers stand in a row, whose first key is at a place."""
    runs: list[_Run] = []
    first = 0
    for length, same in groupby(map(len, keys)):
        last, stride = first + len([*same]), length + len(_ZERO) + 4
        runs.append(_Run(slice(first, last), place + length + 3, stride))
        place += (last - first) * stride
        first = last
    return runs


def _columns(
    text: NDArray[np.uint8], runs: list[_Run], kind: str, at: int
) -> Iterator[tuple[_Run, NDArray[Any]]]:
    """Yield the words of each run's numbers, shape [rows, numbers], as a view on the text."""
    for run in runs:
        shape = len(text), run.columns.stop - run.columns.start
        strides = text.strides[0], run.stride
        yield run, np.ndarray(shape, kind, text, run.place + at, strides)


def digits_of(numbers: _Words) -> _Words:
    """Return the eight digits of numbers, each in a byte, the first one in the lowest.

    Args:
        numbers: below 10**8; an array, or in compiled code one of them.

    Returns:
        The digits, from 0 to 9, of each.
    """
    high = numbers // _E4
    fours = high | (numbers - high * _E4) << np.uint64(32)
    high = fours * np.uint64(10_486) >> np.uint64(20) & np.uint64(0x7F_0000_007F)
    twos = high | (fours - high * np.uint64(100)) << np.uint64(16)
    high = twos * np.uint64(103) >> np.uint64(10) & np.uint64(0xF_000F_000F_000F)
    digits: _Words = high | (twos - high * np.uint64(10)) << np.uint64(8)
    return digits


def value_of(digits: _Words) -> _Words:
    """Return the numbers that have these eight digits.

    Args:
        digits: as :func:`digits_of` returns them.

    Returns:
        The numbers.
    """
    twos = digits * np.uint64(10 << 8 | 1) >> np.uint64(8) & np.uint64(0xFF_00FF_00FF_00FF)
    fours = twos * np.uint64(100 << 16 | 1) >> np.uint64(16) & np.uint64(0xFFFF_0000_FFFF)
    return fours * np.uint64(10_000 << 32 | 1) >> np.uint64(32)
