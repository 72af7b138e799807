"""Jobs, sessions and the bill survive a restart."""

from __future__ import annotations

import json
import sqlite3
import stat
from pathlib import Path

import pytest
from support.emulator_wire import BELL, Wire

from pennylane_qstore.emulator import Emulator, VirtualClock
from pennylane_qstore.errors import QStoreError


def test_jobs_survive_a_restart(tmp_path: Path) -> None:
    state = tmp_path / "jobs.db"
    with Emulator(state=state, seed=1) as emulator:
        wire = Wire(emulator)
        session = wire("POST", "/sessions", {"backend": "qpu.forte-1"}).json["id"]
        done = wire.done(
            wire.submit_many([{"name": "a", "circuit": BELL}] * 3, metadata={"k": "v"})
        )
        noisy = wire.done(wire.submit(backend="qpu.forte-1", shots=300, session_id=session))
        failed = wire.done(wire.submit([{"gate": "x", "target": 40}]))
        deleted = wire.submit()
        wire("DELETE", f"/jobs/{deleted}")
        histogram = wire("GET", f"/jobs/{noisy['id']}/results/histogram").json
        bill = emulator.stats()["billed_usd"]
        wire.connection.close()
    assert stat.S_IMODE(state.stat().st_mode) == 0o600
    with Emulator(state=state, seed=1) as emulator:
        wire = Wire(emulator)
        assert wire.job(done["id"]) == done
        assert wire.job(noisy["id"]) == noisy
        assert wire.job(failed["id"]) == failed
        assert wire("GET", f"/jobs/{deleted}").status == 404
        assert wire("GET", f"/jobs/{noisy['id']}/results/histogram").json == histogram
        assert wire.probabilities(done["child_job_ids"][2]) == pytest.approx({"0": 0.5, "3": 0.5})
        listed = wire("GET", "/jobs").json["jobs"]
        assert [j["id"] for j in listed] == [failed["id"], noisy["id"], done["id"]]
        inside = wire("GET", f"/sessions/{session}/jobs").json["jobs"]
        assert [j["id"] for j in inside] == [noisy["id"]]
        assert emulator.stats()["billed_usd"] == bill
        newer = wire.submit()
        assert wire("GET", "/jobs").json["jobs"][0]["id"] == newer
        assert wire("POST", f"/jobs/{done['id']}/clone").status == 201
        wire.connection.close()


def test_a_job_in_the_queue_is_run_after_the_restart(tmp_path: Path) -> None:
    state, clock = tmp_path / "jobs.db", VirtualClock()
    with Emulator(state=state, clock=clock, profile={"queue_s": 3600}, seed=1) as emulator:
        wire = Wire(emulator)
        waiting = wire.submit(noise={"model": "aria-1", "seed": 3}, shots=50)
        cancelled = wire.submit()
        wire("PUT", f"/jobs/{cancelled}/status/cancel")
        wire.connection.close()
    db = sqlite3.connect(state)
    db.execute("UPDATE jobs SET results = NULL")  # as if it had been killed before simulating
    db.commit()
    db.close()
    with Emulator(state=state, clock=clock, seed=1) as emulator:
        wire = Wire(emulator)
        assert wire.job(waiting)["status"] == "ready"
        clock.advance(3600)
        assert wire.job(waiting)["status"] == "completed"
        assert wire.job(cancelled)["status"] == "canceled"
        found = wire.probabilities(waiting)
        fresh = wire.submit(noise={"model": "aria-1", "seed": 3}, shots=50)
        assert wire.probabilities(fresh) == found
        wire.connection.close()


def test_ids_and_the_queue_go_on_after_the_restart(tmp_path: Path) -> None:
    state, clock, qpu = tmp_path / "jobs.db", VirtualClock(), {"backend": "qpu.forte-1"}
    profile = {"queue_s": 10.0, "execution_s": 100.0, "concurrency": 1}
    seen: list[str] = []
    for count in (2, 3):
        with Emulator(state=state, clock=clock, profile=profile, seed=1) as emulator:
            wire = Wire(emulator)
            seen += [wire("POST", "/sessions", qpu).json["id"], wire.submit(**qpu)]
            assert len(wire("GET", "/sessions").json["sessions"]) == count - 1
            newest = wire.job(seen[-1])["predicted_wait_time_ms"]
            assert newest == 10_000 + 100_000 * (count - 2)
            wire.connection.close()
    assert seen == sorted(set(seen))


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    text = tmp_path / "text.db"
    text.write_text("this is not a database, and long enough to be sure of that" * 10)
    with pytest.raises(QStoreError, match="Cannot use"):
        Emulator(state=text).start()
    other = tmp_path / "other.db"
    db = sqlite3.connect(other)
    db.execute("CREATE TABLE precious (x)")
    db.commit()
    db.close()
    with pytest.raises(QStoreError, match="choose another file"):
        Emulator(state=other).start()
    with pytest.raises(QStoreError, match="Cannot use"):
        Emulator(state=tmp_path / "none" / "jobs.db").start()


ASSETS = Path(__file__).parent / "assets"


def test_a_file_of_version_0_1_is_taken_up_as_it_was_written(tmp_path: Path) -> None:
    """``jobs_format_1.db`` was written by 0.1.0, which answered what the JSON beside it holds."""
    state = tmp_path / "jobs.db"
    state.write_bytes((ASSETS / "jobs_format_1.db").read_bytes())
    expected = json.loads((ASSETS / "jobs_format_1.json").read_text())
    with Emulator(state=state, clock=VirtualClock(expected["now"]), seed=1) as emulator:
        wire = Wire(emulator)
        assert {job: wire.job(job) for job in expected["jobs"]} == expected["jobs"]
        assert wire.job(expected["child"]["id"]) == expected["child"]
        for job, histogram in expected["histograms"].items():
            assert wire("GET", f"/jobs/{job}/results/histogram").json == histogram
        many = next(iter(expected["jobs"]))
        aggregate = wire("GET", f"/jobs/{many}/results/probabilities/aggregated").json
        assert aggregate.keys() == expected["aggregate"].keys()
        for child, shares in expected["aggregate"].items():  # now with 18 decimals
            assert aggregate[child] == pytest.approx(shares, rel=1e-15)
        session = expected["session"]
        assert wire("GET", f"/sessions/{session['id']}").json == session
        stats = emulator.stats()
        assert stats["billed_usd"] == expected["billed_usd"]
        assert stats["billed_jobs"] == expected["billed_jobs"]
        assert wire.submit() > max(expected["jobs"])
        wire.connection.close()


def test_a_file_of_another_format_is_refused_by_its_number(tmp_path: Path) -> None:
    state = tmp_path / "jobs.db"
    state.write_bytes((ASSETS / "jobs_format_1.db").read_bytes())
    db = sqlite3.connect(state)
    db.execute("PRAGMA user_version = 7")
    db.close()
    with pytest.raises(QStoreError, match="has format 7, and this version reads format 1"):
        Emulator(state=state).start()


@pytest.mark.parametrize(
    "script",
    [
        "CREATE TABLE notes (text)",
        "CREATE TABLE notes (text); PRAGMA user_version = 1",
        "CREATE TABLE jobs (a); CREATE TABLE sessions (b); CREATE TABLE bill (c); "
        "PRAGMA user_version = 1; PRAGMA application_id = 7",
    ],
)
def test_another_programs_file_is_left_as_it_is(tmp_path: Path, script: str) -> None:
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as db:
        db.executescript(script)
    db.close()
    before = path.read_bytes()
    with pytest.raises(QStoreError, match="no state of an emulator"):
        Emulator(state=path).start()
    assert path.read_bytes() == before
