"""The API over real HTTP: life cycle, shapes, lists, errors, limits."""

from __future__ import annotations

import gzip
import json
import re
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from support.emulator_wire import BELL, Wire, multi, single

from pennylane_qstore.emulator import Emulator, VirtualClock, embedded
from pennylane_qstore.errors import ConfigurationError, QStoreError
from pennylane_qstore.server import access

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


def test_results_are_404_until_completed(serve: Callable[..., Wire]) -> None:
    clock = VirtualClock()
    wire = serve(clock=clock, profile=60.0)
    job_id = wire.submit_many([BELL, BELL])
    for path in ("results/probabilities/aggregated", "artifacts/probabilities-aggregate"):
        assert wire("GET", f"/jobs/{job_id}/{path}").status == 404
    clock.advance(60)
    wire.job(job_id)
    assert wire("GET", f"/jobs/{job_id}/results/probabilities/aggregated").status == 200


def test_jobs_wait_for_each_other_where_concurrency_is_limited(serve: Callable[..., Wire]) -> None:
    clock = VirtualClock()
    wire = serve(clock=clock, profile=10.0, concurrency=2)
    ids = [wire.submit() for _ in range(4)]
    waits = [wire.job(i)["predicted_wait_time_ms"] for i in ids]
    assert waits == [0, 0, 10_000, 10_000]
    clock.advance(10)
    assert [wire.job(i)["status"] for i in ids] == ["completed"] * 2 + ["started"] * 2


def test_q_store_profile_takes_the_published_times(serve: Callable[..., Wire]) -> None:
    clock = VirtualClock(auto=True)
    wire = serve(clock=clock, profile="q-store")
    start = clock.now()
    job_id = wire.submit_many([BELL] * 20)
    assert clock.now() - start == pytest.approx(0.5)
    clock.advance(3.349 - 0.01)
    assert wire.job(job_id)["status"] == "started"
    clock.advance(0.011)
    assert wire.job(job_id)["status"] == "completed"


def test_a_day_of_virtual_time(serve: Callable[..., Wire]) -> None:
    clock = VirtualClock(auto=True)
    wire = serve(clock=clock, profile="qpu")
    ids = []
    for _ in range(24):
        ids.append(wire.submit(backend="qpu.forte-1"))
        clock.advance(3600)
    assert wire.job(ids[0])["status"] == "completed"
    clock.advance(24 * 3600)
    jobs = [wire.job(i) for i in ids]
    assert [job["status"] for job in jobs] == ["completed"] * 24
    starts = [job["started_at"] for job in jobs]
    assert starts == sorted(starts)


def test_a_request_takes_the_clocks_time(serve: Callable[..., Wire]) -> None:
    clock = VirtualClock()
    wire = serve(clock=clock, profile={"request_s": 5.0})
    sent = threading.Thread(target=wire.submit)
    sent.start()
    while not wire.emulator.requests:
        time.sleep(0)
    sent.join(0.05)
    assert sent.is_alive()
    while sent.is_alive():
        clock.advance(5.0)
        sent.join(0.01)
    assert len(wire.emulator.jobs) == 1


@pytest.mark.parametrize("path", ["/jobs", "/whoami", "/sessions", "/schemas/formats/x", "/jobs/x"])
def test_everything_but_backends_and_health_needs_a_key(wire: Wire, path: str) -> None:
    wire.key = None
    answer = wire("GET", path)
    assert answer.status == 401
    assert set(answer.json) == {"statusCode", "error", "message"}
    for bad in ("Bearer x", "apiKey", "apiKey  "):
        assert wire("GET", path, headers={"Authorization": bad}).status == 401


