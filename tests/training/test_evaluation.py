"""Evaluation of several points: one batch, the same in every mode, refusals before sending."""

from __future__ import annotations

import numpy as np
import pennylane as qml
import pytest
from support.counting import CountingDevice, GradientDevice

from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.training.spsa import SPSAOptimizer


def optimizer(**kwargs):
    return SPSAOptimizer(**{"maxiter": 200, "seed": 1, "a": 1.0, **kwargs})


def test_vector_of_results_is_refused_before_anything_is_sent():
    dev = CountingDevice(wires=1)

    @qml.qnode(dev)
    def circuit(w):
        qml.RX(w, 0)
        return qml.probs(wires=0)

    with pytest.raises(ConfigurationError, match=r"shape \(2,\)"):
        optimizer().step(circuit, np.array(0.1))
    assert dev.posts == []


def problem():
    dev = CountingDevice(wires=2)

    @qml.qnode(dev)
    def circuit(x, w):
        qml.AngleEmbedding(x, wires=range(2))
        qml.StronglyEntanglingLayers(w, wires=range(2))
        return qml.expval(qml.Z(0))

    rng = np.random.default_rng(0)
    x, y, w = rng.uniform(size=(4, 2)), rng.choice([-1.0, 1.0], 4), rng.uniform(size=(1, 2, 3))
    return dev, (lambda w: sum((circuit(a, w) - b) ** 2 for a, b in zip(x, y, strict=True))), w


def test_step_and_cost_of_a_loop_is_one_batch():
    dev, cost, w = problem()
    new, loss = optimizer().step_and_cost(cost, w)
    assert dev.posts == [12]
    assert type(loss) is np.float64
    assert loss == pytest.approx(float(cost(w)), abs=1e-12)
    assert np.all(new != w)


@pytest.mark.ml
@pytest.mark.parametrize("options", [{}, {"blocking": True}])
def test_no_gradient_is_paid_for_with_torch_parameters(options):
    torch = pytest.importorskip("torch")
    dev = GradientDevice(wires=1)

    @qml.qnode(dev, diff_method="device")
    def circuit(tree):
        qml.RX(tree["w"], 0)
        return qml.expval(qml.Z(0))

    w = {"w": torch.nn.Parameter(torch.tensor(0.4))}
    new, loss = optimizer(**options).step_and_cost(circuit, w)
    assert dev.posts == ([3, 1] if options else [3])
    assert isinstance(new["w"], torch.nn.Parameter)
    assert new["w"].requires_grad
    assert not loss.requires_grad


@pytest.mark.parametrize(
    ("mode", "posts"), [("deferred", [12]), ("tasks", [3] * 4), ("serial", [1] * 12)]
)
def test_every_mode_gives_the_same_step(mode, posts):
    _, cost, w = problem()
    wanted = optimizer().step_and_cost(cost, w)
    dev, cost, w = problem()
    found = optimizer(mode=mode).step_and_cost(cost, w)
    assert dev.posts == posts
    np.testing.assert_allclose(found[0], wanted[0], atol=1e-12)
    assert found[1] == pytest.approx(wanted[1], abs=1e-12)
