"""kill -9 at any instant of a training run, then the same command again: nothing lost or repaid."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import time
from collections import Counter
from pathlib import Path

import pytest
from integration import training_child

from pennylane_qstore.emulator import Emulator, Fault
from pennylane_qstore.ionq.ledger.ledger import Ledger, State

pytestmark = pytest.mark.crash

if not hasattr(os, "fork"):
    pytest.skip("no fork on this system", allow_module_level=True)

# Processes of their own, forked from one that has imported everything: quick to start.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["pennylane_qstore.device", "pennylane_qstore.ionq.client"])
STEPS = 8
JOBS = 3 * STEPS  # 3 calls of 5 circuits a step, 7 circuits a job
JOB_S = 0.05
MODES = {
    "well": [],
    "answers lost": [Fault("close", route="submit", when="after", chance=0.2, times=None)],
    "answers cut": [Fault("truncate", route="submit", when="after", chance=0.2, times=None)],
    "refused for now": [
        Fault("status", route="submit", status=502, chance=0.2, times=None),
        Fault("status", route="job", status=503, chance=0.2, times=None),
    ],
}


def start(emulator, ledger, seed=1):
    out = str(ledger.with_name("printed"))
    process = PROCESSES.Process(
        target=training_child.main, args=(emulator.url, str(ledger), seed, STEPS, out), name=out
    )
    process.start()
    return process


def finish(process):
    process.join(180)
    out, err = (Path(process.name + end).read_text() for end in ("", ".err"))
    return process.exitcode, out.splitlines(), err


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The history of a run that nobody kills."""
    with Emulator(seed=1, profile=JOB_S) as emulator:
        code, lines, err = finish(start(emulator, tmp_path_factory.mktemp("calm") / "ledger"))
        assert code == 0, err
        assert emulator.billed_jobs == JOBS
    assert len(lines) == STEPS
    return lines


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("seed", range(3))
def test_a_training_run_that_is_killed_ends_as_if_it_was_not(undisturbed, tmp_path, seed, mode):
    rng = random.Random(f"{seed} {mode}")
    path = tmp_path / "ledger"
    kills = 0
    with Emulator(seed=1, profile=JOB_S, faults=MODES[mode]) as emulator:
        while True:
            process = start(emulator, path)
            accepted = emulator.billed_jobs
            # Somewhere in what is left, measured in jobs and then in time.
            wanted = accepted + rng.randrange(JOBS // 4)
            while emulator.billed_jobs <= wanted and process.is_alive() and kills < 3:
                time.sleep(0.001)
            if kills == 3 or not process.is_alive():
                break
            time.sleep(rng.uniform(0, 3 * JOB_S))
            process.kill()
            kills += finish(process)[0] == -signal.SIGKILL
        code, lines, err = finish(process)
        assert code == 0, err
        assert kills >= 1
        assert lines == undisturbed
        paid = Counter(job.metadata["qstore_token"] for job in emulator.jobs)
        assert len(emulator.jobs) == JOBS  # that is what an undisturbed run pays
        assert set(paid.values()) == {1}
    ledger = Ledger(path)
    rows = ledger.submissions()
    ledger.close()
    # Billed by the service, and by the ledger's books: the same jobs.
    assert {r.token for r in rows if r.state is State.CONSUMED} == set(paid)


def test_another_program_under_the_same_name_is_refused_and_pays_nothing(tmp_path):
    with Emulator(seed=1) as emulator:
        code, lines, err = finish(start(emulator, tmp_path / "ledger", seed=1))
        assert code == 0, err
        paid = emulator.billed_jobs
        code, lines, err = finish(start(emulator, tmp_path / "ledger", seed=2))
        assert code == 1
        assert lines == []
        assert "LedgerError" in err
        assert "another payload" in err
        assert emulator.billed_jobs == paid


def test_ctrl_c_tells_how_to_go_on_and_the_same_command_goes_on(undisturbed, tmp_path):
    with Emulator(seed=1, profile=JOB_S) as emulator:
        process = start(emulator, tmp_path / "ledger")
        while emulator.billed_jobs < JOBS // 2:
            time.sleep(0.001)
        os.kill(process.pid, signal.SIGINT)
        code, lines, err = finish(process)
        assert code != 0
        assert len(lines) < STEPS
        assert "KeyboardInterrupt: Interrupted." in err
        code, lines, err = finish(start(emulator, tmp_path / "ledger"))
        assert code == 0, err
        assert lines == undisturbed
        assert len(emulator.jobs) == JOBS
