"""The compiled-circuit artifact is right in both families of native gates."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from support.emulator_circuits import qis_circuits, read, reference

from pennylane_qstore.emulator.simulation.native_circuit import native_circuit
from pennylane_qstore.emulator.simulation.statevector import probabilities


@settings(deadline=None, max_examples=15)
@given(qis_circuits())
def test_compiled_circuits_agree_in_both_families(gates: list[dict[str, Any]]) -> None:
    program = read(gates, "qis", 4)
    for family in ("zz", "ms"):
        compiled = native_circuit(program, 0, family)
        assert {g["gate"] for g in compiled} <= {"gpi", "gpi2", family}
        found = probabilities(read(compiled, "native", 4))[0] if compiled else np.eye(16)[0]
        np.testing.assert_allclose(found, reference(gates, 4), atol=1e-7)


@pytest.mark.parametrize(("family", "member"), [("zz", "angle"), ("ms", "phases")])
def test_a_cnot_takes_one_entangler(family: str, member: str) -> None:
    program = read([{"gate": "cnot", "control": 1, "target": 0}], "qis", 2)
    (entangler,) = [g for g in native_circuit(program, 0, family) if g["gate"] == family]
    assert (entangler["targets"], entangler["angle"]) == ([1, 0], 0.25)
    assert member in entangler


def test_gates_that_undo_each_other_leave_nothing() -> None:
    assert native_circuit(read([{"gate": "h", "target": 0}] * 2, "qis", 1), 0, "zz") == []


def test_phases_are_turns_from_minus_a_half_to_a_half() -> None:
    program = read([{"gate": "rx", "target": 0, "rotation": 6.0}], "qis", 1)
    phases = [gate["phase"] for gate in native_circuit(program, 0, "zz")]
    assert all(-0.5 <= phase < 0.5 for phase in phases)
    assert len(phases) == 3
