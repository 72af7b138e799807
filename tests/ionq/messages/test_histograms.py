"""Nothing invalid becomes a plausible result, whatever the service sends."""

from __future__ import annotations

import json
import math
import random
from unittest import mock

import numpy as np
import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pennylane_qstore.errors import InvalidResponse
from pennylane_qstore.fixed_decimals import write_rows
from pennylane_qstore.ionq.jobs.packing import pack, unpack
from pennylane_qstore.ionq.messages import histograms
from pennylane_qstore.ionq.messages.histograms import (
    parse_aggregate,
    parse_histogram,
    parse_results,
)
from pennylane_qstore.ionq.messages.responses import (
    parse_created,
    parse_job,
    parse_jobs,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)
KEY = st.one_of(
    st.integers(-2, 70).map(str),
    st.integers(2**60, 2**70).map(str),
    st.sampled_from(["", "00", "+1", " 1", "1_0", "1.0", "0x1", "٣", "1\n", "spam"]),
)
VALUE = st.one_of(
    st.floats(0, 1), st.floats(), st.integers(-1, 2), st.booleans(), st.none(), st.just("1.0")
)


def is_distribution(histogram, qubits):
    states, probabilities = histogram
    return (
        states.dtype == np.uint64
        and probabilities.dtype == np.float64
        and states.shape == probabilities.shape
        and len(states) > 0
        and bool((np.diff(states.astype(object)) > 0).all())
        and int(states.max()) < 2**qubits
        and bool(np.isfinite(probabilities).all())
        and bool((probabilities >= 0).all())
        and math.isclose(probabilities.sum(), 1, abs_tol=1e-12)
    )


def honest(value, qubits):
    """Return whether a decoded body is a histogram, found in the plainest way."""
    if not isinstance(value, dict) or not value:
        return False
    for key, p in value.items():
        if not (key == "0" or (key.isascii() and key.isdigit() and key[0] != "0")):
            return False
        if int(key) >= 2**qubits:
            return False
        if isinstance(p, bool) or not isinstance(p, (int, float)):
            return False
        if not 0 <= p <= 2:
            return False
    return abs(math.fsum(value.values()) - 1) <= 1e-5 + 1e-12


@given(st.one_of(JSON, st.dictionaries(KEY, VALUE, max_size=5)), st.integers(1, 7))
@example({"6": 1.0}, 2)
@example({"0": 0.9, "1": 0.9}, 1)
@example({"0": 1.5, "1": -0.5}, 1)
@example({"0": True}, 1)
@example({"0": 1e308, "1": 1e308}, 1)
@settings(max_examples=1_000, deadline=None)
def test_a_histogram_is_valid_or_refused(value, qubits):
    judge(value, qubits)


def test_ten_thousand_damaged_histograms_are_refused_or_were_fine():
    rng = random.Random(20)
    refused = 0
    for _ in range(10_000):
        qubits = rng.randint(1, 6)
        states = rng.sample(range(2**qubits), rng.randint(1, min(6, 2**qubits)))
        weights = [rng.random() for _ in states]
        value = {str(s): w / sum(weights) for s, w in zip(states, weights, strict=True)}
        for _ in range(rng.randint(0, 2)):
            damage(value, qubits, rng)
        # As it would travel, where JSON can say it at all.
        try:
            value = orjson.loads(json.dumps(value))
        except orjson.JSONDecodeError:
            continue
        refused += judge(value, qubits)
    assert 4_000 < refused < 9_000


def damage(value, qubits, rng):
    key = rng.choice(list(value) or ["0"])
    kind = rng.randrange(7)
    if kind == 0:
        value.pop(key, None)
    elif kind == 1:
        value[key] = rng.choice([-0.1, 1.5, float("nan"), 1e308, True, None, "0.5", [], {}, 0, 1])
    elif kind == 2:
        value[str(2**qubits + rng.randint(0, 3))] = value.pop(key, 0.5)
    elif kind == 3:
        value[rng.choice(["", "00", "-1", "+1", "1.0", " 0", "0x1", "spam"])] = value.pop(key, 0.5)
    elif kind == 4:
        value[key] = value.get(key, 0.5) if isinstance(value.get(key), str) else 0.3
    elif kind == 5:
        value["0"] = rng.random()
    else:
        value["٣"] = 0.0


def judge(value, qubits):
    """Return whether it is refused; fail if that is wrong, or if no distribution comes."""
    try:
        histogram = parse_histogram(value, qubits)
    except InvalidResponse:
        if isinstance(value, dict) and value and honest(value, qubits):
            # The sum in float64 may fall on the other side of the tolerance.
            assert abs(abs(math.fsum(value.values()) - 1) - 1e-5) < 1e-9
        return True
    assert honest(value, qubits)
    assert is_distribution(histogram, qubits)
    return False


@given(st.binary(max_size=40) | JSON.map(lambda v: json.dumps(v).encode()))
@settings(max_examples=700, deadline=None)
def test_any_body_is_parsed_or_refused(data):
    for parse in (parse_created, parse_job, parse_jobs, lambda d: parse_aggregate(d, 3)):
        try:
            parse(data)
        except InvalidResponse:
            continue


