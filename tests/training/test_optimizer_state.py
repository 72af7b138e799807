"""State of an optimizer: continues bit for bit, and is refused where it does not fit."""

from __future__ import annotations

import json

import numpy as np
import pytest
from support.spsa_runs import optimizer, quadratic, train

from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.training.spsa import SPSAOptimizer


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"resamplings": 2},
        {"blocking": True},
        {"average": 0.1, "max_norm": 3.0},
        {"bounds": (-1.0, [0.4, 0.5, 0.6]), "allowed_increase": 0.1, "argnums": 0},
    ],
)
@pytest.mark.parametrize("bits", [np.random.PCG64, np.random.MT19937, np.random.SFC64])
def test_saved_state_continues_bit_for_bit(settings, bits):
    opt = optimizer(**settings, seed=np.random.Generator(bits(5)))
    opt.calibrate(quadratic, np.zeros(3))
    w = train(opt, quadratic, np.zeros(3), 7)
    state = json.loads(json.dumps(opt.state_dict()))
    wanted = train(opt, quadratic, w, 7)

    other = SPSAOptimizer(maxiter=200, seed=99, **settings)
    other.load_state_dict(state)
    found = train(other, quadratic, w, 7)
    assert found.tobytes() == wanted.tobytes()
    assert json.dumps(other.state_dict()) == json.dumps(opt.state_dict())
    assert opt.averaged(w).tobytes() == other.averaged(w).tobytes()


@pytest.mark.parametrize(
    "other",
    [{"resamplings": 2}, {"max_norm": 1.0}, {"bounds": (0, 1)}, {"allowed_increase": 0.5}],
)
def test_state_of_other_settings_is_refused(other):
    state = optimizer(**other).state_dict()
    with pytest.raises(ConfigurationError, match=next(iter(other))):
        optimizer().load_state_dict(state)
    with pytest.raises(ConfigurationError, match="version"):
        optimizer().load_state_dict({**state, "version": 99})


@pytest.mark.parametrize(
    "damage",
    [
        lambda state: state.pop("rng"),
        lambda state: state.pop("settings"),
        lambda state: state["rng"].update(bit_generator="Nonsense"),
        lambda state: state["rng"].update(bit_generator=5),
        lambda state: state["iterates"][0][0].update(shape=[7]),
        lambda state: state.update(losses=None),
    ],
)
def test_damaged_state_is_refused_and_changes_nothing(damage):
    opt = optimizer(average=2)
    opt.step(quadratic, np.zeros(3))
    state, fresh = opt.state_dict(), optimizer(average=2)
    before = json.dumps(fresh.state_dict())
    damage(state)
    with pytest.raises(ConfigurationError, match="damaged"):
        fresh.load_state_dict(state)
    assert json.dumps(fresh.state_dict()) == before
