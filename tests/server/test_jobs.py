"""Lists, what is done to jobs that are in them, and which job has which result."""

from __future__ import annotations

import gc
import time
from collections import Counter
from collections.abc import Callable

import pytest
from support.emulator_wire import BELL, Wire

from pennylane_qstore.emulator import (
    ServiceBehaviour,
    VirtualClock,
)


def test_list_filters(serve: Callable[..., Wire]) -> None:
    wire = serve(profile={"queue_s": 0}, behaviour=ServiceBehaviour(page_limit=3))
    simulated = [wire.submit(name=f"j{k}") for k in range(4)]
    for job_id in simulated:
        wire.done(job_id)
    failed = wire.submit([{"gate": "x", "target": 40}])
    real = wire.done(wire.submit(backend="qpu.aria-1"))["id"]

    def ids(query: str) -> list[str]:
        out: list[str] = []
        cursor = ""
        for _ in range(10):
            page = wire("GET", f"/jobs?{query}{cursor}").json
            assert set(page) == {"jobs", "next"}
            assert all("child_job_ids" not in job for job in page["jobs"])
            out += [job["id"] for job in page["jobs"]]
            if page["next"] is None:
                return out
            cursor = f"&next={page['next']}"
        raise AssertionError("no last page")

    everything = [real, failed, *simulated[::-1]]
    assert ids("") == everything
    assert ids("limit=1") == everything
    assert ids("limit=1000") == everything
    assert ids("status=failed") == [failed]
    assert ids("status=queued") == []
    assert ids("target=qpu.aria-1") == [real]
    assert ids("target=qpu.aria-1,simulator") == everything
    assert ids(f"ids={real}&ids={failed}&ids=nonsense") == [real, failed]
    assert ids("parent_job_id=nonsense") == []
    assert ids("submitter_id=somebody") == []
    assert wire("GET", "/jobs?status=odd").status == 400
    assert wire("GET", "/jobs?next=odd").status == 400
    with_body = wire("GET", "/jobs", {"limit": 1000})
    assert with_body.status == 200


def test_pages_do_not_shift_when_jobs_come_and_go(serve: Callable[..., Wire]) -> None:
    wire = serve(behaviour=ServiceBehaviour(page_limit=2))
    ids = [wire.submit() for _ in range(5)]
    first = wire("GET", "/jobs").json
    wire.submit()
    wire("DELETE", f"/jobs/{ids[3]}")
    second = wire("GET", f"/jobs?next={first['next']}").json
    assert [j["id"] for j in first["jobs"]] == [ids[4], ids[3]]
    assert [j["id"] for j in second["jobs"]] == [ids[2], ids[1]]


def test_cancel_and_delete(serve: Callable[..., Wire]) -> None:
    clock = VirtualClock()
    wire = serve(clock=clock, profile=60.0)
    a, b, c, d = (wire.submit() for _ in range(4))
    assert wire("PUT", f"/jobs/{a}/status/cancel").json == {"id": a, "status": "canceled"}
    answer = wire("PUT", "/jobs/status/cancel", {"ids": [b, "nonsense"]})
    assert answer.json == {"ids": [b], "status": "canceled"}
    assert wire("DELETE", f"/jobs/{c}").json == {"id": c, "status": "deleted"}
    assert wire("DELETE", "/jobs", {"ids": [a]}).json == {"ids": [a], "status": "deleted"}
    assert [wire("GET", f"/jobs/{i}").status for i in (a, b, c, d)] == [404, 200, 404, 200]
    clock.advance(60)
    assert [wire.job(i)["status"] for i in (b, d)] == ["canceled", "completed"]
    wire("PUT", f"/jobs/{d}/status/cancel")
    assert wire.job(d)["status"] == "completed"
    assert wire("PUT", "/jobs/status/cancel", {"ids": "x"}).status == 400


def test_cancelling_a_completed_job_can_be_made_to_flip_it(serve: Callable[..., Wire]) -> None:
    wire = serve(behaviour=ServiceBehaviour(cancel_completed=True))
    job_id = wire.done(wire.submit())["id"]
    wire("PUT", f"/jobs/{job_id}/status/cancel")
    assert wire.job(job_id)["status"] == "canceled"


