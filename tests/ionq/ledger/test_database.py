"""The ledger's file: private, versioned, safe on network file systems."""

from __future__ import annotations

import logging
import os
import sqlite3
import stat
from pathlib import Path

import numpy as np
import pytest
from support.ledgers import intent

from pennylane_qstore.errors import LedgerError
from pennylane_qstore.ionq.jobs.packing import pack, unpack
from pennylane_qstore.ionq.ledger import database as ledger_file
from pennylane_qstore.ionq.ledger.lease import new_owner
from pennylane_qstore.ionq.ledger.ledger import JobKey, Ledger, State
from pennylane_qstore.ionq.messages.histograms import Histogram

ASSETS = Path(__file__).parent / "assets"


def test_a_ledger_of_schema_1_is_read(tmp_path):
    """The asset was written by the first version of the package: a row in each state."""
    path = tmp_path / "ledger.sqlite3"
    path.write_bytes((ASSETS / "ledger_schema_1.sqlite3").read_bytes())
    ledger = Ledger(path)
    rows = ledger.submissions()
    assert [row.state.value for row in rows] == [
        "intent", "ambiguous", "submitted", "done", "consumed", "rejected", "failed", "failed",
        "canceled", "duplicate", "intent",
    ]  # fmt: skip
    assert {row.state for row in rows} == set(State)
    assert [row.key for row in rows[:9]] == [JobKey("run", step, 0) for step in range(9)]
    done, failed = rows[3], rows[6]
    assert (done.job_id, done.billed_usd, done.aggregation) == ("job-3", 11.75, "voting")
    first, second = unpack(done.results)
    assert (first.states.tolist(), first.probabilities.tolist()) == ([0, 5], [0.25, 0.75])
    assert (second.states.tolist(), second.probabilities.tolist()) == ([7], [1.0])
    assert (failed.part, failed.attempt, failed.results) == ((1,), 1, None)
    assert [h is None for h in unpack(rows[7].results)] == [False, True]
    assert ledger.spent_usd("run") == 11.75 + 12.5 * 7
    assert [event.event for event in ledger.events(done.id)] == [
        "intent", "submitted", "done", "billed",
    ]  # fmt: skip
    # It is one to go on with, too.
    assert ledger.claim(rows[0].id, new_owner(), 10)
    ledger.submitted(rows[0].id, "job-0")
    assert ledger.find("job-0").token == rows[0].token
    ledger.close()


def test_a_new_ledger_has_the_tables_of_the_old_one(path):
    def tables(file):
        with sqlite3.connect(file) as db:
            found = dict(db.execute("SELECT name, sql FROM sqlite_master"))
        db.close()
        return {name: "".join((sql or "").split()) for name, sql in found.items()}

    Ledger(path).close()
    old = path.parent / "old.sqlite3"
    old.write_bytes((ASSETS / "ledger_schema_1.sqlite3").read_bytes())
    Ledger(old).close()
    assert tables(path) == tables(old)


def test_the_file_is_for_the_users_eyes_only(path):
    mask = os.umask(0o022)
    try:
        ledger = Ledger(path)
        ledger.begin([intent()])
        files = list(path.parent.iterdir())
        assert len(files) == 3  # with -wal and -shm
        assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        ledger.close()
        path.chmod(0o644)
        Ledger(path).close()
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    finally:
        os.umask(mask)


def test_a_newer_schema_is_refused(path):
    Ledger(path).close()
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(LedgerError, match=r"newer version .*\(schema 99, this one knows 3\)"):
        Ledger(path)


def test_a_file_that_is_no_ledger_is_refused(path):
    path.parent.mkdir()
    path.write_bytes(b"not a database at all" * 100)
    with pytest.raises(LedgerError, match="not a ledger"):
        Ledger(path)
    assert path.read_bytes().startswith(b"not a database")


def test_a_place_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(LedgerError, match="cannot be created"):
        Ledger(tmp_path / "file" / "ledger.sqlite3")


def test_a_migration_and_its_record_are_one_transaction(path, monkeypatch):
    def second(db):
        db.execute("CREATE TABLE extra (x INTEGER)")
        raise sqlite3.OperationalError("disk full")

    ledger = Ledger(path)
    ledger.begin([intent()])
    ledger.close()
    first = ledger_file._MIGRATIONS
    monkeypatch.setattr(ledger_file, "_MIGRATIONS", (*first, second))
    with pytest.raises(LedgerError, match="disk full"):
        Ledger(path)
    monkeypatch.setattr(ledger_file, "_MIGRATIONS", first)
    again = Ledger(path)
    assert len(again.submissions()) == 1
    again.close()
    with sqlite3.connect(path) as db:
        tables = {name for (name,) in db.execute("SELECT name FROM sqlite_master")}
        assert "extra" not in tables
    db.close()


