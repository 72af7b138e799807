"""Optimizers by name: rules, gradients, state, failures."""

import json

import numpy as np
import pennylane as qml
import pytest
from pennylane import numpy as pnp
from support.v34_runs import X, Y, quadratic

from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.training.run import TrainingRun
from pennylane_qstore.v34.config import TrainingConfig
from pennylane_qstore.v34.optimizers import RuleOptimizer


def test_the_field_is_also_the_method():
    config = TrainingConfig(optimizer="sgd")
    assert config.optimizer == "sgd"
    assert config.optimizer().rule == "sgd"
    assert config.optimizer(seed=3, maxiter=50).A == 5


@pytest.mark.parametrize("rule", ["adam", "sgd", "gd", "spsa"])
def test_every_rule_descends(rule):
    # a of 0.01 is a small first gain; the others take the learning rate.
    config = TrainingConfig(
        optimizer=rule, gradient_method="spsa", learning_rate=0.05, spsa_a_initial=0.5
    )
    w, optimizer = np.zeros(3), config.optimizer(seed=1)
    for _ in range(150):
        w = optimizer.step(quadratic, w)
    assert quadratic(w) < 0.3


def test_natural_gradient_is_pennylanes():
    for settings in ({"gradient_method": "natural_gradient"}, {"optimizer": "natural_gradient"}):
        config = TrainingConfig(**settings, epochs=3, learning_rate=0.3)
        assert isinstance(config.optimizer(), qml.QNGOptimizer)
        dev = qml.device("default.qubit", wires=1)

        @qml.qnode(dev)
        def cost(w):
            qml.RX(w[0], 0)
            qml.RY(w[1], 0)
            return qml.expval(qml.Z(0))

        losses = config.run(cost, np.array([0.4, 0.3]), device=dev, progress=False).losses
        assert losses[0] > losses[1] > losses[2]
        for wrong in ({"data": (X, Y)}, {"cost": lambda w: w[0], "params": np.ones(2)}):
            with pytest.raises(ConfigurationError, match="QNode"):
                config.run(**wrong)


def test_a_contradiction_is_refused():
    with pytest.raises(ConfigurationError, match="gradient_method"):
        TrainingConfig(optimizer="spsa", gradient_method="parameter_shift").optimizer()


def test_the_optimizer_continues_bit_for_bit():
    config = TrainingConfig(gradient_method="spsa")
    w, first = np.zeros(3), config.optimizer(seed=1)
    for _ in range(3):
        w = first.step(quadratic, w)
    second = config.optimizer(seed=9)
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    assert np.array_equal(first.step(quadratic, w), second.step(quadratic, w))


def test_a_step_that_fails_changes_nothing():
    optimizer = RuleOptimizer(rule="adam", maxiter=10, seed=1)
    optimizer.step(quadratic, np.zeros(2))
    before = json.dumps(optimizer.state_dict())
    with pytest.raises(ZeroDivisionError):
        optimizer.step(lambda w: 1 / 0, np.zeros(2))
    assert json.dumps(optimizer.state_dict()) == before


@pytest.mark.parametrize("method", ["spsa", "parameter_shift"])
@pytest.mark.parametrize("rule", ["adam", "sgd", "gd"])
def test_a_training_run_takes_the_optimizer_and_resumes_bit_for_bit(tmp_path, rule, method):
    config = TrainingConfig(optimizer=rule, gradient_method=method, weight_decay=0.1)

    def cost(w, x):
        return sum((w[0] * v + w[1] - 1.0) ** 2 for v in x) / len(x)

    def go_on(name, steps):
        options = {"seed": 1} if method == "spsa" else {}
        run = TrainingRun(
            cost, pnp.array([2.0, 0.0], requires_grad=True), config.optimizer(**options),
            data=(X[:, 0],), batch_size=2, seed=1, device=(),
            checkpoint=tmp_path / name, resume=True,
        )  # fmt: skip
        return run.train(steps=steps)

    whole = go_on("whole", 7)
    go_on("parts", 3)
    parts = go_on("parts", 7)
    assert np.array_equal(whole.params, parts.params)
    assert [r.loss for r in whole.history] == [r.loss for r in parts.history]
    assert whole.history[-1].loss < whole.history[0].loss
