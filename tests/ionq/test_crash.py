"""kill -9 at every transition of the ledger, in every way a service may lose an answer.

After each death the same command runs again, as a user would; then a checker in the manner
of Jepsen's total-queue compares what the service accepted with what the ledger says.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pennylane_qstore.emulator import Emulator, Fault
from pennylane_qstore.ionq.ledger import Ledger, State

pytestmark = pytest.mark.crash

CHILD = Path(__file__).with_name("crash_child.py")
STATES = [1, 3, 7]
SETTLE_S = 1.0
POINTS = [
    "before:intent",
    "after:intent",
    "before:submitted",
    "after:submitted",
    "before:done",
    "after:done",
    "before:consumed",
    "after:consumed",
    "after:ambiguous",
    "before:claim",
    "none",
]
MODES = {
    "well": [],
    "cut before": [Fault("close", route="submit")],
    "cut after": [Fault("close", route="submit", when="after")],
    "reset after": [Fault("reset", route="submit", when="after")],
    "502 after": [Fault("status", route="submit", status=502, when="after")],
    "throttled": [Fault("status", route="submit", status=429, retry_after="0.1")],
    "accepted late": [Fault("delay", route="submit", delay_s=0.3)],
    "listed late": [
        Fault("close", route="submit", when="after"),
        Fault("list_lag", delay_s=0.3),
    ],
    "truncated": [Fault("truncate", route="submit", when="after")],
}


@dataclass
class Verdict:
    """What the checker found; valid if everything but ``recovered`` is empty."""

    duplicated: list = field(default_factory=list)
    lost: list = field(default_factory=list)
    phantom: list = field(default_factory=list)
    unexpected: list = field(default_factory=list)
    recovered: int = 0

    @property
    def valid(self):
        return not (self.duplicated or self.lost or self.phantom or self.unexpected)


def check(emulator, path):
    ledger = Ledger(path)
    rows = ledger.submissions()
    events = ledger.events()
    ledger.close()
    by_token = {row.token: row for row in rows if row.token}
    alive = [job for job in emulator.jobs if job.canceled_at is None]
    accepted = Counter(job.metadata["qstore_token"] for job in alive)
    keys = Counter(by_token[t].key for t in accepted if t in by_token)
    done = {r.token for r in rows if r.state in (State.DONE, State.CONSUMED)}
    ambiguous = {e.submission for e in events if e.event == "ambiguous"}
    return Verdict(
        duplicated=[t for t, n in accepted.items() if n > 1]
        + [k for k, n in keys.items() if n > 1],
        lost=[t for t in accepted if t not in done],
        phantom=[t for t in done if t not in accepted],
        unexpected=[t for t in accepted if t not in by_token],
        recovered=sum(1 for r in rows if r.id in ambiguous and r.token in done),
    )


def run(emulator, path, point, numbers, backend="simulator"):
    return subprocess.run(
        [sys.executable, str(CHILD), emulator.url, str(path), point, str(SETTLE_S), backend]
        + [str(n) for n in numbers],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("point", POINTS)
def test_a_killed_run_goes_on_where_it_was_and_pays_nothing_twice(tmp_path, point, mode):
    path = tmp_path / "ledger"
    with Emulator(seed=len(mode), faults=MODES[mode]) as emulator:
        first = run(emulator, path, point, [1, 2])
        assert first.returncode in (0, -9), first.stderr
        again = run(emulator, path, "none", [1, 2])
        assert again.returncode == 0, again.stderr
        told = [json.loads(line) for line in again.stdout.splitlines()]
        assert told == [[1, "done", STATES], [2, "done", STATES]]
        verdict = check(emulator, path)
        assert verdict.valid, verdict
        assert emulator.billed_jobs == 2
        third = run(emulator, path, "none", [1, 2])
        assert third.stdout == again.stdout
        assert emulator.billed_jobs == 2


@pytest.mark.parametrize("mode", ["well", "cut after", "accepted late"])
@pytest.mark.parametrize("point", ["after:intent", "before:submitted", "after:submitted"])
def test_on_a_qpu_a_killed_run_pays_at_most_once(tmp_path, point, mode):
    path = tmp_path / "ledger"
    with Emulator(seed=3, faults=MODES[mode]) as emulator:
        run(emulator, path, point, [1], "qpu.aria-1")
        again = run(emulator, path, "none", [1], "qpu.aria-1")
        (told,) = [json.loads(line) for line in again.stdout.splitlines()]
        assert emulator.billed_jobs <= 1
        if emulator.billed_jobs:
            assert told[1] == "done"
        else:
            # Killed between intent and POST: it cannot be known that there is no job.
            assert told[1] == "AmbiguousSubmission"


def test_eight_processes_on_one_ledger(tmp_path):
    path = tmp_path / "ledger"
    with Emulator(seed=1) as emulator:
        command = [sys.executable, str(CHILD), emulator.url, str(path), "none", "2", "simulator"]
        # Every number is wanted by two processes: each pays for half of them.
        wanted = [range(k * 125, k * 125 + 125) for k in range(8)]
        processes = [
            subprocess.Popen(
                [*command, *map(str, wanted[k]), *map(str, wanted[(k + 1) % 8])],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for k in range(8)
        ]
        ends = [process.communicate(timeout=500) for process in processes]
        for process, (out, err) in zip(processes, ends, strict=True):
            assert process.returncode == 0, err
            assert "locked" not in err
            told = [json.loads(line) for line in out.splitlines()]
            assert len(told) == 250
            assert {(kind, tuple(states)) for _, kind, states in told} == {("done", tuple(STATES))}
        assert emulator.billed_jobs == 1000
        assert check(emulator, path).valid
