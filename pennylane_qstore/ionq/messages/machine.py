"""Machines as the service describes and measures them. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from pennylane_qstore.backends import MAX_QUBITS, QASM_FAMILIES, Backend
from pennylane_qstore.characterization import Characterization
from pennylane_qstore.errors import InvalidResponse
from pennylane_qstore.ionq.messages.responses import parse_member, parse_number, parse_object


def parse_machine(entry: Mapping[str, Any], measured: Characterization) -> Backend:
    """Return a machine's record from its entry in the service's list of backends.

    Where no pairs of qubits are told, each pair has a gate: so do the machines that tell none.

    Args:
        entry: of ``GET /backends``.
        measured: its newest characterization.

    Returns:
        The record, without noise model and published figures; of its qubits at most
        :data:`.MAX_QUBITS`.

    Raises:
        InvalidResponse: the entry has no number of qubits, or names no gates that this release
            can send.
    """
    name = str(entry.get("backend"))
    qubits = parse_number(entry.get("qubits"))
    if qubits is None or not 1 <= qubits < 1e6:
        raise InvalidResponse(f"The service does not tell how many qubits {name} has.")
    size = int(qubits)
    pairs = measured.connectivity
    present = {frozenset(pair) for pair in pairs or () if max(pair) < size}
    machine = Backend(
        name,
        min(size, MAX_QUBITS),
        _names(entry, "supported_native_gates"),
        noise="",
        error_mitigations=_names(entry, "supported_error_mitigations"),
        retired=entry.get("status") == "retired",
        all_to_all=not pairs or len(present) == size * (size - 1) // 2,
    )
    abstract = _names(entry, "supported_gates")
    if not (machine.qasm_only or machine.takes_native or "cnot" in abstract):
        raise InvalidResponse(
            f"{name} is described with the native gates {list(machine.native_gates)} and the "
            f"abstract gates {list(abstract)}. This release sends gpi, gpi2 and zz or ms between "
            "any two qubits, or else cnot and other abstract gates; OpenQASM 3 to machines of "
            f"the families {', '.join(QASM_FAMILIES)} only. A later one may know it."
        )
    return machine


def _names(entry: Mapping[str, Any], member: str) -> tuple[str, ...]:
    names = entry.get(member)
    return tuple(n for n in names if isinstance(n, str)) if isinstance(names, list) else ()


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
