"""Data of the tasks: splits in proportion, standardised by the training rows, test rows unseen."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.training.tasks.data import (
    LOADERS,
    TABLES,
    _table,
    all_features_accuracy,
    baseline_accuracy,
    constant_accuracy,
    load_iris,
    load_table,
)

pytest.importorskip("sklearn")


def test_split_is_balanced_standardised_and_decided_by_its_seed():
    data, same, other = load_iris(1), load_iris(1), load_iris(2)
    assert (len(data.train_y), len(data.test_y)) == (70, 30)
    assert (data.train_y.sum(), data.test_y.sum()) == (35, 15)
    np.testing.assert_allclose(data.train_x.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(data.train_x.std(axis=0), 1)
    np.testing.assert_array_equal(data.train_x, same.train_x)
    assert not np.array_equal(data.train_x, other.train_x)


def test_most_telling_feature_comes_first():
    data = load_iris(0)
    telling = np.abs(np.corrcoef(data.train_x.T, data.train_y)[-1, :-1])
    assert list(np.argsort(-telling)) == [0, 1, 2, 3]


@pytest.mark.parametrize(("name", "classes", "rows"), [("wine", 3, 178), ("cancer", 2, 569)])
def test_tables_are_split_in_proportion_and_scaled_by_the_training_rows(name, classes, rows):
    data = load_table(name)
    assert data.classes == classes
    assert len(data.train_y) + len(data.test_y) == rows
    np.testing.assert_allclose(data.train_x.mean(axis=0), 0, atol=1e-12)
    assert data.train_x[:, 0].std() == pytest.approx(1)
    share = [np.bincount(y) / len(y) for y in (data.train_y, data.test_y)]
    np.testing.assert_allclose(*share, atol=0.02)


@pytest.mark.parametrize("name", list(TABLES))
def test_choices_are_made_without_the_test_rows(name):
    def rows(x):
        return {tuple(np.round(row, 6)) for row in x}

    whole = _table(name)
    train, test = whole.train_x, whole.test_x
    for seed in (1, 2):
        part = _table(name, validation=seed)
        chosen_by, judged_by = part.train_x, part.test_x
        assert rows(chosen_by) | rows(judged_by) == rows(train)
        assert not rows(judged_by) & rows(test)
    assert rows(_table(name).test_x) == rows(test)


def test_classical_methods_beat_the_constant_guess_on_every_table():
    for name in TABLES:
        data = load_table(name)
        assert baseline_accuracy(data) > constant_accuracy(data) + 0.2
        assert all_features_accuracy(name) >= baseline_accuracy(data) - 0.02


ROWS = {
    "iris": (70, 30), "wine": (124, 54), "cancer": (398, 171), "moons": (200, 1000),
    "digits": (250, 107), "sine": (200, 500), "friedman": (250, 1000), "rare": (600, 2000),
    "few": (20, 171), "deep": (300, 239), "parity": (600, 1197),
}  # fmt: skip


@pytest.mark.parametrize("name", LOADERS)
def test_every_task_has_its_rows_and_the_same_ones_each_time(name):
    data, again = LOADERS[name](1), LOADERS[name](1)
    assert (len(data.train_x), len(data.test_x)) == ROWS[name]
    for mine, theirs in ((data.train, again.train), (data.test, again.test)):
        for part, other in zip(mine, theirs, strict=True):
            np.testing.assert_array_equal(part, other)
    assert np.abs(data.train_x).max() < 8
    assert not {tuple(r) for r in data.train_x.tolist()} & {tuple(r) for r in data.test_x.tolist()}


def test_rare_positives_are_five_in_a_hundred():
    data = LOADERS["rare"](1)
    assert (data.train_y.sum(), data.test_y.sum()) == (30, 100)


def test_few_rows_are_others_for_every_seed_and_the_test_rows_the_same():
    one, two = LOADERS["few"](1), LOADERS["few"](2)
    assert not np.array_equal(one.train_x, two.train_x)
    np.testing.assert_array_equal(one.test_x, two.test_x)


def test_other_tables_are_refused():
    with pytest.raises(ConfigurationError, match="Unknown table 'digits'"):
        load_table("digits")


def test_missing_scikit_learn_is_an_error_that_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(ConfigurationError, match=r"pennylane-qstore\[train\]"):
        load_iris(0)
