"""Debiased jobs: variants that add up, and a vote that sharpens."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.emulator_wire import Wire

from pennylane_qstore.emulator.simulation.debiasing import debiased_part, plurality_vote
from pennylane_qstore.emulator.simulation.run import Distribution

FLIPS = [{"gate": "x", "target": q} for q in range(5) for _ in range(21)]  # noisy, ends in 11111


def counted(weights: dict[int, int], seed: int = 3, qubits: int = 5) -> Distribution:
    states = np.array(sorted(weights), dtype=np.uint64)
    counts = np.array([weights[int(s)] for s in states], dtype=np.int64)
    return Distribution(states, counts, int(counts.sum()), qubits, seed)


def plainly_voted(one: Distribution, variants: int) -> dict[int, int]:
    """The same by plain loops."""
    shots, total = one.ordered_shots().tolist(), one.shots or 0
    bounds = [total * k // variants for k in range(variants + 1)]
    columns: dict[int, list[int]] = {}
    for start, stop in itertools.pairwise(bounds):
        for j, outcome in enumerate(shots[start:stop]):
            columns.setdefault(j, []).append(outcome)
    out: Counter[int] = Counter()
    for ballots in columns.values():
        (first, most), *others = Counter(ballots).most_common()
        if any(count == most for _, count in others):
            out.update(ballots)
        else:
            out[first] += len(ballots)
    return dict(out)


@settings(deadline=None, max_examples=50)
@given(
    st.dictionaries(st.integers(0, 31), st.integers(1, 300), min_size=1, max_size=8),
    st.integers(0, 1000),
)
def test_the_vote_agrees_with_plain_loops(weights: dict[int, int], seed: int) -> None:
    one = counted(weights, seed)
    variants = max(1, min(20, sum(weights.values()) // 25))
    found = plurality_vote(one)
    assert dict(zip(found.states.tolist(), found.weights.tolist(), strict=True)) == plainly_voted(
        one, variants
    )


@settings(deadline=None, max_examples=30)
@given(st.dictionaries(st.integers(0, 31), st.integers(1, 300), min_size=1, max_size=8))
def test_variants_add_up_to_the_whole(weights: dict[int, int]) -> None:
    one = counted(weights)
    total: Counter[int] = Counter()
    for k in range(max(1, min(20, sum(weights.values()) // 25))):
        variant = debiased_part(one, f"variant-{k}")
        total.update(dict(zip(variant.states.tolist(), variant.weights.tolist(), strict=True)))
    assert dict(total) == weights


def debiased_job(wire: Wire, **more: Any) -> dict[str, Any]:
    job = wire.done(wire.submit(FLIPS, backend="qpu.aria-1", shots=1000, **more))
    assert job["status"] == "completed"
    return job


@pytest.mark.parametrize("query", ["sharpen=true", "sharpen=True", "aggregation=voting"])
def test_sharpening_sharpens(wire: Wire, query: str) -> None:
    job = debiased_job(wire)
    path = f"/jobs/{job['id']}/results/probabilities"
    plain, sharp = wire("GET", path).json, wire("GET", f"{path}?{query}").json
    assert plain["31"] < 0.98 < sharp["31"]
    assert sum(sharp.values()) == pytest.approx(1)


@pytest.mark.parametrize("query", ["sharpen=false", "aggregation=average", "aggregation=dnl"])
def test_anything_else_averages(wire: Wire, query: str) -> None:
    path = f"/jobs/{debiased_job(wire)['id']}/results/probabilities"
    assert wire("GET", f"{path}?{query}").json == wire("GET", path).json


def test_without_debiasing_there_is_nothing_to_vote_on(wire: Wire) -> None:
    off = {"settings": {"error_mitigation": {"debiasing": False}}}
    job = debiased_job(wire, **off)
    path = f"/jobs/{job['id']}/results/probabilities"
    assert wire("GET", path + "?sharpen=true").json == wire("GET", path).json
    assert job["output"]["error_mitigation"] == {"debiasing": False}
    assert wire("GET", f"/jobs/{job['id']}/artifacts/aggregation-voting").status == 404


def test_the_aggregate_is_sharpened_circuit_by_circuit(wire: Wire) -> None:
    parent = wire.submit_many([FLIPS, FLIPS[:63]], backend="qpu.aria-1", shots=1000)
    job = wire.done(parent)
    path = job["results"]["probabilities"]["url"]
    plain, sharp = wire("GET", path).json, wire("GET", path + "?sharpen=true").json
    assert list(plain) == list(sharp) == job["child_job_ids"]
    for child, outcome in zip(job["child_job_ids"], ("31", "7"), strict=True):
        assert sharp[child][outcome] > plain[child][outcome]
        alone = wire("GET", f"/jobs/{child}/results/probabilities?sharpen=true").json
        assert alone == sharp[child]


def test_variants_and_aggregations_are_artifacts(wire: Wire) -> None:
    job = debiased_job(wire)
    output = job["output"]["error_mitigation"]
    variants = output["debiasing"]["variants"]
    assert (len(variants), sum(v["shots"] for v in variants)) == (20, 1000)
    assert len({tuple(v["qubit_map"]) for v in variants}) > 1

    def histogram(descriptor: dict[str, str]) -> dict[str, int]:
        answer = wire("GET", f"/jobs/{job['id']}/artifacts/{descriptor['id']}")
        assert answer.status == 200
        return dict(answer.json["histogram"]["registers"]["output_all"])

    total: Counter[str] = Counter()
    for variant in variants:
        (descriptor,) = variant["results"].values()
        one = histogram(descriptor)
        assert sum(one.values()) == variant["shots"]
        total.update(one)
    averaged = histogram(output["aggregations"]["average"])
    assert averaged == dict(total)
    assert histogram(output["aggregations"]["voting"])["11111"] > averaged["11111"]
    assert wire("GET", f"/jobs/{job['id']}/artifacts/variant-20").status == 404
    assert wire("GET", f"/jobs/{job['id']}/artifacts/variant-x").status == 404
