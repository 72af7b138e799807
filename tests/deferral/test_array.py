"""Deferred arrays behave as the NumPy arrays they will be."""

from __future__ import annotations

import copy
import json
import math
import operator
import pickle
import statistics

import numpy as np
import pennylane as qml
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pennylane import numpy as pnp

from pennylane_qstore.deferral.array import DeferredArray
from pennylane_qstore.deferral.operands import is_deferred, real


class Source:
    """A value that counts how often it is fetched."""

    def __init__(self, value):
        self.value = value
        self.fetched = 0
        self.scope = self
        self.closed = False
        self.ready = False
        self.nodes = []

    def fetch(self):
        self.fetched += 1
        return self.value

    def track(self, node):
        self.nodes.append(node)

    def settle(self):
        for node in self.nodes:
            node.settle()


def lazy(value):
    value = np.asarray(value)[()] if np.ndim(value) == 0 else np.asarray(value)
    source = Source(value)
    return DeferredArray.leaf(np.ones_like(value)[()], source), source


# --------------------------------------------------------------------------- random expressions

SHAPES = st.sampled_from([(), (3,), (2, 3), (1, 3), (2, 1), (4, 2, 3)])
BINARY = [
    operator.add,
    operator.sub,
    operator.mul,
    operator.truediv,
    operator.pow,
    operator.floordiv,
    operator.mod,
    np.add,
    np.maximum,
    np.arctan2,
    np.hypot,
]
UNARY = [
    operator.neg,
    operator.pos,
    abs,
    np.sin,
    np.log,
    np.sqrt,
    np.square,
    np.exp,
    np.sum,
    np.mean,
    np.max,
    np.cumsum,
    np.ravel,
    np.squeeze,
    np.transpose,
    np.std,
    np.atleast_1d,
    lambda a: np.sum(a, axis=0, keepdims=True) if np.ndim(a) else a,
    lambda a: a.sum(),
    lambda a: a.mean(axis=-1) if np.ndim(a) else a,
    lambda a: a.reshape(-1),
    lambda a: a.T,
    lambda a: a[..., None],
    lambda a: a[0] if np.ndim(a) else a,
    lambda a: a[..., ::2] if np.ndim(a) else a,
    lambda a: a[[0, 0]] if np.ndim(a) else a,
    lambda a: np.stack([a, a]),
    lambda a: np.concatenate([np.ravel(a), np.ones(2)]),
    lambda a: np.where(np.ones(np.shape(a), bool), a, 0.0),
    lambda a: np.clip(a, 0.2, 0.7),
    lambda a: np.add.reduce(a) if np.ndim(a) else a,
    lambda a: np.multiply.outer(a, np.arange(2.0)),
    lambda a: sum(a) if np.ndim(a) else a,
    lambda a: (np.isfinite(a) & ~np.signbit(a)) * 1.0,
    lambda a: np.expand_dims(a, 0).swapaxes(0, -1),
    lambda a: np.round(a, 1),
    lambda a: np.hstack([a, a]),
    lambda a: np.var(np.atleast_1d(a), axis=0),
    lambda a: a.astype(np.float32),
    lambda a: np.real(a * 1j),
    lambda a: np.broadcast_to(a, (2, *np.shape(a))),
    lambda a: np.average(np.ravel(a)),
]


def numbers(shape):
    size = int(np.prod(shape))
    values = st.floats(0.1, 2.0).map(lambda x: round(x, 3))
    return st.lists(values, min_size=size, max_size=size).map(
        lambda v: np.array(v).reshape(shape)[()]
    )


