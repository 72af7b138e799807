"""Machines that this release does not know, as the service describes them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pennylane_qstore.backends import MAX_QUBITS, QASM_FAMILIES, Backend
from pennylane_qstore.characterization import Characterization
from pennylane_qstore.errors import InvalidResponse
from pennylane_qstore.ionq.messages.responses import parse_number


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
