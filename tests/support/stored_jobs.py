"""Jobs as the emulator stores them, without a service around."""

from __future__ import annotations

from typing import Any

from pennylane_qstore.emulator.service.billing import Bill
from pennylane_qstore.emulator.service.jobs import StoredJob
from pennylane_qstore.emulator.service.records import Records
from pennylane_qstore.server.service import CircuitInfo


def make_records(**limits: int) -> Records:
    return Records(Bill({}, None), **limits)


def make_job(records: Records | None = None, **changes: Any) -> StoredJob:
    sequence = 0 if records is None else records.next_sequence
    fields: dict[str, Any] = {
        "id": f"job {sequence}",
        "sequence": sequence,
        "type": "ionq.circuit.v1",
        "backend": "simulator",
        "gateset": "qis",
        "shots": 100,
        "circuits": [CircuitInfo(None, 1, 1, 0, None)],
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
