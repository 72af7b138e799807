"""The table of POSTs per step: objectives x interfaces x ways, counted by the emulator."""

from __future__ import annotations

import json
import re

import numpy as np
import pennylane as qml
import pytest
from support.counting import CountingDevice
from typer.testing import CliRunner

from pennylane_qstore.bench import gradient_posts
from pennylane_qstore.bench import posts as requests
from pennylane_qstore.bench.posts import Cell
from pennylane_qstore.cli.main import app

pytestmark = pytest.mark.ml  # the table has what is installed

INDEPENDENT = set(requests.OBJECTIVES) - {*requests.BRANCHING, "nested QNodes"}
SINGLE = {"broadcast", "QNode direct"}


@pytest.fixture(scope="module")
def table():
    """Cells that ``qstore bench --only requests`` prints; every test below is about them."""
    result = CliRunner().invoke(app, ["bench", "--only", "requests", "--json"])
    assert result.exit_code == 0, result.output
    cells = [Cell(**cell) for cell in json.loads(result.stdout)]
    return [cell for cell in cells if cell.way in requests.WAYS]


def cells_of(table, *, ways, interfaces=requests.INTERFACES, objectives=requests.OBJECTIVES):
    found = [
        c
        for c in table
        if c.way in ways and c.interface in interfaces and c.objective in objectives
    ]
    assert found or not any(requests.installed(i) for i in interfaces)
    return found


def test_every_cell_is_there(table):
    wanted = [
        (objective, interface, way)
        for objective in requests.OBJECTIVES
        for interface in requests.INTERFACES
        if requests.installed(interface)
        for way in requests.WAYS
    ]
    assert [(c.objective, c.interface, c.way) for c in table] == wanted
    assert len(requests.OBJECTIVES) == 11


def test_gradient_and_cost_of_every_cell_equal_the_plain_step(table):
    assert [cell for cell in table if not cell.difference <= 1e-12] == []


def test_no_cell_takes_more_than_its_dependencies_allow_or_than_calling_plainly(table):
    assert [c for c in table if c.posts > c.allowed or c.posts > c.plain] == []


def test_ours_is_one_post_wherever_nothing_depends_on_a_result(table):
    lazy = cells_of(table, ways=["ours"], interfaces=requests.LAZY, objectives=INDEPENDENT)
    single = cells_of(table, ways=["ours"], objectives=SINGLE)
    assert {cell.posts for cell in [*lazy, *single]} == {1}


def test_gather_and_map_are_one_post_in_every_interface(table):
    assert {c.posts for c in cells_of(table, ways=["gather"], objectives=INDEPENDENT)} == {1}


def test_loops_in_jax_cost_one_post_a_call(table):
    eager = set(requests.INTERFACES) - set(requests.DEFERRABLE)
    for cell in cells_of(table, ways=["ours"], interfaces=eager, objectives=INDEPENDENT - SINGLE):
        assert cell.posts == (2 if cell.objective == "minibatch drawn inside" else 4), cell


def test_dependent_circuits_cost_a_post_a_stage(table):
    for cell in cells_of(table, ways=["gather"], objectives=set(requests.OBJECTIVES) - INDEPENDENT):
        assert cell.posts == (4 if cell.objective == "early exit" else 2), cell
    for cell in cells_of(
        table, ways=["ours"], interfaces=requests.DEFERRABLE, objectives=["nested QNodes"]
    ):
        assert cell.posts == 2, cell


def test_step_of_the_stock_optimizer_in_a_scope_is_one_post(table):
    """Two where the cost looks at its values: at most one per evaluation."""
    for cell in cells_of(
        table, ways=["stock deferred"], interfaces=requests.LAZY, objectives=INDEPENDENT
    ):
        step = 2 if cell.objective == "loop with list" else 1
        assert (cell.step, cell.posts) == (step, step + 1), cell


class Inexact(CountingDevice):
    """Results that depend on what travels with them, a little."""

    def run(self, circuits, tracker):
        results = super().run(circuits, tracker)
        return tuple(r + 1e-10 * (len(circuits) - 1) for r in results) if self.posts else results


def test_a_way_that_changes_the_numbers_is_seen(monkeypatch):
    monkeypatch.setattr(requests, "INTERFACES", ("numpy",))
    monkeypatch.setattr(requests, "OBJECTIVES", {"list": requests.OBJECTIVES["loop with list"]})
    cells = list(requests.table(lambda: Inexact(wires=2), lambda device: len(device.posts)))
    assert {cell.way: cell.difference > 1e-12 for cell in cells} == {
        "stock": False,
        "stock deferred": True,
        "ours": True,
        "gather": True,
    }


def test_objectives_have_gradients_to_be_compared():
    device = CountingDevice(wires=2)
    for name in requests.OBJECTIVES:
        cost = requests._cost(name, "numpy", device, loop=True)
        optimizer = requests.SPSAOptimizer(maxiter=10, seed=0)
        (gradient, loss), _ = requests._step(optimizer, cost, requests.weights(), lambda: 0)
        assert np.all(np.abs(gradient) > 1e-3), name
        assert abs(loss) > 1e-3, name


def test_the_table_is_printed_row_by_row(monkeypatch):
    monkeypatch.setattr(requests, "INTERFACES", ("numpy",))
    few = ("loop with accumulator", "QNode direct")
    monkeypatch.setattr(requests, "OBJECTIVES", {o: requests.OBJECTIVES[o] for o in few})
    monkeypatch.setattr(gradient_posts, "INTERFACES", ())
    result = CliRunner().invoke(app, ["bench", "--only", "requests"])
    assert result.exit_code == 0, result.output
    rows = {
        cells[0]: cells[1:]
        for cells in (re.split("  +", row) for row in result.stdout.splitlines())
    }
    assert set(few) <= set(rows)
    interface, *counts, difference = rows["loop with accumulator"]
    assert interface == "numpy"
    assert counts == ["8 + 4 (12)", "1 + 1 (2)", "1 (1)", "1 (1)"]
    assert float(difference) <= 1e-12


def test_the_device_that_is_measured_is_the_real_one():
    device = qml.device("qstore.ionq", wires=2)
    before = device.emulator.stats()["posts"]
    qml.QNode(requests.expectation, device)(np.zeros(2), np.zeros((1, 2, 3)))
    assert device.emulator.stats()["posts"] == before + 1
