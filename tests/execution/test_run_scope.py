"""Batches of a run have numbers of their own, whatever threads and copies send them."""

from __future__ import annotations

import copy
import multiprocessing
import pickle
import random
from functools import partial

import pennylane as qml
import pytest
from support.threads import in_threads

from pennylane_qstore.emulator import Fault
from pennylane_qstore.errors import LedgerError, QStoreError
from pennylane_qstore.execution.run_scope import BatchNumbers
from pennylane_qstore.ionq.ledger.ledger import JobKey


def device(emulator, path, **options):
    options = {"backend": "simulator", "noise_model": "aria-1", "run": "mine", **options}
    return qml.device(
        "qstore.ionq", wires=1, base_url=emulator.url, api_key="k", ledger=path, **options
    )


def send(dev, x=0.3):
    tape = qml.tape.QuantumScript([qml.RX(x, 0)], [qml.counts()], shots=1000)
    (counts,) = dev.execute((tape,))
    return {state: int(n) for state, n in counts.items()}


def posts(emulator):
    return emulator.stats()["posts"]


def test_a_number_that_is_given_back_is_the_next_one():
    numbers = BatchNumbers()
    assert [numbers.take() for _ in range(4)] == [0, 1, 2, 3]
    numbers.give_back([1])
    assert numbers.next == 4
    numbers.give_back([3])
    assert numbers.next == 3
    assert [numbers.take() for _ in range(3)] == [1, 3, 4]
    numbers.give_back([3, 4])
    assert numbers.next == 3
    numbers.restart(7)
    assert numbers.take() == 7


@pytest.mark.parametrize("same", [True, False], ids=["one circuit", "eight circuits"])
def test_threads_take_batches_of_their_own(emulator, tmp_path, same):
    dev = device(emulator, tmp_path / "l")
    angles = [0.3 if same else 0.1 * k for k in range(8)]
    in_threads(partial(send, dev), angles)
    rows = dev.client.ledger.submissions()
    assert posts(emulator) == 8
    assert sorted(row.key for row in rows) == [JobKey("mine", k, 0) for k in range(8)]
    assert dev.executor.sender.numbers.next == 8


def test_a_batch_that_failed_keeps_its_number_beside_others(emulator, tmp_path):
    dev = device(emulator, tmp_path / "l", retry_failed=False)
    send(dev, 0.1)
    emulator.faults.add(Fault("fail", code="InternalError", message="ion"))
    with pytest.raises(QStoreError):
        send(dev, 0.2)
    assert dev.executor.sender.numbers.next == 1
    send(dev, 0.2)
    send(dev, 0.3)
    keys = [row.key.step for row in dev.client.ledger.submissions()]
    assert keys == [0, 1, 1, 2]


ORDERS = [[3, 1, 0, 2], [1, 0, 3, 2], [2, 3, 1, 0], [0, 3, 2, 1]]


@pytest.mark.parametrize("order", ORDERS, ids=str)
def test_threads_in_another_order_find_the_batches_of_a_killed_start(emulator, tmp_path, order):
    """The last circuit was never sent; a circuit of the main thread comes before all others."""
    angles = [0.1, 0.2, 0.3, 0.4]
    first = {}
    dev = device(emulator, tmp_path / "l")
    send(dev, 0.9)
    for x in angles[:3]:
        first[x] = send(dev, x)
    dev, again = device(emulator, tmp_path / "l"), {}
    send(dev, 0.9)
    for k in order:
        (again[angles[k]],) = in_threads(partial(send, dev), [angles[k]])
    assert posts(emulator) == 5
    assert {x: again[x] for x in first} == first
    steps = [row.key.step for row in dev.client.ledger.submissions()]
    assert steps == [0, 1, 2, 3, 4]
    send(dev, 0.9)
    assert posts(emulator) == 6, "a circuit that this start has sent is not another one's sample"


def test_racing_threads_of_a_restarted_run_pay_nothing_again(emulator, tmp_path):
    angles = [0.1 * k for k in range(8)]
    for _ in range(4):
        dev = device(emulator, tmp_path / "l")
        in_threads(partial(send, dev), random.sample(angles, 8))
        assert posts(emulator) == 8


def test_a_changed_program_without_threads_is_refused(emulator, tmp_path):
    send(device(emulator, tmp_path / "l"), 0.1)
    dev = device(emulator, tmp_path / "l")
    for _ in range(2):
        with pytest.raises(LedgerError, match="another payload"):
            send(dev, 0.2)
    send(dev, 0.1)
    assert posts(emulator) == 1


def test_a_failed_batch_that_was_found_by_content_is_taken_again(emulator, tmp_path):
    dev = device(emulator, tmp_path / "l", retry_failed=False)
    for x in (0.1, 0.2):
        send(dev, x)
    dev = device(emulator, tmp_path / "l", retry_failed=False)
    send(dev, 0.2)
    emulator.faults.add(Fault("fail", code="InternalError", message="ion"))
    with pytest.raises(QStoreError, match="ion"):
        in_threads(partial(send, dev), [0.3])
    send(dev, 0.3)
    send(dev, 0.1)
    assert [row.key.step for row in dev.client.ledger.submissions()] == [0, 1, 2, 2]


def work(pickled, angles, results):
    dev = pickle.loads(pickled) if isinstance(pickled, bytes) else pickled
    try:
        results.put([send(dev, x) for x in angles])
    except LedgerError as error:
        results.put(str(error))


@pytest.mark.parametrize("sent", ["pickled", "forked"])
def test_copies_in_processes_take_batches_of_their_own_and_are_found_again(
    emulator, tmp_path, sent, monkeypatch
):
    monkeypatch.setenv("IONQ_API_KEY", "k")
    context = multiprocessing.get_context("fork")

    def start(orders):
        dev = device(emulator, tmp_path / "l")
        own = send(dev, 0.3)
        results = context.Queue()
        given = pickle.dumps(dev) if sent == "pickled" else dev
        workers = [context.Process(target=work, args=(given, o, results)) for o in orders]
        for worker in workers:
            worker.start()
        answers = [results.get(timeout=60) for _ in workers]
        for worker in workers:
            worker.join()
        return own, answers

    first = start([[0.3, 0.5], [0.3, 0.7]])
    assert posts(emulator) == 5
    again = start([[0.7, 0.3], [0.5, 0.3]])  # another worker has them now
    assert posts(emulator) == 5
    assert again[0] == first[0]

    def results_of(start):
        return sorted(str(counts) for answer in start[1] for counts in answer)

    assert results_of(first) == results_of(again)


def test_a_copy_whose_batch_failed_takes_it_again(emulator, tmp_path, monkeypatch):
    monkeypatch.setenv("IONQ_API_KEY", "k")
    dev = device(emulator, tmp_path / "l", retry_failed=False)
    other = copy.deepcopy(dev)
    emulator.faults.add(Fault("fail", code="InternalError", message="ion"))
    with pytest.raises(QStoreError):
        send(other)
    send(other)
    send(dev)
    keys = [row.key for row in dev.client.ledger.submissions()]
    assert keys == [JobKey("mine#copies", 0, 0)] * 2 + [JobKey("mine", 0, 0)]
