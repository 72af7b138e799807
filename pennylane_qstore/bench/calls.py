"""Whole calls of the device on the emulator: HTTP, JSON and simulation, beside default.qubit.

The circuits are those of :mod:`.engine`. Memory is measured in a process of its own, whose first
call is not counted.
"""

from __future__ import annotations

import math
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import orjson
import pennylane as qml

from pennylane_qstore import compiled
from pennylane_qstore.bench.engine import broadcast, median_seconds, random_angles
from pennylane_qstore.bench.text import aligned
from pennylane_qstore.emulator.simulation.run import SimulationOptions, run
from pennylane_qstore.server.inputs.circuits import read_circuits

SIZES = ((4, 2, 200), (8, 3, 200), (10, 3, 200))
"""Qubits, layers and rows."""
_TURNS, _FEW_TURNS = 31, 5
_SHOTS = 500


class Figure(NamedTuple):
    """A measurement; ``reference`` is default.qubit's time of the same rows, exact, in seconds."""

    what: str
    value: float
    unit: str
    reference: float | None = None


def table(
    sizes: Sequence[tuple[int, int, int]] = SIZES,
    *,
    turns: int = _TURNS,
    structures: int = 5_000,
    memory_rows: int = 10_000,
) -> Iterator[Figure]:
    """Measure calls: exact ones, one with noise, many structures, and memory.

    Args:
        sizes: qubits, layers and rows of the exact calls.
        turns: of which the median counts; each device has one in turn.
        structures: circuits of different structures.
        memory_rows: rows of 4 qubits of the call whose memory is measured.

    Yields:
        The figures.

    Raises:
        ArithmeticError: the device gives other probabilities than default.qubit.
    """
    for work in ("engine", "text"):  # as in a process that has worked for a while
        compiled.pays(work, math.inf)
    for qubits, layers, rows in sizes:
        angles = random_angles(qubits, layers, rows)
        both = [
            partial(broadcast, angles, qml.device(name, wires=qubits))
            for name in ("qstore.ionq", "default.qubit")
        ]
        ours, theirs = (call() for call in both)
        if not np.allclose(ours, theirs, atol=1e-9):
            raise ArithmeticError(f"The device differs from default.qubit at {qubits} qubits.")
        taken, reference = median_seconds(both, turns)
        yield Figure(f"{rows} x {qubits}, {layers}: exact", taken, "s", reference)
    qubits, layers, rows = sizes[len(sizes) // 2]
    noisy = qml.device("qstore.ionq", wires=qubits, noise_model="forte-1", seed=1)
    call = partial(broadcast, random_angles(qubits, layers, rows), noisy, _SHOTS)
    (taken,) = median_seconds([call], min(turns, _FEW_TURNS))
    yield Figure(f"{rows} x {qubits}, {layers}: {_SHOTS} shots, forte-1", taken, "s")
    circuits = orjson.dumps(_circuits(structures))
    began = time.perf_counter()
    programs = read_circuits(orjson.loads(circuits), gateset="native", qubits=4)
    run(programs, SimulationOptions(), 0)
    taken = time.perf_counter() - began
    yield Figure(f"{structures:,} structures of 4 qubits, read and simulated", taken, "s")
    if sys.platform == "linux":
        yield Figure(f"{memory_rows:,} x 4, 2: memory", _memory_mb_of_a_process(memory_rows), "MB")


def text(figures: Sequence[Figure]) -> str:
    """Return the figures for people."""
    lines = [["rows x qubits, layers", "qstore.ionq", "default.qubit"]]
    for figure in figures:
        value = f"{figure.value:.0f} MB" if figure.unit == "MB" else f"{1e3 * figure.value:.1f} ms"
        beside = ""
        if figure.reference is not None:
            ratio = figure.value / figure.reference
            beside = f"{1e3 * figure.reference:.1f} ms (ours takes {ratio:.2f} times as long)"
        lines.append([figure.what, value, beside])
    return "\n".join(aligned(lines))


def memory_mb(rows: int) -> float:
    """Return the memory that a call of so many rows takes above that of a small one, in MB."""
    device = qml.device("qstore.ionq", wires=4)
    peaks = []
    for count in (100, rows):
        broadcast(random_angles(4, 2, count), device)
        peaks.append(peak_mb())
    return peaks[1] - peaks[0]


def peak_mb() -> float:
    """Return the most memory that this process has had, in MB; 0 on systems other than Linux."""
    if sys.platform != "linux":
        return 0.0
    status = Path("/proc/self/status").read_text()
    # not getrusage's, which a child process takes over from its parent
    return int(status.partition("VmHWM:")[2].split()[0]) / 1e3


def _memory_mb_of_a_process(rows: int) -> float:
    code = f"from {__name__} import memory_mb; print(memory_mb({rows}))"
    child = [sys.executable, "-c", code]
    return float(subprocess.run(child, check=True, capture_output=True).stdout)  # noqa: S603


def _circuits(structures: int, gates: int = 24) -> list[dict[str, Any]]:
    """Return random circuits of native gates on 4 qubits, in IonQ's JSON."""
    rng = np.random.default_rng(0)
    circuits = []
    for _ in range(structures):
        circuit: list[dict[str, Any]] = []
        for kind, turns in rng.uniform((0, -1), 1, (gates, 2)).tolist():
            a, b = rng.permutation(4)[:2].tolist()
            if kind < 0.6:
                circuit.append({"gate": "gpi2", "target": a, "phase": turns})
            else:
                circuit.append({"gate": "zz", "targets": [a, b], "angle": turns})
        circuits.append({"circuit": circuit})
    return circuits
