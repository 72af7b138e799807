"""Values and gradients of a call in one batch; in a deferred scope, of all calls."""

from __future__ import annotations

import contextlib

import numpy as np
import pennylane as qml
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pennylane import numpy as pnp

import pennylane_qstore as qstore

RNG = np.random.default_rng(3)
X = RNG.uniform(0, 1, (4, 2))
W = RNG.uniform(0, 3, (1, 2, 3))
HAMILTONIAN = qml.Hamiltonian([0.5, 0.8], [qml.Z(0) @ qml.Z(1), qml.X(0)])
MEASURES = {
    "one": lambda: qml.expval(qml.Z(0)),
    "energy": lambda: qml.expval(HAMILTONIAN),
    "several": lambda: (qml.expval(qml.Z(0)), qml.expval(qml.X(1)), qml.probs(wires=1)),
    "variance": lambda: qml.var(qml.Z(0)),
}


class Model:
    """QNodes of all measurements on one device, and the POSTs it has sent."""

    def __init__(self, device, **options):
        self.device = device
        for name, measure in MEASURES.items():
            setattr(self, name, qml.QNode(self._function(measure), device, **options))

    @staticmethod
    def _function(measure):
        def circuit(x, w):
            qml.AngleEmbedding(x, wires=range(2))
            qml.StronglyEntanglingLayers(w, wires=range(2))
            return measure()

        return circuit

    @property
    def posts(self):
        return self.device.stats["jobs"]


def ours(**options):
    return Model(qml.device("qstore.ionq", wires=2), **options)


COSTS = {
    "array": lambda m, w: pnp.mean(pnp.array([(m.one(x, w) - 1) ** 2 for x in X])),
    "stack": lambda m, w: pnp.mean(pnp.stack([m.one(x, w) for x in X]) ** 2),
    "qml.math.stack": lambda m, w: qml.math.mean(qml.math.stack([m.one(x, w) for x in X]) ** 2),
    "accumulator": lambda m, w: sum((m.one(x, w) - 1) ** 2 for x in X) / len(X),
    "broadcast": lambda m, w: ((m.one(X, w) - 1) ** 2).sum(),
    "two QNodes": lambda m, w: sum(m.one(x, w) * m.energy(x, w) for x in X),
    "several": lambda m, w: sum(a * b + p[0] for a, b, p in [m.several(x, w) for x in X]),
    "variance": lambda m, w: sum(m.variance(x, w) for x in X),
    "log": lambda m, w: -sum(pnp.log(0.5 + 0.49 * m.one(x, w)) for x in X),
    "layer before": lambda m, w: sum((m.one(x @ w[0, :, :2], w) - 1) ** 2 for x in X),
    "penalty": lambda m, w: m.one(X[0], w) + w[0, 1, 2] ** 2 + pnp.sum(w[0, 0] * m.one(X[1], w)),
    "nested": lambda m, w: sum(m.one(m.one(x, w) * x, w) for x in X),
}


def value_and_gradient(cost, model, w=W):
    gradient = qml.grad(lambda w: cost(model, w))
    found = gradient(pnp.array(w))
    return gradient.forward, found


@pytest.mark.parametrize("method", ["best", "device"])
@pytest.mark.parametrize("name", COSTS)
def test_a_gradient_in_a_scope_is_one_post(name, method):
    wanted = value_and_gradient(COSTS[name], Model(qml.device("default.qubit", wires=2)))
    model = ours(diff_method=method)
    with qstore.deferred():
        value, gradient = value_and_gradient(COSTS[name], model)
        assert model.posts == 0
        assert float(value) == pytest.approx(float(wanted[0]), abs=1e-12)
        assert model.posts == (2 if name == "nested" else 1)
        np.testing.assert_allclose(np.asarray(gradient), wanted[1], atol=1e-12)
    assert model.posts == (2 if name == "nested" else 1)


