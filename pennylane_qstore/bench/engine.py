"""The emulator's engines beside PennyLane's simulators: probabilities of many rows of one circuit.

Layers of RY and RZ on every wire and a ring of CNOTs. Nothing of the service is measured: programs
in, probabilities out. Every figure is the median of some turns, which all simulators take in turn.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from statistics import median
from typing import Any, NamedTuple

import numpy as np
import pennylane as qml
from numpy.typing import NDArray

from pennylane_qstore.bench.text import aligned
from pennylane_qstore.emulator.simulation.engines import LIGHTNING, NUMPY, ROWS
from pennylane_qstore.emulator.simulation.rows import load
from pennylane_qstore.emulator.simulation.statevector import probabilities
from pennylane_qstore.server.inputs.program import Gate, Program

SIZES = ((4, 2, 200), (8, 3, 200), (10, 3, 200), (12, 3, 200), (14, 2, 20))
"""Qubits, layers and rows."""
_TURNS = 5


class Cell(NamedTuple):
    """Seconds that one simulator takes for one size, and default.qubit's time over it."""

    qubits: int
    layers: int
    rows: int
    simulator: str
    seconds: float
    times_faster: float


def table(sizes: Sequence[tuple[int, int, int]] = SIZES, turns: int = _TURNS) -> Iterator[Cell]:
    """Measure, size by size.

    Args:
        sizes: qubits, layers and rows of each.
        turns: of which the median counts.

    Yields:
        A cell for each size and simulator; ours are checked against default.qubit first.

    Raises:
        ArithmeticError: an engine gives other probabilities than default.qubit.
    """
    for qubits, layers, rows in sizes:
        angles = random_angles(qubits, layers, rows)
        program = _program(angles)
        ours = [ROWS, NUMPY, LIGHTNING] if load() else [NUMPY, LIGHTNING]
        calls: dict[str, Callable[[], NDArray[np.float64]]] = {
            "default.qubit": lambda a=angles: broadcast(a, qml.device("default.qubit")),  # type: ignore[misc]
        }
        for name in ours:
            calls[name] = lambda n=name, p=program: probabilities(p, simulator=n)  # type: ignore[misc]
        expected = calls["default.qubit"]()
        for name in ours:
            if not np.allclose(calls[name](), expected, atol=1e-10):
                raise ArithmeticError(f"{name} differs from default.qubit at {qubits} qubits.")
        seconds = dict(zip(calls, median_seconds([*calls.values()], turns), strict=True))
        for name, taken in seconds.items():
            yield Cell(qubits, layers, rows, name, taken, seconds["default.qubit"] / taken)


def text(cells: Sequence[Cell]) -> str:
    """Return the table for people: milliseconds, and how many times faster than default.qubit."""
    names = list(dict.fromkeys(cell.simulator for cell in cells))
    lines = [["rows x qubits, layers", *names]]
    for size in dict.fromkeys(cell[:3] for cell in cells):
        of_size = {cell.simulator: cell for cell in cells if cell[:3] == size}
        line = [f"{size[2]} x {size[0]}, {size[1]}"]
        for name in names:
            cell = of_size[name]
            line.append(f"{1e3 * cell.seconds:.2f} ms ({cell.times_faster:.1f}x)")
        lines.append(line)
    return "\n".join(aligned(lines))


def _program(angles: NDArray[np.float64]) -> Program:
    layers, qubits, _, rows = angles.shape
    gates: list[Gate] = []
    for _ in range(layers):
        for qubit in range(qubits):
            gates += [Gate("ry", (qubit,), (), 1), Gate("rz", (qubit,), (), 1)]
        gates += [Gate("x", ((q + 1) % qubits,), (q,), 0) for q in range(qubits)]
    return Program("qis", qubits, tuple(gates), angles.reshape(-1, rows).T.copy(), np.arange(rows))


def random_angles(qubits: int, layers: int, rows: int) -> NDArray[np.float64]:
    """Return angles of RY and RZ, the same ones every time.

    Args:
        qubits: number of qubits.
        layers: number of layers.
        rows: number of rows.

    Returns:
        Radians, shape [layers, qubits, 2, rows].
    """
    return np.random.default_rng(0).uniform(-3, 3, (layers, qubits, 2, rows))


def median_seconds(calls: Sequence[Callable[[], Any]], turns: int) -> list[float]:
    """Return the median seconds of each call.

    Args:
        calls: called one after the other in every turn.
        turns: how many.

    Returns:
        Seconds, one number for each call.
    """
    seconds: list[list[float]] = [[] for _ in calls]
    for _ in range(turns):
        for call, own in zip(calls, seconds, strict=True):
            began = time.perf_counter()
            call()
            own.append(time.perf_counter() - began)
    return [median(own) for own in seconds]


def broadcast(
    angles: NDArray[np.float64], device: Any, shots: int | None = None
) -> NDArray[np.float64]:
    """Return a device's probabilities of one broadcast tape.

    Args:
        angles: of RY and RZ in radians, shape [layers, qubits, 2, rows].
        device: of PennyLane.
        shots: of each row; ``None``: exact.

    Returns:
        Shape [rows, 2**qubits].
    """
    qubits = angles.shape[1]
    ops: list[Any] = []
    for layer in angles:
        for wire, (ry, rz) in enumerate(layer):
            ops += [qml.RY(ry, wire), qml.RZ(rz, wire)]
        ops += [qml.CNOT([q, (q + 1) % qubits]) for q in range(qubits)]
    tape = qml.tape.QuantumScript(ops, [qml.probs(wires=range(qubits)[::-1])], shots=shots)
    (found,) = qml.execute([tape], device, diff_method=None)
    return np.asarray(found)
