"""Evaluation by rows: every form of a model gives the same losses, in one batch."""

from __future__ import annotations

import numpy as np
import pytest
from support.row_models import PARAMS, X, Y, make, mean_square

from pennylane_qstore.errors import ConfigurationError, JobFailed
from pennylane_qstore.training.objective import Objective
from pennylane_qstore.training.parameters import Parameters
from pennylane_qstore.training.rows import NotByRows, RowEvaluator, RowForm, joined

SHIFT = 0.1


def evaluator(model, loss=mean_square, x=X, y=Y, form=None, metrics=None, **options):
    objective = Objective(model, loss, metrics or {})
    return RowEvaluator(objective, (x, y), form or RowForm(), "deferred", **options)


def points(count):
    """Trained values that differ from point to point."""
    parameters = Parameters((PARAMS,))
    steps = SHIFT * np.arange(count)
    return parameters, [v + steps.reshape(-1, *(1,) * v.ndim) for v in parameters.values]


def moved(i):
    return {"w": PARAMS["w"] + SHIFT * i, "more": [PARAMS["more"][0] + SHIFT * i]}


@pytest.mark.parametrize("form", ["batch", "loop", "one", "broadcast"])
@pytest.mark.parametrize("each", [0, 1, 2])
@pytest.mark.parametrize("forward", [False, True])
def test_every_form_gives_the_same_losses_in_one_batch(form, each, forward):
    model, dev = make("batch" if form == "broadcast" else form)
    rows = evaluator(model, broadcast=form == "broadcast")
    rows.each = each
    parameters, at = points(2 * each * len(X) or 4)
    losses, here = rows.losses(parameters, at, forward)
    assert dev.posts == [(2 * each or 4) * len(X) + forward * len(X)]

    exact = make("loop")[0]
    for i, loss in enumerate(losses):
        part = slice(i // (2 * each), i // (2 * each) + 1) if each else slice(None)
        assert loss == pytest.approx(mean_square(exact(moved(i), X[part]), Y[part]), abs=1e-12)
    if forward:
        assert here == pytest.approx(mean_square(exact(PARAMS, X), Y), abs=1e-12)
    assert rows.loss_at([PARAMS]) == pytest.approx(mean_square(exact(PARAMS, X), Y), abs=1e-12)


def test_a_form_is_found_once():
    model, _ = make("one")
    calls = []

    def counted(p, x):
        calls.append(x.shape)
        return model(p, x)

    form = RowForm()
    for _ in range(2):
        rows = evaluator(counted, form=form)
        rows.each = 1
        rows.losses(*points(12), forward=False)
    assert calls == [(1, 2)] + 24 * [(2,)]
    assert form.by_sample is True


def test_a_model_s_own_error_is_raised_and_nothing_is_sent():
    model, dev = make("batch")

    def broken(p, x):
        model(p, x)
        raise KeyError("mine")

    rows = evaluator(broken)
    rows.each = 1
    with pytest.raises(KeyError, match="mine"):
        rows.losses(*points(12), forward=False)
    assert dev.posts == []


def test_a_device_s_error_is_not_taken_for_the_model_s():
    model, dev = make("batch")

    def fail(dev):
        raise JobFailed("no ions")

    dev.fail = fail
    rows = evaluator(model)
    rows.each = 1
    with pytest.raises(JobFailed):
        rows.losses(*points(12), forward=False)
    assert len(dev.posts) == 1


@pytest.mark.filterwarnings("ignore:Degrees of freedom")  # of one row's correlation
@pytest.mark.parametrize(
    "loss",
    [
        lambda out, y: np.sum((out - y) ** 2),
        lambda out, y: np.mean((out - y) ** 2) + np.std(out),
        lambda out, y: -np.corrcoef(np.asarray(out), y)[0, 1],
    ],
    ids=["sum", "spread", "correlation"],
)
def test_a_loss_that_is_no_mean_is_told(loss):
    rows = evaluator(make("batch")[0], loss)
    rows.each = 1
    with np.errstate(all="ignore"), pytest.raises(NotByRows, match='directions="shared"'):
        rows.losses(*points(12), forward=False)


def test_a_loss_that_fails_on_a_row_is_told_before_anything_is_sent():
    model, dev = make("batch")

    def loss(out, y):
        if len(y) < 2:
            raise ValueError("a batch, please")
        return mean_square(out, y)

    rows = evaluator(model, loss)
    rows.each = 1
    with pytest.raises(NotByRows, match="a batch, please"):
        rows.losses(*points(12), forward=False)
    assert dev.posts == []


def test_outputs_that_are_no_rows_are_told_before_anything_is_sent():
    model, dev = make("batch")
    rows = evaluator(lambda p, x: np.stack([model(p, x), model(p, x)]))
    rows.each = 1
    with pytest.raises(NotByRows, match=r"shape \(2, 1\)"):
        rows.losses(*points(12), forward=False)
    assert dev.posts == []


def test_a_model_that_does_not_broadcast_is_told_by_its_shapes():
    rows = evaluator(lambda p, x: np.zeros(3), broadcast=True)
    rows.each = 1
    with pytest.raises(ConfigurationError, match=r"\(3,\).*Allowed: \(12, ...\)"):
        rows.losses(*points(12), forward=False)


@pytest.mark.parametrize("each", [0, 1])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_loss_that_is_not_finite_names_its_sample(value, each):
    indices = np.array([40, 41, 42, 43, 44, 45])
    model, _ = make("batch")
    rows = evaluator(model, y=np.where(np.arange(6) == 4, value, Y), indices=indices)
    rows.each = each
    with pytest.raises(ConfigurationError, match="sample 44"):
        rows.losses(*points(12), forward=False)


@pytest.mark.parametrize("each", [0, 1, 3])
def test_metrics_are_means_over_the_points(each):
    model, dev = make("batch")
    rows = evaluator(model, metrics={"mse": mean_square, "top": lambda out, y: np.max(out)})
    rows.each = each
    losses, _ = rows.losses(*points(2 * each * len(X) or 4), forward=False)
    found = rows.metrics()
    assert len(dev.posts) == 1
    assert found["mse"] == pytest.approx(np.mean(losses))
    assert evaluator(model).metrics() == {}


def test_outputs_are_joined_leaf_by_leaf():
    rows = [{"a": np.array([float(i)]), "b": [np.array([[i, -i]])]} for i in range(3)]
    together = joined(rows)
    np.testing.assert_array_equal(together["a"], [0.0, 1.0, 2.0])
    np.testing.assert_array_equal(together["b"][0], [[0, 0], [1, -1], [2, -2]])
