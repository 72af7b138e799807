"""The table of batches per step: objectives x interfaces x ways."""

from __future__ import annotations

import contextlib
from collections import defaultdict

import pytest
from counting import CountingDevice

from pennylane_qstore.training import requests

# What the data dependency of each objective allows with SAMPLES = 4 samples.
LEAST = {"early exit": 4, "value-dependent branch": 8, "nested QNodes": 8}


def precision():
    if not requests.installed("jax"):
        return contextlib.nullcontext()
    import jax

    return jax.enable_x64(True)


@pytest.fixture(scope="module")
def cells():
    with precision():
        found = list(
            requests.table(lambda: CountingDevice(wires=2), lambda device: len(device.posts))
        )
    rows = defaultdict(dict)
    for cell in found:
        rows[cell.objective, cell.interface][cell.way] = f"{cell.batches}/{cell.plain}"
    print()
    for (objective, interface), ways in rows.items():
        print(f"{objective:24} {interface:9}", *(f"{w}: {n:7}" for w, n in ways.items()))
    return found


def test_every_cell_is_measured(cells):
    interfaces = [i for i in requests.INTERFACES if requests.installed(i)]
    assert {c.interface for c in cells} == set(interfaces)
    assert {c.objective for c in cells} == set(requests.OBJECTIVES)
    assert {c.way for c in cells} == set(requests.WAYS)


def test_every_way_gives_the_plain_step(cells):
    wrong = [cell for cell in cells if not cell.difference <= 1e-12]
    assert wrong == []


def test_no_way_sends_more_than_calling_plainly(cells):
    assert [cell for cell in cells if cell.batches > cell.plain] == []


def test_ours_is_one_batch_wherever_nothing_depends_on_a_result(cells):
    for cell in cells:
        if cell.way in ("ours", "gather") and cell.objective not in requests.DATA_DEPENDENT:
            lazy = cell.interface in ("numpy", "autograd")
            single = cell.objective in ("broadcast", "QNode direct")
            if lazy or single:
                assert cell.batches == 1, cell


def test_loops_in_torch_and_jax_cost_one_batch_a_sample(cells):
    for cell in cells:
        if cell.way in ("ours", "gather") and cell.objective not in requests.DATA_DEPENDENT:
            assert cell.batches <= requests.SAMPLES, cell


def test_data_dependencies_cost_no_more_than_they_have_to(cells):
    for cell in cells:
        if cell.way == "ours" and cell.objective in LEAST:
            lazy = cell.objective == "nested QNodes" and cell.interface in ("numpy", "autograd")
            assert cell.batches <= (2 if lazy else LEAST[cell.objective]), cell


def test_stock_optimizer_in_a_scope_costs_one_batch_for_the_step_and_one_for_the_cost(cells):
    for cell in cells:
        if cell.way == "stock deferred" and cell.objective not in requests.DATA_DEPENDENT:
            assert cell.batches <= 3, cell
            if cell.objective != "loop with list":
                assert cell.batches == 2, cell