@st.composite
def expressions(draw):
    """A function of leaves, and the leaves: what is drawn twice is shared."""
    leaves = draw(st.lists(SHAPES.flatmap(numbers), min_size=1, max_size=3))
    others = [2.0, 3, np.float64(0.5), np.array([1.0, 2.0, 3.0]), np.arange(1, 4)]
    steps = draw(
        st.lists(
            st.one_of(
                st.tuples(st.sampled_from(UNARY), st.integers(0, 20)),
                st.tuples(
                    st.sampled_from(BINARY),
                    st.integers(0, 20),
                    st.one_of(st.integers(0, 20), st.sampled_from(range(-len(others), 0))),
                    st.booleans(),
                ),
            ),
            min_size=1,
            max_size=8,
        )
    )

    def run(values):
        values = list(values)
        for step in steps:
            first = values[step[1] % len(values)]
            if len(step) == 2:
                values.append(step[0](first))
                continue
            second = values[step[2] % len(values)] if step[2] >= 0 else others[step[2]]
            if step[0] is operator.pow and step[2] < 0 and isinstance(second, np.float64):
                # NumPy's scalars raise to a power otherwise than its ufunc, in the last bit.
                second = float(second)
            values.append(step[0](second, first) if step[3] else step[0](first, second))
        return values

    return run, leaves


@given(expressions())
@settings(max_examples=300, deadline=None)
def test_random_expressions_equal_numpy(case):
    run, leaves = case
    with np.errstate(all="ignore"):
        try:
            wanted = run(leaves)
        except ValueError:
            with pytest.raises(ValueError, match=r".*"):
                run([lazy(leaf)[0] for leaf in leaves])
            return
        pairs = [lazy(leaf) for leaf in leaves]
        found = run([value for value, _ in pairs])
        assert not any(source.fetched for _, source in pairs)
        for f, w in zip(found, wanted, strict=True):
            assert is_deferred(f)
            assert f.shape == np.shape(w)
            assert (f.dtype, f.ndim, f.size) == (w.dtype, w.ndim, w.size)
        for f, w in zip(found, wanted, strict=True):
            np.testing.assert_array_equal(np.asarray(f), w)
            assert type(real(f)) is type(w)
    assert all(source.fetched <= 1 for _, source in pairs)


@pytest.mark.parametrize(
    "product",
    [
        *(np.dot, np.inner, np.vdot, operator.matmul),
        lambda a, b: np.linalg.norm(a - b),
        lambda a, b: np.einsum("i,i->", a, b),
        lambda a, b: np.tensordot(a, b, axes=1),
    ],
)
def test_products_equal_numpy(product):
    """BLAS rounds as the memory happens to be aligned, so not in the last bit."""
    a, b = np.random.default_rng(0).uniform(size=(2, 5))
    (left, source), (right, other) = lazy(a), lazy(b)
    for found in (product(left, right), product(a, right), product(left, b)):
        assert is_deferred(found)
        assert source.fetched == other.fetched == 0
    for found in (product(left, right), product(a, right), product(left, b)):
        assert float(found) == pytest.approx(product(a, b), rel=1e-14)


# --------------------------------------------------------------------------- looked at

LOOKS = {
    "float": float,
    "int": int,
    "bool": bool,
    "complex": complex,
    "str": str,
    "repr": repr,
    "format": lambda d: f"{d:.3f}",
    "less": lambda d: d < 2,
    "equal": lambda d: d == 0.5,
    "asarray": np.asarray,
    "array": lambda d: np.array([d, d]),
    "item": lambda d: d.item(),
    "tolist": lambda d: d.tolist(),
    "round": lambda d: round(d, 2),
    "mean of a list": lambda d: np.mean([d, d]),
    "isfinite as a condition": lambda d: bool(np.isfinite(d)),
    "max of a list": lambda d: float(max([d, 0.1])),
    "pickle": lambda d: pickle.loads(pickle.dumps(d)),
    "deepcopy": copy.deepcopy,
    "allclose": lambda d: np.allclose(d, 0.5),
    "unique": lambda d: np.unique(d),
    "divmod ufunc": lambda d: np.modf(d),
    "divmod": lambda d: divmod(d, 0.2),
    "reflected divmod": lambda d: divmod(2.0, d),
    "trunc": lambda d: int(d) + math.trunc(d),
    "hash": hash,
    "key of a dictionary": lambda d: {d: 1.0}[0.53],
    "contained": lambda d: d in [0.1, 0.53],
    "fsum": lambda d: math.fsum([d, d]),
    "statistics": lambda d: [statistics.mean([d, d]), statistics.pstdev([d, d])],
    "percent": lambda d: "%.2f" % d,  # noqa: UP031
    "condition": lambda d: 1 if d else 0,
    "index of a list": lambda d: [3, 4][int(d)],
    "sorted": lambda d: float(sorted([1.0, d])[0]),
    "random choice": lambda d: np.random.default_rng(0).choice(2, p=[d, 1 - d]),
}


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
def test_looking_fetches_once_and_gives_what_numpy_gives(look):
    value, source = lazy(0.53)
    found, wanted = look(value), look(np.float64(0.53))
    assert source.fetched == 1
    look(value)
    assert source.fetched == 1
    np.testing.assert_array_equal(found, wanted)
    assert not is_deferred(found)


