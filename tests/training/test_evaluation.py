"""Evaluation of several points: one batch, the same in every mode, refusals before sending."""

from __future__ import annotations

import numpy as np
import pennylane as qml
import pytest
from support.counting import CountingDevice, GradientDevice
from support.spsa_runs import optimizer, problem

from pennylane_qstore.errors import ConfigurationError


def test_vector_of_results_is_refused_before_anything_is_sent():
    dev = CountingDevice(wires=1)

    @qml.qnode(dev)
    def circuit(w):
        qml.RX(w, 0)
        return qml.probs(wires=0)

    with pytest.raises(ConfigurationError, match=r"shape \(2,\)"):
        optimizer().step(circuit, np.array(0.1))
    assert dev.posts == []


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
