"""Programs that the kernel runs by their angles equal default.qubit."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.emulator_circuits import (
    QIS_NAMES,
    native_skeletons,
    qis_circuits,
    random_program,
    read,
    reference,
)
from support.native_bodies import native_gates

from pennylane_qstore.emulator.simulation import rows
from pennylane_qstore.emulator.simulation.row_plan import row_plan
from pennylane_qstore.emulator.simulation.rows import load, run_program
from pennylane_qstore.server.inputs.circuits import read_circuits
from pennylane_qstore.server.inputs.program import Program

pytestmark = pytest.mark.skipif(load() is None, reason="needs Numba")
_WITHOUT = ("swap", "pauliexp")
_TIME = {"coefficients": [0.3], "time": 1.0}


def _has_plan(program: Program) -> bool:
    kernel = load()
    assert isinstance(kernel, ModuleType)
    return row_plan(program.gateset, program.gates, kernel) is not None


@settings(deadline=None, max_examples=60)
@given(qis_circuits(names=[name for name in QIS_NAMES if name not in _WITHOUT]))
def test_qis_circuits_agree_with_default_qubit(gates: list[dict[str, Any]]) -> None:
    program = read(gates, "qis", 4)
    assert _has_plan(program)
    np.testing.assert_allclose(run_program(program)[0], reference(gates, 4), atol=1e-10)


@settings(deadline=None, max_examples=30)
@given(native_skeletons(names=("gpi", "gpi2", "zz")), st.integers(0, 2**32), st.integers(1, 40))
def test_rows_of_native_circuits_agree_with_default_qubit(
    skeleton: Any, seed: int, count: int
) -> None:
    rng = np.random.default_rng(seed)
    circuits = [native_gates(skeleton, rng) for _ in range(count)]
    (program,) = read_circuits([{"circuit": c} for c in circuits], gateset="native", qubits=4)
    assert _has_plan(program)
    found = run_program(program)
    for k in {0, count // 2, count - 1}:
        np.testing.assert_allclose(found[k], reference(circuits[k], 4), atol=1e-10)


@pytest.mark.parametrize(
    ("gateset", "gate"),
    [
        ("qis", {"gate": "swap", "targets": [0, 2]}),
        (
            "qis",
            {"gate": "pauliexp", "targets": [0, 1], "terms": ["XY"]} | _TIME,
        ),
        ("native", {"gate": "ms", "targets": [2, 1], "phases": [0.1, 0.7], "angle": 0.2}),
    ],
)
def test_a_gate_without_a_form_leaves_the_program_to_matrices(
    gateset: str, gate: dict[str, Any]
) -> None:
    first = {"gate": "h", "targets": [0]}
    if gateset == "native":
        first = {"gate": "gpi2", "phase": 0.2, "targets": [2]}
    gates = [first, gate]
    program = read(gates, gateset, 3)
    assert not _has_plan(program)
    np.testing.assert_allclose(run_program(program)[0], reference(gates, 3), atol=1e-10)


def test_threads_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    program = random_program(1, 4, 100)
    gates = tuple(gate for gate in program.gates if gate.name != "ms")
    params = np.random.default_rng(1).uniform(-1, 1, (100, len(gates)))
    program = Program("native", 4, gates, params, np.arange(100))
    assert _has_plan(program)
    alone = run_program(program)
    monkeypatch.setattr(rows, "_THREADED", 0)
    monkeypatch.setattr(rows.os, "cpu_count", lambda: 3)
    assert (run_program(program) == alone).all()
