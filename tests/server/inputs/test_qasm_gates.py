"""Circuits built gate by gate: qubits that are measured or reset go on as others."""

from __future__ import annotations

import pytest

from pennylane_qstore.server.errors import Preflight
from pennylane_qstore.server.inputs.qasm_gates import CircuitBuilder


def test_a_gate_is_written_with_its_own_and_its_extra_controls() -> None:
    builder = CircuitBuilder()
    qubits = builder.declare(4)
    builder.play("ccx", [], qubits, 1, inverse=False)
    builder.play("crx", [0.5], qubits[:2], 0, inverse=True)
    builder.play("s", [], qubits[:1], 0, inverse=True)
    assert builder.finish({})["circuit"] == [
        {"gate": "x", "targets": [3], "controls": [0, 1, 2]},
        {"gate": "rx", "targets": [1], "controls": [0], "rotation": -0.5},
        {"gate": "si", "targets": [0]},
    ]


def test_a_measured_qubit_goes_on_as_another() -> None:
    builder = CircuitBuilder()
    qubits = builder.declare(1)
    (place,) = builder.measure(qubits)
    builder.play("x", [], qubits, 0, inverse=False)
    circuit = builder.finish({"c": [place, None]})
    assert circuit["circuit"] == [
        {"gate": "copy", "targets": [0], "controls": [1]},
        {"gate": "x", "targets": [0]},
    ]
    assert (circuit["qubits"], circuit["recorded"], circuit["registers"]) == (
        2,
        1,
        {"c": [1, None]},
    )


def test_a_fresh_qubit_is_not_reset() -> None:
    builder = CircuitBuilder()
    qubits = builder.declare(2)
    builder.play("h", [], qubits[:1], 0, inverse=False)
    builder.reset(qubits)
    assert builder.finish({})["recorded"] == 1


@pytest.mark.parametrize(
    ("name", "numbers", "problem"),
    [
        ("rx", [], "gives 'rx' 0 parameter"),
        ("x", [1.0], "gives 'x' 1 parameter"),
        ("ms", [1.0], "it takes 2 or 3"),
        ("nonsense", [], "uses the gate 'nonsense'"),
    ],
)
def test_gates_take_their_numbers(name: str, numbers: list[float], problem: str) -> None:
    builder = CircuitBuilder()
    with pytest.raises(Preflight, match=problem):
        builder.play(name, numbers, builder.declare(2), 0, inverse=False)


def test_native_gates_take_no_modifier_and_no_company() -> None:
    builder = CircuitBuilder()
    qubits = builder.declare(2)
    with pytest.raises(Preflight, match="modifier"):
        builder.play("gpi", [0.1], qubits, 1, inverse=False)
    builder.play("gpi", [0.1], qubits[:1], 0, inverse=False)
    builder.play("h", [], qubits[:1], 0, inverse=False)
    with pytest.raises(Preflight, match="mixes"):
        builder.finish({})
