"""Times on the command line."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pennylane_qstore.cli.times import read_time, time_text
from pennylane_qstore.errors import ConfigurationError


@given(st.integers(0, 4_000_000_000))
def test_what_is_printed_can_be_given_again(seconds):
    assert read_time("--since", time_text(seconds)) == seconds


def test_a_day_has_a_beginning_and_an_end():
    begin = datetime(2026, 5, 25, tzinfo=UTC).timestamp()
    assert read_time("--since", "2026-05-25") == begin
    assert read_time("--until", "2026-05-25", end=True) == begin + 86_400
    assert read_time("--until", "2026-05-25 14:30", end=True) == begin + 14.5 * 3600
    assert read_time("--since", "2026-05-25T02:00+02:00") == begin


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01", "25.5.2026"])
def test_what_is_no_time_is_refused(text):
    with pytest.raises(ConfigurationError, match=r"--since .* is no time"):
        read_time("--since", text)
