"""Threads that let the interpreter exit, and processes that do not change a result."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

from pennylane_qstore.emulator.simulation import workers
from pennylane_qstore.emulator.simulation.noise import NoiseConfig
from pennylane_qstore.emulator.simulation.run import SimulationOptions
from pennylane_qstore.emulator.simulation.workers import (
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


def test_processes_give_what_one_thread_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    programs = read_circuits(CIRCUITS, gateset="native", qubits=3)
    noisy = SimulationOptions(NoiseConfig(0.01, 0.1, readout_error=0.01), shots=50)
    alone, divided = SimulationPool(processes=0), SimulationPool(processes=2)
    try:
        expected = [alone.run(programs, options, 7) for options in (noisy, SimulationOptions())]
        monkeypatch.setattr(workers, "LARGE_JOB", 0.0)
        found = [divided.run(programs, options, 7) for options in (noisy, SimulationOptions())]
    finally:
        alone.close()
        divided.close()
    for a, b in zip(expected, found, strict=True):
        assert len(a) == len(b) == len(CIRCUITS)
        for x, y in zip(a, b, strict=True):
            assert x.probabilities() == pytest.approx(y.probabilities(), abs=1e-12)
            assert x.shots == y.shots


def test_an_error_in_a_process_comes_back_and_a_dead_one_is_replaced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    programs = read_circuits(CIRCUITS, gateset="native", qubits=3)
    monkeypatch.setattr(workers, "LARGE_JOB", 0.0)
    pool = SimulationPool(processes=2)
    try:
        with pytest.raises(RuntimeError, match="ValueError"):
            pool.run(programs, SimulationOptions(NoiseConfig(0.1, 0.1), shots=-1), 1)
        victim = next(w._process for w in pool._workers if w._process is not None)
        victim.kill()
        victim.wait()
        assert len(pool.run(programs, SimulationOptions(), 1)) == len(CIRCUITS)
    finally:
        pool.close()


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
