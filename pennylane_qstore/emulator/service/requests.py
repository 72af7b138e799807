"""Requests that are kept, and compiled."""

from __future__ import annotations

from typing import Any

import numpy as np
import pennylane as qml

from pennylane_qstore.emulator.service.jobs import StoredJob
from pennylane_qstore.emulator.simulation.devices import gates_of
from pennylane_qstore.native.compiler import IonQNativeGateCompiler
from pennylane_qstore.server.errors import not_found
from pennylane_qstore.server.inputs.copies import circuit_source
from pennylane_qstore.server.inputs.submission import Submission


def compile_circuit(submission: Submission, k: int) -> dict[str, Any]:
    """Return a circuit as the service would compile it (``ionq.native.v1``).

    Args:
        submission: the submission.
        k: position of the circuit.

    Returns:
        IonQ's JSON.

    Raises:
        BadRequest: 404, the submission has no such circuit.
    """
    for program in submission.programs:
        for row in np.flatnonzero(program.index == k).tolist():
            if program.gateset == "native":
                return {"qubits": program.qubits, "circuit": circuit_source(submission.request, k)}
            compiler = IonQNativeGateCompiler(
                submission.entangler, optimize_depth=False, optimize_fidelity=False
            )
            measured = qml.probs(wires=range(program.qubits))
            tape = qml.tape.QuantumScript(list(gates_of(program, row)), [measured])
            compiled = compiler.compile_circuit(tape)
            return {"qubits": compiled["qubits"], "circuit": compiled["circuit"]}
    raise not_found()


def request_of(job: StoredJob) -> bytes:
    """Return the body of a job's request.

    Raises:
        BadRequest: 404, it is not kept any more.
    """
    if job.request is None:
        raise not_found()
    return job.request
