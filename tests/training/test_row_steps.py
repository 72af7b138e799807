"""Steps by samples: the gradient of the emulator's circuits, one POST, resumed bit for bit."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pennylane as qml
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.row_models import PARAMS, X, Y, make, mean_square
from support.training_runs import make as make_run
from support.training_runs import outcomes

from pennylane_qstore.emulator import Emulator
from pennylane_qstore.errors import ConfigurationError, JobFailed
from pennylane_qstore.training import step_rule
from pennylane_qstore.training.parameters import leaves_of
from pennylane_qstore.training.run import TrainingRun
from pennylane_qstore.training.spsa import SPSAOptimizer
from pennylane_qstore.training.step_rule import StepRule


def optimizer(**options):
    return SPSAOptimizer(**{"maxiter": 20, "seed": 1, **options})


def logistic(out, y):
    return np.mean(np.logaddexp(0.0, -3.0 * out * y))


def flat(tree):
    return np.concatenate([np.ravel(leaf) for leaf in leaves_of(tree)])


def whole_batch_spread(out, y):
    return np.mean((out - y) ** 2) + np.std(out)


# --------------------------------------------------------------------------- the estimator


def smoothed_gradient(model, loss, x, y, c):
    """The mean over all directions there are, of exact expectations on the emulator."""
    total = np.zeros(3)
    for corner in itertools.product([-1.0, 1.0], repeat=3):
        d = np.array(corner)
        ends = [loss(model(unflat(flat(PARAMS) + s * c * d), x), y) for s in (1, -1)]
        total += (ends[0] - ends[1]) / (2 * c) * d / 8
    return total


def unflat(v):
    return {"w": v[:2], "more": [v[2]]}


@given(
    seed=st.integers(0, 10**6),
    rows=st.integers(1, 6),
    loss=st.sampled_from([mean_square, logistic]),
    form=st.sampled_from(["batch", "loop"]),
    directions=st.sampled_from(["shared", "per-sample"]),
)
@settings(max_examples=4, deadline=None)
def test_the_gradient_is_the_smoothed_one_within_its_error(seed, rows, loss, form, directions):
    """Many directions of every sample (or of all) on the analytic emulator."""
    device = qml.device("qstore.ionq", wires=2, seed=3)
    model, _ = make(form, device, shots=None)
    x, y, count = X[:rows], Y[:rows], 60
    opt = optimizer(directions=directions, resamplings=count, seed=seed, c=0.2)
    opt.step_rows(model, loss, PARAMS, x, y)
    wanted = smoothed_gradient(model, loss, x, y, 0.2)
    # A single direction's slopes are not larger than this, whatever the sample.
    error = 1.5 / np.sqrt(count * (rows if directions == "per-sample" else 1))
    np.testing.assert_allclose(flat(opt.gradient.mean), wanted, atol=5 * error)
    if directions == "shared":
        sigma = np.sqrt(flat(opt.gradient.variance)) + 1e-9
        assert np.all(np.abs(flat(opt.gradient.mean) - wanted) < 6 * sigma)
    assert flat(opt.gradient.variance).shape == (3,)


# --------------------------------------------------------------------------- one step


@pytest.mark.parametrize("form", ["batch", "loop", "one", "broadcast"])
@pytest.mark.parametrize("directions", [None, "auto", "per-sample", "shared"])
def test_a_step_is_one_batch_of_two_circuits_a_sample(form, directions):
    model, dev = make("batch" if form == "broadcast" else form)
    opt = optimizer(directions=directions, c=0.1)
    new, loss = opt.step_rows(model, mean_square, PARAMS, X, Y, broadcast=form == "broadcast")
    assert dev.posts == [2 * len(X)]
    assert type(loss) is float
    assert loss == pytest.approx(mean_square(make("loop")[0](PARAMS, X), Y), abs=0.1)
    assert (opt.gradient.variance is None) is (directions == "shared")
    assert np.all(flat(new) != flat(PARAMS))


def test_all_forms_take_the_same_step():
    steps = [
        flat(
            optimizer().step_rows(
                make("batch" if form == "broadcast" else form)[0], mean_square, PARAMS, X, Y,
                broadcast=form == "broadcast",
            )[0]
        )
        for form in ("batch", "loop", "one", "broadcast")
    ]  # fmt: skip
    for step in steps[1:]:
        np.testing.assert_allclose(step, steps[0], atol=1e-12)


def test_the_first_step_has_the_wanted_size_and_needs_no_calibration():
    model, _ = make("batch")
    for first in (0.3, 0.05):
        new, _ = optimizer(first_step=first).step_rows(model, mean_square, PARAMS, X, Y)
        assert np.sqrt(np.mean((flat(new) - flat(PARAMS)) ** 2)) == pytest.approx(first)


def test_a_given_step_size_is_honoured():
    model, _ = make("batch")
    opt = optimizer(a=0.5, A=1.0, c=0.2)
    new, _ = opt.step_rows(model, mean_square, PARAMS, X, Y)
    np.testing.assert_allclose(
        flat(new), flat(PARAMS) - 0.5 / 2**0.602 * flat(opt.gradient.mean), atol=1e-15
    )
    opt = optimizer(c=0.2)
    opt.calibrate(lambda p: mean_square(model(p, X), Y), PARAMS, first_step=0.1)
    new, _ = opt.step_rows(model, mean_square, PARAMS, X, Y)
    assert opt.ak == pytest.approx(opt.a / (opt.A + 1) ** opt.alpha)


def test_a_plain_step_is_the_stock_one_unless_directions_are_auto():
    model, _ = make("batch")

    def cost(p):
        return mean_square(model(p, X), Y)

    plain, stated = optimizer(), optimizer(a=0.05 * 3.0**0.602, c=0.2, directions="shared")
    np.testing.assert_array_equal(flat(plain.step(cost, PARAMS)), flat(stated.step(cost, PARAMS)))
    chosen = optimizer(directions="auto", resamplings=4).step(cost, PARAMS)
    size = np.sqrt(np.mean((flat(chosen) - flat(PARAMS)) ** 2))
    assert size == pytest.approx(step_rule.FIRST_STEP)


def test_a_cost_that_cannot_be_taken_apart_is_refused_with_the_way_to_write_it():
    with pytest.raises(ConfigurationError, match=r"step_rows\(model, loss, params, x, y\)"):
        optimizer(directions="per-sample").step(lambda w: np.sum(w**2), np.zeros(3))


def test_labels_are_optional_and_a_tuple_is_several_arguments():
    model, _ = make("batch")
    (w, more), loss = optimizer().step_rows(
        lambda w, m, x: model({"w": w, "more": [m]}, x),
        lambda out: np.mean(out**2), (PARAMS["w"], PARAMS["more"][0]), X,
    )  # fmt: skip
    assert (w.shape, more.shape) == ((2,), ())
    assert 0 < loss < 1


def test_bounds_average_and_projection_hold_as_before():
    model, _ = make("batch")
    opt = optimizer(
        bounds=(-0.71, 0.41), average=2, max_norm=0.01, a=1.0,
        projection=lambda p: {**p, "more": [np.array(0.25)]},
    )  # fmt: skip
    params, seen = PARAMS, []
    for _ in range(3):
        params, _ = opt.step_rows(model, mean_square, params, X, Y)
        seen.append(flat(params))
        assert np.all((flat(params) >= -0.71) & (flat(params) <= 0.41))
        assert params["more"][0] == 0.25
    np.testing.assert_allclose(flat(opt.averaged(params)), np.mean(seen[1:], axis=0))


@pytest.mark.parametrize("form", ["batch", "one", "broadcast"])
def test_blocking_compares_the_losses_where_we_are_and_would_be(form):
    model, dev = make("batch" if form == "broadcast" else form)
    opt = optimizer(blocking=True, allowed_increase=-10.0)
    new, loss = opt.step_rows(model, mean_square, PARAMS, X, Y, broadcast=form == "broadcast")
    assert dev.posts == [3 * len(X), len(X)]
    assert loss == pytest.approx(mean_square(make("loop")[0](PARAMS, X), Y))
    assert opt.rejected == 1
    np.testing.assert_array_equal(flat(new), flat(PARAMS))


@pytest.mark.parametrize("resamplings", [1, 3])
def test_one_row_and_a_constant_loss_divide_by_nothing(resamplings):
    with np.errstate(all="raise"):
        opt = optimizer(resamplings=resamplings)
        new, loss = opt.step_rows(lambda p, x: 0 * x[:, 0], mean_square, PARAMS, X[:1], Y[:1])
    np.testing.assert_array_equal(flat(new), flat(PARAMS))
    assert (loss, opt.gradient.rms) == (1.0, 0.0)


def test_the_number_of_directions_is_chosen_within_its_cap():
    model, dev = make("batch")
    opt, params = optimizer(directions="auto", resamplings="auto"), np.zeros(30)
    for _ in range(3):
        params = opt.step(lambda w: np.sum((w - 1.0) ** 2), params)
        assert opt.gradient.directions == step_rule.MOST_DIRECTIONS
    opt, params = optimizer(resamplings="auto"), PARAMS
    for _ in range(4):
        params, _ = opt.step_rows(model, mean_square, params, X, Y)
        assert dev.posts[-1] == 2 * len(X) * opt.gradient.directions
        assert 2 <= opt.gradient.directions <= step_rule.MOST_PER_SAMPLE


# --------------------------------------------------------------------------- failures


def test_a_failed_step_leaves_the_optimizer_as_it_was():
    model, dev = make("batch")
    opt, same = optimizer(), optimizer()

    def fail(dev):
        raise JobFailed("no ions")

    params, wanted = PARAMS, PARAMS
    for _ in range(3):
        before = json.dumps(opt.state_dict())
        dev.fail = fail
        with pytest.raises(JobFailed):
            opt.step_rows(model, mean_square, params, X, Y)
        dev.fail = None
        with pytest.raises(ConfigurationError, match="sample 2"):
            opt.step_rows(hole, mean_square, params, X, Y)
        assert json.dumps(opt.state_dict()) == before
        params, _ = opt.step_rows(model, mean_square, params, X, Y)
        wanted, _ = same.step_rows(model, mean_square, wanted, X, Y)
        assert flat(params).tobytes() == flat(wanted).tobytes()


def hole(params, x):
    return np.where(x[:, 0] == X[2, 0], np.nan, x[:, 0])


def test_a_loss_that_is_no_mean_is_refused_or_has_shared_directions(caplog):
    model, dev = make("batch")
    with pytest.raises(ConfigurationError, match='directions="shared"'):
        optimizer(directions="per-sample").step_rows(model, whole_batch_spread, PARAMS, X, Y)
    opt = optimizer()
    del dev.posts[:]
    params, _ = opt.step_rows(model, whole_batch_spread, PARAMS, X, Y)
    assert "share directions" in caplog.text
    assert dev.posts == [12, 12]  # found out once
    opt.step_rows(model, whole_batch_spread, params, X, Y)
    assert dev.posts == [12, 12, 12]
    assert opt.gradient.variance is None


# --------------------------------------------------------------------------- runs


def switching(monkeypatch, after):
    """Let directions be shared after so many steps."""
    monkeypatch.setattr(StepRule, "favours_shared", property(lambda self: self.steps >= after))


@pytest.mark.parametrize("cut", [1, 3, 4])
@pytest.mark.parametrize("options", [{}, {"resamplings": "auto"}, {"blocking": True}], ids=str)
def test_a_run_is_resumed_bit_for_bit_also_across_the_switch(cut, options, tmp_path, monkeypatch):
    switching(monkeypatch, 3)

    def run(**more):
        made = optimizer(average=3, **options)
        return make_run(None, optimizer_object=made, noise="forte-1", **more)

    whole = run().train(6)
    run(checkpoint=tmp_path / "a").train(cut)
    rest = run(checkpoint=tmp_path / "a", resume=True).train(6)
    assert outcomes(rest) == outcomes(whole)
    assert [r.gradient_variance for r in rest.history] == [
        r.gradient_variance for r in whole.history
    ]
    assert rest.params.tobytes() == whole.params.tobytes()
    if "resamplings" not in options:
        known = [r.gradient_variance is not None for r in whole.history]
        assert known == [True] * 3 + [False] * 3


def test_a_run_by_samples_tells_its_gradient_and_one_post_a_step():
    with Emulator() as emulator:
        run = make_run(device=qml.device("qstore.ionq", wires=2, seed=3, emulator=emulator))
        run.train(4)
        assert emulator.stats()["posts"] == 4
    table = run.table()
    assert table["circuits"] == [8] * 4
    assert all(v > 0 for v in (*table["gradient_rms"], *table["gradient_variance"]))
    assert all(0 <= v <= 1 for v in table["accuracy"])


def test_a_sample_is_named_by_its_place_in_the_data():
    def model(w, x):
        return np.where(x[:, 0] == x_bad, np.nan, x[:, 0] * w[0])

    x = np.arange(20.0).reshape(10, 2)
    x_bad = x[7, 0]
    run = TrainingRun(
        model, np.zeros(2), optimizer(), loss=mean_square, data=(x, np.zeros(10)), batch_size=5,
        seed=1, device=(), progress=False,
    )  # fmt: skip
    with pytest.raises(ConfigurationError, match="sample 7"):
        run.train(2)


def test_broadcast_runs_are_those_row_by_row():
    def run(broadcast):
        device = qml.device("qstore.ionq", wires=2, seed=3)
        model, _ = make("batch", device, shots=None)
        return TrainingRun(
            model, PARAMS, optimizer(), loss=mean_square, data=(X, Y), broadcast=broadcast,
            device=device, seed=1, progress=False,
        ).train(3)  # fmt: skip

    one, two = run(False), run(True)
    assert [r.posts for r in two.history] == [1, 1, 1]
    np.testing.assert_allclose(flat(two.params), flat(one.params), atol=1e-9)


@pytest.mark.parametrize(("total", "shares"), [(None, False), (6, True)])
def test_shared_directions_are_tried_and_taken_where_all_data_are_used(total, shares):
    """Gradients of samples that cancel: at the optimum, only own directions are noisy."""

    def model(p, x):
        return p["w"][..., 0] * x[..., 0] + p["w"][..., 1] * x[..., 1] + p["more"][0]

    target = model({"w": np.array([0.3, 0.1]), "more": [0.2]}, X)
    noise = np.array([0.5, -0.5] * 3)
    opt, params = optimizer(maxiter=200, directions="auto"), PARAMS
    for _ in range(120):
        params, _ = opt.step_rows(
            model, mean_square, params, X, target + noise, broadcast=True, total=total
        )
    assert (opt._rule.trials >= step_rule.LEAST_TRIALS) is shares
    assert (opt.gradient.variance is None) is shares


# --------------------------------------------------------------------------- torch and JAX


@pytest.mark.ml
@pytest.mark.parametrize("form", ["batch", "loop", "one", "broadcast"])
@pytest.mark.parametrize("kind", ["torch", "jax", "autograd"])
def test_other_interfaces_take_the_same_step_in_one_batch(kind, form):
    array = {"autograd": lambda a: qml.numpy.array(a, requires_grad=True)}.get(kind)
    if kind == "torch":
        array = pytest.importorskip("torch").tensor
    if kind == "jax":
        pytest.importorskip("jax").config.update("jax_enable_x64", True)
        array = pytest.importorskip("jax").numpy.array
    model, dev = make("batch" if form == "broadcast" else form)
    params = {"w": array(PARAMS["w"]), "more": [array(PARAMS["more"][0])]}
    options = {"broadcast": form == "broadcast"}
    new, _ = optimizer().step_rows(model, mean_square, params, array(X), array(Y), **options)
    assert dev.posts == [2 * len(X)]
    assert type(new["w"]) is type(params["w"])
    wanted, _ = optimizer().step_rows(make("batch")[0], mean_square, PARAMS, X, Y)
    np.testing.assert_allclose(flat(new), flat(wanted), atol=1e-6)