def test_shape_questions_fetch_nothing():
    value, source = lazy(np.ones((2, 3)))
    assert (value.shape, value.ndim, value.size, len(value)) == ((2, 3), 2, 6, 2)
    assert (np.shape(value), np.ndim(value), np.size(value)) == ((2, 3), 2, 6)
    assert qml.math.shape(value) == (2, 3)
    assert np.zeros_like(value).shape == (2, 3)
    assert len(list(value)) == 2
    assert source.fetched == 0


def test_what_decides_a_shape_is_looked_at():
    value, source = lazy(np.array([0.1, 0.9, 0.5]))
    assert np.asarray(value[value > 0.3]).tolist() == [0.9, 0.5]
    assert source.fetched == 1


@pytest.mark.parametrize(
    "function",
    [np.repeat, np.tile, np.take, lambda a, n: np.pad(a, pad_width=n)],
    ids=["repeat", "tile", "take", "pad"],
)
def test_values_that_tell_a_shape_or_a_place_are_looked_at(function):
    array, number = np.array([0.5]), 0.9
    (value, _), (other, source) = lazy(array), lazy(number)
    found = function(value, (other * 0).astype(int))
    np.testing.assert_array_equal(found, function(array, 0))
    assert np.shape(found) == function(array, 0).shape
    assert source.fetched == 1


@pytest.mark.ml
def test_numbers_only_are_asked_for_with_the_way_out():
    torch = pytest.importorskip("torch")
    value, _ = lazy(0.5)
    with pytest.raises(TypeError, match=r"float\(value\)"):
        torch.tensor([value])
    assert torch.tensor([float(value)]).item() == 0.5


def test_shape_errors_are_raised_where_they_are_made():
    value, source = lazy(np.ones(3))
    with pytest.raises(ValueError, match="broadcast"):
        value + np.ones(4)
    with pytest.raises(IndexError):
        value[3]
    with pytest.raises(TypeError):
        len(lazy(0.5)[0])
    with pytest.raises(AttributeError):
        value.nonsense()
    assert source.fetched == 0


def test_long_chains_do_not_overflow_the_stack():
    value, _ = lazy(1.0)
    total = 0.0
    for _ in range(20_000):
        total = total + value
    assert float(total) == 20_000.0


def test_in_place_operators_rebind():
    value, source = lazy(np.ones(3))
    first = value
    value += 1.0
    assert is_deferred(value)
    assert source.fetched == 0
    np.testing.assert_array_equal(first, np.ones(3))
    np.testing.assert_array_equal(value, 2 * np.ones(3))


def test_arrays_in_place_take_real_values():
    value, source = lazy(np.ones(3))
    array = np.zeros(3)
    array += value
    assert source.fetched == 1
    np.testing.assert_array_equal(array, np.ones(3))


def test_changing_a_copy_changes_nothing_else():
    value, _ = lazy(np.ones(3))
    doubled = 2 * value
    array = np.asarray(value)
    array[0] = 7
    np.testing.assert_array_equal(doubled, [2, 2, 2])


