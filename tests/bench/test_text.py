"""Tables of text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pennylane_qstore.bench.text import aligned, how_waited, silent

CELL = st.text(alphabet="abc 1.", max_size=8).map(str.strip)


def test_the_first_column_is_to_the_left_and_numbers_to_the_right():
    assert aligned([("", "s"), ("one", "1.00"), ("three", "10.00")]) == [
        "           s",
        "one     1.00",
        "three  10.00",
    ]
    assert aligned([("a", "b", "c"), ("aa", "bb", "cc")], left=2) == ["a   b    c", "aa  bb  cc"]


@given(st.integers(1, 5).flatmap(lambda n: st.lists(st.lists(CELL, min_size=n, max_size=n))))
def test_every_cell_is_where_its_column_is(rows):
    lines = aligned(rows)
    assert len(lines) == len(rows)
    end = 0
    for column in zip(*rows, strict=True):
        start, end = end, end + max(map(len, column)) + 2
        assert [line[start:end].strip() for line in lines] == list(column)


def test_rows_of_other_lengths_are_refused():
    with pytest.raises(ValueError, match="zip"):
        aligned([("a", "b"), ("c",)])


def test_how_the_times_were_waited_for():
    assert how_waited(1.0) == "waited for in full"
    assert "shortened to 0.1" in how_waited(0.1)
    assert "10 times as much" in how_waited(0.1)


def test_silence(capsys):
    assert silent("measuring") is None
    assert capsys.readouterr() == ("", "")
