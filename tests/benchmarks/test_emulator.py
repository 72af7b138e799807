"""The emulator, JSON and HTTP included, beside PennyLane's simulators alone, paired in one run.

pytest -m benchmark tests/benchmarks/test_emulator.py -s
"""

from __future__ import annotations

import http.client
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import orjson
import pennylane as qml
import pytest
from support.native_bodies import native_gates

from pennylane_qstore import compiled
from pennylane_qstore.emulator import Emulator
from pennylane_qstore.native.gates import NATIVE_GATES

pytestmark = pytest.mark.benchmark
ROUNDS = 7


def skeleton(qubits: int, gates: int, rng: np.random.Generator) -> list[tuple[str, list[int]]]:
    names = rng.choice(["gpi", "gpi2", "ms", "zz"], gates, p=[0.15, 0.6, 0.125, 0.125])
    return [
        (str(n), rng.permutation(qubits)[: 2 if n in ("ms", "zz") else 1].tolist()) for n in names
    ]


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


def paired(ours: Callable[[], Any], theirs: Callable[[], Any]) -> tuple[float, float, float]:
    """Median seconds of both, and the median of their ratio, taken turn by turn."""
    times = []
    for _ in range(ROUNDS + 1):
        marks = [time.perf_counter()]
        for call in (ours, theirs):
            call()
            marks.append(time.perf_counter())
        times.append((marks[1] - marks[0], marks[2] - marks[1]))
    one, other = zip(*times[1:], strict=True)  # the first turn warms up
    ratio = statistics.median(a / b for a, b in times[1:])
    return statistics.median(one), statistics.median(other), ratio


@pytest.mark.parametrize(
    ("qubits", "gates", "rows", "simulator", "most"),
    [(4, 50, 200, "default.qubit", 3.0), (20, 60, 1, "lightning.qubit", 2.0)],
    ids=["200 small circuits", "one circuit of 20 qubits"],
)
def test_beside_the_simulator_alone(
    qubits: int, gates: int, rows: int, simulator: str, most: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiled, "_IMPORT_S", 0.0)  # as in a process that has worked for a while
    rng = np.random.default_rng(1)
    form = skeleton(qubits, gates, rng)
    circuits = [native_gates(form, rng) for _ in range(rows)]
    source = {
        "gateset": "native", "qubits": qubits, "circuits": [{"circuit": c} for c in circuits]
    }  # fmt: skip
    body = orjson.dumps({"type": "ionq.multi-circuit.v1", "backend": "simulator", "input": source})
    tape, device = tape_of(circuits, qubits), qml.device(simulator, wires=qubits)
    with Emulator(seed=1) as emulator:
        connection = http.client.HTTPConnection(emulator.address.removeprefix("http://"))

        def ask(method: str, path: str, data: bytes | None = None) -> Any:
            connection.request(method, path, data, {"Authorization": "apiKey any"})
            return orjson.loads(connection.getresponse().read())

        def through_the_emulator() -> Any:
            path = f"/v0.4/jobs/{ask('POST', '/v0.4/jobs', body)['id']}"
            while (job := ask("GET", path))["status"] != "completed":
                pass
            # a million outcomes of 20 qubits are 30 MB of JSON, which no simulator makes
            return ask("GET", job["results"]["probabilities"]["url"]) if qubits < 10 else None

        found = through_the_emulator()
        if found is not None:  # both sides do the same work
            (expected,) = qml.execute([tape], device)
            first = next(iter(found.values()))
            p = [first.get(str(k), 0.0) for k in range(2**qubits)]
            np.testing.assert_allclose(p, np.asarray(expected)[0], atol=1e-9)
        ours, alone, ratio = paired(through_the_emulator, lambda: qml.execute([tape], device))
        connection.close()
    print(
        f"\nemulator {1e3 * ours:.1f} ms, {simulator} {1e3 * alone:.1f} ms: {ratio:.2f} times "
        f"(at most {most:g})"
    )
    assert ratio < most
