"""The bar counts circuits and says what a job is doing."""

from __future__ import annotations

import io
import os
import subprocess
import sys

import pytest

from pennylane_qstore.ionq.progress import Progress, ProgressBar, progress_of


def test_the_bar_counts_circuits_of_jobs_that_ended(client, request_of):
    out = io.StringIO()
    with ProgressBar(file=out, mininterval=0, disable=False) as bar:
        client.run([request_of(3), request_of(2)], progress=bar)
        assert (bar._bar.n, bar._bar.total) == (5, 5)
    assert "completed" in out.getvalue()


def test_the_bar_tells_the_predicted_wait():
    out = io.StringIO()
    with ProgressBar(file=out, mininterval=0, disable=False) as bar:
        bar(Progress(0, "job-7", "ready", 1.0, 90.0, 4))
    assert "job-7 ready, about 90 s in the queue" in out.getvalue()


SCRIPT = """
import sys
from pennylane_qstore.ionq.client import IonQClient
from pennylane_qstore.ionq.progress import ProgressBar
from pennylane_qstore.ionq.messages.job_request import JobRequest
request = JobRequest("simulator", "native", 1, (b"[]",) * 3, 0, 10)
with IonQClient("key", base_url=sys.argv[1]) as client, ProgressBar() as bar:
    client.run([request], progress=bar)
"""


def test_nothing_is_shown_where_there_is_no_terminal(emulator):
    command = [sys.executable, "-c", SCRIPT, emulator.url]
    done = subprocess.run(command, capture_output=True, timeout=60, check=True)
    assert (done.stdout, done.stderr) == (b"", b"")


def test_a_terminal_shows_the_bar(emulator):
    termios = pytest.importorskip("termios", reason="no terminals of this kind on this system")
    ours, theirs = os.openpty()
    termios.tcsetwinsize(theirs, (24, 120))
    subprocess.run([sys.executable, "-c", SCRIPT, emulator.url], stderr=theirs, timeout=60)
    os.close(theirs)
    shown = os.read(ours, 65536).decode()
    os.close(ours)
    assert "3/3" in shown
    assert "completed" in shown


@pytest.mark.parametrize("asked", [None, False])
def test_without_progress_nothing_is_called(asked):
    with progress_of(asked) as callback:
        assert not callback


def test_true_is_a_bar():
    with progress_of(True) as callback:
        assert isinstance(callback, ProgressBar)


def test_a_callback_gets_every_change():
    changes = []
    with progress_of(changes.append) as callback:
        callback("ready")
        callback("running")
    assert changes == ["ready", "running"]


def test_a_callback_that_raises_is_not_called_again_for_this_batch(caplog):
    changes = []

    def broken(change):
        changes.append(change)
        raise ValueError("my own mistake")

    with progress_of(broken) as callback:
        callback("ready")
        callback("running")
    assert changes == ["ready"]
    (record,) = caplog.records
    assert "not called again" in record.message
    assert "my own mistake" in str(record.exc_info[1])
    with progress_of(broken) as callback:
        callback("completed")
    assert changes == ["ready", "completed"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_inside_a_callback_ends_the_wait(error):
    def interrupted(change):
        raise error

    with progress_of(interrupted) as callback, pytest.raises(error):
        callback("ready")
