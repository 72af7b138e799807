"""The turn of threads: one at a time, given up while one waits for the service."""

from __future__ import annotations

import os
import threading

import pytest
from support.waiting import wait_until

from pennylane_qstore.deferral import turns
from pennylane_qstore.deferral.turns import TurnLock, turn_lock, waiting
from pennylane_qstore.errors import QStoreError


def in_thread(run):
    """Run in a thread of its own; return what it returned."""
    results = []
    thread = threading.Thread(target=lambda: results.append(run()))
    thread.start()
    thread.join(timeout=60)
    return results[0]


def test_a_thread_may_take_it_again_and_others_may_not():
    lock = TurnLock()
    lock.take()
    lock.take()
    assert lock.is_mine
    assert not in_thread(lambda: lock.is_mine)
    lock.give_back()
    assert not lock.is_free
    lock.give_back()
    assert lock.is_free


def test_all_of_it_is_given_up_at_once_and_taken_again():
    lock = TurnLock()
    lock.take(3)
    depth = lock.give_up()
    assert depth == 3
    assert lock.is_free
    lock.take(depth)
    assert lock.is_mine
    assert lock.give_up() == 3


def test_giving_up_what_another_thread_has_does_nothing():
    lock = TurnLock()
    lock.take()
    assert in_thread(lock.give_up) == 0
    assert in_thread(lock.give_back) is None
    assert lock.is_mine
    lock.give_back()


def test_taking_it_no_times_does_not_wait():
    lock = TurnLock()
    lock.take()
    assert in_thread(lambda: lock.take(0)) is None
    lock.give_back()


def test_a_thread_that_waits_too_long_says_so(monkeypatch):
    monkeypatch.setattr(turns, "TIMEOUT_S", 0.01)
    lock = TurnLock()
    lock.take()

    def take():
        with pytest.raises(QStoreError, match="Another thread has been in the middle of a step"):
            lock.take()
        return True

    assert in_thread(take)
    lock.give_back()


def test_a_thread_waits_on_while_the_owner_waits_for_a_service(monkeypatch):
    monkeypatch.setattr(turns, "TIMEOUT_S", 0.001)
    lock = TurnLock()
    lock.take()
    lock.at_service = True
    took = []
    thread = threading.Thread(target=lambda: (lock.take(), took.append(1), lock.give_back()))
    thread.start()
    thread.join(timeout=0.05)  # many times as long as TIMEOUT_S
    assert took == []
    monkeypatch.setattr(turns, "TIMEOUT_S", 60.0)
    thread.join(timeout=0.05)  # by then it waits for a minute
    lock.at_service = False
    lock.give_up()
    thread.join(timeout=60)
    assert took == [1]


def test_waiting_lets_another_thread_have_its_turn():
    lock = turn_lock()
    lock.take()
    try:
        with waiting():
            assert in_thread(lambda: (lock.take(), lock.is_mine, lock.give_back()))[1]
        assert lock.is_mine
    finally:
        lock.give_up()


def test_waiting_without_a_turn_takes_none():
    with waiting():
        assert turn_lock().is_free
    assert turn_lock().is_free


def test_waiting_may_keep_the_turn():
    lock = turn_lock()
    lock.take()
    try:
        with waiting(keep=True):
            assert lock.is_mine
            assert lock.at_service
        assert not lock.at_service
    finally:
        lock.give_up()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
def test_a_fork_leaves_the_turn_of_the_parent_behind():
    lock = turn_lock()
    taken, done = threading.Event(), threading.Event()

    def hold():
        lock.take()
        taken.set()
        done.wait()
        lock.give_up()

    thread = threading.Thread(target=hold)
    thread.start()
    wait_until(taken.is_set)
    pid = os.fork()
    if pid == 0:
        os._exit(0 if turn_lock().is_free else 1)
    done.set()
    thread.join()
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
