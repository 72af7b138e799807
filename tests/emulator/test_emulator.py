"""The emulator as an object: options, life, latency, many clients."""

from __future__ import annotations

import gc
import math
import socket
import subprocess
import sys
import threading
import time
import warnings
import weakref
from collections.abc import Callable
from pathlib import Path

import pytest
from support.emulator_wire import BELL, Wire
from support.threads import in_threads
from support.waiting import wait_until

from pennylane_qstore.emulator import Emulator, VirtualClock, embedded
from pennylane_qstore.errors import ConfigurationError, QStoreError


def test_other_machines_need_a_token() -> None:
    for host in ("0.0.0.0", "192.168.1.1", "example.org"):
        with pytest.raises(ConfigurationError, match="token"):
            Emulator(host=host)
    with pytest.raises(ConfigurationError, match="profile"):
        Emulator(profile="fast")
    with pytest.raises(ConfigurationError, match="noise model"):
        Emulator(noise_model="loud")
    with pytest.raises(ConfigurationError, match=r"Did you mean 'qpu\.forte-1'"):
        Emulator(prices={"qpu.forte1": "qpu.forte-1"})
    with pytest.raises(ConfigurationError, match=r"Did you mean 'qpu\.forte-1'"):
        Emulator(prices={"qpu.forte-1": "qpu.forte1"})


def test_results_are_404_until_completed(serve: Callable[..., Wire]) -> None:
    clock = VirtualClock()
    wire = serve(clock=clock, profile=60.0)
    job_id = wire.submit_many([BELL, BELL])
    for path in ("results/probabilities/aggregated", "artifacts/probabilities-aggregate"):
        assert wire("GET", f"/jobs/{job_id}/{path}").status == 404
    clock.advance(60)
    wire.job(job_id)
    assert wire("GET", f"/jobs/{job_id}/results/probabilities/aggregated").status == 200


def test_jobs_wait_for_each_other_where_concurrency_is_limited(serve: Callable[..., Wire]) -> None:
    clock = VirtualClock()
    wire = serve(clock=clock, profile=10.0, concurrency=2)
    ids = [wire.submit() for _ in range(4)]
    waits = [wire.job(i)["predicted_wait_time_ms"] for i in ids]
    assert waits == [0, 0, 10_000, 10_000]
    clock.advance(10)
    assert [wire.job(i)["status"] for i in ids] == ["completed"] * 2 + ["started"] * 2


def test_q_store_profile_takes_the_published_times(serve: Callable[..., Wire]) -> None:
    clock = VirtualClock(auto=True)
    wire = serve(clock=clock, profile="q-store")
    start = clock.now()
    job_id = wire.submit_many([BELL] * 20)
    assert clock.now() - start == pytest.approx(0.5)
    clock.advance(3.349 - 0.01)
    assert wire.job(job_id)["status"] == "started"
    clock.advance(0.011)
    assert wire.job(job_id)["status"] == "completed"


def test_a_day_of_virtual_time(serve: Callable[..., Wire]) -> None:
    clock = VirtualClock(auto=True)
    wire = serve(clock=clock, profile="qpu")
    ids = []
    for _ in range(24):
        ids.append(wire.submit(backend="qpu.forte-1"))
        clock.advance(3600)
    assert wire.job(ids[0])["status"] == "completed"
    clock.advance(24 * 3600)
    jobs = [wire.job(i) for i in ids]
    assert [job["status"] for job in jobs] == ["completed"] * 24
    starts = [job["started_at"] for job in jobs]
    assert starts == sorted(starts)


def test_a_request_takes_the_clocks_time(serve: Callable[..., Wire]) -> None:
    clock = VirtualClock()
    wire = serve(clock=clock, profile={"request_s": 5.0})
    sent = threading.Thread(target=wire.submit)
    sent.start()
    while not wire.emulator.requests:
        time.sleep(0)
    sent.join(0.05)
    assert sent.is_alive()
    while sent.is_alive():
        clock.advance(5.0)
        sent.join(0.01)
    assert len(wire.emulator.jobs) == 1


def test_dry_runs_are_priced_and_compiled_but_not_run(wire: Wire) -> None:
    job = wire.done(wire.submit(backend="qpu.forte-1", dry_run=True))
    assert (job["status"], job["results"]) == ("completed", None)
    entry = job["output"]["compilation"]["compiled_circuits"]["ionq.native.v1"]
    compiled = wire("GET", f"/jobs/{job['id']}/artifacts/{entry['id']}").json
    assert compiled["qubits"] == 2
    assert wire("GET", f"/jobs/{job['id']}/results/probabilities").status == 404
    stats = wire.emulator.stats()
    assert (stats["jobs"], stats["billed_jobs"], stats["billed_usd"]) == (1, 0, 0)


def test_simulator_can_be_chosen(serve: Callable[..., Wire]) -> None:
    wire = serve(simulator="default.qubit")
    assert wire.probabilities(wire.submit()) == pytest.approx({"0": 0.5, "3": 0.5})
    with pytest.raises(ConfigurationError, match="not a PennyLane device"):
        Emulator(simulator="lightning.nonsense")


