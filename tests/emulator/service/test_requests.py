"""Requests that are kept, and compiled."""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from support.emulator_circuits import qis_circuits, read, reference
from support.emulator_wire import BELL, multi, single

from pennylane_qstore.emulator.service.requests import compile_circuit
from pennylane_qstore.emulator.simulation.statevector import probabilities
from pennylane_qstore.server.errors import BadRequest
from pennylane_qstore.server.inputs.submission import read_submission
from pennylane_qstore.server.service import ServiceBehaviour

X = [{"gate": "x", "target": 0}]


def test_circuits_are_compiled_one_by_one() -> None:
    submission = read_submission(orjson.dumps(multi([BELL, X])), ServiceBehaviour())
    bell, flip = (compile_circuit(submission, k) for k in (0, 1))
    assert [gate["gate"] for gate in bell["circuit"]].count("zz") == 1
    assert {gate["gate"] for gate in bell["circuit"]} <= {"gpi", "gpi2", "zz"}
    assert {gate["gate"] for gate in flip["circuit"]} <= {"gpi", "gpi2"}
    with pytest.raises(BadRequest) as caught:
        compile_circuit(submission, 2)
    assert caught.value.status == 404


def test_native_circuits_are_compiled_already() -> None:
    gates = [{"gate": "gpi2", "target": 0, "phase": 0.1}]
    submission = read_submission(orjson.dumps(single(gates, "native")), ServiceBehaviour())
    assert compile_circuit(submission, 0) == {"qubits": 1, "circuit": gates}


def compiled(gates: list[dict[str, Any]], qubits: int, family: str = "zz") -> Any:
    body = single(gates, settings={"compilation": {"gate_basis": family}})
    body["input"]["qubits"] = qubits
    found = compile_circuit(read_submission(orjson.dumps(body), ServiceBehaviour()), 0)
    assert found["qubits"] == qubits
    return found["circuit"]


@settings(deadline=None, max_examples=15)
@given(qis_circuits())
def test_compiled_circuits_agree_in_both_families(gates: list[dict[str, Any]]) -> None:
    for family in ("zz", "ms"):
        native = compiled(gates, 4, family)
        assert {g["gate"] for g in native} <= {"gpi", "gpi2", family}
        found = probabilities(read(native, "native", 4))[0] if native else np.eye(16)[0]
        np.testing.assert_allclose(found, reference(gates, 4), atol=1e-7)


@pytest.mark.parametrize(("family", "member"), [("zz", "angle"), ("ms", "phases")])
def test_a_cnot_takes_one_entangler(family: str, member: str) -> None:
    native = compiled([{"gate": "cnot", "control": 1, "target": 0}], 2, family)
    (entangler,) = [g for g in native if g["gate"] == family]
    assert (sorted(entangler["targets"]), entangler["angle"]) == ([0, 1], 0.25)
    assert member in entangler


def test_gates_that_undo_each_other_leave_nothing() -> None:
    assert compiled([{"gate": "h", "target": 0}] * 2, 1) == compiled([], 1)


def test_phases_are_turns_from_minus_a_half_to_a_half() -> None:
    phases = [g["phase"] for g in compiled([{"gate": "rx", "target": 0, "rotation": 6.0}], 1)]
    assert all(-0.5 <= phase < 0.5 for phase in phases)
    assert 1 <= len(phases) <= 3


def test_powers_of_paulis_are_compiled_whatever_their_terms() -> None:
    exponential = {
        "gate": "pauliexp",
        "targets": [0, 1, 2],
        "time": 1.1,
        "coefficients": [0.3, 0.2],
    }
    for terms in (["XXI", "IYY"], ["XXI", "IYZ"]):
        gates = [{"gate": "h", "target": 0}, exponential | {"terms": terms}]
        found = probabilities(read(compiled(gates, 3), "native", 3))[0]
        np.testing.assert_allclose(found, probabilities(read(gates, "qis", 3))[0], atol=1e-7)
