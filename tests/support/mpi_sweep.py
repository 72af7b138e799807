"""A sweep over MPI: ``mpirun -n 2 python -m mpi4py.futures mpi_sweep.py FOLDER``.

Each run leaves the number of the rank that has trained it.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[1]))
from support.swept_runs import make_run

import pennylane_qstore as qstore


def make(folder: str, seed: int) -> Any:
    """Make a run of this rank."""
    from mpi4py import MPI  # the manager imports this file as well

    (Path(folder) / f"{seed}.rank").write_text(str(MPI.COMM_WORLD.Get_rank()))
    return make_run(seed)


if __name__ == "__main__":
    from pennylane.concurrency.executors import create_executor

    executor = create_executor("mpi4py_pool", max_workers=1)
    folder = sys.argv[1]
    found = qstore.sweep(partial(make, folder), seeds=2, steps=2, folder=folder, executor=executor)
    assert {trial.state for trial in found.trials} == {"complete"}, found.table()
