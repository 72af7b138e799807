"""Items cut into jobs: within the limits, in order, and no more jobs than one after another."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pennylane_qstore.backends import MAX_BODY_BYTES, MAX_CIRCUITS, MAX_GATES
from pennylane_qstore.ionq.messages.job_limits import CIRCUIT_BYTES, ENVELOPE_BYTES, job_slices

ROOM = MAX_BODY_BYTES - ENVELOPE_BYTES


@given(
    items=st.lists(
        st.tuples(
            st.integers(1, 400), st.integers(0, MAX_GATES // 2), st.integers(0, ROOM // 2)
        ),
        max_size=30,
    ),
    most=st.one_of(st.none(), st.integers(1, 2 * MAX_CIRCUITS)),
)  # fmt: skip
def test_jobs_are_filled_in_order(items: list[tuple[int, int, int]], most: int | None) -> None:
    slices = job_slices(*zip(*items, strict=True), most) if items else job_slices([], [], [], most)
    assert [k for one in slices for k in range(one.start, one.stop)] == [*range(len(items))]

    def fits(part: list[tuple[int, int, int]]) -> bool:
        circuits, gates, size = map(sum, zip(*part, strict=True))
        size += CIRCUIT_BYTES * circuits
        return (
            circuits <= min(most or MAX_CIRCUITS, MAX_CIRCUITS)
            and gates <= MAX_GATES
            and size <= ROOM
        )

    for one in slices:
        assert one.stop == one.start + 1 or fits(items[one])
        assert one.stop == len(items) or not fits(items[one.start : one.stop + 1])


@pytest.mark.parametrize(
    ("items", "jobs"),
    [
        ([(MAX_CIRCUITS, MAX_GATES, 10)], 1),
        ([(MAX_CIRCUITS, MAX_GATES, 10), (1, 0, 0)], 2),
        ([(1, MAX_GATES, 10), (1, 1, 0)], 2),
        ([(1, 1, MAX_BODY_BYTES), (1, 1, 1)], 2),
        ([(1, 1, 1)] * 3, 1),
    ],
)
def test_limits_are_inclusive(items: list[tuple[int, int, int]], jobs: int) -> None:
    assert len(job_slices(*zip(*items, strict=True))) == jobs
