"""Compiled reading and writing of text that is known but for the numbers in it. Needs Numba.

Numbers that are read are those that a decoder of JSON gives, to the last bit: the quotient of an
integer and a power of ten, both known exactly, is rounded once. Those for which this cannot be told
(of more digits than an integer takes, with an exponent) are left to the caller.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

from pennylane_qstore.compiled import OPTIONS, kept
from pennylane_qstore.fixed_decimals import HIGH_BITS, SIXES, digits_of, value_of

_compiled = njit(**OPTIONS)
_POWERS = np.array([10.0**k for k in range(23)])  # all that are exact
_QUOTE, _COMMA, _ZERO, _NINE, _BACKSLASH = b'",09\\'
_MINUS, _PLUS, _POINT, _LOWER_E, _UPPER_E = b"-+.eE"
_DIGITS = 19
"""Most digits of an integer that a uint64 holds, whichever they are."""
_TEN, _HUNDRED, _E8 = (np.uint64(10**k) for k in (1, 2, 8))
_ZEROS = np.uint64(0x3030_3030_3030_3030)  # eight digits as text
_digits_of, _value = _compiled(digits_of), _compiled(value_of)


@kept
def read(
    text: Any, at: int, known: Any, ends: Any, first: int, names: Any, numbers: Any, left: Any
) -> tuple[int, int, int]:
    """Read records, with commas between them.

    Args:
        text: bytes.
        at: where the first record begins.
        known: the text of a record without its name and its numbers, and eight bytes.
        ends: where the name and each number are missing in it; its length.
        first: the row of the first record in ``names`` and ``numbers``.
        names: takes begin and end of each name in the text, shape [rows, 2].
        numbers: takes the numbers, shape [rows, numbers].
        left: takes row, column, begin and end of each number that is left to the caller,
            shape [numbers left, 4].

    Returns:
        Records read, the place behind the last one and its comma, and numbers left. It ends where
        a record does not fit, or where there is no place for one more.
    """
    count, row, last = 0, first, len(ends) - 1
    while row < len(numbers) and count + last - 1 <= len(left):
        done, place, found = at, 0, count
        for hole in range(len(ends)):
            if done + ends[hole] - place > len(text):
                return row - first, at, count
            length = ends[hole] - place
            if not _same(text, done, known, place, length):
                return row - first, at, count
            done, place = done + length, ends[hole]
            if hole == 0:
                names[row, 0] = done
                while done < len(text) and _is_plain(text[done]):
                    done += 1
                names[row, 1] = done
            elif hole < last:
                begin = done
                numbers[row, hole - 1], done, exact = _number(text, done)
                if not exact:
                    left[found, 0], left[found, 1] = row, hole - 1
                    left[found, 2], left[found, 3] = begin, done
                    found += 1
        at, count, row = done, found, row + 1
        if at == len(text) or text[at] != _COMMA:
            break
        at += 1
    return row - first, at, count


@kept
def write(places: Any, numbers: Any, text: Any) -> None:
    """Write numbers from 0 to 1 with 18 decimals into rows of text.

    Args:
        places: of the numbers in a row, shape [numbers]; their points are there already.
        numbers: shape [rows, numbers].
        text: shape [rows, bytes].
    """
    for row in range(len(numbers)):
        line = text[row]
        for column in range(len(places)):
            at = places[column]
            scaled = np.uint64(np.rint(numbers[row, column] * 1e18))
            high = scaled // _E8
            top = high // _E8
            whole = top // _HUNDRED
            line[at] = _ZERO + whole
            decimals = top - whole * _HUNDRED
            tens = decimals // _TEN
            line[at + 2], line[at + 3] = _ZERO + tens, _ZERO + decimals - tens * _TEN
            _store(line, at + 4, _digits_of(high - top * _E8) | _ZEROS)
            _store(line, at + 12, _digits_of(scaled - high * _E8) | _ZEROS)


@kept
def read_decimals(places: Any, text: Any, numbers: Any) -> bool:
    """Read numbers from 0 to 1 with 18 decimals from rows of text.

    Args:
        places: of the numbers in a row, shape [numbers].
        text: shape [rows, bytes].
        numbers: takes the numbers, shape [rows, numbers].

    Returns:
        False where one has no digits, or more than a float64.
    """
    wrong = np.uint64(0)
    for row in range(len(numbers)):
        line = text[row]
        for column in range(len(places)):
            at = places[column]
            whole, tens, ones = line[at] - _ZERO, line[at + 2] - _ZERO, line[at + 3] - _ZERO
            middle, low = _load(line, at + 4) ^ _ZEROS, _load(line, at + 12) ^ _ZEROS
            wrong |= (middle + SIXES | middle | low + SIXES | low) & HIGH_BITS
            if not (0 <= whole <= 1 and 0 <= tens <= 9 and 0 <= ones <= 9):
                return False
            top = np.uint64(whole * 100 + tens * 10 + ones)
            scaled = (top * _E8 + _value(middle)) * _E8 + _value(low)
            number = float(scaled)
            wrong |= np.uint64(number) ^ scaled
            numbers[row, column] = number / 1e18
    return bool(wrong == 0)


@_compiled
def _same(text: Any, at: int, known: Any, place: int, length: int) -> bool:
    """Return whether so many bytes are the same in both."""
    while length > 0 and at + 8 <= len(text):
        different = _load(text, at) ^ _load(known, place)
        if length < 8:
            different <<= np.uint64(64 - 8 * length)
        if different:
            return False
        at, place, length = at + 8, place + 8, length - 8
    for k in range(length):  # noqa: SIM110  (what Numba compiles)
        if text[at + k] != known[place + k]:
            return False
    return True


@_compiled
def _is_plain(character: int) -> bool:
    """Return whether a character stands for itself in JSON's texts."""
    return 32 <= character < 127 and character != _QUOTE and character != _BACKSLASH


