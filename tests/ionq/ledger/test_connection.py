"""One connection for all threads of a process: synced, rolled back, apart after a fork."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading

import pytest
from support.ledgers import intent

from pennylane_qstore.errors import LedgerError
from pennylane_qstore.ionq.ledger import database as ledger_file
from pennylane_qstore.ionq.ledger.ledger import Ledger, State


def test_intents_and_ids_are_synced_to_the_disk(path):
    ledger = Ledger(path)
    seen = []
    ledger.database.set_trace_callback(seen.append)
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
    assert ledger.database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    ledger.close()


def test_a_closed_ledger_opens_again(path):
    ledger = Ledger(path)
    ledger.close()
    ledger.begin([intent()])
    assert len(ledger.submissions()) == 1
    ledger.close()


def test_without_write_ahead_log_it_works_as_well(path, monkeypatch):
    monkeypatch.setattr(ledger_file, "_mount_table", lambda: "server:/x / nfs rw 0 0")
    ledger = Ledger(path)
    ((row, _),) = ledger.begin([intent()])
    ledger.submitted(row.id, "j")
    assert ledger.database.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    assert ledger.get(row.id).job_id == "j"
    ledger.close()


def test_calls_from_the_loop_do_not_stall_it(path):
    ledger = Ledger(path)

    async def scenario():
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


def test_a_change_inside_another_one_is_part_of_it(path):
    events = []
    ledger = Ledger(path, observer=events.append)
    statements = []
    ledger.database.set_trace_callback(statements.append)
    with ledger.changing("outer", durable=True):
        ((row, _),) = ledger.begin([intent()])
        ledger.submitted(row.id, "j")
        assert ledger.get(row.id).job_id == "j"  # a change reads what it has written
    assert events == ["before:outer", "after:outer"]
    assert statements.count("COMMIT") == 1
    with pytest.raises(AssertionError), ledger.changing("outer") as db:  # noqa: PT012
        db.execute("UPDATE submissions SET billed_usd = 2")
        ledger.submitted(row.id, "k")  # has to reach the disk, and would not
    assert ledger.get(row.id).billed_usd is None
    ledger.billed(row.id, 3.0)
    assert events[-1] == "after:billed"
    ledger.close()


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
    ledger.database = sqlite3.connect(
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


def together(ledger, *calls):
    """Make calls while the disk is busy, so that all of them wait at once; errors are returned."""

    async def scenario():
        busy = threading.Event()
        disk = asyncio.ensure_future(ledger.off_loop(busy.wait))
        made = [asyncio.ensure_future(ledger.off_loop_synced(*call)) for call in calls]
        await asyncio.sleep(0)
        while len(ledger._waiting) < len(calls):
            await asyncio.sleep(0)
        busy.set()
        await disk
        return await asyncio.gather(*made, return_exceptions=True)

    return asyncio.run(scenario())


@pytest.fixture
def traced(path):
    """A ledger in a file, what it observes, and its statements."""
    events, statements = [], []
    ledger = Ledger(path, observer=events.append)
    ledger.database.set_trace_callback(statements.append)
    yield ledger, events, statements
    ledger.close()


def test_calls_that_wait_share_one_sync(traced):
    ledger, events, statements = traced
    ((row, _),) = ledger.begin([intent()])
    events.clear()
    statements.clear()
    begun, _ = together(ledger, (ledger.begin, [intent()]), (ledger.submitted, row.id, "j"))
    assert statements.count("COMMIT") == 1
    assert "PRAGMA synchronous=NORMAL" not in statements  # as the last change was, it is synced
    assert events == ["before:intent", "before:submitted", "after:intent", "after:submitted"]
    assert ledger.get(begun[0][0].id).state is State.INTENT
    assert ledger.get(row.id).job_id == "j"


def test_a_call_that_fails_does_not_touch_those_it_shares_a_sync_with(traced):
    ledger, events, statements = traced
    ((row, _),) = ledger.begin([intent()])
    statements.clear()

    def fail():
        with ledger.changing("half"):
            ledger.submitted(row.id, "j")
            ledger.submitted(row.id, object())  # SQLite cannot store it

    first, error, last = together(
        ledger, (ledger.begin, [intent()]), (fail,), (ledger.begin, [intent()])
    )
    assert isinstance(error, LedgerError)
    assert statements.count("COMMIT") == 1
    assert ledger.get(row.id).state is State.INTENT
    assert [ledger.get(one[0][0].id).state for one in (first, last)] == [State.INTENT] * 2
    assert events.count("after:intent") == 3
    assert "after:half" not in events


def test_where_a_shared_transaction_fails_each_call_is_made_alone(traced):
    ledger, *_ = traced

    def undo_all():
        with ledger.changing("undo") as db:
            db.execute("ROLLBACK")  # as SQLite does by itself when the disk is full
            raise sqlite3.OperationalError("database or disk is full")

    first, error, last = together(
        ledger, (ledger.begin, [intent()]), (undo_all,), (ledger.begin, [intent()])
    )
    assert isinstance(error, LedgerError)
    assert "full" in str(error)
    assert len({first[0][0].id, last[0][0].id}) == len(ledger.submissions()) == 2


def test_a_call_that_is_cancelled_while_it_waits_is_not_made(traced):
    ledger, *_ = traced

    async def scenario():
        busy = threading.Event()
        disk = asyncio.ensure_future(ledger.off_loop(busy.wait))
        begun = [
            asyncio.ensure_future(ledger.off_loop_synced(ledger.begin, [intent()]))
            for _ in range(3)
        ]
        while len(ledger._waiting) < 3:
            await asyncio.sleep(0)
        begun[1].cancel()
        await asyncio.sleep(0)
        busy.set()
        await asyncio.gather(disk, *begun, return_exceptions=True)

    asyncio.run(scenario())
    assert len(ledger.submissions()) == 2
