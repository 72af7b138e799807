"""Jobs in the ledger's file: taken in within limits, changed, loaded again."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.gateways import make_job

from pennylane_qstore.errors import RunLocked
from pennylane_qstore.gateway.store import Limits, Store, group_key, make_tables
from pennylane_qstore.ionq.ledger.ledger import Intent, Ledger
from pennylane_qstore.server.errors import BadRequest


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = Ledger(tmp_path / "g.sqlite3")
    yield ledger
    ledger.close()


def test_jobs_come_back_as_they_were_left(ledger: Ledger) -> None:
    store = Store(ledger, Limits())
    jobs = [make_job(id=f"j{k}", sequence=k) for k in range(4)]
    for job in jobs:
        store.insert(job, job.id.encode(), 2.0)
    for job in jobs[:3]:
        job.settled, job.group, job.first = True, 7, job.sequence
        job.is_billed, job.billed_usd = True, 1.5
    store.save(jobs)
    store.delete(jobs[2])
    again = store.load(2)
    assert [(job.id, job.group, deleted) for job, deleted in again] == [
        ("j2", 7, True), ("j3", None, False),
    ]  # fmt: skip
    assert store.requests(jobs[1:3]) == [b"j1", b"j2"]
    assert store.next_group() == 8
    ledger.begin([Intent("s", "simulator", 1, 1, 1, "x", key=group_key(11))])
    assert store.next_group() == 12


def test_bills_take_the_place_of_what_was_reserved(ledger: Ledger) -> None:
    store = Store(ledger, Limits(total_usd=10.0))
    first = make_job(id="a", sequence=0)
    store.insert(first, b"", 8.0)
    with pytest.raises(BadRequest, match=r"\$8\.00, and \$2\.00 of the limit of \$10\.00") as no:
        store.insert(make_job(id="b", sequence=1), b"", 8.0)
    assert no.value.status == 402
    first.billed_usd, first.is_billed = 2.0, True
    store.save([first])
    store.insert(make_job(id="b", sequence=1), b"", 8.0)


def test_what_others_spend_by_the_ledger_counts_for_all(ledger: Ledger) -> None:
    store = Store(ledger, Limits(total_usd=10.0))
    ledger.begin([Intent("s", "qpu.forte-1", 1, 1, 1, "x", estimated_usd=9.0)])
    with pytest.raises(BadRequest, match="this gateway"):
        store.insert(make_job(), b"", 2.0)


def test_a_limit_needs_a_price(ledger: Ledger) -> None:
    store = Store(ledger, Limits(user_usd=10.0))
    with pytest.raises(BadRequest, match="cannot be told"):
        store.insert(make_job(), b"", None)
    Store(ledger, Limits()).insert(make_job(), b"", None)


def test_one_gateway_at_a_time_has_a_ledger(ledger: Ledger) -> None:
    store = Store(ledger, Limits())
    with store.held():
        with pytest.raises(RunLocked, match=f"process id {os.getpid()} "), store.held():
            pass
        with ledger.changing("test") as db:  # as if it had been killed
            gone = f"{socket.gethostname()}|4194305|0|x"  # no process has such a number
            db.execute("UPDATE gateway_holder SET owner = ?", (gone,))
    with store.held():
        pass


def test_tables_are_made_once_and_kept(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "g.sqlite3")
    make_tables(ledger)
    with ledger.changing("test") as db:
        db.execute("INSERT INTO gateway_users VALUES ('ann', 5.0)")
    make_tables(ledger)
    with ledger.reading() as db:
        assert db.execute("SELECT * FROM gateway_users").fetchall() == [("ann", 5.0)]
    ledger.close()
