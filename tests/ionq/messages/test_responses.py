"""Nothing invalid becomes a plausible result, whatever the service sends."""

from __future__ import annotations

import json
import math
import random

import numpy as np
import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pennylane_qstore.errors import InvalidResponse
from pennylane_qstore.ionq.jobs.results import pack, unpack
from pennylane_qstore.ionq.messages.responses import (
    ascending_uuid7,
    check_id,
    parse_aggregate,
    parse_created,
    parse_histogram,
    parse_job,
    parse_jobs,
    parse_results,
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
    """Whether a decoded body is a histogram, said in the plainest way."""
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
    """Whether it is refused; fails if that is wrong, or if what comes is no distribution."""
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


JOB = {
    "id": "0198097d-3888-72ad-a9dd-9ace842cf181",
    "status": "completed",
    "name": "x",
    "backend": "simulator",
    "metadata": {"qstore_token": "abc"},
    "parent_job_id": None,
    "child_job_ids": ["06a2099c-f845-7208-8000-000000000001"],
    "submitted_at": "2026-09-09T12:00:00.000Z",
    "started_at": "2026-09-09T12:00:01.000Z",
    "completed_at": "2026-09-09T12:00:01.200Z",
    "predicted_wait_time_ms": 1500,
    "failure": None,
    "results": {
        "probabilities": {"url": "/v0.4/jobs/x/results/probabilities"},
        "ionq.result.probabilities.json.v1": {"id": "probabilities"},
    },
}


def test_a_job_state_is_read():
    job = parse_job(orjson.dumps(JOB))
    assert job.is_terminal
    assert job.token == "abc"
    assert job.completed_at - job.submitted_at == pytest.approx(1.2)
    assert job.predicted_wait_ms == 1500
    assert (job.artifact_id, job.results_url) == (
        "probabilities",
        "/v0.4/jobs/x/results/probabilities",
    )


def test_what_is_only_a_hint_does_not_break_a_job_state():
    odd = {"predicted_wait_time_ms": -1, "submitted_at": "yesterday", "metadata": 7, "results": 3}
    job = parse_job({**JOB, **odd})
    assert (job.predicted_wait_ms, job.submitted_at, job.token) == (None, None, None)


def test_failure_is_read_in_both_spellings():
    new = parse_job({**JOB, "failure": {"code": "InternalError", "message": "m"}})
    old = parse_job({**JOB, "failure": {"code": "InternalError", "error": "m"}})
    assert (new.failure_code, new.failure_message) == ("InternalError", "m")
    assert old.failure_message == "m"


def test_states_of_v03_mean_the_same():
    assert parse_job({**JOB, "status": "running"}).status == "started"


@pytest.mark.parametrize("bad", ["..", "a/b", "", "a" * 129, None, 7, "x?y", "x%2e", "é"])
def test_ids_that_could_lead_elsewhere_are_refused(bad):
    with pytest.raises(InvalidResponse):
        check_id(bad)
    with pytest.raises(InvalidResponse):
        parse_job({**JOB, "id": bad})
    with pytest.raises(InvalidResponse):
        parse_created(orjson.dumps({"id": bad}))


def test_only_ascending_uuid7_prove_an_order():
    a, b = "06a2099c-f845-7208-8000-000000000001", "06a2099c-f845-7208-8000-000000000002"
    assert ascending_uuid7([a, b])
    assert not ascending_uuid7([b, a])
    assert not ascending_uuid7([a, a])
    assert not ascending_uuid7([a, b.replace("-7", "-4")])


@pytest.mark.parametrize(
    "page",
    [[], {}, {"jobs": None}, {"jobs": [1], "next": None}, {"jobs": [], "next": 5},
     {"jobs": [], "next": ""}],
)  # fmt: skip
def test_pages_that_are_none_are_refused(page):
    with pytest.raises(InvalidResponse):
        parse_jobs(orjson.dumps(page))


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
