"""Side by side in one run: the emulator, JSON and HTTP included, and PennyLane's simulators."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import orjson
import pennylane as qml
import pytest

from pennylane_qstore.native.gates import NATIVE_GATES

from .conftest import Wire, multi
from .test_simulate import native_gates

pytestmark = pytest.mark.benchmark


def skeleton(qubits: int, gates: int, rng: np.random.Generator) -> list[tuple[str, list[int]]]:
    names = rng.choice(["gpi", "gpi2", "ms", "zz"], gates, p=[0.15, 0.6, 0.125, 0.125])
    return [
        (str(n), rng.permutation(qubits)[: 2 if n in ("ms", "zz") else 1].tolist()) for n in names
    ]


def best(call: Callable[[], Any], times: int = 7) -> float:
    """Seconds of the fastest of several calls."""
    took = []
    for _ in range(times):
        began = time.perf_counter()
        call()
        took.append(time.perf_counter() - began)
    return min(took)


def tape_of(rows: list[list[dict[str, Any]]], qubits: int) -> qml.tape.QuantumScript:
    """The same as one broadcast tape."""
    ops = []
    for column in zip(*rows, strict=True):
        gate = column[0]
        if gate["gate"] == "ms":
            numbers = [[g["phases"][0] for g in column], [g["phases"][1] for g in column]]
            numbers.append([g["angle"] for g in column])
        else:
            numbers = [[g.get("phase", g.get("angle")) for g in column]]
        values = [np.array(n) if len(rows) > 1 else n[0] for n in numbers]
        ops.append(NATIVE_GATES[gate["gate"]](*values, wires=gate["targets"]))
    return qml.tape.QuantumScript(ops, [qml.probs(wires=range(qubits)[::-1])])


@pytest.mark.parametrize(
    ("qubits", "gates", "rows", "simulator", "factor"),
    [(4, 50, 200, "default.qubit", 3.0), (20, 60, 1, "lightning.qubit", 2.0)],
    ids=["200 small circuits", "one circuit of 20 qubits"],
)
def test_no_slower_than_the_simulator_alone(
    wire: Wire, qubits: int, gates: int, rows: int, simulator: str, factor: float
) -> None:
    rng = np.random.default_rng(1)
    form = skeleton(qubits, gates, rng)
    circuits = [native_gates(form, rng) for _ in range(rows)]
    body = orjson.dumps(multi(circuits, "native") | {"input": {
        "gateset": "native", "qubits": qubits, "circuits": [{"circuit": c} for c in circuits]
    }})  # fmt: skip
    tape, device = tape_of(circuits, qubits), qml.device(simulator, wires=qubits)

    def through_the_emulator() -> None:
        job_id = wire("POST", "/jobs", body).json["id"]
        job = wire.done(job_id)
        if qubits < 10:
            orjson.loads(wire("GET", job["results"]["probabilities"]["url"]).body)

    alone = best(lambda: qml.execute([tape], device))
    ours = best(through_the_emulator)
    print(f"emulator {1e3 * ours:.1f} ms, {simulator} {1e3 * alone:.1f} ms")
    assert ours < factor * alone
