"""kill -9 of a gateway at every transition of its ledger, while two users wait for their jobs.

After each death it starts again, and the clients repeat what was not answered, as clients do.
"""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from support.gateways import paid, single

from pennylane_qstore.emulator import Emulator, Fault
from pennylane_qstore.gateway.store import Limits, Store
from pennylane_qstore.gateway.tokens import Tokens
from pennylane_qstore.ionq.ledger.ledger import Ledger

pytestmark = pytest.mark.crash

CHILD = Path(__file__).with_name("gateway_child.py")
EVENTS = ["gateway job", "intent", "submitted", "done", "billed", "gateway change"]
NEVER = {"simulator": ("intent", "billed"), "qpu.forte-1 alone": ("intent",)}
"""A job that waits for no others is accepted with its intent; one that is free has no bill."""
POINTS = [f"{when}:{event}" for event in EVENTS for when in ("before", "after")]
MODES = {
    "well": [],
    "cut after": [Fault("close", route="submit", when="after")],
}
X = {"gate": "x", "target": 0}
LIMIT_S = 60.0


class Life:
    """A gateway that starts again when it has died, and a client that repeats its requests."""

    def __init__(
        self, emulator: Emulator, path: Path, point: str, window_s: float, at_once: int = 1
    ) -> None:
        self.emulator, self.path, self.window_s = emulator, path, window_s
        self.deaths = 0
        self.start(point, at_once)

    def start(self, point: str, at_once: int = 1) -> None:
        options = [self.emulator.url, str(self.path), point, str(self.window_s), str(at_once)]
        command = [sys.executable, str(CHILD), *options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().strip()

    def restart(self) -> None:
        assert self.process.wait(LIMIT_S) == -9
        self.process.communicate()
        self.deaths += 1
        self.start("none")

    def ask(self, token: str, method: str, path: str, body: Any = None) -> Any:
        """Ask until there is an answer."""
        end = time.monotonic() + LIMIT_S
        while time.monotonic() < end:
            try:
                return self._ask(token, method, path, body)
            except (OSError, http.client.HTTPException):
                self.restart()
        raise AssertionError("there was no answer in time")

    def ask_once(self, token: str, body: Any) -> None:
        """Submit once, whether there is an answer or not."""
        with suppress(OSError, http.client.HTTPException):
            self._ask(token, "POST", "/jobs", body)

    def _ask(self, token: str, method: str, path: str, body: Any) -> Any:
        address = self.url.removeprefix("http://").removesuffix("/v0.4")
        connection = http.client.HTTPConnection(address or "127.0.0.1:9", timeout=LIMIT_S)
        with closing(connection):
            headers = {"Authorization": f"apiKey {token}"}
            data = None if body is None else json.dumps(body)
            connection.request(method, f"/v0.4{path}", data, headers)
            return json.loads(connection.getresponse().read())

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.mark.parametrize(
    ("backend", "mode"),
    [
        ("qpu.forte-1", "well"),
        ("qpu.forte-1", "cut after"),
        ("qpu.forte-1 alone", "well"),
        ("qpu.forte-1 alone", "cut after"),
        ("simulator", "cut after"),
    ],
)
@pytest.mark.parametrize("point", POINTS)
def test_a_killed_gateway_goes_on_and_sends_nothing_twice(
    tmp_path: Path, point: str, mode: str, backend: str
) -> None:
    path = tmp_path / "g.sqlite3"
    ledger = Ledger(path)
    tokens = Tokens(ledger)
    ann, bob = tokens.create("ann"), tokens.create("bob")
    ledger.close()
    make = single if backend == "simulator" else paid
    marked = make([X], metadata={"qstore_token": "0" * 32})
    plain = make([X, {"gate": "x", "target": 1}])
    with Emulator(seed=1, faults=MODES[mode]) as emulator:
        life = Life(emulator, path, point, window_s=0.0 if "alone" in backend else 0.1)
        try:
            ids = {
                token: life.ask(token, "POST", "/jobs", body)["id"]
                for token, body in ((ann, marked), (bob, plain))
            }
            ends = {
                token: wait_for(life, token, job_id, want)
                for (token, job_id), want in zip(ids.items(), ("1", "3"), strict=True)
            }
        finally:
            life.close()
        assert life.deaths == (point.partition(":")[2] not in NEVER.get(backend, ()))
        check(emulator, path, list(ends.values()), backend)


@pytest.mark.parametrize("event", ["gateway job", "submitted"])
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("number", ["", "@2"])
def test_a_gateway_killed_in_what_two_submissions_share_sends_nothing_twice(
    tmp_path: Path, event: str, when: str, number: str
) -> None:
    path = tmp_path / "g.sqlite3"
    ledger = Ledger(path)
    tokens = {name: Tokens(ledger).create(name) for name in ("ann", "bob")}
    ledger.close()
    bodies = [single([X], metadata={"of": name}) for name in tokens]
    with Emulator(seed=1) as emulator:
        life = Life(emulator, path, f"{when}:{event}{number}", window_s=0.0, at_once=2)
        try:
            with ThreadPoolExecutor(2) as pool:
                list(pool.map(life.ask_once, tokens.values(), bodies))
            life.restart()
            for token, body in zip(tokens.values(), bodies, strict=True):
                job_id = life.ask(token, "POST", "/jobs", body)["id"]
                assert wait_for(life, token, job_id, "1") == "completed"
        finally:
            life.close()
        assert Counter(job.metadata["of"] for job in emulator.jobs) == {"ann": 1, "bob": 1}


def wait_for(life: Life, token: str, job_id: str, want: str) -> str:
    end = time.monotonic() + LIMIT_S
    while time.monotonic() < end:
        job = life.ask(token, "GET", f"/jobs/{job_id}")
        if job["status"] == "completed":
            found = life.ask(token, "GET", f"/jobs/{job_id}/results/probabilities")
            assert max(found, key=found.__getitem__) == want
        elif job["status"] == "failed":
            assert job["failure"]["code"] == "AmbiguousSubmission"
        if job["status"] in ("completed", "failed"):
            return str(job["status"])
    raise AssertionError("the job did not end in time")


def check(emulator: Emulator, path: Path, ends: list[str], backend: str) -> None:
    alive = [job for job in emulator.jobs if job.canceled_at is None]
    accepted = Counter(circuit.n_1q for job in alive for circuit in job.circuits)
    assert max(accepted.values(), default=0) <= 1  # each client's circuit at most once
    if backend == "simulator":  # what is free is sent again
        assert ends == ["completed"] * 2
    assert ends.count("completed") == len(accepted)
    ledger = Ledger(path)
    jobs = [job for job, _ in Store(ledger, Limits()).load(10)]
    ledger.close()
    assert len(jobs) == 2
    if all(job.is_billed for job in jobs):
        billed = sum(Decimal(repr(job.billed_usd)) for job in jobs)
        assert float(billed) == emulator.stats()["billed_usd"]
