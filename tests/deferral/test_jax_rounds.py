"""JAX functions in rounds: calls that wait for nothing in one batch, the rest as it must."""

from __future__ import annotations

import numpy as np
import pennylane as qml
import pytest

import pennylane_qstore as qstore

jax = pytest.importorskip("jax")

pytestmark = pytest.mark.ml

RNG = np.random.default_rng(0)
X = RNG.uniform(0, 1, (4, 2))
W = RNG.uniform(0, 3, (1, 2, 3))

COSTS = {
    "stack": lambda one, w: jax.numpy.mean(jax.numpy.stack([(one(x, w) - 1) ** 2 for x in X])),
    "broadcast": lambda one, w: ((one(X, w) - 1) ** 2).sum(),
    "compiled": lambda one, w: sum(jax.jit(one)(x, w) ** 2 for x in X),
    "penalty": lambda one, w: one(X[0], w) + jax.numpy.sum(w**2),
    "nested": lambda one, w: sum(one(one(x, w) * x, w) for x in X),
}


def qnode(method):
    device = qml.device("qstore.ionq", wires=2)

    @qml.qnode(device, diff_method=method)
    def one(x, w):
        qml.AngleEmbedding(x, wires=range(2))
        qml.StronglyEntanglingLayers(w, wires=range(2))
        return qml.expval(qml.Z(0))

    return device, one


@pytest.mark.parametrize("method", ["best", "device"])
@pytest.mark.parametrize("name", COSTS)
def test_value_and_gradient_are_as_few_batches_as_the_cost_allows(name, method):
    device, one = qnode(method)
    with jax.enable_x64(True):
        w = jax.numpy.asarray(W)
        wanted = jax.value_and_grad(lambda w: COSTS[name](one, w))(w)
        before = device.stats["jobs"]
        value, gradient = qstore.value_and_grad(lambda w: COSTS[name](one, w))(w)
        assert device.stats["jobs"] - before == (2 if name == "nested" else 1)
        assert value == pytest.approx(float(wanted[0]), abs=1e-12)
        np.testing.assert_allclose(gradient, wanted[1], atol=1e-12)


def test_a_loop_of_jax_and_a_cost_that_looks_at_its_parameters_are_right():
    _, one = qnode("best")

    def scanned(w):
        return jax.lax.scan(lambda total, x: (total + one(x, w), None), 0.0, X)[0]

    def branching(w):
        return one(X[0], w) if w[0, 0, 0] > 0 else one(X[1], w)

    with jax.enable_x64(True):
        w = jax.numpy.asarray(W)
        for cost in (scanned, branching):
            wanted = jax.value_and_grad(cost)(w)
            found = qstore.value_and_grad(cost)(w)
            np.testing.assert_allclose(found[1], wanted[1], atol=1e-12)
