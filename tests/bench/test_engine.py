"""The table of engines: every engine of this machine, checked and timed."""

from __future__ import annotations

from pennylane_qstore.bench.engine import table, text
from pennylane_qstore.emulator.simulation.rows import load


def test_every_engine_stands_beside_default_qubit() -> None:
    cells = list(table([(2, 1, 3), (3, 1, 2)], turns=1))
    names = ["default.qubit", *(["rows"] if load() else []), "numpy", "lightning.qubit"]
    assert [cell.simulator for cell in cells] == names * 2
    assert all(cell.seconds > 0 and cell.times_faster > 0 for cell in cells)
    assert cells[0].times_faster == 1
    shown = text(cells)
    assert len(shown.splitlines()) == 3
    assert shown.count("ms (") == len(cells)
