"""The private hooks of autograd, torch and JAX."""

from __future__ import annotations

import sys

import numpy as np
import pennylane as qml
import pytest
from autograd import core, grad
from autograd.numpy import numpy_vjps
from autograd.numpy import numpy_wrapper as anp
from autograd.numpy.numpy_vspaces import ArrayVSpace

from pennylane_qstore.compat.interfaces import (
    do_jax_equation,
    goes_backward,
    is_jax_compiling,
    jax_core,
    jax_modes,
    teach_deferred_arrays,
)
from pennylane_qstore.compat.python import stack


@pytest.fixture
def taught_for_now():
    """Take back what a test teaches PennyLane's tensors and autograd."""
    places = [
        (anp, "_array_from_scalar_or_array"), (anp, "array_from_args"),
        (numpy_vjps, "untake"), (ArrayVSpace, "_mut_add"), (qml.numpy.tensor, "__array_ufunc__"),
    ]  # fmt: skip
    before = [getattr(*place) for place in places]
    yield
    for (place, name), value in zip(places, before, strict=True):
        setattr(place, name, value)


@pytest.mark.usefixtures("taught_for_now")
def test_a_tensor_leaves_operations_to_a_class_it_was_taught():
    class Late:
        __array_priority__ = 1000

        def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
            return "late"

    tensor = qml.numpy.array([1.0, 2.0])
    assert tensor + tensor == pytest.approx([2, 4])
    teach_deferred_arrays(Late)
    assert tensor + Late() == "late"
    assert np.add(tensor, Late()) == "late"
    assert tensor + tensor == pytest.approx([2, 4])
    assert qml.math.get_interface(Late()) == "numpy"


@pytest.mark.usefixtures("taught_for_now")
def test_autograd_stacks_indexes_and_adds_deferred_arrays_unseen():
    class Unseen:
        """A value that comes out of whatever is done with it."""

        standin = np.ones(2)

        def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
            return self

        def __array_function__(self, func, types, args, kwargs):
            return self

        def __add__(self, other):
            return self

        __radd__ = __add__

        @staticmethod
        def applied(func, *args):
            return func.__name__, args

    teach_deferred_arrays(Unseen)
    value, plain = Unseen(), np.arange(3.0)
    assert anp.array(value) is value
    assert anp.array([value, value]) is value
    space = core.vspace(plain)
    name, (array, index, x) = core.sparse_add(space, None, numpy_vjps.untake(value, 1, space))
    assert (name, index, x) == ("add_at", 1, value)
    assert array == pytest.approx(np.zeros(3))
    assert space.mut_add(plain, value) is value
    assert core.vspace(value).shape == (2,)
    # arrays as before
    assert anp.array([plain, plain]).tolist() == [[0, 1, 2], [0, 1, 2]]
    assert grad(lambda x: anp.sum(anp.stack([x[1], x[1] ** 2])))(plain).tolist() == [0, 3, 0]
    total = np.zeros(3)
    assert space.mut_add(total, plain) is total
    assert total.tolist() == plain.tolist()


@pytest.mark.ml
def test_every_jax_mode_is_a_setting_and_a_context_manager():
    jax = pytest.importorskip("jax")
    modes = jax_modes(jax)
    assert {"enable_x64", "disable_jit", "debug_nans"} <= modes.keys()
    with jax.debug_nans(not modes["debug_nans"]):
        assert jax_modes(jax)["debug_nans"] is not modes["debug_nans"]


@pytest.mark.ml
def test_torch_tells_when_it_goes_backward():
    torch = pytest.importorskip("torch")
    seen = []
    x = torch.tensor(1.0, requires_grad=True)
    y = 2 * x
    y.register_hook(lambda gradient: seen.append(goes_backward()))
    y.backward()
    assert seen == [True]
    assert not goes_backward()


@pytest.mark.ml
def test_the_operations_of_a_traced_jax_function_can_be_done_one_by_one():
    jax = pytest.importorskip("jax")

    def f(x):
        return jax.jit(jax.numpy.sin)(jax.pure_callback(lambda x: x, x, x)) * 2

    traced = jax.make_jaxpr(f)(jax.numpy.asarray(0.5))
    known = {traced.jaxpr.invars[0]: 0.5}
    for equation in traced.jaxpr.eqns:
        inputs = [v.val if hasattr(v, "val") else known[v] for v in equation.invars]
        known.update(zip(equation.outvars, do_jax_equation(equation, inputs), strict=True))
    assert known[traced.jaxpr.outvars[0]] == pytest.approx(2 * np.sin(0.5))


@pytest.mark.ml
def test_jax_has_a_current_trace():
    jax = pytest.importorskip("jax")
    core = jax_core()
    traces = []

    def f(x):
        with core.take_current_trace() as trace:
            traces.append(trace)
        with core.set_current_trace(traces[-1]):
            return x * x

    assert jax.grad(f)(2.0) == 4.0
    assert len(traces) == 1


@pytest.mark.ml
def test_jax_compiles_in_a_frame_that_is_recognised():
    jax = pytest.importorskip("jax")
    seen = []

    def look(x):
        seen.append(any(is_jax_compiling(f) for f in stack(sys._getframe(0))))
        return np.asarray(x)

    def f(x):
        return jax.pure_callback(look, jax.ShapeDtypeStruct((), x.dtype), x)

    jax.jit(f).lower(1.0).compile()
    assert seen == []
    jax.jit(lambda x: (seen.append(
        any(is_jax_compiling(frame) for frame in stack(sys._getframe(0)))
    ), x)[1])(1.0)  # fmt: skip
    assert seen == [True]
