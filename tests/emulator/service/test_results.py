"""Results in every format: they agree, they are seeded, large ones come in pieces."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from support.emulated_service import submit, with_service
from support.emulator_wire import BELL, Wire

from pennylane_qstore.emulator import Fault
from pennylane_qstore.emulator.service import results
from pennylane_qstore.emulator.service.requests import request_of
from pennylane_qstore.emulator.service.service import EmulatedService
from pennylane_qstore.fixed_decimals import read_rows
from pennylane_qstore.server.errors import BadRequest
from pennylane_qstore.server.render import NATIVE_CIRCUIT, PROBABILITIES


def test_seeded_noise_is_the_same_job_after_job(wire: Wire) -> None:
    noisy = {"noise": {"model": "aria-1", "seed": 5}, "shots": 100}
    first, second = (wire.probabilities(wire.submit(**noisy)) for _ in range(2))
    other = wire.probabilities(wire.submit(noise={"model": "aria-1", "seed": 6}, shots=100))
    assert first == second
    assert first != other


def test_a_noise_model_can_be_the_default(serve: Callable[..., Wire]) -> None:
    wire = serve(noise_model="aria-1")
    job = wire.done(wire.submit(shots=64))
    assert "histogram" in job["results"]
    assert job["noise"] == {"model": "aria-1"}
    assert wire.job(wire.submit(noise={"seed": 3}))["noise"] == {"model": "aria-1", "seed": 3}
    assert wire.done(wire.submit(noise={"model": "ideal"}))["noise"] == {"model": "ideal"}
    zz = [{"gate": "zz", "targets": [0, 1], "angle": 0.1}]
    failure = wire.done(wire.submit(zz, gateset="native"))["failure"]
    assert failure["code"] == "UnsupportedGate"
    assert "noise" not in wire.job(wire.submit(backend="qpu.forte-1"))
    assert sum(wire("GET", f"/jobs/{job['id']}/results/histogram").json.values()) == 64


@pytest.mark.parametrize("path", ["results/probabilities", "artifacts/probabilities"])
def test_large_results_come_in_pieces(
    wire: Wire, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    circuits = [
        [{"gate": "ry", "target": q, "rotation": 0.5 + x} for q in range(8)] for x in (0, 1)
    ]
    parent = wire.done(wire.submit_many(circuits))
    child = parent["child_job_ids"][1]
    whole = wire("GET", f"/jobs/{child}/{path}")
    aggregate = wire("GET", parent["results"]["probabilities"]["url"])
    monkeypatch.setattr(results, "_STREAMED", 100)
    monkeypatch.setattr(results, "_PIECE", 7)
    pieces = wire("GET", f"/jobs/{child}/{path}")
    assert pieces.body == whole.body
    assert "Content-Length" in whole.headers
    assert "Content-Length" not in pieces.headers
    again = wire("GET", parent["results"]["probabilities"]["url"])
    assert again.body == aggregate.body
    wire.emulator.faults.add(Fault("missing_result", times=1))
    assert len(wire("GET", f"/jobs/{child}/{path}").json) == 255
    wire.emulator.faults.add(Fault("truncate", "results"))  # too late: it is on its way
    assert wire("GET", f"/jobs/{child}/{path}").json == whole.json


@pytest.mark.parametrize("turns", [2, 5])
def test_an_aggregate_says_of_each_circuit_what_the_circuit_says(
    wire: Wire, monkeypatch: pytest.MonkeyPatch, turns: int
) -> None:
    """Whether their texts are alike, and written together, or each is written alone."""
    turned = [{"gate": "ry", "target": q, "rotation": 0.3 + q} for q in range(turns)]
    circuits = [[*turned, {"gate": "ry", "target": 0, "rotation": 0.01 * k}] for k in range(40)]
    parent = wire.done(wire.submit_many(circuits, qubits=5))
    monkeypatch.setattr(results, "_ALIKE_ENTRIES", 1)
    alike = wire("GET", parent["results"]["probabilities"]["url"])
    monkeypatch.setattr(results, "_ALIKE_ENTRIES", 1 << 30)
    alone = wire("GET", parent["results"]["probabilities"]["url"])
    assert alike.json == alone.json
    assert list(alike.json) == list(alone.json) == parent["child_job_ids"]
    assert read_rows(alike.body) is not None
    assert read_rows(alone.body) is None
    child = parent["child_job_ids"][7]
    assert wire("GET", f"/jobs/{child}/results/probabilities").json == alike.json[child]
    assert len(alike.json[child]) == 2**turns


def test_a_client_that_leaves_in_the_middle_is_no_error(
    wire: Wire, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    job_id = wire.done(wire.submit())["id"]
    ended = threading.Event()

    def endless(_: object) -> Iterator[bytes]:
        try:
            while True:
                yield bytes(1 << 16)
        finally:
            ended.set()

    monkeypatch.setattr(results, "_STREAMED", 1)
    monkeypatch.setattr(results, "probabilities_pieces", endless)
    wire.connection.request(
        "GET", f"/v0.4/jobs/{job_id}/results/probabilities", headers={"Authorization": "apiKey x"}
    )
    response = wire.connection.getresponse()
    response.read(1 << 20)
    response.close()
    wire.connection.close()
    assert ended.wait(20)
    assert "Error" not in caplog.text
    assert wire("GET", f"/jobs/{job_id}").status == 200


def sampled_job(wire: Wire, **more: Any) -> tuple[str, dict[str, Any]]:
    circuit = [{"gate": "ry", "target": q, "rotation": 0.6 + q} for q in range(3)]
    job_id = wire.submit([*circuit, *BELL], **more)
    assert wire.done(job_id)["status"] == "completed"
    path = f"/jobs/{job_id}"
    found = {
        name: wire("GET", f"{path}/artifacts/{name}").json
        for name in ("shots", "shots-v2", "histogram", "histogram-v2", "probabilities")
    }
    return job_id, found


SAMPLED = [
    {"backend": "qpu.forte-1", "shots": 300},
    {"backend": "qpu.aria-1", "shots": 700},  # debiased
    {"noise": {"model": "aria-1", "seed": 3}, "shots": 300},
]


@pytest.mark.parametrize("more", SAMPLED, ids=["qpu", "debiased", "noisy simulator"])
def test_single_shots_agree_with_every_other_result(wire: Wire, more: dict[str, Any]) -> None:
    job_id, found = sampled_job(wire, **more)
    shots = found["shots"]
    assert len(shots) == more["shots"]
    assert wire("GET", f"/jobs/{job_id}/results/shots").json == shots
    assert Counter(shots) == found["histogram"]
    shares = {state: n / more["shots"] for state, n in Counter(shots).items()}
    assert found["probabilities"] == pytest.approx(shares)
    bits = [shot["registers"]["output_all"] for shot in found["shots-v2"]["shots"]]
    assert [str(sum(bit << q for q, bit in enumerate(row))) for row in bits] == shots
    written = Counter("".join(map(str, row)) for row in bits)
    assert found["histogram-v2"]["histogram"]["registers"]["output_all"] == written
    assert wire("GET", f"/jobs/{job_id}/results/shots").json == shots  # the same every time


@pytest.mark.parametrize("more", SAMPLED, ids=["qpu", "debiased", "noisy simulator"])
def test_shots_come_in_the_order_of_their_chance(wire: Wire, more: dict[str, Any]) -> None:
    """Not sorted: the halves of the shots have the same distribution, neighbours are strangers."""
    _, found = sampled_job(wire, **more | {"shots": 4000})
    shots = np.array([int(s) for s in found["shots"]])
    halves = [np.bincount(half, minlength=8) / 2000 for half in (shots[:2000], shots[2000:])]
    np.testing.assert_allclose(*halves, atol=0.06)
    p = np.bincount(shots, minlength=8) / 4000
    assert np.mean(shots[1:] == shots[:-1]) == pytest.approx(np.square(p).sum(), abs=0.04)


def test_the_same_seed_gives_the_same_shots(serve: Callable[..., Wire]) -> None:
    one, two, other = (
        sampled_job(serve(seed=seed), backend="qpu.forte-1", shots=200)[1]["shots"]
        for seed in (7, 7, 8)
    )
    assert one == two != other


def test_shots_survive_a_restart(serve: Callable[..., Wire], tmp_path: Path) -> None:
    wire = serve(state=tmp_path / "jobs.db")
    job_id, found = sampled_job(wire, backend="qpu.forte-1", shots=100)
    wire.connection.close()
    wire.emulator.close()
    again = serve(state=tmp_path / "jobs.db")
    assert again("GET", f"/jobs/{job_id}/results/shots").json == found["shots"]


def test_a_result_is_there_when_the_job_is_completed() -> None:
    async def use(service: EmulatedService) -> None:
        job = await submit(service)
        await service.refresh(job.id)
        body = await service.results.write(job.id, PROBABILITIES, vote=False)
        assert isinstance(body, bytes)
        assert orjson.loads(body) == pytest.approx({"0": 0.5, "3": 0.5})
        count, best = service.results.likeliest(job.id, 0, 1)
        assert (count, len(best)) == (2, 1)
        assert await service.results.source(job.id, 0) == BELL
        compiled = await service.results.write(job.id, NATIVE_CIRCUIT, vote=False)
        assert isinstance(compiled, bytes)
        assert b"gpi2" in compiled
        job.request = None
        with pytest.raises(BadRequest):
            request_of(job)
        with pytest.raises(BadRequest):
            await service.results.write(job.id, NATIVE_CIRCUIT, vote=False)

    with_service(use)


def test_an_early_question_for_a_result_is_404() -> None:
    async def use(service: EmulatedService) -> None:
        job = await submit(service)
        with pytest.raises(BadRequest) as early:
            await service.results.write(job.id, PROBABILITIES, vote=False)
        assert early.value.status == 404

    with_service(use, {"execution_s": 9.0})
