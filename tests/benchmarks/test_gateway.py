"""What the gateway adds to a request: the same requests to it and to the service behind it.

    pytest -m benchmark tests/benchmarks/test_gateway.py -s

Service and gateway run in processes of their own, the ledger is on the disk. Each request goes one
way and then the other, which is first changes from round to round. Medians of the differences are
printed beside the target; what is asserted leaves room for slow disks and busy machines.
"""

from __future__ import annotations

import http.client
import json
import multiprocessing
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pennylane_qstore.emulator import Emulator
from pennylane_qstore.gateway.gateway import Gateway

pytestmark = pytest.mark.benchmark
ROUNDS, TARGET_MS, ROOM = 60, 5.0, 10.0
BELL = [{"gate": "h", "target": 0}, {"gate": "cnot", "control": 0, "target": 1}]


def serve_emulator(pipe: Any) -> None:
    with Emulator(seed=1) as emulator:
        pipe.send((emulator.url, "k"))
        pipe.recv()


def serve_gateway(pipe: Any, url: str, ledger: Path) -> None:
    with Gateway("k", base_url=url, ledger=ledger) as gateway:
        pipe.send((gateway.url, gateway.tokens.create("ann")))
        pipe.recv()


@contextmanager
def served(target: Callable[..., None], *args: Any) -> Iterator[tuple[str, str]]:
    """Yield the URL and the key of a service in another process."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=target, args=(there, *args))
    process.start()
    yield here.recv()
    here.send(None)
    process.join()


class Side:
    """One way to the service: its connection, and the seconds that each kind of request took."""

    def __init__(self, url: str, key: str) -> None:
        self.connection = http.client.HTTPConnection(url.split("/")[2])
        self.headers = {"Authorization": f"apiKey {key}"}
        self.seconds: dict[str, list[float]] = {}

    def ask(self, kind: str, method: str, path: str, body: Any = None) -> Any:
        text = None if body is None else json.dumps(body)
        start = time.perf_counter()
        self.connection.request(method, f"/v0.4/{path}", text, self.headers)
        answer = self.connection.getresponse()
        data = answer.read()
        self.seconds.setdefault(kind, []).append(time.perf_counter() - start)
        assert answer.status < 300, data
        return json.loads(data)


def test_requests_through_the_gateway(tmp_path: Path) -> None:
    with (
        served(serve_emulator) as direct,
        served(serve_gateway, direct[0], tmp_path / "g.sqlite3") as behind,
    ):
        sides = [Side(*direct), Side(*behind)]
        for n in range(ROUNDS):
            jobs = {}
            order = sides if n % 2 else sides[::-1]
            for side in order:
                job = {
                    "type": "ionq.circuit.v1", "backend": "simulator", "shots": 200,
                    "metadata": {"n": str(n)}, "input": {"gateset": "qis", "circuit": BELL},
                }  # fmt: skip
                jobs[side] = side.ask("POST", "POST", "jobs", job)["id"]
            for side in order:
                while side.ask("until done", "GET", f"jobs/{jobs[side]}")["status"] != "completed":
                    time.sleep(0.01)
            for kind, path in {
                "status": "jobs/{}", "results": "jobs/{}/results/probabilities",
                "list": "jobs?limit=10", "backend": "backends/qpu.forte-1",
            }.items():  # fmt: skip
                for side in order:
                    side.ask(kind, "GET", path.format(jobs[side]))
        for side in sides:
            side.connection.close()
    for kind in sides[0].seconds.keys() - {"until done"}:
        straight, through = (side.seconds[kind][5:] for side in sides)
        added = statistics.median(b - a for a, b in zip(straight, through, strict=True)) * 1e3
        print(f"{kind:8} {statistics.median(straight) * 1e3:6.2f} ms, {added:+.2f} by the gateway")
        assert added < ROOM * TARGET_MS
