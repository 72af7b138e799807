"""Checks that the service makes only after it has accepted a job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pennylane_qstore.backends import BACKENDS, Backend
from pennylane_qstore.server.inputs.program import COPY, Program, commute
from pennylane_qstore.server.inputs.settings import model_of, native_gates
from pennylane_qstore.server.service import CircuitInfo, Failure, ServiceBehaviour

_MAX_CONTROLS = 7
"""Most controls on one QIS gate."""
_PAULIEXP_MAX_QUBITS = 10
"""Most qubits of one ``pauliexp`` whose terms do not commute."""


def preflight(
    backend: Backend,
    noise: Mapping[str, Any] | None,
    shots: int,
    circuits: Sequence[CircuitInfo],
    programs: Sequence[Program],
    behaviour: ServiceBehaviour,
) -> Failure | None:
    """Return why the service fails a job, None if it runs it.

    Args:
        backend: the job's backend.
        noise: ``noise`` of the job, as IonQ's JSON has it.
        shots: shots of each circuit.
        circuits: the job's circuits.
        programs: their gates.
        behaviour: what the service allows where that is not documented.

    Returns:
        IonQ's code and message.
    """
    qubits = max(circuit.qubits for circuit in circuits)
    limit = backend.qubits if backend.is_qpu else min(backend.qubits, model_of(noise).qubits)
    if qubits > limit:
        return Failure(
            "NotEnoughQubits", f"The circuit needs {qubits} qubits, this backend has {limit}."
        )
    recorded = max(circuit.recorded for circuit in circuits)
    if recorded and backend.is_qpu and not behaviour.qpu_mid_circuit:
        return Failure(
            "PreflightError",
            f"Mid-circuit measurement and reset are not supported on {backend.name}.",
        )
    if recorded and qubits + recorded > BACKENDS["simulator"].qubits:
        return Failure(
            "QuantumCircuitComplexityError",
            f"The circuit measures or resets {recorded} times on the way, beside {qubits} qubits: "
            "too much to be simulated.",
        )
    if failure := _check_gates(programs, native_gates(backend.name, noise)):
        return failure
    most = behaviour.qpu_max_shots
    if backend.is_qpu and shots > most:
        return Failure("TooManyShots", f"This backend takes at most {most} shots.")
    return None


def _check_gates(programs: Sequence[Program], native: Sequence[str]) -> Failure | None:
    gates = [(program.gateset, gate) for program in programs for gate in program.gates]
    names = {gate.name for gateset, gate in gates if gateset == "native" and gate.name != COPY}
    if wrong := sorted(names - set(native)):
        return Failure(
            "UnsupportedGate",
            f"Gate types [{', '.join(wrong)}] are not supported by this backend",
        )
    if any(len(gate.controls) > _MAX_CONTROLS for _, gate in gates):
        return Failure("TooManyControls", f"A gate takes at most {_MAX_CONTROLS} controls.")
    most = _PAULIEXP_MAX_QUBITS
    if any(len(gate.targets) > most and not commute(gate.terms) for _, gate in gates):
        return Failure(
            "QuantumCircuitComplexityError",
            f"A pauliexp of terms that do not commute takes at most {most} qubits.",
        )
    return None
