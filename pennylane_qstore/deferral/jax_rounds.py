"""Functions of JAX evaluated in rounds: QNode calls that need nothing of each other, together.

JAX's arrays cannot wait. But a function can be traced once, which tells all calls of QNodes, each a
callback, and what depends on what.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax

from pennylane_qstore.compat.interfaces import do_jax_equation
from pennylane_qstore.deferral.scope import run_tasks

_CALLBACK = "pure_callback"
_CALLS = ("jaxpr", "call_jaxpr", "fun_jaxpr")
"""Parameters in which ``jit`` and the like keep the traced function that they call."""
_CONTROL = ("scan", "while", "cond")
"""Operations that call their functions several times, or not: in one piece."""


def evaluate_in_rounds(function: Callable[..., Any], *args: Any) -> Any:
    """Return ``function(*args)``, circuits that do not wait for each other in one batch.

    Args:
        function: can be traced by JAX.
        args: arrays, or trees of them.

    Returns:
        Its value.

    Raises:
        jax.errors.JAXTypeError: the function looks at a value while it is traced. Nothing was
            sent.
    """
    traced, shapes = jax.make_jaxpr(function, return_shape=True)(*args)
    values = _evaluate(traced.jaxpr, traced.consts, jax.tree.leaves(args))
    return jax.tree.unflatten(jax.tree.structure(shapes), values)


def _evaluate(jaxpr: Any, consts: Sequence[Any], args: Sequence[Any]) -> list[Any]:
    known = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*consts, *args], strict=True))

    def value(variable: Any) -> Any:
        return variable.val if hasattr(variable, "val") else known[variable]  # a literal

    left = list(jaxpr.eqns)
    while left:
        calls, waiting = [], []
        for equation in left:
            if not all(hasattr(v, "val") or v in known for v in equation.invars):
                waiting.append(equation)
            elif _calls_back(equation):
                calls.append(equation)
            else:
                results = _do(equation, [value(v) for v in equation.invars])
                known.update(zip(equation.outvars, results, strict=True))
        thunks = [partial(_do, call, [value(v) for v in call.invars]) for call in calls]
        for call, results in zip(calls, run_tasks(*thunks), strict=True):
            known.update(zip(call.outvars, results, strict=True))
        left = waiting
    return [value(variable) for variable in jaxpr.outvars]


def _do(equation: Any, inputs: Sequence[Any]) -> Sequence[Any]:
    """Return the results of an operation; a call of a function with callbacks in rounds."""
    if equation.primitive.name != _CALLBACK and _calls_back(equation):
        inner = next((equation.params[name] for name in _CALLS if name in equation.params), None)
        if inner is not None and equation.primitive.name not in _CONTROL:
            return _evaluate(*_opened(inner), inputs)
    return do_jax_equation(equation, list(inputs))


def _calls_back(equation: Any) -> bool:
    """Return True for a callback, and for what calls a function with one."""
    if equation.primitive.name == _CALLBACK:
        return True
    parameters = jax.tree.leaves(list(equation.params.values()), is_leaf=_is_jaxpr)
    return any(
        _calls_back(inner) for p in parameters if _is_jaxpr(p) for inner in _opened(p)[0].eqns
    )


def _is_jaxpr(value: Any) -> bool:
    return hasattr(value, "eqns") or hasattr(value, "jaxpr")


def _opened(jaxpr: Any) -> tuple[Any, Sequence[Any]]:
    """Return a traced function and its constants."""
    return (jaxpr.jaxpr, jaxpr.consts) if hasattr(jaxpr, "consts") else (jaxpr, ())
