"""Figures of whole calls: each of them, checked against default.qubit."""

from __future__ import annotations

import sys

import pytest

from pennylane_qstore import compiled
from pennylane_qstore.bench import calls
from pennylane_qstore.bench.calls import table, text


@pytest.fixture(autouse=True)
def _counts_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "_saved", {})


def test_every_figure_is_measured() -> None:
    figures = list(table([(2, 1, 3), (3, 1, 2)], turns=1, structures=20, memory_rows=3_000))
    assert [figure.unit for figure in figures[:4]] == ["s"] * 4
    assert all(figure.value > 0 for figure in figures[:4])
    assert [figure.reference is not None for figure in figures[:4]] == [True, True, False, False]
    if sys.platform == "linux":
        assert (figures[4].unit, figures[4].value > 0) == ("MB", True)
    shown = text(figures)
    assert len(shown.splitlines()) == len(figures) + 1
    assert shown.count("times as long") == 2


def test_a_device_that_differs_is_no_measurement(monkeypatch: pytest.MonkeyPatch) -> None:
    real = calls.broadcast
    monkeypatch.setattr(
        calls, "broadcast", lambda angles, device: real(angles, device) + (device.name[0] == "d")
    )
    with pytest.raises(ArithmeticError, match="differs"):
        next(table([(2, 1, 3)], turns=1))
