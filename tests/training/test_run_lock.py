"""A run's lock: one start at a time, named, gone with its process."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading

import numpy as np
import pytest
from support.threads import in_threads

from pennylane_qstore import SPSAOptimizer
from pennylane_qstore.errors import ConfigurationError, RunLocked
from pennylane_qstore.training import run_lock
from pennylane_qstore.training.run import TrainingRun
from pennylane_qstore.training.run_lock import RunLock

HOLD = """
import sys, time
from pathlib import Path
from pennylane_qstore.training.run_lock import RunLock
with RunLock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture(params=["flock", "no flock"])
def kind(request, monkeypatch):
    if request.param == "no flock":

        def refuse(*_):
            raise OSError(errno.ENOLCK, "no locks here")

        monkeypatch.setattr(run_lock.fcntl, "flock", refuse)
    return request.param


def run(path, **options):
    return TrainingRun(
        lambda w: np.sum(w**2), np.ones(2), SPSAOptimizer(maxiter=9, seed=1), device=(),
        checkpoint=path, progress=False, **options,
    )  # fmt: skip


def test_a_second_start_is_refused_and_told_who_holds_the_run(tmp_path, kind):
    def start_again(record):
        with pytest.raises(RunLocked, match=rf"process {os.getpid()} on .* since 20") as refused:
            run(tmp_path / "c", resume=True).train(2)
        assert refused.value.details["owner"]["host"] == socket.gethostname()

    first = run(tmp_path / "c", callbacks=[start_again])
    first.train(2)
    assert run(tmp_path / "c", resume=True).train(3).step == 3
    assert not (tmp_path / "c.lock").exists()


def test_the_holder_may_evaluate_while_it_trains(tmp_path):
    seen = []
    trained = run(tmp_path / "c", callbacks=[lambda record: seen.append(trained.evaluate())])
    trained.train(2)
    assert len(seen) == 2
    assert not (tmp_path / "c.lock").exists()


def test_a_failure_gives_the_lock_back(tmp_path):
    def fail(record):
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        run(tmp_path / "c", callbacks=[fail]).train(2)
    assert run(tmp_path / "c", resume=True).train(2).step == 2


def test_a_lock_ends_with_its_process_however_that_ends(tmp_path, kind):
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "c")], stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(RunLocked, match=f"process {holder.pid} "):
            run(tmp_path / "c", resume=True).train(1)
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        holder.stdout.close()
    assert (tmp_path / "c.lock").exists()
    assert run(tmp_path / "c", resume=True).train(1).step == 1


@pytest.mark.parametrize("before", ["", ".claimed by one that died"])
def test_of_two_starts_that_find_a_stale_lock_one_gets_it(tmp_path, monkeypatch, before):
    """Without flock, both judge it stale before one of them takes it over."""

    def refuse(*_):
        raise OSError(errno.ENOLCK, "no locks here")

    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    stale = json.dumps({"pid": gone.pid, "host": socket.gethostname(), "since": 1.0})
    (tmp_path / "c.lock").write_text(stale)
    if before:
        claim = hashlib.sha256(stale.encode()).hexdigest()[:12]
        (tmp_path / f"c.lock.{claim}").write_text(stale.replace("1.0", "2.0"))
    monkeypatch.setattr(run_lock.fcntl, "flock", refuse)
    both, is_alive, judged = threading.Barrier(2, timeout=30), run_lock._is_alive, []

    def judge_together(owner):
        alive = is_alive(owner)
        judged.append(alive)
        if len(judged) <= 2:
            both.wait()
        return alive

    monkeypatch.setattr(run_lock, "_is_alive", judge_together)
    ends, done = [], threading.Barrier(2, timeout=30)

    def start(_):
        try:
            with RunLock(tmp_path / "c"):
                ends.append("held")
                done.wait()
        except RunLocked:
            ends.append("refused")
            done.wait()

    in_threads(start, range(2))
    assert judged[:2] == [False, False]
    assert sorted(ends) == ["held", "refused"]
    assert list(tmp_path.iterdir()) == []


def test_a_link_in_the_lock_files_place_is_not_followed(tmp_path):
    (tmp_path / "other").write_text("precious")
    (tmp_path / "c.lock").symlink_to(tmp_path / "other")
    with pytest.raises(ConfigurationError, match=r"c\.lock"), RunLock(tmp_path / "c"):
        pass
    assert (tmp_path / "other").read_text() == "precious"


def test_without_a_checkpoint_there_is_nothing_to_lock():
    with RunLock(None):
        pass


def test_a_place_that_cannot_be_written_to_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    lock = RunLock(tmp_path / "file" / "run.json")
    with (
        pytest.raises(ConfigurationError, match=r"json\.lock.* cannot be written: ."),
        lock,
    ):
        pass
