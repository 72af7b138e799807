"""The rule of the steps: their size, their number of directions, and when these are shared."""

from __future__ import annotations

import numpy as np
import pytest

from pennylane_qstore.training import step_rule
from pennylane_qstore.training.perturbations import Gradient
from pennylane_qstore.training.step_rule import StepRule, perturbation_size


def gradient(mean, variance, directions=1):
    mean = np.asarray(mean, dtype=float)
    spread = None if variance is None else [np.full_like(mean, variance)]
    return Gradient([mean], spread, directions)


def measured(signal, noise, parameters=20, steps=40, directions=1):
    """A rule after steps with such a squared length of the gradient, and variance of it."""
    rule, element = StepRule(), noise / directions / parameters
    mean = np.full(parameters, np.sqrt(max(signal / parameters + element, 0.0)))
    for _ in range(steps):
        rule = rule.updated(gradient(mean, element, directions))
    return rule


def test_the_first_step_has_the_wanted_size_whatever_the_gradient():
    for scale in (1e-9, 1.0, 1e9):
        one = gradient([3 * scale, 4 * scale], None)
        rule = StepRule().updated(one)
        step = rule.gain(0.3, one.rms, 1.0) * one.mean[0]
        assert np.sqrt(np.mean(step**2)) == pytest.approx(0.3)


def test_later_steps_are_scaled_by_all_gradients_and_capped():
    rule = StepRule()
    for size in (1.0, 3.0):
        rule = rule.updated(gradient([size, size], None))
    assert rule.gain(0.1, 3.0, 0.5) == pytest.approx(0.1 * 0.5 / np.sqrt((1 + 9) / 2))
    sudden = gradient([1e6, 1e6], None)
    assert rule.gain(0.1, sudden.rms, 1.0) * 1e6 == pytest.approx(0.1 * step_rule.LARGEST_STEP)


def test_a_flat_objective_gives_no_step_and_divides_by_nothing():
    flat = gradient([0.0, 0.0], 0.0)
    with np.errstate(all="raise"):
        rule = StepRule().updated(flat).updated(flat)
        assert rule.gain(0.3, flat.rms, 1.0) == 0.0
        assert rule.directions(2, 20) == 2
        assert not rule.tries_shared(2, 10, 10)


def test_signal_and_noise_are_the_gradient_s_and_one_direction_s():
    rule = measured(signal=5.0, noise=12.0, directions=4)
    assert (rule.signal, rule.noise) == (pytest.approx(5.0), pytest.approx(12.0))
    one = rule.updated(gradient(np.ones(20), None))
    assert (one.steps, one.measured, one.signal) == (41, 40, rule.signal)


@pytest.mark.parametrize(
    ("signal", "noise", "wanted"),
    [(10.0, 65.0, 7), (10.0, 1.0, 2), (0.01, 100.0, 20), (-1.0, 5.0, 20)],
)
def test_as_many_directions_as_make_the_error_as_long_as_the_gradient(signal, noise, wanted):
    rule = StepRule(steps=9, mean_square=1.0, measured=9, signal=signal, noise=noise)
    assert rule.directions(24, 20) == wanted
    assert rule.directions(24, 1) == 1


def test_nothing_measured_means_a_direction_a_parameter():
    assert [StepRule().directions(count, 20) for count in (1, 8, 100)] == [2, 8, 20]


def tries(signal=0.0, noise=20.0, steps=12, measured=12, rows=50, total=50):
    rule = StepRule(steps, 1.0, measured, signal=signal, noise=noise)
    return rule.tries_shared(20, rows, total)


def test_shared_directions_are_tried_late_where_all_data_are_used():
    assert tries()
    assert not tries(signal=10.0)  # own ones are clearly better
    assert not tries(measured=step_rule.LEAST_MEASURED - 1)
    assert not tries(steps=13)
    assert not tries(rows=20)
    assert not tries(total=None)
    assert not tries(noise=0.0)


def test_directions_are_shared_once_trials_have_shown_a_smaller_gradient():
    rule = measured(signal=0.0, noise=20.0)
    assert rule.own == pytest.approx(20.0)
    for square, wanted in ((0.5, True), (0.9, False)):
        tried = rule
        for trial in range(step_rule.LEAST_TRIALS):
            assert not tried.favours_shared, trial
            tried = tried.updated(gradient(np.full(20, np.sqrt(square)), None), trial=True)
        assert tried.favours_shared is wanted
        assert tried.tried == pytest.approx(20 * square)
        assert (tried.measured, tried.noise, tried.own) == (rule.measured, rule.noise, rule.own)


def test_many_parameters_move_less():
    assert perturbation_size(4) == step_rule.PERTURBATION
    assert perturbation_size(400) == pytest.approx(step_rule.PERTURBATION_LENGTH / 20)
