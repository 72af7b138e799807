"""A training that is killed at any moment goes on bit for bit, and nothing is paid twice.

The machine is an emulator in this process, which the killed process cannot take along; the
training is the command a user types.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time

import pytest

from pennylane_qstore.emulator import Emulator

pytest.importorskip("sklearn")
pytestmark = pytest.mark.crash

STEPS = 80
KILLS = 20
JOB_S = 0.05
"""A job's time at the emulator: a step is mostly that, as on a machine."""


def start(emulator, folder, steps=STEPS):
    arguments = ["train", "--task", "bas", "--backend", "simulator", "--resume", "--seed", "3"]
    paths = ["--out", str(folder), "--ledger", str(folder / "ledger.sqlite")]
    return subprocess.Popen(
        [
            sys.executable,
            "-m",
            "pennylane_qstore.cli.main",
            *arguments,
            *paths,
            "--steps",
            str(steps),
        ],
        env={**os.environ, "IONQ_API_URL": emulator.url, "IONQ_API_KEY": "crash-key"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process):
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return out


def kill_while_training(process, emulator, posts, delay_s):
    """Kill a process ``delay_s`` after so many POSTs; whether it was still at work."""
    before = emulator.stats()["posts"]
    while emulator.stats()["posts"] < before + posts and process.poll() is None:
        time.sleep(0.002)
    try:
        process.wait(delay_s)
    except subprocess.TimeoutExpired:
        process.kill()
    process.communicate()
    return process.returncode == -9


def test_twenty_kills_change_nothing_and_cost_nothing(tmp_path):
    rng = random.Random(20)
    (tmp_path / "whole").mkdir()
    (tmp_path / "killed").mkdir()
    checkpoint = tmp_path / "killed" / "checkpoint.json"
    with Emulator(profile={"execution_s": JOB_S}, seed=1) as emulator:
        finish(start(emulator, tmp_path / "whole"))
        paid = emulator.billed_jobs
        at = []
        for _ in range(KILLS):
            posts, delay_s = rng.randint(1, 5), rng.uniform(0, 2 * JOB_S)
            process = start(emulator, tmp_path / "killed")
            assert kill_while_training(process, emulator, posts, delay_s), "it ended too soon"
            at.append(json.loads(checkpoint.read_text())["steps"])
        finish(start(emulator, tmp_path / "killed"))
        assert at == sorted(at)
        assert len(set(at)) > KILLS / 2, at  # it was killed in many a place
        assert emulator.billed_jobs - paid == paid
    whole, killed = (
        json.loads((tmp_path / name / "history.json").read_text()) for name in ("whole", "killed")
    )
    assert killed["history"] == whole["history"]
    assert len(whole["history"]) == STEPS
    assert killed["summary"]["divergence"] == whole["summary"]["divergence"]
    states = [
        json.loads((tmp_path / name / "checkpoint.json").read_text())
        for name in ("whole", "killed")
    ]
    for part in ("adapter", "steps", "devices", "best", "best_params"):
        assert states[0][part] == states[1][part], part


def test_a_finished_run_that_is_started_again_pays_nothing(tmp_path):
    with Emulator(seed=1) as emulator:
        first = finish(start(emulator, tmp_path, steps=3))
        paid = emulator.billed_jobs
        again = finish(start(emulator, tmp_path, steps=3))
        assert emulator.billed_jobs == paid
    assert first.splitlines()[:4] == again.splitlines()[:4]
