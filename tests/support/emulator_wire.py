"""A bare HTTP client, so that the emulator is tested over the wire and by itself."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
from support.waiting import LIMIT_S

from pennylane_qstore.emulator import Emulator, Fault

BELL = [{"gate": "h", "target": 0}, {"gate": "cnot", "control": 0, "target": 1}]


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Wire:
    """Requests to one emulator over one connection."""

    def __init__(self, emulator: Emulator, key: str | None = "apiKey test") -> None:
        self.emulator = emulator
        self.key = key
        self.connection = http.client.HTTPConnection(
            emulator.address.removeprefix("http://"), timeout=20
        )

    def __call__(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> Answer:
        if not path.startswith(("/v0.4", "/admin")) and path != "/":
            path = "/v0.4" + path
        sent = {} if self.key is None else {"Authorization": self.key}
        data = body if body is None or isinstance(body, bytes) else json.dumps(body)
        self.connection.request(method, path, data, sent | (headers or {}))
        response = self.connection.getresponse()
        return Answer(response.status, dict(response.getheaders()), response.read())

    def first_event(self, query: str = "") -> Any:
        """The first event that the page is sent, on a connection of its own."""
        asked = Wire(self.emulator, self.key).connection
        asked.request("GET", f"/admin/events{query}", headers={"Authorization": self.key or ""})
        line = asked.getresponse().readline()
        asked.close()
        return json.loads(line.removeprefix(b"data: "))

    def post(self, body: object) -> str:
        """The id of the job that this body makes."""
        answer = self("POST", "/jobs", body)
        assert answer.status == 201, answer.body
        return str(answer.json["id"])

    def submit(self, circuit: list[dict[str, Any]] | None = None, **more: Any) -> str:
        return self.post(single(circuit, **more))

    def submit_many(self, circuits: list[Any], gateset: str = "qis", **more: Any) -> str:
        return self.post(multi(circuits, gateset, **more))

    def job(self, job_id: str) -> dict[str, Any]:
        answer = self("GET", f"/jobs/{job_id}")
        assert answer.status == 200, answer.body
        return dict(answer.json)

    def done(self, job_id: str) -> dict[str, Any]:
        """The job once it has ended (profile "none": as fast as it is simulated)."""
        end = time.monotonic() + LIMIT_S
        while (job := self.job(job_id))["status"] not in ("completed", "failed", "canceled"):
            assert time.monotonic() < end, f"the job stays {job['status']}"
        return job

    def probabilities(self, job_id: str) -> dict[str, float]:
        self.done(job_id)
        answer = self("GET", f"/jobs/{job_id}/results/probabilities")
        assert answer.status == 200, answer.body
        return dict(answer.json)


def single(
    circuit: list[dict[str, Any]] | None = None,
    gateset: str = "qis",
    qubits: int | None = None,
    backend: str = "simulator",
    **more: Any,
) -> dict[str, Any]:
    source: dict[str, Any] = {"gateset": gateset, "circuit": BELL if circuit is None else circuit}
    if qubits is not None:
        source["qubits"] = qubits
    return {"type": "ionq.circuit.v1", "backend": backend, "input": source} | more


def multi(circuits: list[Any], gateset: str = "qis", **more: Any) -> dict[str, Any]:
    wrapped = [c if isinstance(c, dict) else {"circuit": c} for c in circuits]
    source = {"gateset": gateset, "circuits": wrapped}
    return {"type": "ionq.multi-circuit.v1", "backend": "simulator", "input": source} | more


def faulty(serve: Callable[..., Wire], *faults: Fault, **settings: Any) -> Wire:
    return serve(faults=list(faults), **settings)


@pytest.fixture
def serve() -> Iterator[Callable[..., Wire]]:
    """A function that starts an emulator with settings and gives the wire to it."""
    started: list[Wire] = []

    def start(**settings: Any) -> Wire:
        settings.setdefault("seed", 1)
        wire = Wire(Emulator(**settings).start())
        started.append(wire)
        return wire

    yield start
    for wire in started:
        wire.connection.close()
        wire.emulator.close()


@pytest.fixture
def wire(serve: Callable[..., Wire]) -> Wire:
    return serve()
