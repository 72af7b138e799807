"""kill -9 at every transition of the ledger, in every way a service may lose an answer.

After each death the same command runs again, as a user would; then a checker in the manner
of Jepsen's total-queue compares what the service accepted with what the ledger says.
"""

from __future__ import annotations

import json
import queue
import random
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pennylane_qstore.emulator import Emulator, Fault
from pennylane_qstore.ionq.client import IonQClient
from pennylane_qstore.ionq.ledger.ledger import Ledger, State

pytestmark = pytest.mark.crash

CHILD = Path(__file__).with_name("crash_child.py")
STATES = [1, 3, 7]
SETTLE_S = 1.5
EVENTS = ["intent", "submitted", "ambiguous", "done", "consumed", "claim", "release"]
POINTS = ["none", *(f"{when}:{event}" for event in EVENTS for when in ("before", "after"))]
SEEDS = range(3)
AT_ONCE = 6
"""Lives that go on at the same time: they wait most of it, for the disk and for late jobs."""


def modes(seed):
    """Ways to lose an answer; the seed says which POST's, and how late is late."""
    when = {"skip": seed % 2}
    late_s = 0.2 + 0.1 * seed
    return {
        "well": [],
        "cut before": [Fault("close", route="submit", **when)],
        "cut after": [Fault("close", route="submit", when="after", **when)],
        "reset after": [Fault("reset", route="submit", when="after", **when)],
        "502 after": [Fault("status", route="submit", status=502, when="after", **when)],
        "throttled": [Fault("status", route="submit", status=429, retry_after="0.1", **when)],
        "accepted late": [Fault("delay", route="submit", delay_s=late_s, **when)],
        "listed late": [
            Fault("close", route="submit", when="after", **when),
            Fault("list_lag", delay_s=late_s),
        ],
        "truncated": [Fault("truncate", route="submit", when="after", **when)],
    }


@dataclass
class Verdict:
    """What the checker found; valid if everything but ``recovered`` is empty."""

    duplicated: list = field(default_factory=list)
    lost: list = field(default_factory=list)
    phantom: list = field(default_factory=list)
    unexpected: list = field(default_factory=list)
    misbooked: list = field(default_factory=list)
    recovered: int = 0

    @property
    def valid(self):
        bad = (self.duplicated, self.lost, self.phantom, self.unexpected, self.misbooked)
        return not any(bad)


def check(emulator, path):
    ledger = Ledger(path)
    rows = ledger.submissions()
    events = ledger.events()
    ledger.close()
    by_token = {row.token: row for row in rows if row.token}
    alive = [job for job in emulator.jobs if job.canceled_at is None]
    accepted = Counter(job.metadata["qstore_token"] for job in alive)
    keys = Counter(by_token[t].key for t in accepted if t in by_token)
    booked = {row.job_id for row in rows if row.state in (State.DONE, State.CONSUMED)}
    done = {r.token for r in rows if r.state in (State.DONE, State.CONSUMED)}
    ambiguous = {e.submission for e in events if e.event == "ambiguous"}
    return Verdict(
        duplicated=[t for t, n in accepted.items() if n > 1]
        + [k for k, n in keys.items() if n > 1],
        lost=[t for t in accepted if t not in done],
        phantom=[t for t in done if t not in accepted],
        unexpected=[t for t in accepted if t not in by_token],
        misbooked=sorted({job.id for job in alive} ^ booked),
        recovered=sum(1 for r in rows if r.id in ambiguous and r.token in done),
    )


