"""Submit now, fetch tomorrow: from another process, also after the first one was killed."""

import asyncio
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pennylane_qstore.emulator import Emulator

CHILD = Path(__file__).with_name("submit_child.py")


@pytest.mark.parametrize(("circuits", "jobs"), [(5000, 1), (1, 2)])
def test_a_killed_process_leaves_a_handle_that_gives_its_results(
    tmp_path, monkeypatch, circuits, jobs
):
    ledger, file = tmp_path / "jobs.sqlite", tmp_path / "handle.pickle"
    with Emulator(profile={"execution_s": 0.05}, seed=4) as emulator:
        told = [emulator.url, str(ledger), str(file), str(circuits)]
        ended = subprocess.run([sys.executable, str(CHILD), *told], check=False, timeout=120)
        assert ended.returncode == -9
        monkeypatch.setenv("IONQ_API_KEY", "k")
        handle = pickle.loads(file.read_bytes())
        assert len(handle.job_ids) == jobs
        ((values, counts, probs),) = asyncio.run(waited_for(handle))
        assert np.allclose(values, [1, -1], atol=0.1)  # a machine has noise
        assert [max(row, key=row.get) for row in counts] == [0, 2]
        assert np.allclose(probs, [[1, 0, 0, 0], [0, 0, 0, 1]], atol=0.1)
        ((again, *_),) = pickle.loads(file.read_bytes()).results()
        assert np.array_equal(values, again)
        assert handle.state() == "completed"
        assert emulator.stats()["posts"] == jobs


async def waited_for(handle):
    return await handle
