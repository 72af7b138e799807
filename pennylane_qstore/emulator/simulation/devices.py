"""Programs on PennyLane's devices: large states, and simulators that a user chose."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pennylane as qml
from numpy.typing import NDArray

from pennylane_qstore.emulator.simulation.engines import LIGHTNING
from pennylane_qstore.emulator.simulation.fusion import OPERATIONS, FusedGate, fuse, slot_starts
from pennylane_qstore.server.inputs.program import Program


def operations(fused: Sequence[FusedGate], row: int) -> list[Any]:
    """Return the fused gates of one row as PennyLane operations.

    Args:
        fused: the gates; their wires are qubits.
        row: which row.

    Returns:
        One operation per gate.
    """
    ops: list[Any] = []
    for gate in fused:
        data = [d[..., row if d.shape[-1] > 1 else 0] for d in gate.data]
        match gate.kind:
            case "swap":
                op = qml.SWAP(gate.targets)
            case "pauli":
                angle = np.arctan2(-data[1].imag, data[0].real)
                op = qml.PauliRot(2 * angle, gate.letters, wires=gate.targets)
            case "diagonal":
                op = qml.DiagonalQubitUnitary(data[0].ravel(), wires=gate.targets)
            case "cross":
                matrix = np.diag(data[0].ravel()) + np.diag(data[1].ravel())[:, ::-1]
                op = qml.QubitUnitary(matrix, wires=gate.targets)
            case _:
                op = qml.QubitUnitary(data[0], wires=gate.targets)
        ops.append(qml.ctrl(op, gate.controls) if gate.controls else op)
    return ops


def run_tape(device: Any, ops: list[Any], n: int) -> NDArray[np.float64]:
    """Run operations on a PennyLane device.

    Args:
        device: of ``n`` wires.
        ops: operations whose wires are qubits.
        n: number of qubits.

    Returns:
        Probabilities [2**n]; bit k of the index is qubit k.
    """
    wires = {qubit: n - 1 - qubit for qubit in range(n)}  # PennyLane's first wire is the top bit
    tape = qml.tape.QuantumScript([op.map_wires(wires) for op in ops], [qml.probs(wires=range(n))])
    config = device.setup_execution_config(circuit=tape)
    batch, restore = device.preprocess_transforms(config)([tape])
    (result,) = restore(device.execute(batch, config))
    return np.asarray(result, dtype=np.float64)


def on_device(program: Program, simulator: str) -> NDArray[np.float64]:
    """Run a program on a PennyLane device, row by row.

    Args:
        program: circuits on ``n`` qubits.
        simulator: name of the device; lightning.qubit gets the gates fused, others as they are.

    Returns:
        Probabilities [rows, 2**n]; bit k of the index is qubit k.
    """
    n, fused = program.qubits, fuse(program) if simulator == LIGHTNING else None
    device = qml.device(simulator, wires=n)
    out = np.empty((program.rows, 2**n))
    for row in range(program.rows):
        ops = gates_of(program, row) if fused is None else operations(fused, row)
        out[row] = run_tape(device, list(ops), n)
    return out


def gates_of(program: Program, row: int) -> Iterator[Any]:
    """Yield the gates of one row as PennyLane operations, unfused.

    Args:
        program: the program.
        row: which of its circuits.

    Yields:
        An operation whose wires are qubits.
    """
    alone = program.part(slice(row, row + 1))
    for gate, start in zip(program.gates, slot_starts(program), strict=True):
        numbers = alone.params[:, start : start + gate.slots]
        if gate.terms:
            yield from operations(fuse(replace(alone, gates=(gate,), params=numbers)), 0)
            continue
        operation = OPERATIONS[program.gateset][gate.name]
        op = operation(*numbers[0].tolist(), wires=gate.targets)
        yield qml.ctrl(op, gate.controls) if gate.controls else op
