"""The ledger's contract: durable, private, for many processes, append-only in its audit."""

from __future__ import annotations

import asyncio
import logging
import os
import pickle
import sqlite3
import stat
import subprocess
import sys

import pytest

from pennylane_qstore.errors import LedgerError
from pennylane_qstore.ionq.ledger import database as ledger_file
from pennylane_qstore.ionq.ledger.lease import new_owner
from pennylane_qstore.ionq.ledger.ledger import Intent, JobKey, Ledger, State, part_of

SERVICE = "https://api.ionq.co/v0.4"


def intent(key=None, sha="a" * 64, **more):
    return Intent(SERVICE, "qpu.forte-1", 100, 3, 2, sha, key=key, **more)


@pytest.fixture(params=["memory", "file"])
def ledger(request, tmp_path):
    made = Ledger(None if request.param == "memory" else tmp_path / "a" / "ledger.sqlite3")
    yield made
    made.close()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "folder" / "ledger.sqlite3"


def test_the_life_of_a_submission(ledger):
    ((row, fresh),) = ledger.begin([intent(estimated_usd=2.0)])
    assert fresh
    assert row == ledger.get(row.id)
    assert row.state is State.INTENT
    assert len(row.token) == 32
    ledger.submitted(row.id, "job-1")
    ledger.done(row.id, b"[]")
    ledger.billed(row.id, 1.5)
    ledger.consumed([row.id])
    row = ledger.get(row.id)
    assert (row.state, row.job_id, row.results, row.billed_usd) == (
        State.CONSUMED,
        "job-1",
        b"[]",
        1.5,
    )
    assert row.owner is None
    assert [event.event for event in ledger.events(row.id)] == [
        "intent",
        "submitted",
        "done",
        "billed",
        "consumed",
    ]
    assert ledger.find("job-1") == row
    assert ledger.find("job-2") is None


def test_many_intents_are_one_transaction_with_tokens_of_their_own(ledger):
    rows = [row for row, _ in ledger.begin([intent() for _ in range(20)])]
    assert len({row.token for row in rows}) == 20
    assert ledger.submissions() == rows


def test_a_key_is_found_again_and_keeps_its_payload(ledger):
    key = JobKey("run", 1, 0)
    ((row, _),) = ledger.begin([intent(key)])
    ((again, fresh),) = ledger.begin([intent(key)])
    assert (again, fresh) == (row, False)
    with pytest.raises(LedgerError, match="another payload"):
        ledger.begin([intent(key, sha="b" * 64)])
    ((_, fresh),) = ledger.begin([intent(key, attempt=1, part=(2, 0))])
    assert fresh
    assert [r.part for r in ledger.history(key)] == [None, (2, 0)]
    assert ledger.history(JobKey("run", 2, 0)) == []


def test_a_refused_batch_of_intents_leaves_nothing_behind(ledger):
    key = JobKey("run", 1, 0)
    ledger.begin([intent(key)])
    with pytest.raises(LedgerError):
        ledger.begin([intent(), intent(key, sha="b" * 64)])
    assert len(ledger.submissions()) == 1
    assert len(ledger.events()) == 1


def test_states_can_be_selected(ledger):
    rows = [row for row, _ in ledger.begin([intent() for _ in range(4)])]
    ledger.rejected(rows[0].id, "400")
    ledger.ambiguous(rows[1].id, "cut")
    ledger.canceled(rows[2].id, "by hand")
    found = ledger.submissions([State.REJECTED, State.CANCELED])
    assert [row.id for row in found] == [rows[0].id, rows[2].id]
    assert ledger.get(rows[1].id).failure == "cut"


def test_consumed_takes_only_what_is_done(ledger):
    ((row, _),) = ledger.begin([intent()])
    ledger.failed(row.id, "InternalError: x", b"[null]")
    ledger.consumed([row.id])
    assert ledger.get(row.id).state is State.FAILED


