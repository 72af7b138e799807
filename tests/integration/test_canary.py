"""A marked key goes to the service in one header, and nowhere else."""

from __future__ import annotations

import io
import logging
import os
import pickle
import re
import shutil
import subprocess
import sys
import traceback
from dataclasses import replace
from pathlib import Path

import pytest
from support.answering import Answering

from pennylane_qstore.emulator import Emulator, Fault
from pennylane_qstore.errors import QStoreError
from pennylane_qstore.ionq.client import IonQClient
from pennylane_qstore.ionq.http.retry import RetryPolicy

CANARY = "CANARY-5f0c1b7e"


def echoing(faults):
    """The faults, with the key where they show what they were sent."""
    return [
        replace(f, body=f.body.replace("<KEY>", CANARY), message=f.message.replace("<KEY>", CANARY))
        for f in faults
    ]


FAULTS = [
    [],
    *([Fault("status", route=r, status=s, times=2)] for r in ("submit", "job", "results")
      for s in (400, 401, 403, 429, 500, 502, 524)),
    *([Fault(k, route=r, when="after")] for r in ("submit", "job", "results")
      for k in ("close", "reset", "truncate", "content_type")),
    *([Fault("hostile", route=r, body=b, times=2)] for r in ("submit", "job", "results")
      for b in ("html", "nested", "huge")),
    # A captive portal shows what it was sent; a failure may quote it.
    *([Fault("hostile", route=r, when="before", body="<p>apiKey <KEY></p>", times=2)]
      for r in ("submit", "job", "results")),
    [Fault("fail", code="InternalError", message="refused for <KEY>", times=None)],
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
        with Emulator(faults=echoing(faults), seed=1) as emulator:
            client = IonQClient(
                CANARY, base_url=emulator.url, ledger=tmp_path / "ledger",
                clock=fake_clock.clock(), retry_policy=RetryPolicy(settle_s=0.2),
            )  # fmt: skip
            try:
                client.run([request_of(2), request_of(1)], keys=[("r", 0, 0), ("r", 0, 1)])
            except QStoreError as error:
                shown += [str(error), repr(error), repr(error.details), repr(error.__cause__)]
                told = traceback.TracebackException.from_exception(error, capture_locals=True)
                shown.append("".join(told.format()))
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
    with Answering() as foreign:
        place = f"http://127.0.0.1:{foreign.port}/v0.4/jobs"
        faults = [Fault("redirect", route=route, location=place, times=None)]
        if route == "list":
            faults.append(Fault("shuffle_children", times=None))
        with Emulator(faults=faults) as emulator:
            client = IonQClient(
                CANARY, base_url=emulator.url, clock=fake_clock.clock(),
                retry_policy=RetryPolicy(settle_s=0.2, attempts=2),
            )  # fmt: skip
            with pytest.raises(QStoreError):
                client.run([request_of(5)])
            client.close()
    assert foreign.heard == []


# ---- a suite with a marked key (see ``tests/support/canary.py``) --------------------------

TESTS = Path(__file__).parents[1]
PARALLEL = ("-n", "2", "--dist", "loadfile")
LEAKS = """
import logging, socket
import pennylane as qml
from pennylane_qstore.emulator import Emulator
from pennylane_qstore.errors import QStoreError
from pennylane_qstore.ionq.client import IonQClient
from pennylane_qstore.secret import Secret
from pennylane_qstore.ionq.messages.job_request import JobRequest

key = lambda: Secret("some-key").reveal()
OLD = qml.device("qstore.ionq", wires=1)

def test_none():
    with Emulator() as emulator, IonQClient("some-key", base_url=emulator.url) as client:
        client.run([JobRequest("simulator", "native", 1, (b"[]",), 0, 10)])

def test_log():
    logging.getLogger("pennylane_qstore.device").debug("sent with %s", key())

def test_error_text():
    QStoreError(key())

def test_error_details():
    QStoreError("wrong", headers={"Authorization": key()})

def test_traceback_locals(monkeypatch):
    def careless(url):
        headers = key()
        raise QStoreError("wrong")

    careless = type(careless)(careless.__code__, {**globals(), "__name__": "pennylane_qstore.ionq"})
    try:
        careless("https://")
    except QStoreError:
        pass

def test_attribute():
    device = qml.device("qstore.ionq", wires=1)
    device.remembered = key()
    assert device

def test_print():
    print(key())

def test_assertion():
    assert key() == "some-key"

def test_body():
    request = JobRequest("simulator", "native", 1, (b"[]",), 0, 10, metadata={"of": key()})
    with Emulator() as emulator, IonQClient("some-key", base_url=emulator.url) as client:
        client.run([request])

def test_elsewhere():
    with socket.socket() as other:
        other.settimeout(0.01)
        try:
            other.connect(("192.0.2.1", 443))
        except OSError:
            pass

def test_of_something_older():
    OLD.remembered = key()

def test_end_of_the_file():  # where that is seen
    pass
"""
FILE = """
from pennylane_qstore.secret import Secret

def test_file(tmp_path):
    (tmp_path / "ledger.sqlite3-wal").write_text("..." + Secret("some-key").reveal())
"""


def run_suite(folder, *arguments):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS.parent), str(TESTS)])}
    pytest_with = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "support.canary",
        "-p",
        "no:cacheprovider",
        "-q",
    ]
    return subprocess.run(
        [*pytest_with, *arguments],
        cwd=folder, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.soak
def test_a_suite_that_leaks_its_key_fails(tmp_path):
    (tmp_path / "test_leaks.py").write_text(LEAKS)
    (tmp_path / "test_leaves.py").write_text(FILE)
    files = ("test_leaks.py", "test_leaves.py")
    done = run_suite(tmp_path, *files, "-rA", f"--basetemp={tmp_path / 'temp'}")
    names = re.findall(r"^def (test_\w+)", LEAKS, re.MULTILINE)
    seen = set(
        re.findall(r"^(?:ERROR|FAILED) test_leaks.py::(test_\w+)", done.stdout, re.MULTILINE)
    )
    assert seen == set(names) - {"test_none", "test_of_something_older"}, done.stdout
    for name in ("test_leaks.py::test_none", "test_leaves.py::test_file"):
        assert f"PASSED {name}" in done.stdout
    assert "1 with the key" in done.stdout
    shutil.rmtree(tmp_path / "temp")  # a run with the mark looks at this folder, too


@pytest.mark.soak
def test_a_suite_in_parallel_that_leaves_its_key_in_a_file_fails(tmp_path):
    (tmp_path / "test_leaves.py").write_text(FILE)
    done = run_suite(tmp_path, "test_leaves.py", f"--basetemp={tmp_path / 'temp'}", *PARALLEL)
    assert done.returncode == 1, done.stdout
    assert "1 with the key" in done.stdout
    shutil.rmtree(tmp_path / "temp")  # a run with the mark looks at this folder, too
