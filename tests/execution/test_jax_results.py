"""Broadcast parameters that JAX differentiates: row by row, in one batch."""

from __future__ import annotations

import itertools

import numpy as np
import pennylane as qml
import pytest

import pennylane_qstore as qstore

pytestmark = pytest.mark.ml
jax = pytest.importorskip("jax")
jnp = jax.numpy

from pennylane_qstore.bench.posts import double_precision  # noqa: E402

RNG = np.random.default_rng(4)
X = RNG.uniform(0, 1, (4, 2))
W = RNG.uniform(0, 3, (1, 2, 3))
GATES = 8  # parameters of the circuit


@pytest.fixture(autouse=True)
def in_double_precision():
    with double_precision("jax"):
        yield


def one(x, w):
    qml.AngleEmbedding(x, wires=range(2))
    qml.StronglyEntanglingLayers(w, wires=range(2))
    return qml.expval(qml.Z(0))


def several(x, w):
    qml.AngleEmbedding(x, wires=range(2))
    qml.StronglyEntanglingLayers(w, wires=range(2))
    return qml.probs(wires=1), qml.expval(qml.X(0)), qml.var(qml.Z(1))


def behind_a_layer(node):
    """Return a cost whose weights are those of a classical layer, too."""

    def cost(w):
        results = node(jnp.asarray(X) @ w[0, :, :2] + w[0, 0, 1], w)
        results = results if isinstance(results, tuple) else (results,)
        return sum((i + 1) * jnp.sum(r**2) for i, r in enumerate(results))

    return cost


def plain(function):
    return qml.QNode(function, qml.device("default.qubit"))


def in_scope(cost):
    def gradient(w):
        with qstore.deferred():
            return jax.value_and_grad(cost)(w)

    return gradient


WAYS = {
    "plain": jax.value_and_grad,
    "jit": lambda cost: jax.jit(jax.value_and_grad(cost)),
    "deferred": in_scope,
    "value_and_grad": qstore.value_and_grad,
}


@pytest.mark.parametrize(
    ("way", "function", "method"),
    [("plain", one, "device"), *itertools.product(WAYS, [one, several], ["best"])],
)
def test_value_and_gradient_are_one_post(way, function, method):
    """PennyLane refuses it, issue 4462."""
    device = qml.device("qstore.ionq", wires=2)
    node = qml.QNode(function, device, diff_method=method)
    value, gradient = WAYS[way](behind_a_layer(node))(jnp.asarray(W))
    wanted = jax.value_and_grad(behind_a_layer(plain(function)))(jnp.asarray(W))
    assert device.stats["jobs"] == 1
    np.testing.assert_allclose(value, wanted[0], atol=1e-12)
    np.testing.assert_allclose(gradient, wanted[1], atol=1e-12)


def test_several_calls_of_a_cost_share_a_post():
    device = qml.device("qstore.ionq", wires=2)

    def cost(node):
        return lambda w: sum(behind_a_layer(node)(w + shift) for shift in (0.0, 0.3))

    value, gradient = qstore.value_and_grad(cost(qml.QNode(one, device)))(jnp.asarray(W))
    wanted = jax.value_and_grad(cost(plain(one)))(jnp.asarray(W))
    assert device.stats["jobs"] == 1
    np.testing.assert_allclose(value, wanted[0], atol=1e-12)
    np.testing.assert_allclose(gradient, wanted[1], atol=1e-12)


@pytest.mark.parametrize(
    ("transform", "parameters"),
    [
        (lambda f: jax.jit(jax.grad(f, argnums=0)), W.size),  # traced data cost nothing
        (lambda f: jax.jit(f), 0),
        (lambda f: jax.grad(f, argnums=1), X.shape[1]),
        (lambda f: jax.jacfwd(f, argnums=1), X.shape[1]),
        (lambda f: jax.grad(f, argnums=(0, 1)), GATES),
    ],
    ids=["jit, weights", "jit, value", "data", "data forwards", "both"],
)
def test_what_is_not_differentiated_is_not_paid(transform, parameters):
    device = qml.device("qstore.ionq", wires=2)

    def cost(node):
        return lambda w, x: jnp.sum(node(x, w) ** 2)

    args = jnp.asarray(W), jnp.asarray(X)
    found = transform(cost(qml.QNode(one, device)))(*args)
    wanted = transform(cost(plain(one)))(*args)
    assert (device.stats["jobs"], device.stats["circuits"]) == (1, len(X) * (1 + 2 * parameters))
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-12)


@pytest.mark.parametrize("shots", [200, [100, 100]])
def test_shots_and_their_parts_have_gradients(shots):
    device = qml.device("qstore.ionq", wires=2, seed=5)
    node = qml.set_shots(qml.QNode(one, device), shots)

    def cost(x):
        results = node(x, W)
        return sum(jnp.sum(r) for r in (results if isinstance(results, tuple) else (results,)))

    found = jax.grad(cost)(jnp.asarray(X))
    exact = jax.grad(lambda x: jnp.sum(plain(one)(x, W)))(jnp.asarray(X))
    parts = len(shots) if isinstance(shots, list) else 1
    assert found.shape == X.shape
    np.testing.assert_allclose(found, parts * exact, atol=parts * 0.4)


def test_a_training_run_takes_a_post_a_step():
    device = qml.device("qstore.ionq", wires=2)
    cost = behind_a_layer(qml.QNode(one, device))
    optimizer = qml.GradientDescentOptimizer(0.02)
    run = qstore.TrainingRun(cost, jnp.asarray(W), optimizer, device=device, progress=False)
    run.train(2)
    assert [record.posts for record in run.history] == [1, 1]
    assert run.history[1].loss < run.history[0].loss
