"""Backends and characterizations in IonQ's JSON shapes."""

from __future__ import annotations

import uuid
from typing import Any

from pennylane_qstore.backends import NOISE_MODELS, Backend
from pennylane_qstore.gateset import QIS
from pennylane_qstore.server.render import timestamp

_DAY_S = 86_400
_RECORDS = 12
_NAMESPACE = uuid.UUID("b1c5b3a0-6d8e-4e0f-9d6c-2f0a3c1d5e7f")


def backend_json(backend: Backend, now: float, queue_s: float) -> dict[str, Any]:
    """Return a backend as ``GET /backends/{backend}`` shows it.

    Args:
        backend: the backend.
        now: seconds since the epoch.
        queue_s: average time in the queue, in seconds.

    Returns:
        IonQ's JSON.
    """
    out: dict[str, Any] = {
        "backend": backend.name,
        "status": "retired" if backend.retired else "available",
        "degraded": False,
        "qubits": backend.qubits,
        "average_queue_time": round(queue_s * 1000),
        "last_updated": timestamp(now),
        "supported_gates": list(QIS),
        "supported_native_gates": list(backend.native_gates),
    }
    if backend.is_qpu:
        out |= {
            "characterization_id": _record_id(backend, int(now // _DAY_S)),
            "kw": 4902.81,
            "location": "College Park, MD, USA",
            "supported_error_mitigations": list(backend.error_mitigations),
        }
    else:
        out["noise_models"] = list(NOISE_MODELS)
    return out


def characterizations(backend: Backend, now: float) -> list[dict[str, Any]]:
    """Return a characterization for each of the last days, newest first.

    Args:
        backend: the backend.
        now: seconds since the epoch.

    Returns:
        IonQ's JSON of each; none for the simulator.
    """
    timing, fidelity = backend.timing, backend.fidelity
    if timing is None or fidelity is None:
        return []
    today = int(now // _DAY_S)
    pairs = [[a, b] for b in range(backend.qubits) for a in range(b)]
    return [
        {
            "id": _record_id(backend, day),
            "backend": backend.name,
            "date": timestamp(day * _DAY_S),
            "qubits": backend.qubits,
            "connectivity": pairs,
            "fidelity": {
                "1q": {"median": fidelity.one_qubit, "stderr": None},
                "2q": {"median": fidelity.two_qubit, "stderr": None},
                "spam": {"median": fidelity.spam, "stderr": None},
            },
            "timing": {
                "readout": timing.readout_s,
                "reset": timing.reset_s,
                "1q": timing.one_qubit_s,
                "2q": timing.two_qubit_s,
                "t1": timing.t1_s,
                "t2": timing.t2_s,
            },
        }
        for day in range(today, today - _RECORDS, -1)
    ]


def _record_id(backend: Backend, day: int) -> str:
    return str(uuid.uuid5(_NAMESPACE, f"{backend.name} {day}"))
