"""kill -9 of a whole sweep, then the same command again: every run as if nothing had happened."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import signal
from collections import Counter
from pathlib import Path

import pytest
from integration import sweep_child

from pennylane_qstore.emulator import Emulator, Fault
from pennylane_qstore.ionq.ledger.ledger import Ledger, State

pytestmark = pytest.mark.crash

if not hasattr(os, "fork"):
    pytest.skip("no fork on this system", allow_module_level=True)

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["pennylane_qstore.device", "pennylane_qstore.sweeps.sweep"])
JOBS = sweep_child.STEPS  # one for all runs, a step
EVENTS = ["intent", "submitted", "done", "billed", "consumed"]
POINTS = [
    *(f"{when}:{event}@2" for event in EVENTS for when in ("before", "after")),
    *("after:intent@1", "step@2", "step@9", "checkpoint@2", "checkpoint@5", "checkpoint@9"),
]
MODES = {"well": [], "answer lost": [Fault("close", route="submit", when="after", skip=1)]}


def live(emulator, folder, point):
    """The exit code of a sweep that goes on in a folder, and what it prints."""
    out = folder / "printed"
    arguments = (emulator.url, str(folder), point, str(out))
    process = PROCESSES.Process(target=sweep_child.main, args=arguments)
    process.start()
    process.join(180)
    assert process.exitcode in (0, -signal.SIGKILL), Path(f"{out}.err").read_text()
    return process.exitcode, [json.loads(line) for line in out.read_text().splitlines()]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The outcomes of a sweep that nobody kills, and the bill."""
    with Emulator(seed=1, profile="none") as emulator:
        code, lines = live(emulator, tmp_path_factory.mktemp("calm"), "none")
        assert code == 0
        assert emulator.billed_jobs == JOBS
        return lines, emulator.stats()["billed_usd"]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("point", POINTS)
def test_a_sweep_that_is_killed_ends_as_if_it_was_not(undisturbed, tmp_path, point, mode):
    outcomes, bill = undisturbed
    again = random.Random(f"{point} {mode}").choice(POINTS)
    with Emulator(seed=1, profile="none", faults=MODES[mode]) as emulator:
        assert live(emulator, tmp_path, point)[0] == -signal.SIGKILL
        live(emulator, tmp_path, again)
        assert live(emulator, tmp_path, "none") == (0, outcomes)
        paid = Counter(job.metadata["qstore_token"] for job in emulator.jobs)
        assert set(paid.values()) == {1}
        assert len(emulator.jobs) == emulator.billed_jobs == JOBS
        assert emulator.stats()["billed_usd"] == bill
        assert live(emulator, tmp_path, "none") == (0, outcomes)
        assert emulator.billed_jobs == JOBS
    ledger = Ledger(tmp_path / "ledger")
    rows = ledger.submissions([State.CONSUMED])
    ledger.close()
    assert {row.token for row in rows} == set(paid)
    assert sum(row.billed_usd for row in rows) == pytest.approx(bill)
