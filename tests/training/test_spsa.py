"""SPSAOptimizer: what it trains, what a step costs, and that a run can be continued."""

from __future__ import annotations

import json

import numpy as np
import pennylane as qml
import pytest
from pennylane import numpy as pnp
from support.spsa_runs import TARGET, optimizer, problem, quadratic, train

from pennylane_qstore.errors import ConfigurationError, JobFailed
from pennylane_qstore.training.spsa import SPSAOptimizer


def test_resamplings_share_the_batch_and_average_the_gradient():
    dev, cost, w = problem()
    optimizer(resamplings=3).step(cost, w)
    assert dev.posts == [24]
    one = optimizer(resamplings=1000, mode="serial").compute_grad(quadratic, (np.zeros(3),), {})
    np.testing.assert_allclose(one[0], -2 * TARGET, atol=0.5)


def test_first_step_equals_pennylane_with_the_same_signs():
    _, cost, w = problem()
    mine = optimizer(a=None)
    stock = qml.SPSAOptimizer(maxiter=200)
    np.random.seed(0)  # noqa: NPY002 - what the stock optimizer draws from
    signs = np.random.get_state()  # noqa: NPY002
    wanted = stock.step(cost, pnp.array(w))
    np.random.set_state(signs)  # noqa: NPY002

    class Drawn:
        def choice(self, values, size):
            return np.random.choice([-1, 1], size=size)  # noqa: NPY002

        bit_generator = mine._rng.bit_generator

    mine._rng = Drawn()
    np.testing.assert_allclose(mine.step(cost, w), wanted, atol=1e-12)
    assert (mine.k, mine.ak) == (stock.k, stock.ak)


def test_failed_step_leaves_the_optimizer_as_it_was():
    dev, cost, w = problem()
    opt, same = optimizer(), optimizer()

    def fail(dev):
        raise JobFailed("no ions")

    dev.fail = fail
    with pytest.raises(JobFailed):
        opt.step(cost, w)
    dev.fail = None
    np.testing.assert_array_equal(opt.step(cost, w), same.step(cost, w))


def test_seeds_decide_the_run():
    runs = [train(optimizer(seed=s), quadratic, np.zeros(3), 5) for s in (1, 1, 2)]
    np.testing.assert_array_equal(runs[0], runs[1])
    assert not np.array_equal(runs[0], runs[2])


def test_global_random_state_is_not_touched():
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    train(optimizer(), quadratic, np.zeros(3), 3)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


def test_calibration_is_one_batch_and_sets_the_first_step():
    dev, cost, w = problem()
    opt = optimizer(a=None)
    a = opt.calibrate(cost, w, first_step=0.1, samples=50)
    assert dev.posts == [400]
    assert a == opt.a
    opt = SPSAOptimizer(maxiter=200, seed=0)
    opt.calibrate(quadratic, np.zeros(3), first_step=0.1, samples=200)
    sizes = [
        np.abs(SPSAOptimizer(maxiter=200, a=opt.a, seed=s).step(quadratic, np.zeros(3))).mean()
        for s in range(200)
    ]
    assert np.mean(sizes) == pytest.approx(0.1, rel=0.15)


def test_calibration_sees_how_near_the_points_are_at_a_bound():
    """On the bound only one of the two moves, so the slope is twice the difference's."""

    def slope(bounds):
        opt = SPSAOptimizer(maxiter=200, seed=0, bounds=bounds)
        return 1 / opt.calibrate(lambda w: 3.0 * w, np.array(0.0), first_step=0.1, samples=2)

    assert slope((0.0, 1.0)) == pytest.approx(slope(None))


def test_calibration_on_a_flat_objective_keeps_a(caplog):
    opt = optimizer()
    assert opt.calibrate(lambda w: 1.0, np.zeros(3)) == 1.0
    assert "flat" in caplog.text


def test_blocking_refuses_steps_that_raise_the_loss():
    opt = optimizer(blocking=True, allowed_increase=0.0, a=100.0)
    w = np.zeros(3)
    new, loss = opt.step_and_cost(quadratic, w)
    np.testing.assert_array_equal(new, w)
    assert (opt.rejected, opt.k) == (1, 2)
    assert loss == quadratic(w)
    assert not np.array_equal(optimizer(a=100.0).step(quadratic, w), w)


def test_blocking_costs_one_batch_more():
    dev, cost, w = problem()
    optimizer(blocking=True).step(cost, w)
    assert dev.posts == [12, 4]