def test_a_duplicate_is_recorded_once(ledger):
    ((row, _),) = ledger.begin([intent()])
    ledger.submitted(row.id, "job-1")
    ledger.duplicate(row.id, "job-2")
    ledger.duplicate(row.id, "job-2")
    (copy,) = ledger.submissions([State.DUPLICATE])
    assert (copy.job_id, copy.token) == ("job-2", None)


def test_what_was_spent_is_the_bill_or_else_the_estimate(ledger):
    keyed = intent(JobKey("a", 0, 0), estimated_usd=1.0)
    rows = [row for row, _ in ledger.begin([keyed, intent(estimated_usd=2.0), intent()])]
    ledger.billed(rows[0].id, 1.25)
    assert ledger.spent_usd() == 3.25
    assert ledger.spent_usd("a") == 1.25
    ledger.rejected(rows[1].id, "no")
    assert ledger.spent_usd() == 1.25


def test_parts_of_a_run_are_its_spending_and_other_runs_are_not(ledger):
    names = ("a", part_of("a", "evaluation"), "ab", "a.1", part_of("ab", "x"))
    ledger.begin([intent(JobKey(n, 0, 0), estimated_usd=10.0**i) for i, n in enumerate(names)])
    assert ledger.spent_usd("a") == 11.0
    assert ledger.spent_usd("ab") == 10_100.0
    assert part_of("a", "") == "a"


def test_a_lease_has_one_holder(ledger):
    ((row, _),) = ledger.begin([intent(lease_s=60)])
    me = new_owner()
    assert not ledger.claim(row.id, me, 60)
    ledger.release(row.id, me)  # not mine: nothing happens
    assert not ledger.claim(row.id, me, 60)
    ledger.release(row.id, row.owner)
    assert ledger.claim(row.id, me, 60)
    assert ledger.claim(row.id, me, 60)
    assert not ledger.claim(row.id, new_owner(), 60)


def test_a_lease_that_ran_out_is_free(tmp_path):
    now = [1000.0]
    ledger = Ledger(tmp_path / "l", now=lambda: now[0])
    ((row, _),) = ledger.begin([intent(lease_s=10)])
    assert not ledger.claim(row.id, new_owner(), 10)
    now[0] += 11
    assert ledger.claim(row.id, new_owner(), 10)
    ledger.close()


def test_a_lease_of_a_dead_process_is_free_at_once(path):
    script = (
        "import sys; from pennylane_qstore.ionq.ledger.ledger import Ledger, Intent\n"
        "Ledger(sys.argv[1]).begin([Intent('s', 'b', 1, 1, 1, 'x', lease_s=9999)])"
    )
    subprocess.run([sys.executable, "-c", script, str(path)], check=True)
    ledger = Ledger(path)
    (row,) = ledger.submissions()
    assert row.owner is not None
    assert ledger.claim(row.id, new_owner(), 10)
    ledger.close()


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


def test_intents_and_ids_are_synced_to_the_disk(path):
    ledger = Ledger(path)
    seen = []
    ledger._connection.set_trace_callback(seen.append)
    ((row, _),) = ledger.begin([intent()])
    ledger.submitted(row.id, "j")
    ledger.done(row.id, b"")
    levels = [s for s in seen if "synchronous" in s or s == "BEGIN IMMEDIATE"]
    assert levels == [
        "PRAGMA synchronous=FULL",
        "BEGIN IMMEDIATE",
        "BEGIN IMMEDIATE",
        "PRAGMA synchronous=NORMAL",
        "BEGIN IMMEDIATE",
    ]
    assert ledger._connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    ledger.close()


def test_what_is_written_is_there_for_the_next_process(path):
    ledger = Ledger(path)
    ((row, _),) = ledger.begin([intent(JobKey("run", 0, 0), aggregation="voting")])
    ledger.close()
    again = Ledger(path)
    assert again.history(JobKey("run", 0, 0)) == [row]
    again.close()


def test_a_closed_ledger_opens_again(path):
    ledger = Ledger(path)
    ledger.close()
    ledger.begin([intent()])
    assert len(ledger.submissions()) == 1
    ledger.close()


