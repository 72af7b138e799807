"""State of a run: what goes on exactly, and what is no checkpoint of this run."""

from __future__ import annotations

import json

import numpy as np
import pytest
from support.training_runs import WEIGHTS, X, Y, make, mean_square, outcomes

from pennylane_qstore import SPSAOptimizer
from pennylane_qstore.errors import ConfigurationError, JobFailed
from pennylane_qstore.training.run import TrainingRun


def test_parameters_keep_their_form(tmp_path):
    params = {"w": WEIGHTS.copy(), "more": [np.float32([0.5]), np.zeros(2)]}

    def model(p, x):
        return x @ p["more"][1] + p["more"][0] + np.sum(p["w"])

    def run(**options):
        optimizer = SPSAOptimizer(maxiter=9, seed=1)
        return TrainingRun(
            model, params, optimizer, loss=mean_square, data=(X, Y), device=(), seed=1,
            progress=False, **options,
        )  # fmt: skip

    first = run(checkpoint=tmp_path / "a").train(4)
    rest = run(checkpoint=tmp_path / "a", resume=True).train(8)
    whole = run().train(8)
    assert rest.params["more"][0].dtype == np.float32
    np.testing.assert_array_equal(rest.params["w"], whole.params["w"])
    assert first.step == 4


def test_a_checkpoint_is_not_replaced_by_accident(tmp_path):
    make(checkpoint=tmp_path / "a").train(2)
    with pytest.raises(ConfigurationError, match="Give resume=True"):
        make(checkpoint=tmp_path / "a").train(2)
    assert make(checkpoint=tmp_path / "a", resume=False).train(1).step == 1


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"seed": 2}, "seed"),
        ({"data": (X + 1, Y)}, "data"),
        ({"batch_size": 5}, "batch_size"),
        ({"optimizer": "adam"}, "optimizer"),
        ({"noise": "forte-1"}, "devices"),
        ({"name": "other"}, "name"),
    ],
)
def test_another_run_does_not_go_on_with_the_checkpoint(change, named, tmp_path):
    make(checkpoint=tmp_path / "a").train(1)
    with pytest.raises(ConfigurationError, match=f"another run.*{named}"):
        make(**change, checkpoint=tmp_path / "a", resume=True).train(2)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 99}', '{"a": 1}', '{"format": 1}'])
def test_what_is_no_checkpoint_is_said_to_be_none(text, tmp_path):
    (tmp_path / "a").write_text(text)
    with pytest.raises(ConfigurationError, match="checkpoint"):
        make(checkpoint=tmp_path / "a", resume=True).train(2)


def test_a_seed_that_was_drawn_is_remembered(tmp_path):
    make(seed=None, checkpoint=tmp_path / "a").train(2)
    rest = make(seed=None, checkpoint=tmp_path / "a", resume=True).train(4)
    assert rest.step == 4
    assert json.loads((tmp_path / "a").read_text())["settings"]["seed"] is not None


def test_a_failed_step_leaves_the_run_where_it_was():
    fail = []

    def cost(w):
        if fail:
            raise JobFailed("no luck")
        return np.sum(w**2)

    run = TrainingRun(
        cost, np.ones(3), SPSAOptimizer(maxiter=9, seed=1), device=(), progress=False
    ).train(2)
    params, fail[:] = run.params.copy(), [True]
    with pytest.raises(JobFailed):
        run.train(4)
    np.testing.assert_array_equal(run.params, params)
    fail.clear()
    other = TrainingRun(
        cost, np.ones(3), SPSAOptimizer(maxiter=9, seed=1), device=(), progress=False
    ).train(4)
    assert outcomes(run.train(4)) == outcomes(other)
