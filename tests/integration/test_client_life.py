"""Ctrl-C, fork, exit, pickling, a running loop: the client outlives them or leaves cleanly."""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import textwrap
import threading
import time

import pytest
from support.waiting import wait_until

from pennylane_qstore.emulator import Emulator, Fault, VirtualClock
from pennylane_qstore.ionq import base_client
from pennylane_qstore.ionq.client import IonQClient
from pennylane_qstore.ionq.http.event_loop import background_loop
from pennylane_qstore.ionq.http.retry import RetryPolicy
from pennylane_qstore.ionq.ledger.ledger import Ledger, State

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")


def interrupt_when(*conditions):
    """Ctrl-C for this process, once for every condition, as it becomes true."""

    def watch():
        for condition in conditions:
            wait_until(condition)
            os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=watch)
    thread.start()
    return thread


@pytest.mark.parametrize("kept", ["in a file", "in memory"])
def test_an_interrupt_during_a_post_lets_it_finish(kept, client_for, request_of, tmp_path):
    faults = [Fault("delay", route="submit", when="after", delay_s=0.3)]
    ledger = tmp_path / "a ledger" if kept == "in a file" else None
    with Emulator(profile=30.0, faults=faults) as emulator:
        client = client_for(emulator.url, ledger=ledger)
        watcher = interrupt_when(lambda: emulator.billed_jobs == 1)
        # What is said must be true: commands find files only, and without a key the same
        # program would pay again.
        says = f"[.] `qstore resume --ledger '{ledger}'`" if ledger else r"client's resume\(\)"
        with pytest.raises(KeyboardInterrupt, match=says) as left:
            client.run([request_of(2)])
        watcher.join()
        (row,) = client.ledger.submissions()
        assert row.state is State.SUBMITTED
        assert row.job_id == emulator.jobs[0].id
        assert row.job_id in str(left.value)
        assert emulator.billed_jobs == 1


def test_an_interrupt_during_a_wait_keeps_the_job(tmp_path, client_for, request_of):
    path = tmp_path / "ledger.sqlite3"
    clock = VirtualClock()  # the job does not end before the interrupt
    with Emulator(profile=60.0, clock=clock) as emulator:
        client = client_for(emulator.url, ledger=path)
        watcher = interrupt_when(
            lambda: [r.state for r in client.ledger.submissions()] == [State.SUBMITTED]
        )
        with pytest.raises(KeyboardInterrupt, match=r"same command again .*`qstore jobs cancel"):
            client.run([request_of(2)], keys=[("run", 0, 0)])
        watcher.join()
        clock.advance(60.0)
        (result,) = client_for(emulator.url, ledger=path).run([request_of(2)], keys=[("run", 0, 0)])
        assert result.adopted
        assert emulator.billed_jobs == 1


def test_an_interrupt_before_a_post_sends_nothing(client_for, request_of):
    # A first request is told to pause; the second must not be sent when the pause ends.
    faults = [Fault("status", route="submit", status=429, retry_after=60, times=None)]
    with Emulator(faults=faults) as emulator:
        client = client_for(emulator.url)
        watcher = interrupt_when(lambda: emulator.stats()["posts"] >= 1)
        with pytest.raises(KeyboardInterrupt):
            client.run([request_of(1)])
        watcher.join()
        assert [row.state for row in client.ledger.submissions()] == [State.REJECTED]
        assert emulator.billed_jobs == 0


def test_a_second_interrupt_leaves_at_once(client_for, request_of, caplog, tmp_path):
    faults = [Fault("delay", route="submit", when="before", delay_s=60.0)]
    with Emulator(faults=faults, clock=VirtualClock()) as emulator:  # there is no answer
        client = client_for(emulator.url, ledger=tmp_path / "ledger")
        watcher = interrupt_when(
            lambda: emulator.stats()["posts"] == 1, lambda: "interrupt again" in caplog.text
        )
        with pytest.raises(KeyboardInterrupt, match="may have been cut off"):
            client.run([request_of(2)])
        watcher.join()
        assert [row.state for row in client.ledger.submissions()] == [State.INTENT]


def test_an_interrupt_while_looking_for_a_lost_answer_leaves_it_ambiguous(client_for, request_of):
    faults = [Fault("close", route="submit")]
    with Emulator(faults=faults) as emulator:
        client = client_for(emulator.url, retry_policy=RetryPolicy(settle_s=30.0))
        watcher = interrupt_when(
            lambda: [r.state for r in client.ledger.submissions()] == [State.AMBIGUOUS]
        )
        with pytest.raises(KeyboardInterrupt):
            client.run([request_of(2)])
        watcher.join()
        (row,) = client.ledger.submissions()
        assert row.state is State.AMBIGUOUS
        assert row.owner is None  # whoever comes next may look for it at once


@needs_fork
def test_a_forked_child_has_connections_of_its_own(emulator, client, request_of):
    client.run([request_of(2)])
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()

    def child():
        result = client.run([request_of(3)])[0]
        queue.put((len(result.histograms), len(client.ledger.submissions())))

    process = context.Process(target=child)
    process.start()
    process.join(30)
    assert process.exitcode == 0
    assert queue.get() == (3, 1)
    assert len(client.run([request_of(4)])[0].histograms) == 4
    assert emulator.stats()["connections"] == 2  # the parent's own was left alone
    assert emulator.billed_jobs == 3


