"""A worker process answers the jobs on its standard input and ends with it."""

from __future__ import annotations

import io
import pickle
import signal
import subprocess
import sys

from support.emulator_circuits import random_program

from pennylane_qstore.emulator.simulation.noise import NoiseConfig
from pennylane_qstore.emulator.simulation.run import SimulationOptions, run

COMMAND = [sys.executable, "-m", "pennylane_qstore.emulator.simulation.worker"]


def test_jobs_in_results_or_errors_out() -> None:
    programs, options = [random_program(1)], SimulationOptions(NoiseConfig(0.01, 0.1), shots=30)
    bad = SimulationOptions(NoiseConfig(0.01, 0.1), shots=-1)
    jobs = [pickle.dumps((programs, o, 5)) for o in (options, bad, options)]
    done = subprocess.run(COMMAND, input=b"".join(jobs), capture_output=True, check=True)
    assert done.stderr == b""
    pipe = io.BytesIO(done.stdout)
    answers = [pickle.load(pipe) for _ in jobs]
    assert pipe.read() == b""
    expected = [one.probabilities() for one in run(programs, options, 5)]
    for answer in (answers[0], answers[2]):
        assert [one.probabilities() for one in answer] == expected
    assert isinstance(answers[1], RuntimeError)
    assert "ValueError" in str(answers[1])


def test_ctrl_c_is_left_to_the_parent() -> None:
    process = subprocess.Popen(COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    with process:
        job = pickle.dumps(([random_program(1)], SimulationOptions(), 5))
        process.stdin.write(job)
        process.stdin.flush()
        assert len(pickle.load(process.stdout)) == 2
        process.send_signal(signal.SIGINT)
        process.stdin.write(job)
        process.stdin.flush()
        assert len(pickle.load(process.stdout)) == 2
    assert process.returncode == 0
