"""Jobs as the emulator stores them, without a service around."""

from __future__ import annotations

from typing import Any

from pennylane_qstore.emulator.service.job_store import JobStore
from pennylane_qstore.emulator.service.jobs import StoredJob
from pennylane_qstore.server.service import CircuitInfo


def make_job(store: JobStore, **changes: Any) -> StoredJob:
    fields: dict[str, Any] = {
        "id": f"job {store.next_sequence}",
        "sequence": store.next_sequence,
        "type": "ionq.circuit.v1",
        "backend": "simulator",
        "gateset": "qis",
        "name": None,
        "metadata": None,
        "shots": 100,
        "noise": None,
        "settings": {},
        "session_id": None,
        "dry_run": False,
        "circuits": [CircuitInfo(None, 1, 1, 0, None)],
        "child_ids": [],
        "seed": 0,
        "submitted_at": 0.0,
        "ready_at": 1.0,
        "start_at": 2.0,
        "end_at": 3.0,
        "cost_usd": 0.0,
        "billed_usd": 0.0,
        "cost_model": "QCT",
        "request": b"{}",
    }
    return StoredJob(**fields | changes)