@pytest.fixture(scope="module")
def run():
    """Runs submissions in a process of their own, which may die. From any thread."""
    starters, free = [], queue.SimpleQueue()
    for _ in range(AT_ONCE):
        starters.append(
            subprocess.Popen(
                [sys.executable, str(CHILD)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            )
        )  # fmt: skip
        free.put(starters[-1])

    def run(emulator, path, point, numbers, backend="simulator"):
        arguments = [emulator.url, str(path), point, SETTLE_S, backend, *numbers]
        starter = free.get()
        try:
            starter.stdin.write(json.dumps(arguments) + "\n")
            starter.stdin.flush()
            code, told = json.loads(starter.stdout.readline())
        finally:
            free.put(starter)
        assert code in (0, -9)
        return code, [json.loads(line) for line in told.splitlines()]

    yield run
    for starter in starters:
        starter.stdin.close()
        starter.stdout.close()
        starter.wait(30)


@pytest.fixture(scope="module")
def lives(run, request, tmp_path_factory):
    """The lives that this session's tests ask for, by name, several at a time."""
    names = [
        tuple(item.callspec.params[part] for part in ("point", "mode", "seed"))
        for item in request.session.items
        if "lives" in getattr(item, "fixturenames", ())
    ]
    folder = tmp_path_factory.mktemp("lives")
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {
            name: pool.submit(live, run, folder / f"ledger {number}", *name)
            for number, name in enumerate(names)
        }
        pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("mode", modes(0))
@pytest.mark.parametrize("point", POINTS)
def test_a_killed_run_goes_on_where_it_was_and_pays_nothing_twice(lives, point, mode, seed):
    lives[point, mode, seed].result()


def live(run, path, point, mode, seed):
    rng = random.Random(f"{point} {mode} {seed}")
    with Emulator(seed=seed, faults=modes(seed)[mode]) as emulator:
        # It dies at the point, starts again, may die wherever chance says, starts again.
        run(emulator, path, f"{point}@{1 + seed}", [1, 2])
        run(emulator, path, f"{rng.choice(POINTS)}@{rng.randint(1, 3)}", [1, 2])
        code, told = run(emulator, path, "none", [1, 2])
        assert code == 0
        assert told == [[1, "done", STATES], [2, "done", STATES]]
        verdict = check(emulator, path)
        assert verdict.valid, verdict
        assert emulator.billed_jobs == 2
        assert run(emulator, path, "none", [1, 2]) == (code, told)
        assert emulator.billed_jobs == 2


@pytest.mark.parametrize("point", ["before:failed", "after:failed"])
def test_killed_while_a_failure_is_written_down_the_circuits_are_sent_again_once(
    run, tmp_path, point
):
    path = tmp_path / "ledger"
    with Emulator(seed=1, faults=[Fault("fail", code="InternalError")]) as emulator:
        assert run(emulator, path, point, [1])[0] == -9
        assert run(emulator, path, "none", [1]) == (0, [[1, "done", STATES]])
        assert len(emulator.jobs) == 2
        assert sum(job.failure is None for job in emulator.jobs) == 1


@pytest.mark.parametrize("point", ["before:rejected", "after:rejected"])
def test_killed_while_a_refusal_is_written_down_nothing_is_lost(run, tmp_path, point):
    path = tmp_path / "ledger"
    with Emulator(seed=1, faults=[Fault("status", route="submit", status=400)]) as emulator:
        assert run(emulator, path, point, [1])[0] == -9
        assert run(emulator, path, "none", [1]) == (0, [[1, "done", STATES]])
        assert check(emulator, path).valid
        assert emulator.billed_jobs == 1


@pytest.mark.parametrize("mode", ["well", "cut after", "accepted late"])
@pytest.mark.parametrize(
    "point",
    ["after:intent", "before:submitted", "after:submitted", "before:billed", "after:billed"],
)
def test_on_a_qpu_a_killed_run_pays_at_most_once(run, tmp_path, point, mode):
    path = tmp_path / "ledger"
    with Emulator(seed=3, faults=modes(0)[mode]) as emulator:
        run(emulator, path, point, [1], "qpu.aria-1")
        _, [told] = run(emulator, path, "none", [1], "qpu.aria-1")
        assert emulator.billed_jobs <= 1
        if emulator.billed_jobs:
            assert told[1] == "done"
        else:
            # Killed between intent and POST: it cannot be known that there is no job.
            assert told[1] == "AmbiguousSubmission"
        if point == "before:billed":  # the results were there, so that nobody asked again
            with IonQClient("k", base_url=emulator.url, ledger=path) as client:
                client.reconcile()
        ledger = Ledger(path)
        billed = sum(row.billed_usd or 0.0 for row in ledger.submissions())
        ledger.close()
        assert billed == emulator.stats()["billed_usd"]


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
