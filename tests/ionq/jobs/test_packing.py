"""Results in the ledger: the same to the last bit, and damage is noticed."""

from __future__ import annotations

import zlib

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from pennylane_qstore.errors import LedgerError
from pennylane_qstore.ionq.jobs.packing import pack, unpack
from pennylane_qstore.ionq.messages.histograms import Histogram


@given(
    st.lists(
        st.none() | st.dictionaries(st.integers(0, 2**36 - 1), st.floats(0, 1), min_size=1),
        max_size=5,
    )
)
def test_packed_histograms_are_the_same_to_the_last_bit(tables):
    histograms = [
        None
        if table is None
        else Histogram(np.array(list(table), dtype=np.uint64), np.array(list(table.values())))
        for table in tables
    ]
    again = unpack(pack(histograms))
    assert len(again) == len(histograms)
    for before, after in zip(histograms, again, strict=True):
        assert (before is None) == (after is None)
        if before is not None:
            assert np.array_equal(before.states, after.states)
            assert np.array_equal(before.probabilities, after.probabilities)


def test_a_changed_byte_of_stored_results_is_noticed():
    histogram = Histogram(np.array([0, 3], dtype=np.uint64), np.array([0.25, 0.75]))
    packed = pack([histogram, None])
    for position in range(len(packed)):
        for bit in range(8):
            damaged = bytearray(packed)
            damaged[position] ^= 1 << bit
            with pytest.raises(LedgerError, match="damaged"):
                unpack(bytes(damaged))


def test_results_that_earlier_versions_stored_are_read():
    body = b"[[[0,3],[0.25,0.75]],null]"
    for data in (body, b"Q1" + zlib.crc32(body).to_bytes(4, "big") + body):
        histogram, missing = unpack(data)
        assert (histogram.states.tolist(), histogram.probabilities.tolist()) == (
            [0, 3],
            [0.25, 0.75],
        )
        assert missing is None


@pytest.mark.parametrize(
    "data", [b"", b"Q1", b"Q2", b"[", b"[5]", b"[[[0],5,", b"[[[-1],[1]]]", b"[[1]]"]
)
def test_stored_results_that_are_none_are_refused(data):
    with pytest.raises(LedgerError, match="damaged"):
        unpack(data)
