"""Fused gates: which gates join, in which form, and that they do the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support.emulator_circuits import random_program, read

from pennylane_qstore.emulator.simulation.fusion import fuse, slot_starts
from pennylane_qstore.native.gates import GPI2
from pennylane_qstore.server.inputs.circuits import read_circuits
from pennylane_qstore.server.inputs.program import COPY, Gate, Program


def kinds(gates: list[dict[str, Any]], qubits: int = 3) -> list[tuple[str, tuple[int, ...], int]]:
    return [(f.kind, f.targets, f.gates) for f in fuse(read(gates, "qis", qubits))]


def test_a_run_of_one_qubit_gates_becomes_one() -> None:
    run = [{"gate": "h", "target": 0}, {"gate": "t", "target": 0}, {"gate": "v", "target": 0}]
    assert kinds(run) == [("1q", (0,), 3)]


def test_gates_on_other_qubits_leave_a_run_open() -> None:
    gates = [{"gate": "h", "target": q} for q in (0, 1, 0)]
    assert kinds(gates) == [("1q", (0,), 2), ("1q", (1,), 1)]


def test_a_two_qubit_gate_ends_the_runs_of_its_qubits_only() -> None:
    gates = [
        *({"gate": "h", "target": q} for q in range(3)),
        {"gate": "cnot", "control": 0, "target": 1},
        *({"gate": "h", "target": q} for q in range(3)),
    ]
    assert kinds(gates) == [
        ("1q", (0,), 1), ("1q", (1,), 1), ("1q", (2,), 2), ("1q", (1,), 1),
        ("1q", (0,), 1), ("1q", (1,), 1),
    ]  # fmt: skip


def test_diagonal_runs_stay_diagonal() -> None:
    gates = [{"gate": "s", "target": 0}, {"gate": "rz", "target": 0, "rotation": 0.3}]
    (fused,) = fuse(read(gates, "qis", 1))
    assert (fused.kind, fused.gates) == ("diagonal", 2)
    np.testing.assert_allclose(
        fused.data[0][:, 0], np.array([1, 1j]) * np.exp([-0.15j, 0.15j]), atol=1e-12
    )


@pytest.mark.parametrize(
    ("gate", "kind"),
    [
        ({"gate": "xx", "targets": [0, 1], "rotation": 0.3}, "cross"),
        ({"gate": "yy", "targets": [0, 1], "rotation": 0.3}, "cross"),
        ({"gate": "zz", "targets": [0, 1], "rotation": 0.3}, "diagonal"),
        ({"gate": "swap", "targets": [0, 1]}, "swap"),
        ({"gate": "x", "target": 0, "controls": [1, 2]}, "1q"),
    ],
)
def test_two_qubit_gates_keep_their_form(gate: dict[str, Any], kind: str) -> None:
    (fused,) = fuse(read([gate], "qis", 3))
    assert (fused.kind, fused.gates) == (kind, 1)
    assert fused.qubits == (*fused.targets, *gate.get("controls", ()))


def test_terms_that_commute_are_turned_one_by_one_and_others_together() -> None:
    gate = {"gate": "pauliexp", "targets": [0, 1], "coefficients": [0.1, 0.2], "time": 1.0}
    others = fuse(read([gate | {"terms": ["XX", "ZI"]}], "qis", 2))
    assert [f.kind for f in others] == ["dense"]
    commuting = fuse(read([gate | {"terms": ["XX", "ZZ"]}], "qis", 2))
    assert [(f.kind, f.letters) for f in commuting] == [("pauli", "XX"), ("pauli", "ZZ")]
    identity = fuse(read([gate | {"terms": ["II", "IZ"]}], "qis", 2))
    # the last letter acts on the first target, and a global phase is left out
    assert [(f.letters, f.targets) for f in identity] == [("Z", (0,))]
    controlled = fuse(read([gate | {"terms": ["II", "IZ"], "controls": [2]}], "qis", 3))
    assert [f.kind for f in controlled] == ["diagonal", "pauli"]


def test_a_copy_is_no_gate_of_the_machine() -> None:
    program = Program("qis", 2, (Gate(COPY, (1,), (0,), 0),), np.zeros((1, 0)), np.arange(1))
    (fused,) = fuse(program)
    assert (fused.targets, fused.controls, fused.gates) == ((1,), (0,), 0)


def test_rows_are_on_the_last_axis_and_multiplied_apart() -> None:
    gates = [{"circuit": [{"gate": "gpi2", "target": 0, "phase": p}] * 2} for p in (0.1, 0.4)]

    (program,) = read_circuits(gates, gateset="native", qubits=1)
    (fused,) = fuse(program)
    assert fused.data[0].shape == (2, 2, 2)
    for row, phase in enumerate((0.1, 0.4)):
        matrix = GPI2.compute_matrix(phase)
        np.testing.assert_allclose(fused.data[0][..., row], matrix @ matrix, atol=1e-12)


def test_slots_start_where_the_gates_before_end() -> None:
    program = random_program(3)
    starts = slot_starts(program)
    assert starts[0] == 0
    for gate, start, after in zip(program.gates, starts, [*starts[1:], None], strict=True):
        end = program.params.shape[1] if after is None else after
        assert end - start == gate.slots
    assert slot_starts(Program("qis", 1, (), np.zeros((1, 0)), np.arange(1))) == []


def test_a_gate_without_a_matrix_is_refused() -> None:
    program = Program("qis", 1, (Gate("odd", (0,), (), 0),), np.zeros((1, 0)), np.arange(1))
    with pytest.raises(ValueError, match="odd"):
        fuse(program)
