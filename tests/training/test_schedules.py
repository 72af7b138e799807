"""Learning rates and shots that change from step to step."""

from __future__ import annotations

import pickle

import numpy as np
import pennylane as qml
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.training_runs import make, outcomes

from pennylane_qstore import SPSAOptimizer, schedules
from pennylane_qstore.errors import ConfigurationError

RATES = schedules.cosine(0.4, 0.01, steps=6)


def test_each_goes_from_its_start_to_its_end_and_stays():
    for make_schedule in (schedules.linear, schedules.cosine, schedules.exponential):
        schedule = make_schedule(8.0, 2.0, steps=5)
        values = [schedule(step) for step in range(1, 8)]
        assert values[0] == 8.0
        assert values[4:] == pytest.approx([2.0] * 3)
        assert values == sorted(values, reverse=True)
    assert [schedules.linear(8, 2, 4)(s) for s in (1, 2, 3, 4)] == pytest.approx([8, 6, 4, 2])
    assert schedules.cosine(8, 2, 3)(2) == pytest.approx(5)
    assert schedules.exponential(8, 2, 3)(2) == pytest.approx(4)
    assert {schedules.constant(0.3)(step) for step in (1, 9, 99)} == {0.3}


@given(st.sampled_from(["linear", "cosine", "exponential"]), st.integers(1, 50), st.integers(1, 99))
def test_values_lie_between_the_ends_in_every_copy(kind, steps, step):
    schedule = getattr(schedules, kind)(0.5, 2.0, steps)
    assert 0.5 <= schedule(step) <= 2.0 + 1e-12
    assert pickle.loads(pickle.dumps(schedule)) == schedule
    assert repr(schedule) == f"{kind}(0.5, 2, steps={steps})"


def test_what_is_no_schedule_is_refused():
    with pytest.raises(ConfigurationError, match="steps"):
        schedules.linear(1, 2, 0)
    with pytest.raises(ConfigurationError, match="end"):
        schedules.exponential(1, 0, 5)


@pytest.mark.parametrize("optimizer", ["spsa", "gradient descent", "adam"])
def test_the_learning_rate_of_a_step_is_the_schedule_s(optimizer):
    """Half the rate, half the first step, from the same place and with the same gradient."""
    moved = []
    for rate in (0.2, 0.1):
        run = make(optimizer, lr=lambda step, rate=rate: rate)
        start, stepsize = run.params.copy(), getattr(run.optimizer, "stepsize", None)
        moved.append(run.train(1).params - start)
        assert getattr(run.optimizer, "stepsize", None) == stepsize  # as it was given
    assert abs(moved[0]).max() > 0
    assert moved[0] == pytest.approx(2 * moved[1], rel=1e-6)


def test_stock_spsa_moves_by_the_rate_times_its_gradient():
    run = make(optimizer_object=qml.SPSAOptimizer(maxiter=20), lr=0.25)
    run.train(2)
    assert run.optimizer.ak == pytest.approx(0.25)


def test_shots_follow_the_schedule():
    shots = schedules.linear(10, 50, steps=5)
    run = make(shots=shots).train(6)
    assert [record.sizes[0].shots for record in run.history] == [10, 20, 30, 40, 50, 50]
    plan = make(shots=shots).estimate(6)
    alone = [make(shots=n).estimate(1) for n in (10, 20, 30, 40, 50, 50)]
    assert plan.shots == sum(estimate.shots for estimate in alone)


@pytest.mark.parametrize("optimizer", ["spsa", "adam", "stock spsa"])
def test_a_run_goes_on_bit_for_bit(optimizer, tmp_path):
    options = {"lr": RATES, "shots": lambda step: 20 + 10 * step}
    np.random.seed(1)  # noqa: NPY002 - PennyLane's SPSA draws from it
    whole = make(optimizer, **options).train(6)
    np.random.seed(1)  # noqa: NPY002
    path = {"checkpoint": tmp_path / "run.json", "resume": True}
    make(optimizer, **options, **path).train(3)
    assert outcomes(make(optimizer, **options, **path).train(6)) == outcomes(whole)


@pytest.mark.parametrize(
    ("first", "then", "said"),
    [
        ({"lr": RATES}, {"lr": schedules.linear(0.4, 0.01, steps=6)}, r"lr: 'cosine\(0.4, 0.01"),
        ({"lr": RATES}, {}, "lr"),
        ({}, {"lr": 0.1}, "lr"),
        ({"lr": lambda step: 0.1 * step}, {"lr": lambda step: 0.2 * step}, "lr"),
        (
            {"lr": lambda step: [0.1, 0.2][step - 1]},
            {"lr": lambda step: [0.1, 0.3][step - 1]},
            "lr",
        ),
        ({"shots": lambda step: 20}, {"shots": lambda step: 30}, "step_shots"),
        ({"shots": schedules.linear(20, 90, 9)}, {"shots": 20}, "step_shots"),
    ],
)
def test_another_schedule_is_refused_by_name(first, then, said, tmp_path):
    path = {"checkpoint": tmp_path / "run.json", "resume": True}
    make(**first, **path).train(1)
    with pytest.raises(ConfigurationError, match=rf"another run \({said}"):
        make(**then, **path).train(2)
    make(**first, **path).train(2)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"lr": "fast"}, "lr"),
        ({"optimizer_object": qml.RotosolveOptimizer(), "lr": 0.1}, "no learning rate"),
        ({"optimizer_object": SPSAOptimizer(maxiter=9, a=0.2), "lr": 0.1}, "takes the place"),
    ],
)
def test_a_rate_that_would_have_no_effect_is_refused(options, said):
    with pytest.raises(ConfigurationError, match=said):
        make(**options)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"lr": lambda step: float("nan")}, "lr in step 1"),
        ({"lr": lambda step: -0.1}, "lr in step 1"),
        ({"lr": lambda step: "fast"}, "lr in step 1"),
        ({"lr": lambda step: None}, "lr in step 1"),
        ({"shots": lambda step: "many"}, "shots in step 1"),
        ({"shots": lambda step: 0.2}, "shots in step 1"),
        ({"shots": lambda step: 10**9}, "shots in step 1"),
    ],
)
def test_a_value_that_is_not_allowed_is_named_with_its_step(options, said):
    run = make(**options)
    with pytest.raises(ConfigurationError, match=said):
        run.train(1)
    assert run.devices[0].stats["jobs"] == 0


@pytest.mark.ml
def test_torch_optimizers_have_the_rate():
    torch = pytest.importorskip("torch")
    weights = torch.zeros(3, requires_grad=True)
    sgd = torch.optim.SGD([weights], lr=9.0)
    rate = schedules.LearningRate(schedules.linear(0.2, 0.1, steps=2), sgd)
    for step, expected in ((1, 0.2), (2, 0.1)):
        with rate.applied(step):
            assert sgd.param_groups[0]["lr"] == expected
        assert sgd.param_groups[0]["lr"] == 9.0
