"""The engine chosen is one that can run the gates, and the compiled one where it pays."""

from __future__ import annotations

import pytest
from support.emulator_circuits import random_program, read

from pennylane_qstore import compiled
from pennylane_qstore.emulator.simulation import engines
from pennylane_qstore.emulator.simulation.engines import (
    FEWEST_STATES,
    LIGHTNING,
    NUMPY,
    ROWS,
    choose,
)
from pennylane_qstore.emulator.simulation.fusion import fuse
from pennylane_qstore.emulator.simulation.rows import load


def test_without_the_compiled_engine_size_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "load", lambda: None)
    fused = fuse(random_program(1))
    assert [choose(fused, n, 10_000) for n in (3, 12, 13, 20)] == [NUMPY, NUMPY] + [LIGHTNING] * 2


@pytest.mark.skipif(load() is None, reason="needs Numba")
def test_the_compiled_engine_runs_once_its_import_has_paid(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "_IMPORT_S", 0.4)
    monkeypatch.setattr(compiled, "_saved", {})
    fused = fuse(random_program(1))
    assert choose(fused, 3, 1) == NUMPY
    assert choose(fused, 3, 10**7) == ROWS
    assert choose(fused, 3, 1) == ROWS
    assert [choose(fused, n, 1) for n in (14, 15, 20)] == [ROWS, LIGHTNING, LIGHTNING]
    assert [choose(fused, n, 20) for n in (14, 15, 20)] == [ROWS, ROWS, LIGHTNING]
    for n, fewest in FEWEST_STATES.items():
        assert choose(fused, n, fewest) == ROWS
        assert choose(fused, n, fewest - 1) != ROWS or fewest == 1
    gate = {"gate": "pauliexp", "targets": list(range(9)), "terms": ["X" * 9]}
    wide = fuse(read([gate | {"coefficients": [0.5], "time": 1.0}], "qis", 9))
    assert choose(wide, 9, 10**7) == NUMPY