def test_histograms_are_sorted_and_renormalised():
    states, probabilities = parse_histogram({"3": 0.75, "0": 0.250001}, 2)
    assert states.tolist() == [0, 3]
    assert probabilities.sum() == pytest.approx(1, abs=1e-15)


def test_64_qubits_fit():
    histogram = parse_histogram({str(2**64 - 1): 1.0}, 64)
    assert int(histogram.states[0]) == 2**64 - 1
    with pytest.raises(InvalidResponse):
        parse_histogram({str(2**64): 1.0}, 64)


@given(st.integers(1, 40), st.integers(0, 2**32))
def test_stored_histograms_come_back_to_the_bit(outcomes, seed):
    rng = np.random.default_rng(seed)
    raw = {str(k): float(p) for k, p in enumerate(rng.dirichlet(np.ones(outcomes)))}
    histogram = parse_histogram(orjson.loads(orjson.dumps(raw)), 6)
    again, nothing = unpack(pack([histogram, None]))
    assert nothing is None
    assert again.states.dtype == np.uint64
    assert (again.states == histogram.states).all()
    assert (again.probabilities == histogram.probabilities).all()


@pytest.mark.parametrize("name", ["0,1", " 1", "1 ", "\u0663", "", "01", "-0", "1.0", "0x1", "1,"])
def test_a_name_that_is_no_outcome_is_refused(name):
    with pytest.raises(InvalidResponse, match="not an outcome"):
        parse_histogram({name: 1.0}, 4)
    with pytest.raises(InvalidResponse, match="not an outcome"):
        parse_histogram({"2": 0.5, name: 0.5}, 4)


@pytest.mark.parametrize(
    "body",
    [
        b'{"a": {"0": 1.0}, "a": {"1": 1.0}}',
        b'{"a": {"0": 1.0}, "b": {"0": 0.5, "1": 0.5, "0": 0.5}}',
        b'{"a": {"0": 1.0}, "\\u0061": {"1": 1.0}}',
        b'{"a": {"0": {"x": 1}, "0": 1.0}}',
    ],
)
def test_a_child_or_an_outcome_that_is_there_twice_is_refused(body):
    with pytest.raises(InvalidResponse, match="twice"):
        parse_aggregate(body, 2)


def test_an_outcome_of_a_single_circuit_that_is_there_twice_is_refused():
    with pytest.raises(InvalidResponse, match="twice"):
        parse_results(b'{"0": 0.5, "1": 0.5, "0": 0.5}', 2)
    histogram = parse_results(b' { "0" : 0.5 , "\\u0031":5e-1}', 2)
    assert (histogram.states.tolist(), histogram.probabilities.tolist()) == ([0, 1], [0.5, 0.5])


_AGGREGATE = b'{"a":{"0":0.5,"3":0.5},"b":{"1":1.0}, "c" : {"2":0.25,"0":0.75},"d":{"0":1}}'


@given(st.integers(0, len(_AGGREGATE)), st.integers(0, 3), st.sampled_from(["", *'{}",:0 1.a[']))
@example(0, 0, "")
@example(len(_AGGREGATE) - 1, 0, ",")
@settings(max_examples=500, deadline=None)
def test_a_large_body_is_read_as_a_small_one(place, left_out, put_in):
    data = _AGGREGATE[:place] + put_in.encode() + _AGGREGATE[place + left_out :]

    def read(piece):
        with mock.patch.object(histograms, "_PIECE", piece):
            try:
                found = parse_aggregate(data, 2)
            except InvalidResponse:
                return None
        return {child: [part.tolist() for part in found[child]] for child in found}

    assert read(1) == read(30) == read(1 << 16)
    assert left_out or put_in or len(read(1)) == 4


@given(
    st.lists(st.integers(0, 17), min_size=1, max_size=9, unique=True),
    st.integers(1, 5),
    st.integers(0, 2**32),
    st.sampled_from([1.0, 1 + 5e-6, 1.1, 0.0]),
)
@settings(max_examples=200, deadline=None)
def test_rows_written_alike_are_histograms_to_the_bit_or_refused_alike(states, rows, seed, scale):
    rng = np.random.default_rng(seed)
    table = rng.dirichlet(np.ones(len(states)), rows)
    table[-1] *= scale
    names = [f"id-{k}" for k in range(rows)]
    data = b"{%b}" % write_rows(names, [str(state) for state in states], table)

    def read():
        try:
            found = parse_aggregate(data, 4)
        except InvalidResponse as error:
            return str(error)
        assert all(is_distribution(histogram, 4) for histogram in found.values())
        return {name: [part.tolist() for part in histogram] for name, histogram in found.items()}

    with mock.patch.object(histograms, "read_rows", return_value=None):
        expected = read()
    assert read() == expected
    assert isinstance(expected, dict) == (max(states) < 16 and abs(scale - 1) < 1e-5)
