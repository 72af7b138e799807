"""Results of a loop stacked to an array, and then another circuit: one POST, or one more look."""

from __future__ import annotations

import numpy as np
import pennylane as qml
import pytest
from pennylane import numpy as pnp
from support.counting import GradientDevice

import pennylane_qstore as qstore

X = np.random.default_rng(0).uniform(0, 1, (4, 2))
W = np.random.default_rng(1).uniform(0, 3, 2)

LAZY = {
    "pnp.array": pnp.array,
    "pnp.stack": pnp.stack,
    "qml.math.stack": qml.math.stack,
    "np.stack": np.stack,
}
FETCHING = {
    "np.array": lambda values: np.array([*values]),
    "np.array, nested": lambda values: np.array([values[:2], values[2:]]),
    "np.asarray": np.asarray,
    "float": lambda values: [float(value) for value in values],
    "np.mean": np.mean,
}


def one(x, w):
    qml.RX(x[0] * w[0], 0)
    qml.RY(x[1] + w[1], 0)
    return qml.expval(qml.Z(0))


@pytest.fixture
def device():
    return GradientDevice(wires=1)


@pytest.fixture
def node(device):
    return qml.QNode(one, device)


@pytest.fixture
def wanted():
    plain = qml.QNode(one, qml.device("default.qubit"))
    return np.array([float(plain(x, W)) for x in X])


@pytest.mark.parametrize("name", LAZY)
def test_what_stacks_stays_deferred(device, node, wanted, name):
    with qstore.deferred():
        stacked = LAZY[name]([node(x, W) for x in X])
        assert device.posts == []
        other = node(X[0], W)
        np.testing.assert_allclose(stacked, wanted, atol=1e-12)
        assert float(other) == pytest.approx(wanted[0], abs=1e-12)
    assert device.posts == [5]


@pytest.mark.parametrize("name", FETCHING)
def test_what_needs_real_numbers_fetches_all_of_them_once(device, node, wanted, name):
    with qstore.deferred():
        found = FETCHING[name]([node(x, W) for x in X])
        assert device.posts == [4]
    np.testing.assert_allclose(np.mean(found), np.mean(wanted), atol=1e-12)
    assert device.posts == [4]


def test_a_generator_that_is_looked_at_costs_a_post_an_item(device, node, wanted):
    """The docstring of ``deferred`` says so."""
    with qstore.deferred():
        found = np.fromiter((node(x, W) for x in X), float)
    np.testing.assert_allclose(found, wanted, atol=1e-12)
    assert device.posts == [1, 1, 1, 1]
    assert "np.fromiter" in qstore.deferred.__doc__


@pytest.mark.ml
def test_torch_stacks_stay_deferred(device, wanted):
    torch = pytest.importorskip("torch")
    node = qml.QNode(one, device, interface="torch")
    w = torch.tensor(W, requires_grad=True)
    with qstore.deferred():
        stacked = torch.stack([node(x, w) for x in X])
        loss = (stacked**2).mean() + node(X[0], 0.5 * w)
        assert device.posts == []
        loss.backward()
    assert len(device.posts) == 1
    np.testing.assert_allclose(stacked.detach().numpy(), wanted, atol=1e-12)


@pytest.mark.parametrize("name", LAZY)
def test_a_step_that_stacks_and_calls_another_circuit_is_one_post(device, node, name):
    def cost(w):
        return (LAZY[name]([node(x, w) for x in X]) ** 2).sum() + node(X[0], 0.5 * w)

    optimizers = qstore.SPSAOptimizer(maxiter=5, seed=1), qml.SPSAOptimizer(maxiter=5)
    optimizers[0].step_and_cost(cost, W)
    assert device.posts == [15]
    with qstore.deferred():
        optimizers[1].step(cost, pnp.array(W, requires_grad=True))
    assert device.posts == [15, 10]
    if name != "np.stack":  # autograd does not know it
        qstore.value_and_grad(cost)(pnp.array(W))
        assert len(device.posts) == 3
