"""Threads that let the interpreter exit, and processes that do not change a result."""

from __future__ import annotations

import pickle
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from typing import Any

import pytest
from support.emulator_circuits import random_program

from pennylane_qstore.emulator.simulation import workers
from pennylane_qstore.emulator.simulation.noise import NoiseConfig
from pennylane_qstore.emulator.simulation.run import SimulationOptions, run
from pennylane_qstore.emulator.simulation.workers import (
    COMMAND,
    DaemonExecutor,
    SimulationPool,
    amplitudes_touched,
    in_job_order,
)
from pennylane_qstore.server.inputs.circuits import read_circuits

CIRCUITS = [
    {
        "circuit": [
            {"gate": "gpi2", "target": k % 3, "phase": 0.01 * k},
            {"gate": "zz", "targets": [0, 1], "angle": 0.2},
        ]
    }
    for k in range(9)
]


@pytest.fixture(scope="module")
def divided() -> Iterator[SimulationPool]:
    """A pool with two processes, each of which takes a second to import NumPy and PennyLane."""
    pool = SimulationPool(processes=2)
    yield pool
    pool.close()


@pytest.fixture
def _every_job_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "LARGE_JOB", 0.0)


@pytest.mark.usefixtures("_every_job_is_large")
def test_processes_give_what_one_thread_gives(divided: SimulationPool) -> None:
    programs = read_circuits(CIRCUITS, gateset="native", qubits=3)
    noisy = SimulationOptions(NoiseConfig(0.01, 0.1, readout_error=0.01), shots=50)
    alone = SimulationPool(processes=0)
    for options in (noisy, SimulationOptions()):
        expected, found = (pool.run(programs, options, 7) for pool in (alone, divided))
        assert len(expected) == len(found) == len(CIRCUITS)
        for x, y in zip(expected, found, strict=True):
            assert x.probabilities() == pytest.approx(y.probabilities(), abs=1e-12)
            assert x.shots == y.shots
    alone.close()


@pytest.mark.usefixtures("_every_job_is_large")
def test_an_error_in_a_process_comes_back_and_a_dead_one_is_replaced(
    divided: SimulationPool,
) -> None:
    programs = read_circuits(CIRCUITS, gateset="native", qubits=3)
    with pytest.raises(RuntimeError, match="ValueError"):
        divided.run(programs, SimulationOptions(NoiseConfig(0.1, 0.1), shots=-1), 1)
    victim = next(w._process for w in divided._workers if w._process is not None)
    victim.kill()
    victim.wait()
    assert len(divided.run(programs, SimulationOptions(), 1)) == len(CIRCUITS)


def test_results_are_put_in_the_order_of_the_job() -> None:
    programs = read_circuits(CIRCUITS, gateset="native", qubits=3)
    assert len(programs) == 3
    pool = SimulationPool(processes=0)
    found = pool.run(programs, SimulationOptions(), 0)
    pool.close()
    for circuit, one in zip(CIRCUITS, found, strict=True):
        (program,) = read_circuits([circuit], gateset="native", qubits=3)
        (alone,) = in_job_order([program], [one])
        assert set(alone.states.tolist()) == {0, 1 << circuit["circuit"][0]["target"]}


def test_work_grows_with_qubits_rows_and_noise() -> None:
    small = read_circuits(CIRCUITS[:3], gateset="native")
    large = read_circuits(CIRCUITS, gateset="native")
    ideal, noisy = SimulationOptions(), SimulationOptions(NoiseConfig(0.1, 0.1))
    assert amplitudes_touched(small, ideal) < amplitudes_touched(large, ideal)
    assert amplitudes_touched(large, ideal) < amplitudes_touched(large, noisy)


def test_daemon_threads_run_raise_and_cancel() -> None:
    pool = DaemonExecutor(2, "test")
    assert pool.submit(pow, 2, 5).result() == 32
    with pytest.raises(ZeroDivisionError):
        pool.submit(lambda: 1 / 0).result()
    pool.shutdown()
    assert not any(thread.is_alive() for thread in pool._threads)


def test_a_long_simulation_does_not_keep_the_interpreter() -> None:
    script = """
        import http.client, json, time
        from pennylane_qstore.emulator import Emulator
        emulator = Emulator().start()
        gates = [{"gate": "h", "target": q} for q in range(25)] * 40
        body = {"type": "ionq.circuit.v1", "backend": "simulator",
                "input": {"gateset": "qis", "circuit": gates}}
        connection = http.client.HTTPConnection(emulator.address.removeprefix("http://"))
        connection.request("POST", "/v0.4/jobs", json.dumps(body), {"Authorization": "apiKey x"})
        assert connection.getresponse().status == 201
        print("accepted", flush=True)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, timeout=120
    )
    assert (done.returncode, done.stdout) == (0, b"accepted\n"), done.stderr
    assert b"Traceback" not in done.stderr


def test_a_worker_answers_each_job_and_leaves_ctrl_c_to_the_parent() -> None:
    programs, options = [random_program(1)], SimulationOptions(NoiseConfig(0.01, 0.1), shots=30)
    bad = SimulationOptions(NoiseConfig(0.01, 0.1), shots=-1)
    pipe = subprocess.PIPE
    with subprocess.Popen(COMMAND, stdin=pipe, stdout=pipe, stderr=pipe) as process:
        assert process.stdin is not None
        assert process.stdout is not None

        def ask(some: SimulationOptions) -> Any:
            pickle.dump((programs, some, 5), process.stdin)
            process.stdin.flush()
            return pickle.load(process.stdout)

        answers = [ask(options), ask(bad)]
        process.send_signal(signal.SIGINT)
        answers.append(ask(options))
        assert process.communicate() == (b"", b"")
    assert process.returncode == 0
    expected = [one.probabilities() for one in run(programs, options, 5)]
    for answer in (answers[0], answers[2]):
        assert [one.probabilities() for one in answer] == expected
    assert isinstance(answers[1], RuntimeError)
    assert "ValueError" in str(answers[1])
