"""Objective: a cost, or a model and a loss with metrics."""

from __future__ import annotations

import numpy as np
import pytest

from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.training.objective import Objective

BATCH = np.array([1.0, 2.0]), np.array([0.0, 1.0])


def test_a_cost_takes_the_whole_batch_and_is_its_own_loss():
    cost = Objective(lambda w, x, y: w * np.sum(x - y), None, {})
    assert cost.value(cost.outputs((2.0,), BATCH), BATCH) == 4.0
    assert cost.measured(4.0, BATCH) == {}


def test_a_model_takes_features_and_the_loss_labels():
    made = Objective(lambda a, b, x: a * x + b, lambda out, y: np.sum(out - y), {"top": top})
    outputs = made.outputs((2.0, 1.0), BATCH)
    np.testing.assert_array_equal(outputs, [3.0, 5.0])
    assert made.value(outputs, BATCH) == 7.0
    assert made.measured(outputs, BATCH) == {"top": 5.0}


def top(out, y):
    return max(out)


def test_metrics_need_a_loss():
    with pytest.raises(ConfigurationError, match="loss="):
        Objective(top, None, {"top": top})


@pytest.mark.parametrize("returned", ["high", np.ones(2), None, 1j])
def test_a_metric_that_is_no_number_is_named(returned):
    made = Objective(top, top, {"top": lambda out, y: returned})
    with pytest.raises(ConfigurationError, match="metric 'top' has to return one real number"):
        made.measured(BATCH[0], BATCH)


def test_metrics_are_given_no_boxes_of_autograd():
    autograd = pytest.importorskip("autograd")
    seen = []
    made = Objective(None, len, {"kept": lambda out, y: seen.append(out) or 0.0})
    autograd.grad(lambda w: made.measured(w, BATCH) and w * 2.0)(1.5)
    assert seen == [1.5]
    assert type(seen[0]) is float