def test_assigning_elements_is_as_in_numpy():
    def numbers(value, other):
        doubled, view = 2 * value, value[1:]
        value[0] = other + 1
        value[1:2] = 5
        tripled = 3 * value
        view[1] = 9
        return doubled, view, tripled, value

    wanted = numbers(np.ones(3), np.float64(0.5))
    (value, source), (other, _) = lazy(np.ones(3)), lazy(0.5)
    found = numbers(value, other)
    for f, w in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(f, w)
    assert source.fetched == 1
    with pytest.raises(ValueError, match="read-only"):
        value.sort()
    with pytest.raises(TypeError, match="assignment"):
        other[0] = 1


def test_numpy_error_state_is_that_of_the_operation():
    value, _ = lazy(0.0)
    with np.errstate(divide="raise"):
        inverse = 1.0 / value
    with np.errstate(all="ignore"), pytest.raises(FloatingPointError):
        float(inverse)


def test_fetched_arrays_give_real_arrays():
    value, _ = lazy(np.ones(3))
    np.asarray(value)
    assert type(value + 1) is np.ndarray
    assert isinstance(value, np.ndarray)
    assert isinstance(value.T, np.ndarray)


def test_when_the_scope_is_over_it_passes_for_a_real_array():
    value, source = lazy(np.ones(3))
    doubled = 2 * value
    assert not isinstance(doubled, np.ndarray)
    source.closed = True
    assert isinstance(doubled, np.ndarray)
    assert type(pickle.loads(pickle.dumps(doubled))) is np.ndarray


@pytest.mark.parametrize("value", [0.53, np.ones(2)])
@pytest.mark.parametrize("nested", [lambda d: d, lambda d: {"loss": [d]}])
def test_json_is_refused_with_what_to_give_it(value, nested):
    deferred, source = lazy(value)
    for is_over in (False, True):
        source.closed = is_over
        with pytest.raises(TypeError, match=r"Give json float\(x\), or x.tolist\(\)"):
            json.dumps(nested(deferred))
    assert json.loads(json.dumps(nested(deferred.tolist()))) == nested(np.array(value).tolist())


# --------------------------------------------------------------------------- PennyLane's tensors


@pytest.mark.parametrize("requires_grad", [True, False])
@pytest.mark.parametrize("op", [operator.add, operator.sub, operator.mul, np.arctan2])
@pytest.mark.parametrize("left", [True, False])
def test_tensors_stay_deferred_on_either_side_and_keep_requires_grad(requires_grad, op, left):
    tensor = pnp.array([1.0, 2.0], requires_grad=requires_grad)
    number = np.array([0.3, 0.4])
    value, source = lazy(number)
    found = op(tensor, value) if left else op(value, tensor)
    wanted = op(tensor, number) if left else op(number, tensor)
    assert source.fetched == 0
    assert found.requires_grad == wanted.requires_grad
    assert type(real(found)) is pnp.tensor
    assert real(found).requires_grad == wanted.requires_grad
    np.testing.assert_array_equal(found, wanted)


def test_other_operands_of_a_tensor_are_as_before():
    with pytest.raises(TypeError):
        pnp.array([1.0, 2.0]) + {}
    assert (pnp.array(1.0) + 1).requires_grad


def test_autograd_functions_take_deferred_arrays():
    value, source = lazy(np.array([0.3, 0.4]))
    found = pnp.sum(pnp.log(value) * pnp.array([1.0, 2.0]))
    assert source.fetched == 0
    assert float(found) == pytest.approx(np.log(0.3) + 2 * np.log(0.4))
    assert float(qml.math.mean(qml.math.stack([value, value]))) == pytest.approx(0.35)


def test_deferred_constants_inside_a_gradient_are_real():
    value, _ = lazy(0.5)
    x = pnp.array(2.0)
    assert qml.grad(lambda x: x**2 * value)(x) == pytest.approx(2.0)
    assert qml.grad(lambda x: pnp.sin(value * x))(x) == pytest.approx(0.5 * np.cos(1.0))
