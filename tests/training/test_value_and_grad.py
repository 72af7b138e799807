"""value_and_grad: one batch, NumPy's, autograd's and torch's arrays, any device."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pennylane as qml
import pytest

import pennylane_qstore as qstore
from pennylane_qstore.errors import ConfigurationError

RNG = np.random.default_rng(0)
X = RNG.uniform(0, 1, (4, 2))
W = RNG.uniform(0, 3, (1, 2, 3))


def cost_on(device):
    @qml.qnode(device)
    def one(x, w):
        qml.AngleEmbedding(x, wires=range(2))
        qml.StronglyEntanglingLayers(w, wires=range(2))
        return qml.expval(qml.Z(0))

    return lambda a, w: sum((a * one(x, w)) ** 2 for x in X)


@pytest.fixture
def wanted():
    cost = cost_on(qml.device("default.qubit"))
    w, a = qml.numpy.array(W), qml.numpy.array(0.5)
    return float(cost(a, w)), qml.grad(cost, argnums=[0, 1])(a, w)


@pytest.mark.parametrize("array", [np.asarray, qml.numpy.array])
def test_value_and_gradient_are_one_post(wanted, array):
    device = qml.device("qstore.ionq", wires=2)
    value, gradient = qstore.value_and_grad(cost_on(device), argnums=1)(0.5, array(W))
    assert device.stats["jobs"] == 1
    assert type(value) is float
    assert value == pytest.approx(wanted[0], abs=1e-12)
    assert isinstance(gradient, np.ndarray)
    np.testing.assert_allclose(gradient, wanted[1][1], atol=1e-12)


def test_several_arguments_on_a_device_of_pennylane(wanted):
    cost = cost_on(qml.device("default.qubit"))
    value, gradients = qstore.value_and_grad(cost, argnums=(0, -1))(0.5, W)
    assert value == pytest.approx(wanted[0], abs=1e-12)
    assert isinstance(gradients, tuple)
    for found, expected in zip(gradients, wanted[1], strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-12)


def test_in_a_scope_numbers_and_arrays_are_plain_ones_too(wanted):
    with qstore.deferred():
        found = qstore.value_and_grad(cost_on(qml.device("qstore.ionq", wires=2)), (0, 1))(0.5, W)
        assert type(found[0]) is float
        assert all(type(g) in (float, np.float64, np.ndarray) for g in found[1])
        kept = pickle.loads(pickle.dumps(found))
    assert json.dumps(kept[0]) == f"{found[0]}"
    np.testing.assert_allclose(kept[1][1], wanted[1][1], atol=1e-12)


@pytest.mark.parametrize("make_optimizer", [qml.AdamOptimizer, qml.MomentumOptimizer])
def test_what_a_step_in_a_scope_returns_is_kept_as_numbers_and_arrays(make_optimizer):
    device = qml.device("qstore.ionq", wires=2)
    start = qml.numpy.array(W, requires_grad=True)
    with qstore.deferred():
        new, value = make_optimizer().step_and_cost(lambda w: cost_on(device)(0.5, w), start)
    plain = float(cost_on(qml.device("default.qubit"))(0.5, W))
    assert type(new) is type(start)
    assert isinstance(value, float)
    assert float(value) == pytest.approx(plain, abs=1e-12)
    assert f"{value:.6f}" == f"{plain:.6f}"
    assert type(pickle.loads(pickle.dumps(value))) is np.float64


@pytest.mark.parametrize("error", [KeyboardInterrupt, ConfigurationError("no")])
def test_an_error_of_the_batch_is_raised_by_the_step_itself(error):
    """NumPy asks a result for its class in C, where an error would become another one."""
    device = qml.device("qstore.ionq", wires=2)
    cost = cost_on(device)
    start = qml.numpy.array(W, requires_grad=True)

    def refuse(_):
        raise error

    device.executor.look = refuse
    kind = error if isinstance(error, type) else type(error)
    with pytest.raises(kind), qstore.deferred():
        qml.AdamOptimizer().step(lambda w: cost(0.5, w), start)
    assert device.stats["jobs"] == 0


@pytest.mark.ml
def test_torch_parameters_stay_as_they_are(wanted):
    torch = pytest.importorskip("torch")
    device = qml.device("qstore.ionq", wires=2)
    w = torch.tensor(W, requires_grad=True)
    value, gradient = qstore.value_and_grad(cost_on(device), argnums=1)(0.5, w)
    assert device.stats["jobs"] == 1
    assert type(value) is float
    assert type(gradient) is torch.Tensor
    assert w.grad is None
    np.testing.assert_allclose(gradient, wanted[1][1], atol=1e-12)


@pytest.mark.parametrize("wrong", [(), "1", (0, 1.5), True, (True,)])
def test_wrong_argument_numbers_are_refused(wrong):
    with pytest.raises(ConfigurationError, match="argnums"):
        qstore.value_and_grad(lambda w: w, argnums=wrong)


def test_arguments_that_are_not_there_and_costs_that_cannot_be_called_are_refused():
    with pytest.raises(ConfigurationError, match="there are 1 arguments"):
        qstore.value_and_grad(lambda w: w, argnums=1)(1.0)
    with pytest.raises(ConfigurationError, match="float"):
        qstore.value_and_grad(1.0)
    with pytest.raises(TypeError, match="scalar"):
        qstore.value_and_grad(lambda w: 2 * w)(W)
