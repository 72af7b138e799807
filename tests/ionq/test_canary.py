"""A marked key goes to the service in one header, and nowhere else."""

from __future__ import annotations

import io
import logging
import pickle
import socket
import threading
import traceback

import pytest

from pennylane_qstore.emulator import Emulator, Fault
from pennylane_qstore.errors import QStoreError
from pennylane_qstore.ionq.client import IonQBatchClient
from pennylane_qstore.ionq.retry import RetryPolicy

CANARY = "CANARY-5f0c1b7e"


class Foreign:
    """A host that must never hear of us."""

    def __enter__(self):
        self.heard = []
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.socket.settimeout(0.05)
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}/v0.4/jobs"
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.listen)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()
        self.socket.close()

    def listen(self):
        while not self.over.is_set():
            try:
                connection, _ = self.socket.accept()
            except TimeoutError:
                continue
            self.heard.append(connection.recv(65536))
            connection.close()


FAULTS = [
    [],
    *([Fault("status", route=r, status=s, times=2)] for r in ("submit", "job", "results")
      for s in (400, 401, 403, 429, 500, 502, 524)),
    *([Fault(k, route=r, when="after")] for r in ("submit", "job", "results")
      for k in ("close", "reset", "truncate", "content_type")),
    *([Fault("hostile", route=r, body=b, times=2)] for r in ("submit", "job", "results")
      for b in ("html", "nested", "huge")),
    [Fault("fail", code="InternalError", times=None)],
    [Fault("null_results"), Fault("missing_result"), Fault("shuffle_children")],
]  # fmt: skip


@pytest.mark.parametrize("faults", FAULTS, ids=lambda f: "-".join(x.kind for x in f) or "none")
def test_the_key_shows_up_nowhere(faults, tmp_path, request_of, fake_clock):
    log = io.StringIO()
    handler = logging.StreamHandler(log)
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    shown = []
    try:
        with Emulator(faults=list(faults), seed=1) as emulator:
            client = IonQBatchClient(
                CANARY, base_url=emulator.url, ledger=tmp_path / "ledger",
                clock=fake_clock.clock(), retry=RetryPolicy(settle_s=0.2),
            )  # fmt: skip
            try:
                client.run([request_of(2), request_of(1)], keys=[("r", 0, 0), ("r", 0, 1)])
            except QStoreError as error:
                shown += [str(error), repr(error), repr(error.details), repr(error.__cause__)]
                shown.append("".join(traceback.format_exception(error)))
                shown.append(repr(pickle.dumps(error)))
            shown += [repr(client), repr(client.__dict__), repr(pickle.dumps(client))]
            shown += [repr(client.stats), repr(client.ledger.events())]
            client.close()
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
    shown.append(log.getvalue())
    for file in tmp_path.iterdir():
        shown.append(file.read_bytes().decode("latin-1"))
    assert not [text for text in shown if CANARY in text]


@pytest.mark.parametrize("route", ["submit", "job", "results", "list"])
def test_the_key_goes_to_no_foreign_host(route, request_of, fake_clock):
    with Foreign() as foreign:
        faults = [Fault("redirect", route=route, location=foreign.url, times=None)]
        if route == "list":
            faults.append(Fault("shuffle_children", times=None))
        with Emulator(faults=faults) as emulator:
            client = IonQBatchClient(
                CANARY, base_url=emulator.url, clock=fake_clock.clock(),
                retry=RetryPolicy(settle_s=0.2, attempts=2),
            )  # fmt: skip
            with pytest.raises(QStoreError):
                client.run([request_of(5)])
            client.close()
    assert foreign.heard == []
