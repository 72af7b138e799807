"""Claims: a batch of a run is taken once by each start, and a row has one holder."""

from __future__ import annotations

import subprocess
import sys

import pytest
from support.ledgers import intent

from pennylane_qstore.errors import LedgerError
from pennylane_qstore.ionq.ledger.lease import new_owner
from pennylane_qstore.ionq.ledger.ledger import JobKey, Ledger


def test_claims_are_of_one_start(tmp_path):
    ledger = Ledger(tmp_path / "l")
    assert [ledger.claim_batch("r", "a", [(0, "x")]) for _ in range(2)] == [0, 1]
    assert ledger.claim_batch("r", "b", [(0, "x")]) == 2, "nothing was sent yet"
    ledger.release_batches("r", "a", [0, 1])
    assert ledger.claim_batch("other", "a", []) == 0
    ledger.close()


def test_a_new_start_takes_the_batch_with_the_same_payloads(ledger):
    ledger.begin([intent(key=JobKey("r", 4, chunk), sha="ab"[chunk]) for chunk in (0, 1)])
    assert ledger.claim_batch("r", "a", [(0, "a"), (1, "b")]) == 4
    assert ledger.claim_batch("r", "a", [(0, "a"), (1, "b")]) == 5, "that one is taken"
    assert ledger.claim_batch("r", "b", [(0, "a"), (1, "other")]) == 6, "not all are the same"
    assert ledger.claim_batch("r", "b", [(0, "a"), (1, "b")]) == 4


def test_batches_that_a_start_has_numbered_itself_are_taken(ledger):
    ledger.begin([intent(key=JobKey("r", 0, chunk), sha="ab"[chunk]) for chunk in (0, 1)])
    assert ledger.payloads("r", 0) == {0: "a", 1: "b"}
    assert ledger.find_batches("r", [(1, "b")]) == {0}
    assert ledger.find_batches("r", [(0, "b")]) == set()
    ledger.claim_batches("r", "a", [0, 0])
    assert ledger.claim_batch("r", "a", [(0, "a")]) == 1


def test_there_is_no_claim_on_a_row_that_is_not_there(ledger):
    with pytest.raises(LedgerError, match="no submission 7"):
        ledger.claim(7, new_owner(), 60)


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
