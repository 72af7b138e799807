"""Constraints: bounds hold at every point, projections are applied and checked."""

from __future__ import annotations

import json

import numpy as np
import pytest
from pennylane import numpy as pnp
from support.spsa_runs import TARGET, optimizer, quadratic, quadratic_like, train

from pennylane_qstore.errors import ConfigurationError


def test_bounds_hold_for_iterates_and_for_every_point_evaluated():
    seen = []

    def cost(w):
        seen.append(w)
        return quadratic(w)

    w = train(optimizer(bounds=(-0.5, [0.2, 1.0, 0.2]), resamplings=10), cost, np.zeros(3))
    np.testing.assert_allclose(w, [0.2, -0.5, 0.2], atol=0.05)
    assert np.min(seen) >= -0.5
    assert np.all(np.max(seen, axis=0) <= [0.2, 1.0, 0.2])


def test_projection_is_applied_to_the_new_arguments():
    def unit(w):
        return w / np.linalg.norm(w)

    w = train(optimizer(projection=unit, resamplings=10), quadratic, np.ones(3), 300)
    np.testing.assert_allclose(w, TARGET / np.linalg.norm(TARGET), atol=0.1)


def test_projected_parameters_keep_their_kind():
    w = pnp.array([0.5, 2.0], requires_grad=True)
    data = np.ones(2)
    opt = optimizer(projection=lambda w, x: (np.clip(np.asarray(w), 0, 1), np.asarray(x)))
    new, same = opt.step(lambda w, x: quadratic_like(w * x), w, data)
    assert type(new) is pnp.tensor
    assert new.requires_grad
    assert new[1] == 1.0
    assert same is data


@pytest.mark.ml
def test_projected_torch_parameters_are_leaves():
    torch = pytest.importorskip("torch")
    w = torch.nn.Parameter(torch.tensor([0.5, 2.0]))
    new = optimizer(projection=lambda w: w.clamp(0, 1)).step(lambda w: (w**2).sum(), w)
    assert isinstance(new, torch.nn.Parameter)
    assert new.is_leaf
    assert new[1] == 1.0


@pytest.mark.parametrize("wrong", [lambda w: None, lambda w: w[:2], lambda w: w * np.nan])
def test_projection_that_returns_something_else_is_named(wrong):
    opt = optimizer(projection=wrong)
    before = json.dumps(opt.state_dict())
    with pytest.raises(ConfigurationError, match="projection returned"):
        opt.step(quadratic, np.zeros(3))
    assert json.dumps(opt.state_dict()) == before


def test_bounds_that_do_not_fit_the_parameters_are_refused():
    with pytest.raises(ConfigurationError, match=r"broadcast to parameters of shape \(3,\)"):
        optimizer(bounds=(np.zeros(2), np.ones(2))).step(quadratic, np.zeros(3))
