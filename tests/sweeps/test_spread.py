"""Runs in the processes of an engine: the same outcomes, also where a process is killed."""

from __future__ import annotations

import functools
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from pennylane.concurrency.executors import create_executor
from support.swept_runs import make_run, outcomes

import pennylane_qstore as qstore
from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.sweeps.sweep import Sweep

NOISY = functools.partial(make_run, device={"noise_model": "forte-1"})


def killing(folder, seed):
    """A run whose process is killed once, in its second step."""
    mark = Path(folder) / f"killed-{seed}"

    def kill(record):
        if seed == 2 and record.step == 2 and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)

    return make_run(seed, callbacks=[kill])


def failing(seed):
    def fail(record):
        raise RuntimeError("mine alone")

    return make_run(seed, callbacks=[fail] if seed == 2 else [])


def as_serial(found, make, steps):
    assert {trial.state for trial in found.trials} == {"complete"}
    alone = Sweep(make, trials=[trial.params for trial in found.trials]).train(steps)
    for trial, other in zip(found.trials, alone.trials, strict=True):
        assert outcomes(trial.run) == outcomes(other.run)
        assert trial.value == other.value


@pytest.mark.parametrize("engine", ["serial", "cf_threadpool"])
def test_pennylanes_executors_give_the_same_runs(engine, tmp_path):
    executor = create_executor(engine, max_workers=1)
    found = qstore.sweep(NOISY, seeds=2, steps=2, folder=tmp_path, executor=executor)
    as_serial(found, NOISY, 2)
    more = qstore.sweep(NOISY, seeds=3, steps=3, folder=tmp_path, executor=executor, resume=True)
    as_serial(more, NOISY, 3)


def test_a_run_that_fails_does_not_stop_the_others(tmp_path):
    executor = create_executor("serial", max_workers=1)
    found = qstore.sweep(failing, seeds=3, steps=1, folder=tmp_path, executor=executor)
    assert [trial.state for trial in found.trials] == ["complete", "failed", "complete"]
    assert "mine alone" in found.table()["error"][1]


@pytest.mark.parametrize("options", [{}, {"folder": "x", "budget_usd": 1}, {"folder": "x"}])
def test_what_cannot_be_spread_is_refused(options, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError, match=r"executor|folder="):
        qstore.sweep(make_run, seeds=1, steps=1, executor=3, **options)


@pytest.mark.soak
@pytest.mark.filterwarnings("ignore:.*unclosed running multiprocessing pool")  # PennyLane's
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_processes_of_pennylane_give_the_same_runs(tmp_path):
    with create_executor("mp_pool", max_workers=2) as executor:
        found = qstore.sweep(make_run, seeds=3, steps=2, folder=tmp_path, executor=executor)
    as_serial(found, make_run, 2)


@pytest.mark.soak
def test_two_ranks_of_mpi_give_the_same_runs(tmp_path):
    if importlib.util.find_spec("mpi4py") is None or shutil.which("mpirun") is None:
        pytest.skip("mpi4py and mpirun are not installed")
    script = Path(__file__).parents[1] / "support" / "mpi_sweep.py"
    command = ["mpirun", "-n", "2", sys.executable, "-m", "mpi4py.futures", str(script)]
    allowed = ("OMPI_ALLOW_RUN_AS_ROOT", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM")
    env = {**os.environ, **dict.fromkeys(allowed, "1"), "OMPI_MCA_rmaps_base_oversubscribe": "1"}
    subprocess.run([*command, str(tmp_path)], check=True, env=env, timeout=300)
    found = qstore.sweep(make_run, seeds=2, steps=2, folder=tmp_path, resume=True)
    as_serial(found, make_run, 2)
    (trained_by,) = {path.read_text() for path in tmp_path.glob("*.rank")}
    assert trained_by == "1"  # rank 0 hands out the runs


@pytest.mark.crash
def test_the_runs_of_a_killed_worker_are_finished_by_the_other(tmp_path):
    distributed = pytest.importorskip("dask.distributed")
    make = functools.partial(killing, str(tmp_path))
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None,
            local_directory=str(tmp_path / "dask"),
        ) as cluster,
        distributed.Client(cluster) as client,
    ):  # fmt: skip
        found = qstore.sweep(make, seeds=4, steps=4, folder=tmp_path / "runs", executor=client)
    assert (tmp_path / "killed-2").exists()
    as_serial(found, make, 4)
