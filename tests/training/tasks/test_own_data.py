"""Tables of somebody's own as tasks."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.training.csv_table import CsvTable
from pennylane_qstore.training.tasks.own_data import OwnData

pytest.importorskip("sklearn")
RNG = np.random.default_rng(0)


def made(target, count=None, columns=2):
    count = count or len(target)
    cells = RNG.normal(3.0, 2.0, (count, columns))
    rows = [(*map(str, row), str(cell)) for row, cell in zip(cells, target, strict=True)]
    names = (*(f"x{i}" for i in range(columns)), "y")
    return CsvTable("my.csv", names, tuple(rows), tuple(range(2, count + 2)))


@pytest.mark.parametrize(
    ("target", "classes"),
    [
        (["no", "yes"] * 10, ("no", "yes")),
        (["7", "3"] * 10, (3, 7)),
        (["1.0", "0.0"] * 10, (0, 1)),
        ([*["1.5", "x"] * 10], ("1.5", "x")),
        ([*map(str, range(20))], None),  # whole, and each of its own
        ([*map(str, [*range(11)] * 2)], None),  # more than ten
        ([*map(str, RNG.normal(size=20))], None),
        (["0.5", "1.5"] * 10, None),
    ],
)
def test_texts_and_few_whole_numbers_are_classes(target, classes):
    own = OwnData.of(made(target), "y")
    assert own.classes == classes
    if classes is None:
        assert own.y.tolist() == [float(cell) for cell in target]
    else:
        labels = [str(own.classes[place]) for place in own.y]
        assert [float(t) if t.replace(".", "").isdigit() else t for t in labels] == [
            float(t) if t.replace(".", "").isdigit() else t for t in target
        ]


def test_trainings_are_named_for_the_file():
    table = made(["a", "b"] * 10)
    path = f"a folder/my flowers, {'x' * 40}.v2.csv"
    own = OwnData.of(dataclasses.replace(table, path=path), "y")
    assert own.name == f"my-flowers-{'x' * 29}"


def test_the_kind_can_be_told():
    assert OwnData.of(made(["7", "3"] * 10), "y", kind="regression").classes is None
    assert OwnData.of(made(["0.5", "1.5"] * 10), "y", kind="classification").classes == (
        "0.5",
        "1.5",
    )


def test_columns_are_chosen_in_their_order():
    table = made(["a", "b"] * 10, columns=3)
    own = OwnData.of(table, "y", ["x2", "x0"])
    assert own.columns == ("x2", "x0")
    assert own.x.tolist() == table.numbers(["x2", "x0"]).tolist()


@pytest.mark.parametrize(
    ("target", "options", "said"),
    [
        (["a", "b"] * 4, {}, "8 rows; at least 10"),
        (["a"] * 12, {}, "has 1 classes"),
        ([*map(chr, range(65, 65 + 12))] * 2, {}, "has 12 classes"),
        ([*["a"] * 12, "b"], {}, "class 'b' of the column 'y' has one row"),
        (["4.5"] * 12, {}, "4.5 in every row"),
        (["a", "b"] * 6, {"kind": "regression"}, "line 2, column 'y': 'a' is no number"),
        (["a", "b"] * 6, {"kind": "clustering"}, "classification"),
        (["a", "b"] * 6, {"features": ["x0", "y"]}, "cannot be learnt"),
        (["a", "b"] * 6, {"features": ["x0", "x0"]}, "cannot be learnt"),
        (["a", "b"] * 6, {"features": ["z"]}, "no column 'z'"),
    ],
)
def test_what_cannot_be_learnt_is_refused(target, options, said):
    with pytest.raises(ConfigurationError, match=said):
        OwnData.of(made(target), "y", **options)


def test_a_fifth_is_tested_on_with_every_class_and_everything_is_learnt_from_the_rest():
    own = OwnData.of(made(["a", "b", "c"] * 20, columns=6), "y")
    task = own.task
    data = task.load(1)
    assert (len(data.train_y), len(data.test_y)) == (48, 12)
    assert set(data.test_y) == {0, 1, 2}
    assert data.train_x.shape == (48, task.wires) == (48, 4)
    assert data.train_x.mean(axis=0) == pytest.approx(np.zeros(4), abs=1e-9)
    assert not np.array_equal(task.load(2).test_x, data.test_x)
    inputs = own.about(1)["inputs"]
    assert inputs.columns == own.columns
    assert len({tuple(row) for row in inputs(own.x).round(9)} & _rows(data)) == 60


def _rows(data):
    return {tuple(row) for row in np.concatenate([data.train_x, data.test_x]).round(9)}


def test_a_regression_is_standardised_by_the_rows_that_are_trained_on():
    own = OwnData.of(made([*map(str, 100 + 10 * RNG.normal(size=50))]), "y")
    data, (mean, spread) = own.task.load(1), own.about(1)["target"]
    assert data.train_y.mean() == pytest.approx(0, abs=1e-9)
    assert data.train_y.std() == pytest.approx(1)
    values = np.concatenate([data.train_y, data.test_y]) * spread + mean
    assert sorted(values) == pytest.approx(sorted(own.y))


def test_many_classes_have_a_wire_each():
    own = OwnData.of(made([*map(str, range(7))] * 4), "y")
    assert own.task.wires == 7
    assert len(own.task.load(1).test_y) == 7