def test_backends_and_health_are_open(wire: Wire) -> None:
    wire.key = None
    assert wire("GET", "/health").json == {"status": "pass"}
    names = [b["backend"] for b in wire("GET", "/backends").json]
    assert {"simulator", "qpu.aria-1", "qpu.forte-1"} <= set(names)
    one = wire("GET", "/backends/qpu.forte-1").json
    assert (one["qubits"], one["supported_native_gates"]) == (36, ["gpi", "gpi2", "zz"])
    assert wire("GET", "/backends/qpu.qpu").status == 404
    records = wire("GET", "/backends/qpu.forte-1/characterizations?limit=5&page=2").json
    assert (len(records["characterizations"]), records["pages"]) == (5, 1)
    path = f"/backends/qpu.forte-1/characterizations/{one['characterization_id']}"
    assert wire("GET", path).json["fidelity"]["spam"]["median"] == 0.9962
    assert wire("GET", "/backends/simulator/characterizations").json["characterizations"] == []
    assert wire("GET", "/backends/qpu.forte-1/characterizations?start=2999-01-01").json == {
        "characterizations": [],
        "pages": 0,
    }
    assert wire("GET", "/backends/qpu.forte-1/characterizations?limit=11").status == 400


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"type": "ionq.circuit.v0"}, "type"),
        ({"type": "ionq.qir.v1"}, "type"),
        ({"backend": "qpu.forte-9"}, "backend"),
        ({"backend": None}, "backend"),
        ({"input": None}, "input"),
        ({"input": {"gateset": "qis"}}, "input.circuit"),
        ({"input": {"gateset": "qis", "circuit": [], "circuits": []}}, "input.circuits"),
        ({"input": {"gateset": "other", "circuit": BELL}}, "input.gateset"),
        ({"input": {"circuit": BELL}}, "input.gateset"),
        ({"input": {"gateset": "qis", "circuit": BELL, "qubits": 0}}, "input.qubits"),
        ({"shots": 0}, "shots"),
        ({"shots": 1_000_001}, "shots"),
        ({"shots": 1.5}, "shots"),
        ({"name": "a/b"}, "name"),
        ({"metadata": {"a": 1}}, "metadata"),
        ({"noise": {"model": "loud"}}, "noise.model"),
        ({"noise": {"model": "aria-1", "seed": "x"}}, "noise.seed"),
        ({"session_id": 3}, "session_id"),
        ({"dry_run": "yes"}, "dry_run"),
        ({"settings": []}, "settings"),
    ],
)
def test_a_bad_request_gets_ionqs_error_body(wire: Wire, change: Any, key: str) -> None:
    answer = wire("POST", "/jobs", single() | change)
    assert answer.status == 400
    body = answer.json
    assert (body["statusCode"], body["error"]) == (400, "Bad Request")
    assert body["validation"] == {"keys": [key], "source": "payload"}
    assert wire.emulator.jobs == []


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'"x"', b"\xff\xfe", b"[" * 50_000])
def test_a_body_that_is_no_object_is_400(wire: Wire, body: bytes) -> None:
    assert wire("POST", "/jobs", body).status == 400


def test_leniency_as_observed(wire: Wire) -> None:
    body = single(
        shots="100", lang="json", noise={"model": "ideal", "seed": None}, metadata=None, name=None
    )
    assert (
        wire.job(wire.submit(**{k: v for k, v in body.items() if k != "input"} | {}))["shots"]
        == 100
    )
    compressed = gzip.compress(json.dumps(body).encode())
    assert wire("POST", "/jobs", compressed, {"Content-Encoding": "gzip"}).status == 201


@pytest.mark.parametrize(
    ("request_body", "code"),
    [
        (single([{"gate": "x", "target": 29}]), "NotEnoughQubits"),
        (single([{"gate": "x", "target": 25}], noise={"model": "aria-1"}), "NotEnoughQubits"),
        (
            single(
                [{"gate": "ms", "targets": [0, 1], "phases": [0, 0]}],
                "native",
                backend="qpu.forte-1",
            ),
            "UnsupportedGate",
        ),
        (
            single(
                [{"gate": "zz", "targets": [0, 1], "angle": 0.1}], "native", backend="qpu.aria-1"
            ),
            "UnsupportedGate",
        ),
        (single([{"gate": "x", "target": 9, "controls": list(range(8))}]), "TooManyControls"),
        (single(backend="qpu.forte-1", shots=20_000), "TooManyShots"),
        (
            single(
                [
                    {
                        "gate": "pauliexp",
                        "targets": list(range(14)),
                        "terms": ["X" * 14, "Z" * 13 + "I"],
                        "coefficients": [1, 1],
                        "time": 1,
                    }
                ]
            ),
            "QuantumCircuitComplexityError",
        ),
    ],
)
def test_what_the_compiler_finds_fails_the_job(wire: Wire, request_body: Any, code: str) -> None:
    answer = wire("POST", "/jobs", request_body)
    assert answer.status == 201
    job = wire.job(answer.json["id"])
    assert job["status"] == "failed"
    assert job["failure"]["code"] == code
    assert job["failure"]["message"] == job["failure"]["error"]
    assert job["results"] is None
    assert wire("GET", f"/jobs/{job['id']}/results/probabilities").status == 404


