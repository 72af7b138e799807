"""The pictures of the table of costs."""

from __future__ import annotations

import pytest

from pennylane_qstore.bench.cost import LISTS, Row
from pennylane_qstore.bench.cost_pictures import draw, draw_lists
from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.training.tasks.catalogue import TASKS

pytest.importorskip("matplotlib")

USD = {name: 100.0 * (i + 1) for i, name in enumerate(LISTS)}
ROWS = [
    Row(task, method, 2, 0.9, 0.8, 800.0, 4.0, 40.0, USD, 1.0)
    for task in ("iris", "h2")
    for method in ("spsa-20", "spsa-20/0.1", "auto")
]


def drawn(figures, monkeypatch):
    """Keep what is drawn."""
    from matplotlib.figure import Figure

    save = Figure.savefig
    monkeypatch.setattr(Figure, "savefig", lambda f, *a, **k: (figures.append(f), save(f, *a, **k)))


def test_quality_stands_against_dollars(tmp_path, monkeypatch):
    drawn(figures := [], monkeypatch)
    draw(ROWS, tmp_path / "cost.png")
    assert (tmp_path / "cost.png").stat().st_size > 10_000
    panels = [axis for axis in figures[0].axes if axis.lines]
    assert [axis.get_title() for axis in panels] == [TASKS["iris"].title, TASKS["h2"].title]
    points = [line for line in panels[0].lines if line.get_linestyle() == "None"]
    assert [line.get_label() for line in points] == ["spsa-20", "auto"]  # not the step sizes
    assert points[0].get_xydata().tolist() == [[100.0, 0.9]]
    assert panels[1].yaxis_inverted()  # of errors, the least is best
    assert not panels[0].yaxis_inverted()


def test_an_unknown_price_list_is_refused(tmp_path):
    with pytest.raises(ConfigurationError, match="price list"):
        draw([], tmp_path / "cost.png", prices="mine")


def test_every_price_list_has_a_panel(tmp_path, monkeypatch):
    drawn(figures := [], monkeypatch)
    draw_lists(ROWS, tmp_path / "lists.png")
    assert (tmp_path / "lists.png").stat().st_size > 10_000
    assert [axis.get_title() for axis in figures[0].axes] == list(LISTS.values())
    for axis, usd in zip(figures[0].axes, USD.values(), strict=True):
        assert [line.get_xdata().tolist() for line in axis.lines] == [[usd, usd]] * 2