def test_blocking_allows_twice_the_spread_of_the_last_losses():
    opt = optimizer(blocking=True, a=1e-6)
    for loss in (1.0, 3.0):
        opt.step(lambda w, loss=loss: loss, np.zeros(3))
    assert opt.rejected == 0
    values = iter([3.0, 3.0, 2.0, 3.5])  # plus, minus, here, there: 2 std([1, 3, 2]) is 1.63
    opt.step(lambda w: next(values), np.zeros(3))
    assert opt.rejected == 0
    values = iter([3.0, 3.0, 2.0, 6.0])
    opt.step(lambda w: next(values), np.zeros(3))
    assert opt.rejected == 1


def test_long_gradients_are_shortened():
    grad = optimizer(max_norm=0.1).compute_grad(quadratic, (np.zeros(3),), {})[0]
    assert np.linalg.norm(grad) == pytest.approx(0.1)


@pytest.mark.parametrize(("average", "kept"), [(3, [1, 2, 3, 3, 3, 3]), (0.5, [1, 1, 2, 2, 2, 2])])
def test_average_is_the_mean_of_the_last_iterates(average, kept):
    opt, w, seen = optimizer(average=average, maxiter=4), np.zeros(3), []
    assert opt.averaged(w) is w
    for last in kept:
        w = opt.step(quadratic, w)
        seen.append(w)
        np.testing.assert_allclose(opt.averaged(w), np.mean(seen[-last:], axis=0), atol=1e-15)


@pytest.mark.parametrize(
    "wrong",
    [
        {"resamplings": 0},
        {"resamplings": 1.5},
        {"resamplings": True},
        {"resamplings": "many"},
        *({"directions": value} for value in ("own", 1)),
        *({"first_step": value} for value in (0, np.nan, None)),
        {"history_length": 1},
        *({"max_norm": value} for value in (0, "1")),
        *({"c": value} for value in (0, np.nan, np.inf, "0.2")),
        *({"a": value} for value in (0, -1.0, np.nan)),
        *({"A": value} for value in (-1, np.nan)),
        *({"maxiter": value} for value in (-5, 0, "100")),
        {"alpha": np.nan},
        {"gamma": "x"},
        {"mode": "fast"},
        {"blocking": "no"},
        *({"allowed_increase": value} for value in (np.nan, "1")),
        *({"bounds": value} for value in ((1.0, 0.0), 1.0, [(-1, 1)] * 3, (None, 1), ("a", "b"))),
        {"projection": 1},
        *({"seed": value} for value in (-1, 1.5, "a")),
        *({"argnums": value} for value in ("0", 0.0, True, [0, None])),
        *({"average": value} for value in (-1, np.inf, "x")),
        {"maxiter": None, "A": 10.0, "average": 0.5},
    ],
    ids=str,
)
def test_wrong_options_are_refused_by_name(wrong):
    name = list(wrong)[-1]
    with pytest.raises(ConfigurationError, match=f"^{name}="):
        optimizer(**wrong)


def test_numbers_of_numpy_are_options_and_the_state_is_still_json():
    one, two = np.float32(1), np.int64(2)
    opt = SPSAOptimizer(
        maxiter=two * 50,
        c=one,
        a=one,
        A=one,
        max_norm=one,
        seed=two,
        resamplings=two,
        history_length=two,
        argnums=np.int64(0),
        average=two,
        blocking=np.bool_(True),
        allowed_increase=one,
    )
    opt.step(quadratic, np.zeros(3))
    assert json.loads(json.dumps(opt.state_dict())) == opt.state_dict()


def test_it_is_a_drop_in():
    opt = SPSAOptimizer(100, 0.6, 0.1, 0.3, 11.0, 0.7)
    stock = qml.SPSAOptimizer(100, 0.6, 0.1, 0.3, 11.0, 0.7)
    assert isinstance(opt, qml.SPSAOptimizer)
    assert {k: v for k, v in vars(opt).items() if k in vars(stock)} == vars(stock)
    with pytest.raises(TypeError, match="maxiter"):
        SPSAOptimizer()


def test_its_repr_makes_it_again():
    given = {"maxiter": 40, "seed": 0, "resamplings": "auto", "average": 0.25, "bounds": (-1, 1)}
    text = repr(SPSAOptimizer(**given))
    assert text == (
        "SPSAOptimizer(maxiter=40, seed=0, resamplings='auto', bounds=[-1.0, 1.0], average=0.25)"
    )
    assert repr(eval(text, {"SPSAOptimizer": SPSAOptimizer})) == text