def test_a_ledger_travels_as_its_path(path):
    ledger = Ledger(path)
    ledger.begin([intent()])
    copy = pickle.loads(pickle.dumps(ledger))
    assert len(copy.submissions()) == 1
    ledger.close()
    copy.close()


def test_a_newer_schema_is_refused(path):
    Ledger(path).close()
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(LedgerError, match="newer version"):
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


def test_without_write_ahead_log_it_works_as_well(path, monkeypatch):
    monkeypatch.setattr(ledger_file, "_mount_table", lambda: "server:/x / nfs rw 0 0")
    ledger = Ledger(path)
    ((row, _),) = ledger.begin([intent()])
    ledger.submitted(row.id, "j")
    assert ledger._connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    assert ledger.get(row.id).job_id == "j"
    ledger.close()


def test_a_ledger_in_memory_forgets_what_nobody_will_ask_for():
    ledger = Ledger()
    for number in range(1200):
        key = JobKey("run", number, 0) if number % 100 == 0 else None
        ((row, _),) = ledger.begin([intent(key)])
        ledger.done(row.id, b"[]")
        ledger.consumed([row.id])
    assert 1000 <= len(ledger.submissions()) <= 1012
    assert len(ledger.history(JobKey("run", 0, 0))) == 1
    assert len(ledger.events()) <= 3 * 1012
    ledger.close()


def test_calls_from_the_loop_do_not_stall_it(path):
    ledger = Ledger(path)

    async def scenario():
        import threading

        mine = threading.get_ident()
        theirs = await ledger.off_loop(threading.get_ident)
        return mine != theirs

    assert asyncio.run(scenario())
    ledger.close()


def test_a_transaction_that_fails_is_rolled_back(ledger):
    ((row, _),) = ledger.begin([intent()])
    with pytest.raises(LedgerError):
        ledger.submitted(row.id, object())  # SQLite cannot store it
    assert ledger.get(row.id).state is State.INTENT
    ledger.submitted(row.id, "j")
    assert ledger.get(row.id).state is State.SUBMITTED


def test_a_commit_that_fails_leaves_the_ledger_to_everybody(path, monkeypatch):
    # Without a write-ahead log, somebody who reads is in the way of a COMMIT.
    monkeypatch.setattr(ledger_file, "_mount_table", lambda: "server:/x / nfs rw 0 0")
    monkeypatch.setattr(ledger_file, "BUSY_S", 0.01)
    ledger, other = Ledger(path), Ledger(path)
    reader = sqlite3.connect(path, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM submissions").fetchall()
    with pytest.raises(LedgerError, match="locked"):
        ledger.begin([intent()])
    reader.close()
    assert ledger.submissions() == []
    for one in (ledger, other):
        one.begin([intent()])
        one.close()


def test_a_rollback_that_fails_hides_nothing_and_ends_with_its_connection(path):
    class Broken(sqlite3.Connection):
        def execute(self, sql, *values):
            if sql in ("COMMIT", "ROLLBACK"):
                raise sqlite3.OperationalError(f"no {sql}")
            return super().execute(sql, *values)

    ledger, other = Ledger(path), Ledger(path)
    ledger.close()
    ledger._connection = sqlite3.connect(
        path, factory=Broken, isolation_level=None, check_same_thread=False
    )
    with pytest.raises(LedgerError, match="no COMMIT"):
        ledger.begin([intent()])
    for one in (ledger, other):
        one.begin([intent()])
    assert len(ledger.submissions()) == 2
    ledger.close()
    other.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_child_uses_connections_of_its_own(path):
    ledger = Ledger(path)
    memory = Ledger()
    ((row, _),) = ledger.begin([intent()])
    memory.begin([intent()])
    child = os.fork()
    if child == 0:
        code = 1
        try:
            ledger.submitted(row.id, "from-the-child")
            code = 0 if len(memory.submissions()) == 0 else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert ledger.get(row.id).job_id == "from-the-child"
    ledger.begin([intent()])
    assert len(memory.submissions()) == 1
    ledger.close()
    memory.close()
