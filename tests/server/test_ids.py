"""Ids: unique, ascending, and above those of an earlier start."""

from __future__ import annotations

import uuid

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pennylane_qstore.server.ids import IdGenerator


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(0, 2**33), st.integers(1, 50)), min_size=1, max_size=20))
def test_ids_are_version_7_unique_and_ascending(takes: list[tuple[float, int]]) -> None:
    ids = IdGenerator(np.random.default_rng(0))
    times = sorted(now for now, _ in takes)
    found = [i for now, (_, count) in zip(times, takes, strict=True) for i in ids.take(now, count)]
    assert found == sorted(set(found))
    parsed = [uuid.UUID(i) for i in found]
    assert {(u.version, u.variant) for u in parsed} == {(7, uuid.RFC_4122)}
    assert parsed[0].int >> 80 == int(times[0] * 1000) or times[0] == 0
    after = IdGenerator(np.random.default_rng(0))
    after.follow(found[-1])
    assert after.take(times[0])[0] > found[-1]