@settings(max_examples=8)
@given(
    st.lists(st.sampled_from(sorted(COSTS)), min_size=1, max_size=3),
    st.integers(min_value=0, max_value=2**32 - 1),
)
def test_values_and_gradients_of_any_sum_of_costs_equal_the_plain_ones(names, seed):
    w = np.random.default_rng(seed).uniform(-3, 3, W.shape)

    def cost(model, w):
        return sum(COSTS[name](model, w) for name in names)

    model = ours()
    plain = value_and_gradient(cost, model, w)
    with qstore.deferred():
        value, gradient = value_and_gradient(cost, model, w)
    np.testing.assert_allclose(value, plain[0], atol=1e-12)
    np.testing.assert_allclose(gradient, plain[1], atol=1e-12)


def test_gradients_of_several_costs_share_a_post():
    model = ours()
    with qstore.deferred():
        found = sum(value_and_gradient(lambda m, w: m.one(x, w), model)[1] for x in X)  # noqa: B023
        assert model.posts == 0
    assert model.posts == 1
    plain = sum(qml.grad(model.one, argnums=1)(x, pnp.array(W)) for x in X)
    np.testing.assert_allclose(found, plain, atol=1e-12)


def test_a_jacobian_is_one_post():
    model = ours()

    def outputs(w):
        return pnp.stack([model.one(x, w) for x in X])

    with qstore.deferred():
        found = qml.jacobian(outputs)(pnp.array(W))
        assert model.posts == 0
    assert model.posts == 1
    np.testing.assert_allclose(found, qml.jacobian(outputs)(pnp.array(W)), atol=1e-12)


@pytest.mark.parametrize(
    "optimizer", [qml.AdamOptimizer, qml.MomentumOptimizer, qml.AdagradOptimizer]
)
def test_a_stock_optimizers_step_is_one_post(optimizer):
    def train(model, scope):
        w, opt = pnp.array(W), optimizer()
        for _ in range(3):
            with scope():
                w, value = opt.step_and_cost(lambda w: COSTS["array"](model, w), w)
        assert type(w) is qml.numpy.tensor
        assert w.requires_grad
        return w, float(value)

    plain, model = ours(), ours()
    wanted = train(plain, contextlib.nullcontext)
    found = train(model, qstore.deferred)
    assert model.posts == 3
    np.testing.assert_allclose(found[0], wanted[0], atol=1e-12)
    assert found[1] == pytest.approx(wanted[1], abs=1e-12)


def test_no_gradient_is_paid_for_data_and_values():
    model = ours()
    x = pnp.array(X[0], requires_grad=True)  # PennyLane would differentiate by it
    with qstore.deferred():
        qml.grad(lambda w: model.one(x, w))(pnp.array(W))
        qml.grad(lambda w: w[0, 0, 0] * model.one(x, pnp.array(W)))(pnp.array(W))
        model.one(x, pnp.array(W))
    assert model.device.stats["circuits"] == 1 + 2 * W.size + 1 + 1


@pytest.mark.parametrize("scope", [True, False])
@pytest.mark.parametrize("measure", MEASURES)
def test_broadcast_parameters_are_differentiated_row_by_row(scope, measure):
    """PennyLane refuses it, issue 4462."""

    def cost(node, w):
        results = node(X @ w[0, :, :2] + w[0, 0, 1], w)
        results = results if isinstance(results, tuple) else (results,)
        return sum(pnp.sum(r**2) + pnp.sum(r[1]) for r in results)

    wanted = qml.grad(
        lambda w: cost(
            getattr(Model(qml.device("default.qubit"), diff_method="backprop"), measure), w
        )
    )(pnp.array(W))
    model = ours()
    gradient = qml.grad(lambda w: cost(getattr(model, measure), w))
    if scope:
        with qstore.deferred():
            found = gradient(pnp.array(W))
    else:
        found = gradient(pnp.array(W))
    assert model.posts == 1
    np.testing.assert_allclose(found, wanted, atol=1e-10)


def test_second_derivatives_are_left_to_pennylane():
    circuit = qml.QNode(ours().one.func, qml.device("qstore.ionq", wires=2), max_diff=2)

    def slope(x):
        return qml.grad(lambda x: circuit(x * X[0], W))(x)

    with qstore.deferred():
        found = qml.grad(slope)(pnp.array(0.3))
    assert found == pytest.approx(qml.grad(slope)(pnp.array(0.3)), abs=1e-9)
    assert found != 0
