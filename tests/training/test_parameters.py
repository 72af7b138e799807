"""Trained parameters: arrays of any library in trees of any form keep their kind; scalar losses."""

from __future__ import annotations

import dataclasses
import json
from collections import OrderedDict, namedtuple

import numpy as np
import pytest
from pennylane import numpy as pnp
from support.spsa_runs import TARGET, optimizer, quadratic, quadratic_like, train

from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.training.spsa import SPSAOptimizer


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_numpy_parameters_train_and_keep_their_kind(dtype):
    w = train(optimizer(), quadratic, np.zeros(3, dtype))
    assert (type(w), w.dtype) == (np.ndarray, dtype)
    np.testing.assert_allclose(w, TARGET, atol=0.05)


def test_numpy_scalars_train():
    w = train(optimizer(), lambda w: (w - 1.0) ** 2, np.float64(0.0))
    assert type(w) is np.float64
    assert w == pytest.approx(1.0, abs=0.05)


def test_pennylane_tensors_train_if_they_say_so():
    w, x = pnp.zeros(3), pnp.zeros(3, requires_grad=False)
    new_w, new_x = optimizer().step(lambda w, x: quadratic(w + x), w, x)
    assert type(new_w) is pnp.tensor
    assert new_w.requires_grad
    assert new_x is x
    assert not np.array_equal(new_w, w)


def test_plain_arrays_beside_a_trainable_tensor_are_data():
    data = np.ones(3)
    _, same = optimizer().step(lambda w, x: quadratic(w * x), pnp.zeros(3), data)
    assert same is data


@pytest.mark.ml
def test_torch_parameters_train_and_keep_their_kind():
    torch = pytest.importorskip("torch")
    target = torch.tensor(TARGET)
    for w in (
        torch.zeros(3, dtype=torch.float64),
        torch.zeros(3, dtype=torch.float32, requires_grad=True),
    ):
        new = train(optimizer(), lambda w: ((w - target) ** 2).sum(), w)
        assert (new.dtype, new.requires_grad, new.is_leaf) == (w.dtype, w.requires_grad, True)
        np.testing.assert_allclose(new.detach().numpy(), TARGET, atol=0.05)


@pytest.mark.ml
def test_jax_parameters_train_and_keep_their_kind():
    jax = pytest.importorskip("jax")
    target = jax.numpy.asarray(TARGET)
    for wrap in (lambda f: f, jax.jit):
        new = train(optimizer(), wrap(lambda w: ((w - target) ** 2).sum()), jax.numpy.zeros(3))
        assert isinstance(new, jax.Array)
        assert new.dtype == jax.numpy.zeros(3).dtype
        np.testing.assert_allclose(new, TARGET, atol=0.05)


def test_trees_of_parameters_keep_their_form():
    Pair = namedtuple("Pair", "a b")
    ordered = OrderedDict(a=np.zeros(1))
    assert type(optimizer().step(lambda t: quadratic_like(t["a"]), ordered)) is OrderedDict
    tree = {"w": [np.zeros(2), Pair(np.zeros(()), "name")], "n": np.array([3]), "s": 2.0}

    def cost(tree):
        assert isinstance(tree["w"][1], Pair)
        return np.sum((tree["w"][0] - 1) ** 2) + (tree["w"][1].a + 1) ** 2

    new = train(optimizer(), cost, tree)
    np.testing.assert_allclose(new["w"][0], [1, 1], atol=0.05)
    assert new["w"][1].a == pytest.approx(-1, abs=0.05)
    assert new["w"][1].b == "name"
    assert new["n"] is tree["n"]


@pytest.mark.ml
def test_classes_that_jax_knows_as_trees_are_trained_too():
    jax = pytest.importorskip("jax")

    @dataclasses.dataclass
    class Model:
        w: object
        inner: object
        name: str

    jax.tree_util.register_dataclass(Model, ["w", "inner"], ["name"])
    model = Model(jax.numpy.zeros(2), {"b": [np.zeros(1), None]}, "mine")

    def cost(tree):
        assert tree["model"].name == "mine"
        return quadratic_like(tree["model"].w) + quadratic_like(tree["model"].inner["b"][0])

    new = train(optimizer(), cost, {"model": model})["model"]
    assert type(new) is Model
    assert isinstance(new.w, jax.Array)
    assert isinstance(new.inner["b"][0], np.ndarray)
    np.testing.assert_allclose(new.w, [1, 1], atol=0.05)
    np.testing.assert_allclose(new.inner["b"][0], [1], atol=0.05)