def test_clone_of_a_child_is_a_job_of_its_own(wire: Wire) -> None:
    parent = wire.submit_many([BELL, [{"gate": "x", "target": 0}]], shots=7)
    child = wire.done(parent)["child_job_ids"][1]
    clone = wire("POST", f"/jobs/{child}/clone", {"name": "again"}).json["id"]
    job = wire.done(clone)
    assert (job["type"], job["name"], job["shots"]) == ("ionq.circuit.v1", "again", 7)
    assert wire.probabilities(clone) == {"1": 1.0}
    assert wire("POST", f"/jobs/{child}/clone").status == 201
    assert wire("POST", f"/jobs/{child}/clone", b"[]").status == 400
    assert wire("POST", "/jobs/nonsense/clone").status == 404


def test_ten_thousand_jobs_are_listed_in_linear_time(serve: Callable[..., Wire]) -> None:
    wire = serve(behaviour=ServiceBehaviour(page_limit=1000))
    service = wire.emulator.service
    wire.done(wire.submit())
    (template,) = wire.emulator.jobs

    def fill(count: int) -> None:
        from copy import copy

        now = service.clock.now()
        for _ in range(count):
            job = copy(template)
            (job.id,) = service.ids.take(now)
            job.sequence = service.records.next_sequence
            service.records.add(job, now)

    def list_all() -> tuple[int, float]:
        began = time.process_time()  # a machine that is busy with others is not counted
        count, cursor = 0, ""
        while True:
            page = wire("GET", f"/jobs?limit=1000{cursor}").json
            count += len(page["jobs"])
            if page["next"] is None:
                return count, time.process_time() - began
            cursor = f"&next={page['next']}"

    gc.disable()  # a full collection takes longer than a page, and comes when it likes
    try:
        fill(1999)
        few, quick = min(list_all() for _ in range(3))
        fill(8000)
        many, slow = min(list_all() for _ in range(3))
    finally:
        gc.enable()
    assert (few, many) == (2000, 10_000)
    assert slow < 5 * quick * 2.5


def test_old_finished_jobs_are_forgotten_beyond_keep(serve: Callable[..., Wire]) -> None:
    wire = serve(keep=3)
    ids = [wire.done(wire.submit())["id"] for _ in range(5)]
    assert [wire("GET", f"/jobs/{i}").status for i in ids] == [404, 404, 200, 200, 200]
    assert wire.emulator.stats()["jobs"] == 5


def test_estimates_take_what_jobs_take(wire: Wire) -> None:
    path = "/jobs/estimate?backend=simulator&"
    for query in ("shots=0", "shots=1000001", "qubits=0", "1q_gates=-1", "2q_gates=x"):
        answer = wire("GET", path + query)
        assert answer.status == 400
        assert answer.json["validation"]["keys"] == [query.split("=")[0]]


def test_registers_and_second_version_of_the_formats(wire: Wire) -> None:
    circuit = {"circuit": [{"gate": "x", "target": 0}], "qubits": 3, "registers": {"out": [2, 0]}}
    parent = wire.submit_many([circuit], noise={"model": "aria-1"}, shots=10)
    child = wire.done(parent)["child_job_ids"][0]
    found = wire("GET", f"/jobs/{child}/artifacts/ionq.result.histogram.json.v2").json
    registers = found["histogram"]["registers"]
    assert registers["output_all"]["100"] >= 8
    assert registers["out"]["01"] >= 8
    shots = wire("GET", f"/jobs/{child}/artifacts/shots-v2").json["shots"]
    assert len(shots) == 10
    assert set(shots[0]["registers"]) == {"output_all", "out"}
    assert wire("GET", f"/jobs/{child}/artifacts/nonsense").status == 404
    assert wire("GET", "/schemas/formats/ionq.result.histogram.json.v2").status == 200
    assert wire("GET", "/schemas/formats/nonsense").status == 404


def test_children_have_shots_of_their_own(wire: Wire) -> None:
    parent = wire.done(wire.submit_many([BELL, BELL], backend="qpu.forte-1", shots=100))
    assert wire("GET", f"/jobs/{parent['id']}/results/shots").status == 404
    one, two = (wire("GET", f"/jobs/{c}/results/shots").json for c in parent["child_job_ids"])
    assert len(one) == len(two) == 100
    assert one != two
    aggregate = wire("GET", parent["results"]["probabilities"]["url"]).json
    for child, shots in zip(parent["child_job_ids"], (one, two), strict=True):
        assert aggregate[child] == pytest.approx({s: n / 100 for s, n in Counter(shots).items()})


def test_the_ideal_simulator_has_no_shots(wire: Wire) -> None:
    job = wire.done(wire.submit(shots=100))
    assert "shots" not in job["results"]
    for path in ("results/shots", "results/histogram", "artifacts/shots-v2"):
        assert wire("GET", f"/jobs/{job['id']}/{path}").status == 404
