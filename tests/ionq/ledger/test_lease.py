"""Leases: one holder, who lives."""

from __future__ import annotations

import subprocess
import sys

from support.ledgers import intent

from pennylane_qstore.ionq.ledger.lease import is_alive, new_owner
from pennylane_qstore.ionq.ledger.ledger import Ledger


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


def test_an_owner_lives_as_long_as_its_process():
    child = subprocess.Popen(
        [sys.executable, "-c", "from pennylane_qstore.ionq.ledger.lease import new_owner\n"
         "print(new_owner(), flush=True); input()"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    owner = child.stdout.readline().strip()
    assert is_alive(owner)
    child.communicate("\n")
    assert not is_alive(owner)


def test_an_owner_whose_pid_was_given_to_another_process_is_dead():
    host, pid, started, tail = new_owner().split("|")
    assert is_alive(f"{host}|{pid}|{started}|{tail}")
    if started:  # where the system tells it
        assert not is_alive(f"{host}|{pid}|1{started}|{tail}")


def test_an_owner_on_another_machine_counts_as_alive():
    assert is_alive("elsewhere.example|1||00000000")


def test_owners_differ():
    assert len({new_owner() for _ in range(100)}) == 100
