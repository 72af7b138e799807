"""Jobs in IonQ's JSON, over a life from submission to results."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.emulator_wire import Wire, single
from support.stub_service import StubJob

from pennylane_qstore.emulator import VirtualClock
from pennylane_qstore.server.render import ARTIFACTS, job_json, timestamp
from pennylane_qstore.server.service import Failure

JOB_KEYS = {
    "id", "status", "type", "backend", "dry_run", "submitter_id", "project_id", "parent_job_id",
    "child_job_ids", "session_id", "metadata", "name", "submitted_at", "started_at", "completed_at",
    "predicted_wait_time_ms", "predicted_execution_duration_ms", "execution_duration_ms", "failure",
    "settings", "stats", "output", "results",
}  # fmt: skip


def test_a_job_from_post_to_result(wire: Wire) -> None:
    answer = wire("POST", "/jobs", single(metadata={"k": "v"}, name="a job"))
    assert answer.status == 201
    assert answer.json == {"id": answer.json["id"], "status": "submitted", "session_id": None}
    job = wire.done(answer.json["id"])
    assert set(job) >= JOB_KEYS
    assert (job["status"], job["name"], job["metadata"]) == ("completed", "a job", {"k": "v"})
    assert job["noise"] == {"model": "ideal"}
    assert job["stats"]["gate_counts"] == {"1q": 1, "2q": 1}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", job["completed_at"])
    url = job["results"]["probabilities"]["url"]
    assert url == f"/v0.4/jobs/{job['id']}/results/probabilities"
    assert wire("GET", url).json == pytest.approx({"0": 0.5, "3": 0.5})
    for entry in ("ionq.result.probabilities.json.v1", "probabilities"):
        found = wire("GET", f"/jobs/{job['id']}/artifacts/{entry}")
        assert found.json == pytest.approx({"0": 0.5, "3": 0.5})
    assert wire("GET", f"/jobs/{job['id']}/results/histogram").status == 404
    assert [(r.method, r.path) for r in wire.emulator.requests[:2]] == [
        ("POST", "/v0.4/jobs"),
        ("GET", f"/v0.4/jobs/{job['id']}"),
    ]


def test_a_multi_circuit_job_keeps_the_order_of_its_circuits(wire: Wire) -> None:
    circuits = [
        {"name": f"c{k}", "circuit": [{"gate": "rx", "target": 0, "rotation": 0.1 * k}]}
        for k in range(60)
    ]
    job = wire.done(wire.submit_many(circuits))
    children = job["child_job_ids"]
    assert children == sorted(children)
    assert all(re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab].*", c) for c in children)
    url = job["results"]["probabilities"]["url"]
    assert url.endswith("/results/probabilities/aggregated")
    aggregate = wire("GET", url).json
    assert list(aggregate) == children
    assert aggregate == wire("GET", f"/jobs/{job['id']}/artifacts/probabilities-aggregate").json
    child = wire.job(children[7])
    assert (child["parent_job_id"], child["name"]) == (job["id"], "c7")
    assert set(child) >= JOB_KEYS
    assert wire.probabilities(children[7]) == aggregate[children[7]]
    listed = wire("GET", f"/jobs?parent_job_id={job['id']}&limit=20").json
    names = [j["name"] for j in listed["jobs"]]
    while listed["next"] is not None:
        path = f"/jobs?parent_job_id={job['id']}&limit=20&next={listed['next']}"
        listed = wire("GET", path).json
        names += [j["name"] for j in listed["jobs"]]
    assert names == [f"c{k}" for k in range(60)]
    assert wire("GET", f"/jobs/{job['id']}/results/probabilities").status == 404


def test_life_cycle_on_a_virtual_clock(serve: Callable[..., Wire]) -> None:
    clock = VirtualClock()
    profile = {"verify_s": 1.0, "queue_s": 3600.0, "execution_s": 10.0}
    wire = serve(clock=clock, profile=profile)
    job_id = wire.submit(backend="qpu.forte-1", shots=200)
    seen = [wire.job(job_id)]
    for seconds in (1, 1800, 1800, 10):
        clock.advance(seconds)
        seen.append(wire.job(job_id))
    assert [j["status"] for j in seen] == ["submitted", "ready", "ready", "started", "completed"]
    waits = [j["predicted_wait_time_ms"] for j in seen]
    assert waits == [3_601_000, 3_600_000, 1_800_000, 0, None]
    assert [j["results"] is None for j in seen] == [True] * 4 + [False]
    assert seen[-1]["execution_duration_ms"] >= 10_000
    assert sum(wire("GET", f"/jobs/{job_id}/results/histogram").json.values()) == 200


def test_times_that_have_not_come_are_null() -> None:
    shown = job_json(StubJob(state="submitted", sampled=None), now=0.5)
    assert shown["started_at"] is shown["completed_at"] is shown["results"] is None
    assert shown["predicted_wait_time_ms"] == 1500
    assert shown["output"] == {}
    done = job_json(StubJob(), now=9.0)
    assert done["started_at"] == "1970-01-01T00:00:02.000Z"
    assert done["completed_at"] == "1970-01-01T00:00:05.000Z"
    assert (done["execution_duration_ms"], done["predicted_wait_time_ms"]) == (3000, None)


def test_children_have_ids_and_names_of_their_own() -> None:
    job = StubJob(type="ionq.multi-circuit.v1", name="all", child_ids=["a"])
    parent, child = job_json(job, 9.0), job_json(job, 9.0, child=0)
    assert (parent["id"], parent["name"], parent["child_job_ids"]) == ("job", "all", ["a"])
    assert parent["results"]["probabilities"]["url"].endswith(
        "/job/results/probabilities/aggregated"
    )
    assert (child["id"], child["type"], child["name"]) == ("a", "ionq.circuit.v1", "c")
    assert (child["parent_job_id"], child["child_job_ids"]) == ("job", None)
    assert child["results"]["probabilities"]["url"] == "/v0.4/jobs/a/results/probabilities"
    assert job_json(job, 9.0, child=0, named=False)["name"] is None
    assert "child_job_ids" not in job_json(job, 9.0, listed=True)


def test_only_counts_have_histograms_and_shots() -> None:
    exact, sampled = (job_json(StubJob(sampled=s), 9.0)["results"] for s in (False, True))
    assert "histogram" not in exact
    assert sampled["shots"] == {"url": "/v0.4/jobs/job/results/shots"}
    assert {name for name in sampled if name.startswith("ionq.")} == {
        ARTIFACTS[kind + version]
        for kind in ("probabilities", "histogram", "shots")
        for version in ("", "-v2")
    }


def test_money_and_failures_are_shown_where_they_belong() -> None:
    qpu = job_json(StubJob(backend="qpu.forte-1"), 9.0)
    assert qpu["stats"]["billed_quantum_compute_time_us"] == 7
    assert "noise" not in qpu
    failed = job_json(StubJob(state="failed", failure=Failure("Code", "message")), 9.0)
    assert failed["failure"] == {"code": "Code", "message": "message", "error": "message"}
    assert failed["results"] is None
    number = job_json(StubJob(outcome={"value": 1.5}), 9.0)
    assert number["results"] == {"value": 1.5}


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
