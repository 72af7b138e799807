"""The rule that ends trials which are worse than the median."""

from __future__ import annotations

from types import SimpleNamespace

from pennylane_qstore.sweeps.pruning import MedianRule


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
