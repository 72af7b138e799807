"""The table of costs: rows, text and picture, and a small one that is measured."""

from __future__ import annotations

import json
from concurrent.futures import ProcessPoolExecutor

import pytest
from typer.testing import CliRunner

from pennylane_qstore.bench import cost, cost_cells
from pennylane_qstore.bench.cost import LISTS, Row, draw, draw_lists
from pennylane_qstore.bench.cost_cells import FILE, Cell, Key
from pennylane_qstore.cli.main import app
from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.prices import JobSize
from pennylane_qstore.training.tasks.catalogue import TASKS

pytest.importorskip("sklearn")

SIZE = JobSize(80, 40, 10, 20)
FIRST = {"spsa-20": 0.9, "spsa-20/0.1": 0.8, "spsa-20/0.4": 0.85, "auto": 0.95}


def cells(task="iris", qualities=FIRST):
    """Cells of two seeds; the second is worse by 0.1."""
    return {
        key: Cell(key, quality - 0.1 * (key.seed == 2), ((SIZE, 4),), 1.0)
        for method, quality in qualities.items()
        for key in (Key(task, method, 1), Key(task, method, 2))
    }


def test_a_row_is_the_mean_and_the_worst_over_seeds():
    rows = {row.method: row for row in cost.table(cells())}
    auto = rows["auto"]
    assert (auto.seeds, auto.shots, auto.jobs, auto.circuits) == (2, 800, 4, 40)
    assert (auto.mean, auto.worst) == (pytest.approx(0.9), pytest.approx(0.85))
    assert auto.usd["qpu.forte-1"] == pytest.approx(4 * 25.79)
    assert set(auto.usd) == set(cost.LISTS)


def test_the_best_of_three_step_sizes_follows_its_family():
    assert [row.method for row in cost.table(cells())] == [
        *("spsa-20", "spsa-20/0.1", "spsa-20/0.4", "spsa-20 best", "auto"),
    ]
    found = {row.method: row.mean for row in cost.table(cells())}
    assert found["spsa-20 best"] == found["spsa-20"]
    errors = {row.method: row for row in cost.table(cells("h2"))}
    assert errors["spsa-20 best"].mean == errors["spsa-20/0.1"].mean
    assert errors["auto"].worst == pytest.approx(0.95)


def test_a_family_that_is_not_whole_has_no_best():
    few = cells(qualities={"spsa-20": 0.9, "spsa-20/0.1": 0.8})
    assert [row.method for row in cost.table(few)] == ["spsa-20", "spsa-20/0.1"]


def test_the_text_says_what_the_figures_are():
    said = cost.text(cost.table({**cells(), **cells("h2")}))
    assert "Test accuracy: iris; Energy error (mHa): h2" in said
    assert "2 seeds" in said
    assert "billed by nobody" in said
    assert max(map(len, said.splitlines()[:10])) <= 120


@pytest.mark.parametrize("wrong", [{"tasks": "mnist"}, {"methods": "spsa-7*"}, {"steps": 0}])
def test_what_fits_nothing_is_refused_before_anything_runs(wrong, tmp_path):
    with pytest.raises(ConfigurationError, match=next(iter(wrong))[:-1]):
        cost.compare(tmp_path / "new", **wrong)
    assert not (tmp_path / "new").exists()


def test_two_seeds_of_two_tasks_are_measured_and_not_again(tmp_path):
    """The table in small, by the command."""
    arguments = ["bench", "--only", "cost", "--tasks", "iris,maxcut", "--seeds", "2"]
    arguments += ["--methods", "spsa-20*,auto,per-sample", "--steps", "2", "--jobs", "1"]
    arguments += ["--out", str(tmp_path)]
    result = CliRunner().invoke(app, [*arguments, "--json"])
    assert result.exit_code == 0, result.output
    rows = json.loads(result.stdout)
    assert [(row["task"], row["method"]) for row in rows if "/" not in row["method"]] == [
        *(("iris", m) for m in ("spsa-20", "spsa-20 best", "per-sample", "auto")),
        *(("maxcut", m) for m in ("spsa-20", "spsa-20 best", "auto")),
    ]
    assert {row["seeds"] for row in rows} == {2}
    assert {path.name for path in tmp_path.glob("*.png")} == {"cost.png", "price-lists.png"}
    before = (tmp_path / FILE).read_text()
    again = CliRunner().invoke(app, [*arguments, "--json"])
    assert json.loads(again.stdout) == rows
    assert (tmp_path / FILE).read_text() == before


@pytest.mark.soak
def test_processes_measure_the_same(tmp_path, monkeypatch):
    """One process is started for both: it takes as long as all else here."""
    monkeypatch.setattr(
        cost_cells, "ProcessPoolExecutor", lambda jobs, **how: ProcessPoolExecutor(1, **how)
    )
    options = {"tasks": "moons", "methods": "spsa-20,auto", "seeds": [1], "steps": 1}
    one = cost.compare(tmp_path / "one", jobs=1, **options)
    assert cost.compare(tmp_path / "two", jobs=2, **options) == one


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