def test_several_arguments_come_back_as_a_list_and_argnums_choose():
    a, b = np.zeros(2), np.zeros(3)

    def cost(a, b):
        return np.sum((a - 1) ** 2) + np.sum((b - 1) ** 2)

    new = optimizer().step(cost, a, b)
    assert isinstance(new, list)
    assert np.all(new[0] != 0)
    assert np.all(new[1] != 0)
    new = optimizer(argnums=1).step(cost, a, b)
    assert np.all(new[0] == 0)
    assert np.all(new[1] != 0)


def test_keyword_arguments_are_data():
    x = np.ones(3)
    train(optimizer(), lambda w, x: quadratic(w * x), np.zeros(3), steps=2, x=x)
    np.testing.assert_array_equal(x, np.ones(3))


@pytest.mark.parametrize(
    "w", [0.5, np.array([1, 2]), pnp.array(0.5, requires_grad=False), np.zeros((0, 3))]
)
def test_nothing_to_train_is_an_error_and_not_a_silent_no_op(w):
    with pytest.raises(ConfigurationError, match="Nothing to train"):
        optimizer().step(lambda w: w, w)


@pytest.mark.parametrize("convert", [float, np.float64, np.asarray, pnp.array, lambda v: [v][0]])
def test_scalars_of_every_kind_are_losses(convert):
    new, loss = optimizer().step_and_cost(lambda w: convert(float(quadratic(w))), np.zeros(3))
    assert loss == pytest.approx(quadratic(np.zeros(3)))
    assert np.all(new != 0)


@pytest.mark.parametrize(
    ("value", "named"),
    [
        (np.zeros(3), r"shape \(3,\)"),
        (np.zeros((2, 2)), r"shape \(2, 2\)"),
        ((1.0, 2.0), "a tuple of length 2"),
        ([1.0], "a list of length 1"),
        (None, "a NoneType"),
        (np.complex128(1), "complex128"),
        (1j, "a complex"),
        (np.array(1j), r"shape \(\) and type complex128"),
        (np.array("a"), r"shape \(\) and type <U1"),
        (True, "a bool"),
        (np.bool_(True), "type bool"),
        ({"loss": 1.0}, "a dict of length 1"),
        ("1", "a str"),
        (np.nan, "nan"),
        (np.inf, "inf"),
    ],
)
def test_anything_but_a_finite_real_scalar_is_refused(value, named):
    opt = optimizer()
    before = json.dumps(opt.state_dict())
    with pytest.raises(ConfigurationError, match=named):
        opt.step(lambda w: value, np.zeros(3))
    assert json.dumps(opt.state_dict()) == before


@pytest.mark.ml
@pytest.mark.parametrize("library", ["torch", "jax"])
def test_anything_but_a_real_scalar_of_torch_or_jax_is_refused_with_its_shape(library):
    pytest.importorskip(library)
    if library == "torch":
        import torch as xp
    else:
        import jax.numpy as xp
    w = xp.zeros(3)
    for value, named in (
        (xp.zeros(2), r"shape \(2,\)"),
        (xp.zeros((1, 2)), r"shape \(1, 2\)"),
        (xp.ones(()) * 1j, r"shape \(\) and type .*complex"),
        (xp.ones(()) > 0, "type .*bool"),
    ):
        with pytest.raises(ConfigurationError, match=named):
            optimizer().step(lambda w, value=value: value, w)
    new, loss = optimizer().step_and_cost(lambda w: float(((w - 1) ** 2).sum()), w)
    assert (type(new), loss) == (type(w), 3.0)


def test_positions_beyond_the_arguments_are_refused():
    with pytest.raises(ConfigurationError, match=r"argnums=\(1,\)"):
        optimizer(argnums=1).step(quadratic, np.zeros(3))


@pytest.mark.parametrize("kind", [np.array, pnp.array])
@pytest.mark.parametrize("options", [{}, {"blocking": True}])
def test_an_objective_that_writes_to_its_argument_moves_nothing(kind, options):
    def objective(weights, *, write):
        value = float(np.sum((weights - 0.3) ** 2))
        if write:
            weights[...] = 7.0
        return value

    def trained(write):
        start = kind([0.5, -1.0])
        optimizer = SPSAOptimizer(maxiter=5, seed=2, **options)
        weights = start
        for _ in range(5):
            weights, cost = optimizer.step_and_cost(objective, weights, write=write)
        assert np.array_equal(start, [0.5, -1.0])
        return weights, cost

    (one, cost), (other, wanted) = trained(True), trained(False)
    assert np.array_equal(one, other)
    assert cost == wanted
