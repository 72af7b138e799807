"""Private hooks of PennyLane, autograd, JAX and CPython, all of them, in one place.

Each says what it relies on and the version in which that was read; ``tests/test_compat.py`` has a
test for each that fails by the hook's name when a new version breaks it. Importing this module
imports none of them, since the client's rooms work without PennyLane, and patches nothing:
:func:`teach_deferred_arrays` runs when the first deferred array is made.
"""

from __future__ import annotations

import ctypes
import functools
import importlib
import inspect
import sys
import threading
from collections.abc import Callable, Iterator
from types import CodeType, FrameType
from typing import Any

# --------------------------------------------------------------------------- PennyLane 0.45.1

_QNODE_STATE = ("_qfunc_output", "_tape")
"""Attributes in which a QNode keeps what its last call recorded."""


@functools.cache
def _code_of(name: str) -> CodeType:
    """Return the code object by which a function is recognised on a stack."""
    import pennylane as qml
    from autograd.tracer import trace

    functions = {
        "QNode call": qml.QNode.__call__,
        "qml.execute": inspect.unwrap(qml.execute),
        "autograd's trace": trace,
    }
    code: CodeType = functions[name].__code__
    return code


def is_qnode_call(frame: FrameType) -> bool:
    """Return True for the frame of a QNode call; its ``self`` is the QNode."""
    return frame.f_code is _code_of("QNode call")


def qnode_states(frames: list[FrameType]) -> list[tuple[Any, dict[str, Any]]]:
    """Return the QNodes being called on a stack and what each keeps of its call.

    Args:
        frames: of a stack, in any order.

    Returns:
        Pairs of a QNode and attributes; ``vars(qnode).update(attributes)`` puts them back.
    """
    qnodes = [frame.f_locals["self"] for frame in frames if is_qnode_call(frame)]
    return [
        (qnode, {n: vars(qnode)[n] for n in _QNODE_STATE if n in vars(qnode)}) for qnode in qnodes
    ]


def called_by_qml_execute(frame: FrameType | None) -> bool:
    """Return True where a frame is that of ``qml.execute``, or was called by it."""
    callers = (frame, getattr(frame, "f_back", None))
    return any(
        caller is not None and caller.f_code is _code_of("qml.execute") for caller in callers
    )


def called_by_an_optimizer(frame: FrameType) -> bool:
    """Return True where a frame runs code of PennyLane's own optimizers."""
    return str(frame.f_globals.get("__name__", "")).startswith("pennylane.optimize")


@functools.cache
def teach_deferred_arrays(kind: type) -> None:
    """Let PennyLane's tensors and autoray know a class of deferred arrays, once.

    ``tensor.__array_ufunc__`` wraps the ``NotImplemented`` with which an ndarray leaves an
    operation to the other operand, instead of returning it: labels held in a PennyLane tensor
    would fetch each sample alone. Nothing changes for other operands.

    Args:
        kind: the class; its instances behave as NumPy arrays.
    """
    import autoray
    from pennylane.numpy import tensor

    original = tensor.__array_ufunc__

    def __array_ufunc__(self: Any, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:  # noqa: N807
        if any(type(operand) is kind for operand in inputs):
            return NotImplemented
        return original(self, ufunc, method, *inputs, **kwargs)

    tensor.__array_ufunc__ = __array_ufunc__
    autoray.register_backend(kind, "numpy")


def simulator_generator(device: Any) -> Any:
    """Return the NumPy generator that one of PennyLane's simulators samples with; None for others.

    Args:
        device: any device.
    """
    import numpy as np

    generator = getattr(device, "_rng", None)
    return generator if isinstance(generator, np.random.Generator) else None


def set_simulator_generator(device: Any, generator: Any) -> None:
    """Let a simulator of PennyLane sample with another NumPy generator.

    Args:
        device: one that :func:`simulator_generator` knows.
        generator: the generator.

    Raises:
        TypeError: the device has none, or this is none.
    """
    if simulator_generator(device) is None or type(generator).__name__ != "Generator":
        raise TypeError(f"{type(generator).__name__} is no generator for {device!r}")
    device._rng = generator


# --------------------------------------------------------------------------- autograd 1.8


def __getattr__(name: str) -> Any:
    if name == "ArrayBox":
        from autograd.numpy.numpy_boxes import ArrayBox

        return ArrayBox
    if name == "trace_stack":  # ``top`` is -1 where nothing is differentiated
        from autograd.tracer import trace_stack

        return trace_stack
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def open_traces(frame: FrameType | None) -> int:
    """Return how many differentiations by autograd are under way on a stack.

    ``trace_stack.top`` counts them for the whole process, and autograd does not take back a
    trace that an error or Ctrl-C has ended.
    """
    code = _code_of("autograd's trace")
    return sum(caller.f_code is code for caller in stack(frame))


# --------------------------------------------------------------------------- JAX 0.5 to 0.10

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


def is_jax_compiling(frame: FrameType) -> bool:
    """Return True for the frame of a jitted function's first call, which compiles and runs it."""
    code = frame.f_code
    return code.co_name == "cache_miss" and frame.f_globals.get("__name__") == "jax._src.pjit"


# --------------------------------------------------------------------------- CPython 3.11 to 3.13

current_frame: Callable[[int], FrameType] = sys._getframe
"""The frame so many calls above the caller's own."""


def stack(frame: FrameType | None) -> Iterator[FrameType]:
    """Yield a frame and those that called it, innermost first."""
    while frame is not None:
        yield frame
        frame = frame.f_back


def stack_of(thread: threading.Thread) -> list[FrameType]:
    """Return the frames of a thread, innermost first; without this one for the calling thread."""
    if thread.ident == threading.get_ident():
        return list(stack(sys._getframe(1)))
    return list(stack(sys._current_frames().get(thread.ident or 0)))


def is_foreign_thread() -> bool:
    """Return True in a thread that Python did not start; JAX runs callbacks on such."""
    return isinstance(threading.current_thread(), threading._DummyThread)


def interrupt(thread: threading.Thread) -> None:
    """Raise KeyboardInterrupt in another thread, at its next Python instruction."""
    ident = ctypes.c_ulong(thread.ident or 0)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ident, ctypes.py_object(KeyboardInterrupt))


def keep_forever(thing: Any) -> None:
    """Keep an object from being destroyed, whatever happens to its references.

    A forked child inherits the parent's sockets and selector. Destroying its copies would
    take the sockets out of the selector that the parent still uses.
    """
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))
