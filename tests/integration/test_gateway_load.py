"""Many workers at one gateway at once: no job is lost, none is paid twice."""

from __future__ import annotations

import json
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from support.emulator_wire import Wire
from support.gateways import KEY, paid

from pennylane_qstore.emulator import Emulator
from pennylane_qstore.gateway.gateway import Gateway
from pennylane_qstore.gateway.store import Limits

pytestmark = pytest.mark.soak
OPEN = ("submitted", "ready", "started")


def work(gateway: Gateway, token: str, worker: int, jobs: int) -> list[dict[str, Any]]:
    """Send jobs, each with a number of its own; return them when all have ended."""
    wire, ids = Wire(gateway, f"apiKey {token}"), []
    for k in range(jobs):
        body = paid([{"gate": "x", "target": 0}], metadata={"number": f"{worker}.{k}"})
        while (answer := wire("POST", "/jobs", body)).status == 429:
            time.sleep(0.2)  # sooner than it asks for
        assert answer.status == 201, answer.body
        ids.append(answer.json["id"])
    ended = []
    for job_id in ids:
        while (job := wire.job(job_id))["status"] in OPEN:
            time.sleep(0.05)
        ended.append(job)
    wire.connection.close()
    return ended


def load(folder: Path, workers: int, jobs: int) -> float:
    """Put a gateway under load and check all books; return the seconds that it took."""
    with (
        Emulator(seed=1) as emulator,
        Gateway(
            KEY, base_url=emulator.url, ledger=folder / "g.sqlite3", limits=Limits(1e9, 1e9, 1e9)
        ) as gateway,
    ):
        tokens = [gateway.tokens.create(f"user-{k % 8}") for k in range(workers)]
        gateway.tokens._read_at = float("-inf")
        begin = time.perf_counter()
        with ThreadPoolExecutor(workers) as pool:
            each = [jobs // workers] * workers
            ends = pool.map(work, [gateway] * workers, tokens, range(workers), each)
            ended = [job for part in ends for job in part]
        seconds = time.perf_counter() - begin
        assert Counter(job["status"] for job in ended) == {"completed": workers * each[0]}
        assert len({job["metadata"]["number"] for job in ended}) == len(ended)
        assert sum(len(job.circuits) for job in emulator.jobs) == len(ended)
        billed = sum(Decimal(repr(job.billed_usd)) for job in gateway.jobs)
        assert float(billed) == pytest.approx(emulator.stats()["billed_usd"], abs=1e-6)
        assert all(job.is_billed for job in gateway.jobs)
        print(json.dumps({"jobs": len(ended), "sent": len(emulator.jobs), "seconds": seconds}))
    return seconds


def test_no_job_is_lost_or_paid_twice(tmp_path: Path) -> None:
    load(tmp_path, workers=16, jobs=1000)