def test_limits(wire: Wire) -> None:
    too_large = b'{"a": "' + b"x" * 10_000_000 + b'"}'
    assert wire("POST", "/jobs", too_large).json["statusCode"] == 413
    circuits = [[{"gate": "h", "target": 0}]] * 5001
    assert wire("POST", "/jobs", multi(circuits)).status == 400
    assert wire("POST", "/jobs", multi(circuits[:5000])).status == 201
    heavy = [[{"gate": "h", "target": 0}] * 1001] * 150
    assert wire("POST", "/jobs", multi(heavy)).status == 400
    assert wire("POST", "/jobs", single(heavy[0])).status == 201


@pytest.mark.parametrize(
    ("more", "basis"),
    [
        ({}, "ZZ"),
        ({"backend": "qpu.aria-1"}, "MS"),
        ({"noise": {"model": "aria-1"}}, "MS"),
        ({"settings": {"compilation": {"gate_basis": "MS"}}}, "MS"),
    ],
)
def test_circuits_are_compiled_to_what_the_machine_has(
    wire: Wire, more: dict[str, Any], basis: str
) -> None:
    job = wire.done(wire.submit(**more))
    assert job["settings"]["compilation"]["gate_basis"] == basis
    compiled = wire("GET", f"/jobs/{job['id']}/artifacts/compiled-native").json
    assert {g["gate"] for g in compiled["circuit"]} == {"gpi", "gpi2", basis.lower()}
    again = wire.submit(compiled["circuit"], gateset="native", **more)
    assert wire.done(again)["status"] == "completed"


def test_dry_runs_are_priced_and_compiled_but_not_run(wire: Wire) -> None:
    job = wire.done(wire.submit(backend="qpu.forte-1", dry_run=True))
    assert (job["status"], job["results"]) == ("completed", None)
    entry = job["output"]["compilation"]["compiled_circuits"]["ionq.native.v1"]
    compiled = wire("GET", f"/jobs/{job['id']}/artifacts/{entry['id']}").json
    assert compiled["qubits"] == 2
    assert wire("GET", f"/jobs/{job['id']}/results/probabilities").status == 404
    stats = wire.emulator.stats()
    assert (stats["jobs"], stats["billed_jobs"], stats["billed_usd"]) == (1, 0, 0)


def test_debiasing_follows_its_rules(wire: Wire) -> None:
    def debiasing(**more: Any) -> bool:
        job = wire.job(wire.submit(**more))
        return bool(job["settings"]["error_mitigation"]["debiasing"])

    native = {"circuit": [{"gate": "gpi2", "target": 0, "phase": 0}], "gateset": "native"}
    wanted = {"settings": {"error_mitigation": {"debiasing": True}}}
    unwanted = {"settings": {"error_mitigation": {"debiasing": False}}}
    qpu = {"backend": "qpu.forte-1"}
    assert debiasing(**qpu, shots=500)
    assert not debiasing(**qpu, shots=499, **wanted)
    assert not debiasing(**qpu, shots=500, **unwanted)
    assert not debiasing(**qpu, shots=500, **native)
    assert debiasing(**qpu, shots=500, **native, **wanted)
    assert not debiasing(shots=500, **wanted)


def test_estimates_take_what_jobs_take(wire: Wire) -> None:
    path = "/jobs/estimate?backend=simulator&"
    for query in ("shots=0", "shots=1000001", "qubits=0", "1q_gates=-1", "2q_gates=x"):
        answer = wire("GET", path + query)
        assert answer.status == 400
        assert answer.json["validation"]["keys"] == [query.split("=")[0]]


