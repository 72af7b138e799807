"""Cells of the table of costs: what a training sent, and that no cell is run twice."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pennylane_qstore.bench import cost_cells
from pennylane_qstore.bench.cost_cells import FILE, Cell, Key, remaining_s, run_cell, run_cells
from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.prices import PRICES, JobSize

pytest.importorskip("sklearn")

SIZE = JobSize(80, 40, 10, 20)
KEYS = [Key("iris", "spsa-20", seed, 1) for seed in (1, 2, 3)]


def cell(key, *, quality=0.5, seconds=2.0, jobs=((SIZE, 3),)):
    return Cell(key, quality, tuple(jobs), seconds)


@pytest.fixture
def ran(monkeypatch):
    """Keys of the cells that were run; each is done at once."""
    keys = []

    def run(key):
        keys.append(key)
        return cell(key, quality=key.seed / 10)

    monkeypatch.setattr(cost_cells, "run_cell", run)
    return keys


def test_a_cell_tells_the_jobs_that_were_sent_and_is_the_same_again():
    key = Key("moons", "spsa-20", 1, 2)
    one, two = run_cell(key), run_cell(key)
    assert replace(one, seconds=0.0) == replace(two, seconds=0.0)
    shots, jobs, circuits = one.counts
    assert jobs == 1 + 2
    assert circuits == 20 * 2 * 25 + 2 * 20 * 2
    assert shots == 20 * circuits
    assert sum(size.n_2q * count for size, count in one.jobs) == 4 * circuits
    other = run_cell(key._replace(seed=2))
    assert other.quality != one.quality


def test_counts_prices_and_hours_are_sums_over_jobs():
    one = cell(KEYS[0], jobs=[(SIZE, 3), (JobSize(8, 4, 1, 500), 2)])
    assert one.counts == (3 * 10 * 20 + 2 * 500, 5, 32)
    assert one.usd(PRICES["qpu.forte-1"]) == pytest.approx(5 * 25.79)
    assert one.usd(PRICES["qpu.forte-1/circuit"]) == pytest.approx(32 * 25.79)
    assert one.usd(PRICES["braket.forte-1"]) == pytest.approx(5 * 0.3 + 1600 * 0.08)
    mean = cost_cells.PROFILES["qpu"].mean
    expected = 3 * sum(mean(10, 20)) + 2 * sum(mean(1, 500))
    assert one.hours("qpu") == pytest.approx(expected / 3600)


def test_cells_that_a_folder_holds_are_not_run_again(ran, tmp_path):
    said = []
    first = run_cells(KEYS[:2], tmp_path, report=said.append)
    assert ran == KEYS[:2]
    again = run_cells(KEYS, tmp_path, report=said.append)
    assert ran == KEYS
    assert {key: again[key] for key in KEYS[:2]} == first
    assert "0 left" in said[-1]
    assert sum("to be made" in line for line in said) == 2


def test_other_steps_are_another_cell(ran, tmp_path):
    run_cells(KEYS[:1], tmp_path)
    whole = KEYS[0]._replace(most_steps=None)
    run_cells([whole], tmp_path)
    assert ran == [KEYS[0], whole]


def test_a_killed_measurement_loses_only_the_cell_it_was_writing(ran, tmp_path):
    run_cells(KEYS[:2], tmp_path)
    path = tmp_path / FILE
    path.write_text(path.read_text()[:-20])
    found = run_cells(KEYS, tmp_path)
    assert ran == [*KEYS[:2], *KEYS[1:]]
    assert [found[key].quality for key in KEYS] == [0.1, 0.2, 0.3]
    assert cost_cells.stored(tmp_path) == found


def test_what_is_done_is_kept_where_a_cell_fails(monkeypatch, tmp_path):
    def run(key):
        if key.seed == 2:
            raise ValueError("no")
        return cell(key)

    monkeypatch.setattr(cost_cells, "run_cell", run)
    with pytest.raises(ValueError, match="no"):
        run_cells(KEYS, tmp_path)
    assert list(cost_cells.stored(tmp_path)) == KEYS[:1]


def test_a_file_of_something_else_is_named(tmp_path):
    (tmp_path / FILE).write_text('{"a": 1}\n{"b": 2}\n')
    with pytest.raises(ConfigurationError, match="Line 1"):
        cost_cells.stored(tmp_path)


def test_what_is_left_is_estimated_by_what_is_alike():
    done = [
        cell(Key("iris", "spsa-20", 1), seconds=4.0),
        cell(Key("iris", "auto", 1), seconds=1.0),
        cell(Key("wine", "auto", 1), seconds=3.0),
    ]
    cells = {one.key: one for one in done}
    assert remaining_s([Key("iris", "spsa-20", 2)], cells) == 4
    assert remaining_s([Key("wine", "spsa-20", 2)], cells) == 4
    assert remaining_s([Key("moons", "auto", 1)], cells) == 2
    assert remaining_s([Key("wine", "adam", 1)], cells) == 3
    assert remaining_s([Key("moons", "adam", 1)], cells) == pytest.approx(8 / 3)
    assert remaining_s([], cells) == 0
