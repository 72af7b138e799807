"""The form of times."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pennylane_qstore.server.identity import timestamp


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (0.25, "1970-01-01T00:00:00.250Z"),
        (1_700_000_000.9996, "2023-11-14T22:13:21.000Z"),
    ],
)
def test_iso_8601_with_milliseconds(seconds: float, text: str) -> None:
    assert timestamp(seconds) == text


@given(st.integers(0, 4_000_000_000))
def test_it_is_read_back_to_the_same_second(seconds: int) -> None:
    assert datetime.fromisoformat(timestamp(seconds)) == datetime.fromtimestamp(seconds, UTC)