@pytest.mark.parametrize("simulator", ["numpy", "lightning.qubit", "default.qubit"])
def test_stats_say_which_engine_ran(serve: Callable[..., Wire], simulator: str) -> None:
    wire = serve(simulator=simulator)
    wire.probabilities(wire.submit())
    wire.probabilities(wire.submit())
    assert wire.emulator.stats()["engines"] == {simulator: 2}
    noisy = wire.submit(noise={"model": "forte-1"}, shots=10)
    assert sum(wire.probabilities(noisy).values()) == pytest.approx(1)
    assert sum(wire.emulator.stats()["engines"].values()) == 3


def test_sixty_four_clients_at_once(wire: Wire) -> None:
    def work(k: int) -> float:
        own = Wire(wire.emulator)
        job_id = own.submit([{"gate": "ry", "target": 0, "rotation": 0.04 * k}])
        found = own.probabilities(job_id)
        own.connection.close()
        return found["0"]

    expected = [math.cos(0.02 * k) ** 2 for k in range(64)]
    assert in_threads(work, range(64)) == pytest.approx(expected)


def test_embedded_is_one_per_settings_and_survives_a_close() -> None:
    one = embedded(seed=123)
    assert embedded(seed=123) is one
    other = embedded(seed=124)
    assert other is not one
    one.close()
    again = embedded(seed=123)
    assert again is not one
    fresh = Wire(again)
    assert fresh("GET", "/health").status == 200
    fresh.connection.close()
    again.close()
    other.close()


def test_a_stopped_emulator_can_start_again_on_its_port(wire: Wire) -> None:
    job_id = wire.done(wire.submit())["id"]
    gates = [{"gate": "h", "target": q} for q in range(22)] * 30
    unfinished = wire.submit(gates)
    address = wire.emulator.address
    wire.connection.close()
    wire.emulator.close()
    with pytest.raises(ConnectionRefusedError):
        wire("GET", "/health")
    wire.connection.close()
    wire.emulator.start()
    assert wire.emulator.address == address
    assert wire.job(job_id)["status"] == "completed"
    assert wire.done(unfinished)["status"] == "completed"


def test_a_port_in_use_is_a_clear_error(wire: Wire) -> None:
    port = int(wire.emulator.address.rsplit(":", 1)[1])
    with pytest.raises(QStoreError, match="cannot listen"):
        Emulator(port=port).start()
    with pytest.raises(QStoreError, match="not running"):
        _ = Emulator().url


def test_running_out_of_file_descriptors_is_told_as_that(tmp_path: Path) -> None:
    """In a process of its own, whose limit is lowered."""
    program = """
import os, resource
from pennylane_qstore.emulator import Emulator
from pennylane_qstore.errors import QStoreError
from pennylane_qstore.ionq.client import IonQClient
from pennylane_qstore.ionq.http.retry import RetryPolicy
from pennylane_qstore.ionq.ledger.ledger import Ledger

def attempt(action):
    try:
        action()
    except QStoreError as error:
        print(type(error).__name__, error)
    else:
        print("no error")

emulator = Emulator().start()
client = IonQClient("key", base_url=emulator.url, retry_policy=RetryPolicy(attempts=1))
resource.setrlimit(resource.RLIMIT_NOFILE, (128, 128))
taken = []
try:
    while True:
        taken.append(os.dup(0))
except OSError:
    pass
attempt(client.whoami)
attempt(lambda: Ledger("ledger.sqlite3"))
attempt(lambda: Emulator().start())
for fd in taken[:-2]:
    os.close(fd)
del taken[:-2]
client.whoami()
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=tmp_path,
    )
    lines = done.stdout.splitlines()
    assert len(lines) == 3, done.stderr
    assert lines[0].startswith("QStoreError The client cannot start: Too many open files")
    assert lines[1].startswith("LedgerError")
    assert lines[2].startswith("QStoreError The emulator cannot listen")
    assert all("Too many open files" in line for line in lines)


def test_a_connection_at_the_moment_of_closing_is_closed_too(
    recwarn: pytest.WarningsRecorder,
) -> None:
    warnings.simplefilter("always", ResourceWarning)
    close_while_clients_connect()
    gc.collect()
    assert [str(warning.message) for warning in recwarn] == []


def close_while_clients_connect() -> None:
    """Let the emulator's loop find connections and its end at once: until then it stands still."""
    emulator = Emulator().start()
    host, port = emulator.url.removeprefix("http://").split("/")[0].split(":")
    assert emulator._loop is not None
    emulator._loop.call_soon_threadsafe(wait_until, lambda: emulator._loop is None)
    clients = [socket.create_connection((host, int(port))) for _ in range(5)]
    emulator.close()
    for client in clients:
        client.close()


def test_an_emulator_that_is_closed_is_freed_with_its_jobs() -> None:
    with Emulator() as emulator:
        wire = Wire(emulator)
        assert wire("GET", "/v0.4/backends").status == 200
        wire.connection.close()
        service = weakref.ref(emulator.service)
    del emulator, wire
    gc.collect()
    assert service() is None
