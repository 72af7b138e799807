"""Circuits of a submission: found where the type of the job has them, described, limited."""

from __future__ import annotations

from typing import Any

import pytest

from pennylane_qstore.backends import MAX_CIRCUITS
from pennylane_qstore.server.errors import BadRequest
from pennylane_qstore.server.inputs.contents import MULTI, QASM, SINGLE, read_contents, read_input
from pennylane_qstore.server.service import CircuitInfo, ServiceBehaviour

X = {"circuit": [{"gate": "x", "target": 0}], "gateset": "qis"}


def read(kind: str, source: dict[str, Any]) -> list[CircuitInfo]:
    return read_contents(kind, source, ServiceBehaviour()).circuits


def test_circuits_keep_their_order_names_and_registers() -> None:
    swap = {"gate": "swap", "targets": [0, 1]}
    circuits = [
        {"name": "a", "circuit": [swap], "registers": {"r": [1, None]}},
        {"name": "b", "circuit": X["circuit"]},
        {"name": "c", "circuit": [swap]},
    ]
    assert read(MULTI, {"gateset": "qis", "circuits": circuits}) == [
        CircuitInfo("a", 2, 0, 3, {"r": [1, None]}),
        CircuitInfo("b", 1, 1, 0, None),
        CircuitInfo("c", 2, 0, 3, None),
    ]


@pytest.mark.parametrize(
    ("kind", "source", "key"),
    [
        (SINGLE, X | {"circuits": []}, "input.circuits"),
        (SINGLE, {"gateset": "qis"}, "input.circuit"),
        (MULTI, X, "input.circuits"),
        (MULTI, {"circuits": []}, "input.circuits"),
        (MULTI, {"circuits": [X] * (MAX_CIRCUITS + 1)}, "input.circuits"),
        (SINGLE, X | {"name": 3}, "input.circuits"),
        (SINGLE, X | {"registers": {"r": [1]}}, "input.circuits"),
        (SINGLE, X | {"registers": {"r": [True]}}, "input.circuits"),
    ],
)
def test_circuits_that_are_not_there_are_named(kind: str, source: dict[str, Any], key: str) -> None:
    with pytest.raises(BadRequest) as caught:
        read(kind, source)
    assert (caught.value.status, caught.value.keys) == (400, (key,))


def test_a_program_that_cannot_be_read_is_a_failure_not_a_refusal() -> None:
    pytest.importorskip("openqasm3")
    contents = read_contents(QASM, {"data": "nonsense"}, ServiceBehaviour())
    assert contents.failure is not None
    assert contents.failure.code == "PreflightError"
    assert (contents.programs, contents.circuits[0].qubits) == ([], 0)


def test_qubits_that_record_are_counted_apart() -> None:
    pytest.importorskip("openqasm3")
    text = "qubit q; bit[2] c; h q; c[0] = measure q; h q; c[1] = measure q;"
    (circuit,) = read(QASM, {"data": text})
    assert (circuit.qubits, circuit.recorded) == (1, 1)
    assert read_input(QASM, {"data": text}).circuits[0]["registers"] == {"c": [1, 0]}