def test_unknown_settings_are_ignored_and_wrong_ones_refused(wire: Wire) -> None:
    asked = {"error_mitigation": {"debias": True}, "compilation": {"opt": 0}, "other": 1}
    job = wire.job(wire.submit(settings=asked))
    assert job["settings"] == {
        "error_mitigation": {"debiasing": False},
        "compilation": {"opt": 0, "precision": "1E-3", "gate_basis": "ZZ"},
    }
    for wrong in ({"compilation": {"opt": "x"}}, {"error_mitigation": {"debiasing": 1}}):
        assert wire("POST", "/jobs", single(settings=wrong)).status == 400


def test_unknown_routes_and_methods_have_ionqs_bodies(wire: Wire) -> None:
    assert wire("GET", "/nothing").json["statusCode"] == 404
    assert wire("PATCH", "/jobs").json["statusCode"] == 405
    assert "x-request-id" in {k.lower() for k in wire("GET", "/jobs").headers}


def test_simulator_can_be_chosen(serve: Callable[..., Wire]) -> None:
    wire = serve(simulator="default.qubit")
    assert wire.probabilities(wire.submit()) == pytest.approx({"0": 0.5, "3": 0.5})
    with pytest.raises(ConfigurationError, match="not a PennyLane device"):
        Emulator(simulator="lightning.nonsense")


def test_sixty_four_clients_at_once(wire: Wire) -> None:
    found: dict[int, dict[str, float]] = {}

    def work(k: int) -> None:
        own = Wire(wire.emulator)
        found[k] = own.probabilities(
            own.submit([{"gate": "ry", "target": 0, "rotation": 0.04 * k}])
        )
        own.connection.close()

    threads = [threading.Thread(target=work, args=(k,)) for k in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    from math import cos

    assert {k: p["0"] for k, p in found.items()} == pytest.approx(
        {k: cos(0.02 * k) ** 2 for k in range(64)}
    )


def test_connections_are_counted(wire: Wire) -> None:
    for _ in range(3):
        wire("GET", "/health")
    other = Wire(wire.emulator)
    other("GET", "/health")
    other.connection.close()
    stats = wire.emulator.stats()
    assert (stats["requests"], stats["connections"]) == (4, 2)


def test_old_requests_are_forgotten_but_counted(
    wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access, "_KEPT_REQUESTS", 5)
    for k in range(13):
        wire("GET", f"/jobs?limit={k + 1}")
    assert [r.path for r in wire.emulator.requests][-5:] == [
        f"/v0.4/jobs?limit={k + 1}" for k in range(8, 13)
    ]
    assert len(wire.emulator.requests) <= 10
    assert wire.emulator.stats()["requests"] == 13


def test_embedded_is_one_per_settings_and_survives_a_close() -> None:
    one = embedded(seed=123)
    assert embedded(seed=123) is one
    other = embedded(seed=124)
    assert other is not one
    one.close()
    again = embedded(seed=123)
    assert again is not one
    fresh = Wire(again)
    assert fresh("GET", "/health").status == 200
    fresh.connection.close()
    again.close()
    other.close()


def test_a_stopped_emulator_can_start_again_on_its_port(wire: Wire) -> None:
    job_id = wire.done(wire.submit())["id"]
    gates = [{"gate": "h", "target": q} for q in range(22)] * 30
    unfinished = wire.submit(gates)
    address = wire.emulator.address
    wire.connection.close()
    wire.emulator.close()
    with pytest.raises(ConnectionRefusedError):
        wire("GET", "/health")
    wire.connection.close()
    wire.emulator.start()
    assert wire.emulator.address == address
    assert wire.job(job_id)["status"] == "completed"
    assert wire.done(unfinished)["status"] == "completed"


def test_a_port_in_use_is_a_clear_error(wire: Wire) -> None:
    port = int(wire.emulator.address.rsplit(":", 1)[1])
    with pytest.raises(QStoreError, match="cannot listen"):
        Emulator(port=port).start()
    with pytest.raises(QStoreError, match="not running"):
        _ = Emulator().url


def test_importing_the_emulator_does_not_import_aiohttp() -> None:
    import subprocess

    code = "import pennylane_qstore.emulator, sys; sys.exit('aiohttp' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