@needs_fork
def test_a_fork_that_ends_like_a_script_does_not_disturb_the_parent(emulator):
    # os.fork and a normal exit: the child's interpreter tears down its copies of everything.
    script = """
        import os, sys, time
        from pennylane_qstore.ionq.client import IonQClient
        from pennylane_qstore.ionq.messages.job_request import JobRequest
        client = IonQClient("key", base_url=sys.argv[1])
        request = JobRequest("simulator", "native", 1, (b"[]",), 0, 10)
        client.run([request])
        if os.fork() == 0:
            sys.exit(0)     # tears down
        os.wait()
        for _ in range(3):
            client.run([request])
        print(client.stats["connections_opened"], time.time())
    """
    done = run_script(script, emulator.url)
    connections, ended = done.stdout.split()
    assert connections == "1"
    # And the parent's end is quiet and soon, though nobody closed the client.
    assert done.stderr == ""
    assert time.time() - float(ended) < 10.0


@needs_fork
def test_a_fork_while_jobs_are_in_flight_is_quiet_in_the_child():
    script = """
        import gc, os, sys, threading, time
        from pennylane_qstore.ionq.client import IonQClient
        from pennylane_qstore.ionq.messages.job_request import JobRequest
        request = JobRequest("simulator", "native", 1, (b"[]",), 0, 10)
        client = IonQClient("key", base_url=sys.argv[1])
        thread = threading.Thread(target=lambda: client.run([request]))
        thread.start()
        while not [row for row in client.ledger.submissions() if row.job_id]:
            time.sleep(0.01)
        if os.fork() == 0:
            del client
            gc.collect()
            sys.exit(0)
        os.wait()
        thread.join()
        print([row.state.value for row in client.ledger.submissions()])
    """
    with Emulator(profile=0.5) as emulator:
        done = run_script(script, emulator.url)
    assert done.stdout.strip() == "['consumed']"
    assert done.stderr == ""


# Development mode also tells of every callback that took 0.1 s, which on a busy machine any
# may: how fast it goes is not what these scripts are asked.
PATIENT = "import asyncio; asyncio.BaseEventLoop.slow_callback_duration = property("
PATIENT += "lambda self: 60.0, lambda self, seconds: None)\n"


def run_script(script, *args, **options):
    return subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error::ResourceWarning",
         "-W", "ignore:This process:DeprecationWarning",  # a fork beside threads is on purpose
         "-c", PATIENT + textwrap.dedent(script), *args],
        capture_output=True, text=True, timeout=180, check=True, **options,
    )  # fmt: skip


def test_the_interpreter_exits_while_a_job_is_in_flight(tmp_path):
    script = """
        import sys, threading, time
        from pennylane_qstore.ionq.client import IonQClient
        from pennylane_qstore.ionq.messages.job_request import JobRequest
        client = IonQClient("key", base_url=sys.argv[1], ledger=sys.argv[2])
        request = JobRequest("simulator", "native", 1, (b"[]",), 0, 10)
        threading.Thread(target=lambda: client.run([request]), daemon=True).start()
        while not [r for r in client.ledger.submissions() if r.job_id]:
            time.sleep(0.01)
        print(time.time())
    """
    with Emulator(profile=30.0) as emulator:
        done = run_script(script, emulator.url, str(tmp_path / "ledger"))
        assert time.time() - float(done.stdout) < 10.0
    ledger = Ledger(tmp_path / "ledger")
    assert [row.state for row in ledger.submissions()] == [State.SUBMITTED]
    ledger.close()


def test_a_client_travels_without_its_key(emulator, client_for, request_of, monkeypatch, tmp_path):
    client = client_for(emulator.url, api_key="canary-key", ledger=tmp_path / "ledger")
    client.run([request_of(1)])
    data = pickle.dumps(client)
    assert b"canary" not in data
    monkeypatch.setenv("IONQ_API_KEY", "another")
    copy = pickle.loads(data)
    assert len(copy.run([request_of(2)])[0].histograms) == 2
    assert len(client.ledger.submissions()) == 2
    copy.close()


def test_a_client_works_in_a_spawned_worker(emulator, client, request_of, monkeypatch):
    monkeypatch.setenv("IONQ_API_KEY", "from-the-environment")
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        assert pool.apply(histograms_of, (client, request_of(3))) == 3


def histograms_of(client, request):
    return len(client.run([request])[0].histograms)


def test_clients_that_are_dropped_close_their_connections(emulator, request_of):
    gc.collect()  # clients that other tests dropped
    client = IonQClient("some-key", base_url=emulator.url)
    client.run([request_of(1)])
    before = len(base_client._services)
    del client
    gc.collect()
    assert len(base_client._services) == before - 1


def test_asynchronous_contexts_close_too(emulator, request_of):
    async def scenario():
        async with IonQClient("key", base_url=emulator.url) as client:
            return client.run([request_of(1)])

    assert len(asyncio.run(scenario())) == 1


def test_threads_and_loops_do_not_multiply(emulator, client_for, request_of):
    before = len(background_loop()._closers)  # of clients that other tests left open
    for number in range(20):
        client = client_for(emulator.url, api_key=f"key-{number}")
        client.run([request_of(1)])
        client.close()
    names = [thread.name for thread in threading.enumerate()]
    assert names.count("qstore-ionq") == 1
    wait_until(lambda: len(background_loop()._closers) <= before + 1)
