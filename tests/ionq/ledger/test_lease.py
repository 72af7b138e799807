"""Leases: their holder is a process that lives."""

from __future__ import annotations

import subprocess
import sys

from pennylane_qstore.ionq.ledger.lease import is_alive, new_owner


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
