"""Compiled code reads numbers as the decoder does, and nothing else."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pennylane_qstore import compiled

kernel: Any = compiled.load("text_kernel")
pytestmark = pytest.mark.skipif(kernel is None, reason="needs Numba")

DECIMALS = st.builds(
    lambda sign, whole, decimals: f"{sign}{whole}.{decimals}",
    st.sampled_from(["", "-"]),
    st.integers(0, 2**64),
    st.text("0123456789", min_size=1, max_size=24),
)
NUMBERS = DECIMALS | st.floats(allow_nan=False, allow_infinity=False).map(repr)
TEXTS = NUMBERS | st.text("0123456789+-.eE", max_size=12)


def read(text: bytes, places: int = 1, left: int = 64) -> Any:
    """The rows of ``{"name":number}``, the place behind them, and the numbers left."""
    known = b'{""' + b":" * places + b"}" + bytes(8)
    ends = np.array([2, *range(4, 4 + places), 4 + places])
    rows = text.count(b"{")
    names, numbers = np.zeros((rows, 2), np.int64), np.zeros((rows, places))
    spans = np.zeros((left, 4), np.int64)
    arguments = np.frombuffer(known, np.uint8), ends, 0, names, numbers, spans
    count, at, kept = kernel.read(np.frombuffer(text, np.uint8), 0, *arguments)
    for row, column, begin, end in spans[:kept].tolist():
        numbers[row, column] = orjson.loads(text[begin:end])
    return [text[a:b] for a, b in names[:count].tolist()], numbers[:count], at, kept


def is_refused(data: bytes) -> bool:
    try:
        return bool(read(data)[2] < len(data))
    except ValueError:  # a number that was left
        return True


@settings(deadline=None, max_examples=400)
@given(st.lists(TEXTS, min_size=1, max_size=5))
@example(["9007199254740993.0", "9007199254740993.5", "4503599627370497.5", "0.1e1", "-0.0"])
@example(["00.1", "1.", ".5", "1-2", "+1", "-", ""])
def test_numbers_are_those_of_the_decoder(texts: list[str]) -> None:
    data = ",".join(f'{{"n":{text}}}' for text in texts).encode()
    try:
        expected = [float(pair["n"]) for pair in orjson.loads(b"[%b]" % data)]
    except ValueError:
        assert is_refused(data)
        return
    names, numbers, at, _ = read(data)
    assert names == [b"n"] * len(texts)
    assert at == len(data)
    assert numbers[:, 0].tolist() == expected
    assert [str(x) for x in numbers[:, 0].tolist()] == [str(x) for x in expected]  # zeros' signs


@settings(deadline=None, max_examples=300)
@given(st.integers(2**52, 2**53 - 1), st.integers(1, 60), st.integers(-1, 1))
def test_a_number_halfway_between_two_is_rounded_or_left(
    mantissa: int, shift: int, beside: int
) -> None:
    exact = Fraction(2 * mantissa + 1, 2 ** (shift + 1)) * 10**18
    digits = f"{int(exact) + beside:019d}"
    text = f"{digits[:-18]}.{digits[-18:]}".encode()
    _, numbers, _, _ = read(b'{"n":%b}' % text)
    assert numbers[0, 0] == float(text)


@pytest.mark.parametrize("left", [0, 1, 2, 3, 64])
def test_reading_ends_where_no_more_numbers_can_be_left(left: int) -> None:
    row = b'{"a":1e5:2.5}'
    names, numbers, at, kept = read(b",".join([row] * 3), places=2, left=left)
    rows = max(0, min(3, left - 1))
    assert len(names) == len(numbers) == kept == rows
    assert at == min(rows * (len(row) + 1), 3 * len(row) + 2)
    assert (numbers == [1e5, 2.5]).all()


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        (b'{"a":1.5},{"b":2.5}', 2),
        (b'{"a":1.5},{"b":2.5', 1),
        (b'{"a":1.5},{"b";2.5}', 1),
        (b'{"a":1.5};{"b":2.5}', 1),
        (b'{"a\\u0062":1.5}', 0),
        (b'{"a\xc3":1.5}', 0),
        (b'{"', 0),
        (b"{", 0),
    ],
)
def test_a_record_that_does_not_fit_is_not_read(text: bytes, rows: int) -> None:
    assert len(read(text)[0]) == rows