def test_a_migration_runs_once(path, monkeypatch):
    runs = []

    def second(db):
        runs.append(1)
        db.execute("ALTER TABLE submissions ADD COLUMN extra TEXT")

    Ledger(path).close()
    monkeypatch.setattr(ledger_file, "_MIGRATIONS", (*ledger_file._MIGRATIONS, second))
    Ledger(path).close()
    Ledger(path).close()
    assert runs == [1]


@pytest.mark.parametrize(
    ("mounts", "mode"),
    [
        ("/dev/sda1 / ext4 rw 0 0", "WAL"),
        ("/dev/sda1 / ext4 rw 0 0\nserver:/x /home nfs4 rw 0 0", "DELETE"),
        ("server:/x / nfs rw 0 0\n/dev/sdb1 /home/u ext4 rw 0 0", "WAL"),
        ("lustre /home lustre rw 0 0", "DELETE"),
        ("x /home fuse.sshfs rw 0 0", "DELETE"),
        ("", "WAL"),
    ],
)
def test_no_write_ahead_log_on_network_file_systems(mounts, mode, caplog):
    from pathlib import Path

    with caplog.at_level(logging.WARNING):
        assert ledger_file.journal_mode(Path("/home/u/ledger"), mounts) == mode
    assert ("network file system" in caplog.text) == (mode == "DELETE")


def test_a_link_to_a_network_file_system_is_followed(tmp_path):
    (tmp_path / "nfs").mkdir()
    (tmp_path / "home").symlink_to(tmp_path / "nfs")
    mounts = f"/dev/sda1 / ext4 rw 0 0\nserver:/x {tmp_path.resolve()}/nfs nfs4 rw 0 0"
    assert ledger_file.journal_mode(tmp_path / "home" / "ledger", mounts) == "DELETE"


def test_another_programs_file_is_left_as_it_is(path):
    """It gets no tables, no journal and no other mode."""
    path.parent.mkdir()
    for script in (
        "CREATE TABLE notes (text)",
        "CREATE TABLE notes (text); PRAGMA user_version = 1",
        "PRAGMA application_id = 7; CREATE TABLE submissions (id); CREATE TABLE events (seq)",
        "CREATE TABLE submissions (id); CREATE TABLE events (seq)",
    ):
        with sqlite3.connect(path) as db:
            db.executescript(script)
        db.close()
        path.chmod(0o640)
        before = path.read_bytes()
        with pytest.raises(LedgerError, match="is not a ledger"):
            Ledger(path)
        assert path.read_bytes() == before
        if "application_id" in script:  # seen before SQLite opens it
            assert stat.S_IMODE(path.stat().st_mode) == 0o640
        path.unlink()


def test_a_text_file_is_left_as_it_is(path):
    path.parent.mkdir()
    path.write_text("notes\n" * 100)
    path.chmod(0o644)
    with pytest.raises(LedgerError, match="is not a ledger"):
        Ledger(path)
    assert path.read_text() == "notes\n" * 100
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_flipped_bits_give_a_typed_error_or_the_right_results(path):
    """Read 250 damaged copies of a file from end to end."""
    rng = np.random.default_rng(15)
    histogram = Histogram(np.arange(40, dtype=np.uint64), np.full(40, 1 / 40))
    ledger = Ledger(path)
    for step in range(6):
        ((row, _),) = ledger.begin([intent(key=JobKey("run", step, 0))])
        ledger.submitted(row.id, f"job-{step}")
        ledger.done(row.id, pack([histogram, None]))
    ledger.close()
    whole = path.read_bytes()
    refused = 0
    for _ in range(250):
        damaged = bytearray(whole)
        damaged[rng.integers(len(whole))] ^= 1 << int(rng.integers(8))
        path.write_bytes(bytes(damaged))
        for rest in path.parent.glob(f"{path.name}-*"):
            rest.unlink()
        try:
            ledger = Ledger(path)
            try:
                rows = ledger.submissions()
                ledger.events()
                ledger.spent_usd("run")
                results = [unpack(row.results) for row in rows if row.results is not None]
            finally:
                ledger.close()
        except LedgerError:
            refused += 1
            continue
        for first, second in results:
            assert first.states.tolist() == histogram.states.tolist()
            assert first.probabilities.tolist() == histogram.probabilities.tolist()
            assert second is None
    assert 20 < refused < 250
