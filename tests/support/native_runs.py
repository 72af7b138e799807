"""Native circuits on default.qubit, without the code under test."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pennylane as qml

from pennylane_qstore.gateset import NATIVE
from pennylane_qstore.native.gates import NATIVE_GATES


def outcome_probabilities(gates: Sequence[Any], params: np.ndarray, qubits: int) -> np.ndarray:
    """The probabilities [2**qubits] of a circuit; qubit 0 is the first bit, not the lowest."""
    ops, slot = [], 0
    for name, wires in gates:
        count = NATIVE[name].slots
        ops.append(NATIVE_GATES[name](*params[slot : slot + count].tolist(), wires=list(wires)))
        slot += count
    tape = qml.tape.QuantumScript(ops, [qml.probs(wires=range(qubits))])
    (result,) = qml.execute([tape], qml.device("default.qubit"))
    return np.asarray(result)
