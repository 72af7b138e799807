"""Arguments, names and values of trials."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from support.swept_runs import X, Y, make_run

from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.sweeps.trials import MedianRule, combinations, labels, reached


def test_every_point_is_tried_with_every_seed():
    points = combinations(2, {"lr": (0.1, 0.2), "shots": [10]}, None)
    assert [tuple(p.values()) for p in points] == [
        (0.1, 10, 1), (0.1, 10, 2), (0.2, 10, 1), (0.2, 10, 2)
    ]  # fmt: skip
    assert combinations([7, 7, 3], None, None) == [{"seed": 7}, {"seed": 3}]
    assert combinations(None, None, [{"lr": 1}, {"lr": 2}]) == [{"lr": 1}, {"lr": 2}]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ((None, None, None), "nothing to try"),
        ((None, {"lr": []}, None), "no values of 'lr'"),
        ((0, None, None), "seeds"),
        ((2, {"seed": [1]}, None), "seeds"),
        ((None, {"lr": [1]}, [{"lr": 1}]), "trials"),
    ],
)
def test_what_cannot_be_tried_is_refused(given, said):
    with pytest.raises(ConfigurationError, match=said):
        combinations(*given)


def test_names_are_file_names_and_differ():
    points = [{"lr": 0.1, "seed": 2}, {"path": "../a b"}, {"path": "../a/b"}, {"f": make_run}]
    assert labels(points) == [
        "lr-0.1-seed-2",
        "path-.._a_b-trial-1",
        "path-.._a_b-trial-2",
        "f-make_run",
    ]


def test_a_run_has_reached_its_validation_loss_or_its_last_losses():
    run = make_run().train(4)
    assert reached(run) == pytest.approx(sum(r.loss for r in run.history[-2:]) / 2)
    run = make_run(validation=(X, Y)).train(3)
    assert reached(run) == min(r.metrics["val_loss"] for r in run.history)
    with pytest.raises(ConfigurationError, match="no step"):
        reached(make_run())


def trial(*losses):
    history = [SimpleNamespace(loss=loss) for loss in losses]
    return SimpleNamespace(run=SimpleNamespace(history=history, step=len(history)))


def test_who_is_worse_than_the_median_of_the_step_before_ends():
    good, middle, bad = trial(1, 1, 0), trial(2, 2, 0), trial(3, 3, 0)
    rule = MedianRule(after=2, window=2)
    assert [rule(one, [good, middle, bad]) for one in (good, middle, bad)] == [False, False, True]


def test_early_steps_and_steps_that_nobody_else_has_made_count_not():
    bad, ahead = trial(3, 3), trial(9, 9, 9, 9)
    assert not MedianRule(after=2)(bad, [bad, trial(1, 1)])
    assert not MedianRule(after=2)(ahead, [ahead, trial(1, 1)])


def test_losses_are_means_of_the_last_steps_before():
    noisy, steady = trial(9, 0, 0, 9), trial(1, 1, 1, 1)
    assert not MedianRule(after=2, window=2)(noisy, [noisy, steady])
    assert MedianRule(after=2, window=3)(noisy, [noisy, steady])
