"""Private hooks of autograd 1.8, autoray, PennyLane's tensors, torch 2 and JAX 0.5 to 0.10."""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import autoray
import numpy as np
from autograd import core
from autograd.extend import VSpace, primitive
from autograd.numpy import numpy_vjps, numpy_wrapper
from autograd.numpy.numpy_boxes import ArrayBox as ArrayBox
from autograd.numpy.numpy_vspaces import ArrayVSpace
from autograd.tracer import getval as getval  # a value without its boxes
from autograd.tracer import trace_stack as trace_stack  # its top is -1 where nothing is traced
from pennylane.numpy import tensor


@functools.cache
def teach_deferred_arrays(kind: type) -> None:
    """Let PennyLane's tensors and autoray know a class of deferred arrays, once.

    ``tensor.__array_ufunc__`` wraps the ``NotImplemented`` with which an ndarray leaves an
    operation to the other operand, instead of returning it: labels held in a PennyLane tensor
    would fetch each sample alone. Nothing changes for other operands.

    Args:
        kind: the class; its instances behave as NumPy arrays.
    """
    _teach_autograd(kind)
    original = tensor.__array_ufunc__

    def __array_ufunc__(self: Any, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:  # noqa: N807
        if any(type(operand) is kind for operand in inputs):
            return NotImplemented
        return original(self, ufunc, method, *inputs, **kwargs)

    tensor.__array_ufunc__ = __array_ufunc__
    autoray.register_backend(kind, "numpy")


def _teach_autograd(kind: type) -> None:
    """Let autograd differentiate deferred arrays without looking at them.

    They are boxed and added as arrays are. ``array``, which ``stack`` calls for each of its
    arrays, and the gradient of indexing would fetch them: these leave them as they are.
    """

    def is_kind(*values: Any) -> bool:
        return any(issubclass(type(value), kind) for value in values)

    def array(original: Any, args: Any, kwargs: Any, value: Any) -> Any:
        return (
            value if is_kind(value) and not args and not kwargs else original(args, kwargs, value)
        )

    def array_of(original: Any, args: Any, kwargs: Any, *values: Any) -> Any:
        if is_kind(*values) and not args and not kwargs:
            return np.stack(values)
        return original(args, kwargs, *values)

    def add_at(array: Any, index: Any, x: Any) -> Any:
        added = np.array(array)
        np.add.at(added, index, x)
        return added

    def untake(original: Any, x: Any, index: Any, space: Any) -> Any:
        sparse = original(x, index, space)
        in_place = sparse.mut_add

        def mut_add(array: Any) -> Any:
            if is_kind(array, x):
                return kind.applied(add_at, array, index, x)  # type: ignore[attr-defined]
            return in_place(array)

        sparse.mut_add = mut_add
        return sparse

    def add(self: Any, x_prev: Any, x_new: Any) -> Any:
        if is_kind(x_prev, x_new):
            return x_prev + x_new
        x_prev += x_new
        return x_prev

    ArrayBox.register(kind)
    VSpace.register(kind, lambda value: ArrayVSpace(value.standin))
    ArrayVSpace._mut_add = add
    _substitute_primitive(numpy_wrapper, "_array_from_scalar_or_array", array)
    _substitute_primitive(numpy_wrapper, "array_from_args", array_of)
    _substitute_primitive(numpy_vjps, "untake", untake)


def _substitute_primitive(module: Any, name: str, function: Callable[..., Any]) -> None:
    """Put a function in the place of one of autograd's primitives, whose derivatives stay.

    Args:
        module: of autograd, which looks the primitive up there.
        name: of the primitive.
        function: called with the plain function first, then with the arguments.
    """
    original = getattr(module, name)
    new = primitive(lambda *args: function(original.fun, *args))
    for rules in (core.primitive_vjps, core.primitive_jvps):
        if original in rules:
            rules[new] = rules[original]
    setattr(module, name, new)


def goes_backward() -> bool:
    """Return True while torch computes gradients in this thread."""
    backward: bool = sys.modules["torch"]._C._current_graph_task_id() != -1
    return backward


JAX_MODES = (
    *("enable_x64", "disable_jit", "default_device", "default_matmul_precision"),
    *("numpy_dtype_promotion", "numpy_rank_promotion"),
    *("default_prng_impl", "threefry_partitionable"),
    *("debug_nans", "debug_infs"),
)
"""Settings that JAX keeps per thread: ``jax.NAME(value)`` is a context manager for each."""


def jax_modes(jax: Any) -> dict[str, Any]:
    """Return the values of :data:`JAX_MODES` in this thread, those that this JAX has."""
    config = getattr(jax, "config", None)
    return {
        name: getattr(config, f"jax_{name}")
        for name in JAX_MODES
        if hasattr(config, f"jax_{name}") and hasattr(jax, name)
    }


def jax_core() -> Any:
    """Return where JAX keeps the current transformation: ``jax.core`` until 0.9."""
    try:
        core = importlib.import_module("jax.extend.core")
    except ImportError:
        return sys.modules["jax"].core
    return core if hasattr(core, "set_current_trace") else sys.modules["jax"].core


def do_jax_equation(equation: Any, inputs: list[Any]) -> list[Any]:
    """Do one operation of a traced function.

    Args:
        equation: of ``jax.make_jaxpr``'s result.
        inputs: values of its ``invars``.

    Returns:
        Values of its ``outvars``.
    """
    if equation.primitive.name == "pure_callback":  # bound, it would run inside of a compilation
        asarray = sys.modules["jax"].numpy.asarray
        return [asarray(result) for result in equation.params["callback"](*inputs)]
    bound = equation.primitive.get_bind_params(equation.params)
    functions, params = bound if isinstance(bound, tuple) else ((), bound)  # JAX 0.10 has no pair
    results = equation.primitive.bind(*functions, *inputs, **params)
    return list(results) if equation.primitive.multiple_results else [results]


def is_jax_compiling(frame: FrameType) -> bool:
    """Return True for the frame of a jitted function's first call, which compiles and runs it."""
    code = frame.f_code
    return code.co_name == "cache_miss" and frame.f_globals.get("__name__") == "jax._src.pjit"
