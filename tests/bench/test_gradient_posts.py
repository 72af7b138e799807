"""The table of POSTs per gradient: objectives x interfaces x ways, counted by the emulator."""

from __future__ import annotations

from functools import partial

import numpy as np
import pennylane as qml
import pytest

from pennylane_qstore.bench import gradient_posts
from pennylane_qstore.bench.gradient_posts import GRADIENT_OBJECTIVES, INTERFACES, LAYERS, WAYS
from pennylane_qstore.bench.posts import installed, weights

pytestmark = pytest.mark.ml  # the table has what is installed


@pytest.fixture(scope="module")
def table():
    device = partial(qml.device, "qstore.ionq", wires=2)
    return list(gradient_posts.table(device, lambda d: int(d.emulator.stats()["posts"])))


def test_every_cell_is_there(table):
    wanted = [
        (objective, interface, way)
        for objective in (*GRADIENT_OBJECTIVES, *LAYERS)
        for interface in filter(installed, INTERFACES)
        if objective not in LAYERS or interface == "torch"
        for way in WAYS
    ]
    assert [(c.objective, c.interface, c.way) for c in table] == wanted
    assert len(GRADIENT_OBJECTIVES) + len(LAYERS) == 7


def test_values_and_gradients_of_every_cell_equal_the_plain_ones(table):
    assert [cell for cell in table if not cell.difference <= 1e-12] == []


def test_every_way_but_the_plain_one_is_one_post(table):
    """JAX's own functions excepted: their arrays cannot wait."""
    ours = [c for c in table if c.way != "plain" and (c.way, c.interface) != ("deferred", "jax")]
    assert {cell.posts for cell in ours} == {1}
    plain = [c for c in table if c.way == "plain" and c.objective.startswith("loop")]
    assert {cell.posts for cell in plain} <= {4, 8}


def test_objectives_have_gradients_to_be_compared():
    device = qml.device("qstore.ionq", wires=2)
    for name in GRADIENT_OBJECTIVES:
        cost = gradient_posts._cost(name, "autograd", device)
        start = qml.numpy.array(weights(), requires_grad=True)
        value, gradient = gradient_posts._by_framework("autograd", cost, start)
        assert abs(value) > 1e-3, name
        assert np.max(np.abs(gradient)) > 1e-3, name


def test_the_table_is_printed_row_by_row(table):
    lines = gradient_posts.text(table).splitlines()
    assert max(map(len, lines)) <= 120
    assert len(lines) == 5 + len(table) // len(WAYS)
    row = next(line for line in lines if line.startswith("two QNodes"))
    assert row.split()[2:] == ["autograd", "16", "(16)", *["1", "(1)"] * 3, row.split()[-1]]
