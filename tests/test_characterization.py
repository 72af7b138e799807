"""Predictions from a machine's figures, and those figures in words."""

from __future__ import annotations

import pytest

from pennylane_qstore.characterization import Characterization

KNOWN = Characterization(
    "qpu.new-1", "2026-01-02T03:04:05Z", 3, ((0, 1), (0, 2), (1, 2)), 0.999, 0.99, 0.98,
    1e-4, 1e-3, 2e-4, 3e-4, 10.0, 1.0,
)  # fmt: skip


def test_gates_and_readout_multiply():
    assert KNOWN.fidelity(2, 1, measured=2) == pytest.approx(0.999**2 * 0.99 * 0.98**2)
    assert KNOWN.fidelity(0, 0) == 1.0
    assert KNOWN.shot_s(2, 1) == pytest.approx(2e-4 + 2e-4 + 1e-3 + 3e-4)
    assert "fidelity 0.949, a shot 1.70 ms" in KNOWN.predicted(2, 1, 2)


def test_what_is_not_told_is_not_predicted():
    unknown = Characterization("qpu.new-1", one_qubit=0.999)
    assert unknown.fidelity(3, 0) == pytest.approx(0.999**3)
    assert unknown.fidelity(3, 1) is None
    assert unknown.shot_s(1, 0) is None
    assert "date unknown" in unknown.predicted(1, 1)
    assert unknown.lines()["T1"] == "unknown"
    assert KNOWN.lines()["Pairs"] == "all"
