"""Characterizations of machines, as the service tells them. Pure."""

from __future__ import annotations

import math
from typing import Any

from pennylane_qstore.backends import MAX_QUBITS
from pennylane_qstore.characterization import Characterization
from pennylane_qstore.errors import InvalidResponse
from pennylane_qstore.ionq.messages.responses import parse_member, parse_number, parse_object

_FIDELITIES = {"one_qubit": "1q", "two_qubit": "2q", "spam": "spam"}
_TIMES = {
    "one_qubit_s": "1q", "two_qubit_s": "2q", "reset_s": "reset", "readout_s": "readout",
    "t1_s": "t1", "t2_s": "t2",
}  # fmt: skip


def parse_characterizations(data: bytes, backend: str) -> Characterization:
    """Return the newest characterization of a list.

    Records are known to lack figures, or to hold damaged ones: those are unknown.

    Args:
        data: body of ``GET /backends/{backend}/characterizations``.
        backend: that was asked for.

    Returns:
        The characterization; without any figure where the service has none.

    Raises:
        InvalidResponse: the body is no such list.
    """
    records = parse_object(data, "The list of characterizations").get("characterizations") or []
    if not isinstance(records, list) or not all(isinstance(r, dict) for r in records):
        raise InvalidResponse("The characterizations are not an array of objects.")
    if not records:
        return Characterization(backend)
    record = max(records, key=lambda r: str(r.get("date") or ""))
    fidelity, timing = (parse_member(record, name) for name in ("fidelity", "timing"))
    medians = {
        name: _positive(parse_member(fidelity, key).get("median"), most=1.0)
        for name, key in _FIDELITIES.items()
    }
    times = {name: _positive(timing.get(key)) for name, key in _TIMES.items()}
    date, qubits = record.get("date"), _positive(record.get("qubits"), most=10.0 * MAX_QUBITS)
    return Characterization(
        backend,
        date if isinstance(date, str) else None,
        None if qubits is None else int(qubits),
        _pairs(record.get("connectivity")),
        **medians,
        **times,
    )


def _positive(value: object, most: float = math.inf) -> float | None:
    """Return a number above 0; None for anything else."""
    number = parse_number(value)
    return number if number is not None and 0 < number <= most else None


def _pairs(value: Any) -> tuple[tuple[int, int], ...] | None:
    if not isinstance(value, list):
        return None
    are_pairs = all(
        isinstance(p, list) and list(map(type, p)) == [int, int] and 0 <= min(p) < max(p)
        for p in value
    )
    return tuple((a, b) for a, b in value) if are_pairs else None
