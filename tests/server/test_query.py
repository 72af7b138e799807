"""Parameters of a query: read, or refused by name."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pennylane_qstore.server.errors import BadRequest
from pennylane_qstore.server.query import read_choice, read_count, read_date


@given(st.integers(0, 999_999_999))
def test_counts_are_decimal_numbers(number: int) -> None:
    assert read_count(str(number), "n", 3) == number


@given(st.text().filter(lambda text: not (text.isascii() and text.isdigit())))
def test_other_texts_are_refused_by_name(text: str) -> None:
    with pytest.raises(BadRequest) as caught:
        read_count(text, "n", 3)
    assert (caught.value.status, caught.value.keys) == (400, ("n",))


def test_absent_parameters_have_defaults() -> None:
    assert read_count(None, "n", 3) == 3
    assert read_choice(None, "c", ("a", "b")) == "a"
    assert read_date(None, "d") is None


@pytest.mark.parametrize("text", ["0", "11", "1_0", "²", "-1", ""])
def test_a_count_stays_in_its_range(text: str) -> None:
    with pytest.raises(BadRequest, match='"n" must be an integer from 1 to 10'):
        read_count(text, "n", 3, 1, 10)


def test_choices_and_dates() -> None:
    assert read_choice("b", "c", ("a", "b")) == "b"
    with pytest.raises(BadRequest, match=r"\[a, b\]"):
        read_choice("x", "c", ("a", "b"))
    assert read_date("2026-11-30T05:00:00Z", "d") == dt.date(2026, 11, 30)
    with pytest.raises(BadRequest, match="YYYY-MM-DD"):
        read_date("yesterday", "d")
