"""An emulator whose Forte has another name: a machine that no release knows."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from pennylane_qstore import backends
from pennylane_qstore.emulator import Emulator

NAME, TEMPO, _EMULATED = "qpu.forte-2", "qpu.tempo-1", "qpu.forte-1"
QASM = "ionq.qasm3.v1"
CHAIN = [[0, 1], [1, 2]]


class RenamedMachine:
    """A service on this machine: ``entry`` and ``measured`` change what it tells of its machine.

    Named Tempo, it refuses what is not OpenQASM 3.
    """

    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator
        self.entry: dict[str, Any] = {}
        self.measured: dict[str, Any] = {}
        self.url, self.name = "", NAME
        self.posted: list[dict[str, Any]] = []

    def told(self, path: str, answer: bytes) -> bytes:
        """The answer as this service gives it."""
        answer = answer.replace(_EMULATED.encode(), self.name.encode())
        if path.endswith("/backends"):
            entries = json.loads(answer)
            for entry in entries:
                entry.update(self.entry if entry["backend"] == self.name else {})
            return json.dumps(entries).encode()
        if "/characterizations" in path and self.measured:
            found = json.loads(answer)
            for record in found["characterizations"]:
                record.update(self.measured)
            return json.dumps(found).encode()
        return answer


@pytest.fixture
def renamed_machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[RenamedMachine]:
    """A service with a machine of its own, which nothing in this process has asked for yet."""
    monkeypatch.setattr(backends, "_described", {})
    with Emulator(seed=1) as emulator, _served(RenamedMachine(emulator)) as service:
        yield service


@contextmanager
def _served(service: RenamedMachine) -> Iterator[RenamedMachine]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.command == "POST":
                service.posted.append(json.loads(body))
                if service.name == TEMPO and service.posted[-1]["type"] != QASM:
                    self.answer(400, b'{"message": "\\"type\\" must be ionq.qasm3.v1."}')
                    return
            connection = http.client.HTTPConnection(
                service.emulator.address.removeprefix("http://"), timeout=20
            )
            connection.request(
                self.command,
                self.path.replace(service.name, _EMULATED),
                body.replace(service.name.encode(), _EMULATED.encode()),
                {"Authorization": self.headers.get("Authorization") or ""},
            )
            response = connection.getresponse()
            answer = service.told(self.path, response.read())
            connection.close()
            self.answer(response.status, answer)

        do_POST = do_PUT = do_GET

        def answer(self, status: int, answer: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        service.url = f"http://127.0.0.1:{server.server_port}/v0.4"
        try:
            yield service
        finally:
            server.shutdown()
            thread.join()