@_compiled
def _is_other(character: int) -> bool:
    """Return whether a character stands in numbers beside their digits."""
    return character in (_MINUS, _PLUS, _POINT, _LOWER_E, _UPPER_E)


@_compiled
def _number(text: Any, at: int) -> tuple[float, int, bool]:
    """Return the number that begins at a place, the place behind it, and whether it is exact."""
    negative = at < len(text) and text[at] == _MINUS
    begin = at + negative
    value, at = _digits(text, begin, np.uint64(0))
    whole, decimals = at - begin, 0
    good = whole == 1 or (whole > 1 and text[begin] != _ZERO)
    if good and at < len(text) and text[at] == _POINT:
        begin = at + 1
        value, at = _digits(text, begin, value)
        decimals = at - begin
        good = decimals > 0
    end = at
    while at < len(text) and (_ZERO <= text[at] <= _NINE or _is_other(text[at])):
        at += 1
    if not good or at > end or whole + decimals > _DIGITS or decimals >= len(_POWERS):
        return 0.0, at, False
    if negative and not decimals:  # an integer, of which zero has no sign
        return 0.0, at, False
    quotient, exact = _quotient(value, _POWERS[decimals])
    return -quotient if negative else quotient, at, exact


@_compiled
def _digits(text: Any, at: int, value: Any) -> tuple[Any, int]:
    """Return a number with the digits behind it, and the place behind them."""
    while at + 8 <= len(text):
        eight = _load(text, at) ^ _ZEROS
        # the highest bit of a byte is set in one of these where it is more than 9
        if (eight + SIXES | eight) & HIGH_BITS:
            break
        value = value * _E8 + _value(eight)
        at += 8
    while at < len(text) and _ZERO <= text[at] <= _NINE:
        value = value * _TEN + np.uint64(text[at] - _ZERO)
        at += 1
    return value, at


@_compiled
def _quotient(value: Any, power: float) -> tuple[float, bool]:
    """Return an integer over a float64, rounded to the nearest, and whether that is sure.

    What the first quotient leaves is known exactly. It corrects the quotient by less than a unit
    in the last place, and its own rounding matters only where the result is halfway between two
    float64.
    """
    high = float(value)
    first = high / power
    if value <= 1 << 53:
        return first, True
    if high >= 2.0**63:
        return first, False
    low = float(np.int64(value) - np.int64(high))
    correction = (_product_and_sum(-first, power, high) + low) / power
    quotient = first + correction
    lost = correction - (quotient - first)
    beyond = quotient + 2.0 * lost
    return quotient, abs((beyond - quotient) - 2.0 * lost) > 1e-3 * abs(lost) or lost == 0.0


def _pointer(context: Any, builder: Any, kind: Any, text: Any, at: Any) -> Any:
    data = builder.gep(make_array(kind)(context, builder, text).data, [at])
    return builder.bitcast(data, ir.IntType(64).as_pointer())


@intrinsic
def _load(_: Any, text: Any, at: Any) -> Any:
    """Read eight bytes."""

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return builder.load(_pointer(context, builder, signature.args[0], *values), align=1)

    return types.uint64(text, at), build


@intrinsic
def _store(_: Any, text: Any, at: Any, eight: Any) -> Any:
    """Write eight bytes."""

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        *where, value = values
        builder.store(value, _pointer(context, builder, signature.args[0], *where), align=1)
        return context.get_dummy_value()

    return types.void(text, at, eight), build


@intrinsic
def _product_and_sum(_: Any, a: Any, b: Any, c: Any) -> Any:
    """Return a b + c, rounded once."""

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return builder.fma(*values)

    return types.float64(types.float64, types.float64, types.float64), build
