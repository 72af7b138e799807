"""The row engine equals default.qubit and the NumPy engine, errors included."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from support.emulator_circuits import (
    random_program,
    read,
)

from pennylane_qstore import compiled
from pennylane_qstore.emulator.simulation import rows
from pennylane_qstore.emulator.simulation.fusion import fuse
from pennylane_qstore.emulator.simulation.rows import load, run_rows, runs
from pennylane_qstore.emulator.simulation.statevector import probabilities

needs_numba = pytest.mark.skipif(load() is None, reason="needs Numba")


@needs_numba
def test_threads_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    fused = fuse(random_program(1, 4, 100))
    alone = run_rows(fused, 4, np.arange(100))
    monkeypatch.setattr(rows, "_THREADED", 0)
    monkeypatch.setattr(rows.os, "cpu_count", lambda: 3)
    assert (run_rows(fused, 4, np.arange(100)) == alone).all()


@needs_numba
def test_gates_without_parameters_are_those_of_every_row() -> None:
    fused = fuse(read([{"gate": "x", "target": 0}, {"gate": "h", "target": 1}], "qis", 2))
    np.testing.assert_allclose(
        run_rows(fused, 2, np.array([0, 40, 7])), [[0, 0.5, 0, 0.5]] * 3, atol=1e-12
    )


@needs_numba
def test_circuits_may_be_of_the_first_rows_only() -> None:
    fused = fuse(random_program(3, 4, 20))
    some = np.array([0, 7, 7])
    np.testing.assert_array_equal(run_rows(fused, 4, some), run_rows(fused, 4, np.arange(20))[some])


def test_gates_on_many_qubits_are_left_to_the_other_engines() -> None:
    gate = {"gate": "pauliexp", "targets": list(range(9)), "terms": ["X" * 9]}
    fused = fuse(read([gate | {"coefficients": [0.5], "time": 1.0}], "qis", 9))
    assert not runs(fused)


def test_without_numba_the_numpy_engine_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    program = random_program(2, 4, 5)
    expected = probabilities(program)
    monkeypatch.setitem(sys.modules, "numba", None)
    monkeypatch.delitem(sys.modules, "pennylane_qstore.emulator.simulation.kernel", raising=False)
    monkeypatch.setattr(compiled, "load", compiled.load.__wrapped__)
    monkeypatch.setattr(compiled, "_IMPORT_S", 0.0)
    assert rows.load() is None
    with pytest.raises(ImportError, match="fast"):
        run_rows(fuse(program), 4, np.arange(5))
    np.testing.assert_allclose(probabilities(program), expected, atol=1e-10)
