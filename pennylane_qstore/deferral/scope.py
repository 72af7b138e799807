"""Many calls, one batch: tapes of a device's ``execute`` are sent now, or with others later.

Two tools share one mechanism. Inside :func:`run_tasks` calls of several pieces of code are
sent in common when all of them wait (``tasks.py``). Inside :func:`deferred` NumPy and
autograd calls return at once, with arrays that are fetched when first looked at
(``array.py``). Without either a call is executed as it stands.
"""

from __future__ import annotations

import contextlib
import contextvars
import functools
import itertools
import logging
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
from pennylane.devices import Device, ExecutionConfig
from pennylane.math.interface_utils import Interface
from pennylane.tape import QuantumScript

from pennylane_qstore.compat.pennylane import holds_recording_lock
from pennylane_qstore.deferral.operands import Scope, Settling, real
from pennylane_qstore.deferral.requests import DEFERRED, BatchDevice, Request, call_origin
from pennylane_qstore.deferral.results import deferred_results, is_deferrable
from pennylane_qstore.deferral.tasks import TaskGroup, dispatch, dispatch_all, is_parking, turn
from pennylane_qstore.deferral.traced import traced_parameters
from pennylane_qstore.errors import ConfigurationError, QStoreError

logger = logging.getLogger(__name__)

Item = TypeVar("Item")
Value = TypeVar("Value")


def current_scope() -> Scope | None:
    """Return the scope in which results may come late; None where there is none."""
    scope = _SCOPE.get()
    return scope if scope is not None and scope.lazy else None


def parks(circuits: Sequence[QuantumScript]) -> bool:
    """Tell whether a call waits for others, in a task or a scope, or is to be executed at once."""
    if not circuits or (_SCOPE.get() is None and not is_parking()):
        return False
    # While a quantum function is being recorded, no other task may run.
    return not holds_recording_lock()


def park(
    device: BatchDevice, circuits: tuple[QuantumScript, ...], config: ExecutionConfig | None
) -> tuple[Any, ...]:
    """Execute circuits with others, or when their results are looked at.

    Called by ``device.execute`` where :func:`parks` says so.

    Args:
        device: the device that was called; its ``executor`` runs the batch.
        circuits: its tapes, preprocessed.
        config: its execution configuration, as :func:`adjust_config` left it.

    Returns:
        One entry per circuit, in PennyLane's form.
    """
    scope = _SCOPE.get()
    deferrable = scope is not None and config is not None and DEFERRED in config.device_options
    if deferrable and scope is not None and all(is_deferrable(circuit) for circuit in circuits):
        request = Request(device, circuits, config, call_origin(), scope)
        try:
            rows = request.batch_sizes()
        except Exception:  # of made-up parameters, perhaps; the real ones tell
            logger.debug("The shape of results is not known yet.", exc_info=True)
        else:
            return scope.defer(request, rows)
    request = Request(device, circuits, config, call_origin())
    for need in request.needs:
        need.fetch()
    dispatch_all([request], [] if scope is None else scope.pending)
    return request.result()


def adjust_config(
    config: ExecutionConfig, circuit: QuantumScript | None, *, handed_over: bool = False
) -> ExecutionConfig:
    """Prepare a call for deferral; the last thing that a device's ``setup_execution_config`` does.

    Inside a scope, a NumPy or autograd call that PennyLane does not differentiate gets the NumPy
    interface and no gradient method: its results may come late, and PennyLane need not
    prepare for a gradient. Every other call is left alone.

    Args:
        config: the configuration, otherwise complete.
        circuit: the tape it is for, if known.
        handed_over: the device hands the results to the framework itself.

    Returns:
        The configuration, with :data:`DEFERRED` among its device options if results may be
        deferred; the option's value is the interface that was asked for.
    """
    scope = _SCOPE.get()
    if scope is None or circuit is None or DEFERRED in config.device_options:
        return config
    if config.interface not in (Interface.NUMPY, Interface.AUTOGRAD):
        return config
    if handed_over:
        if scope.lazy and is_deferrable(circuit):
            options = {**config.device_options, DEFERRED: Interface.AUTOGRAD.value}
            config = replace(config, device_options=options)
        return config
    if traced_parameters(circuit) or holds_recording_lock():
        return config
    changes: dict[str, Any] = {
        "gradient_method": None,
        "grad_on_execution": None,
        "use_device_gradient": None,
        "use_device_jacobian_product": None,
        "gradient_keyword_arguments": {},
    }
    if scope.lazy and is_deferrable(circuit):
        interface = Interface(config.interface).value
        changes["interface"] = Interface.NUMPY
        changes["device_options"] = {**config.device_options, DEFERRED: interface}
    return replace(config, **changes)


@contextlib.contextmanager
def deferred() -> Iterator[None]:
    """A scope in which results are fetched when they are first looked at, all together.

    NumPy and autograd QNode calls return :class:`~.array.DeferredArray` objects, torch calls
    :class:`~.tensor.DeferredTensor`, which stay deferred under arithmetic. Looking at one
    (``float``, ``print``, a comparison, ``np.asarray``, ``backward``) fetches all that are
    pending with one batch per device. At the end of the scope the rest is fetched, and what is
    held passes for real arrays; what asks for the very type (``json``, ``torch.tensor``) takes
    ``float(value)`` or ``numpy.asarray(value)``.

    Circuits and operations see arrays as they were when called. A call that autograd or torch
    differentiates waits with its gradient's circuits. JAX calls, counts and samples are executed
    at once. A loop that looks at each value (``np.fromiter``, adding in place to a torch tensor
    of one's own) sends a batch for each. Scopes in two threads take turns: one goes on while the
    other waits for the service.

    **Example**

    >>> with qstore.deferred():
    ...     loss = sum((circuit(x, w) - y) ** 2 for x, y in zip(X, Y))
    ...     print(loss)  # one batch of len(X) circuits

    Raises:
        QStoreError: whatever the device raises, where a result is looked at.
    """
    with turn(), _scope(lazy=True):
        yield


def run_tasks(*thunks: Callable[[], Any]) -> list[Any]:
    """Call every function; circuits they wait for at the same time are sent in common.

    The functions run one at a time, in their order, each in a thread of its own with a copy
    of the caller's context variables and torch modes. The first error ends all and is raised;
    so does Ctrl-C. Results are not deferred unless a :func:`deferred` scope is open.

    Args:
        thunks: functions without arguments.

    Returns:
        Their values, in order.
    """
    scope = _SCOPE.get()
    return TaskGroup([] if scope is None else scope.pending).run(thunks)


def evaluate(*thunks: Callable[[], Any], lazy: bool = True) -> list[Any]:
    """Return values of several functions, evaluated as tasks; real arrays only.

    Args:
        thunks: functions without arguments.
        lazy: whether results are deferred inside them, so that loops collapse too.

    Returns:
        Their values, in order.
    """
    with turn(), _scope(lazy=lazy):
        values = run_tasks(*thunks)
    return [real(value) for value in values]


def gather(dev: Device, *thunks: Callable[[], Any]) -> list[Any]:
    """Call several functions; circuits they execute at the same time travel together.

    For torch and JAX loops, where results cannot be deferred. ``backward`` and ``jax.grad``
    work as usual; under ``jax.jit`` it is the circuits that should be compiled, not the loop:
    compiled code calls them one after another.

    >>> losses = qstore.gather(dev, lambda: a(w), lambda: b(w))  # one batch

    Args:
        dev: the device the functions use. If they use more than one, there is a batch for each.
        thunks: functions without arguments.

    Returns:
        Their values, in order.

    Raises:
        ConfigurationError: ``dev`` is not a device, or a thunk cannot be called.
    """
    _check_gather("gather", dev, *thunks)
    return evaluate(*thunks)


def map(dev: Device, fn: Callable[[Item], Value], items: Iterable[Item]) -> list[Value]:  # noqa: A001
    """Return ``[fn(item) for item in items]``, with circuits executed in common.

    One batch, or with torch and JAX one for each 1000 items: each waits in a thread of its own.
    See :func:`gather`.

    Args:
        dev: the device that the function uses.
        fn: called with each item.
        items: samples, for example.

    Returns:
        The function's values, in the order of the items.

    Raises:
        ConfigurationError: ``dev`` is not a device, or ``fn`` cannot be called.

    >>> outputs = qstore.map(dev, lambda x: circuit(x, w), X)  # one batch of len(X) circuits
    """
    _check_gather("map", dev, fn)
    return evaluate(*(functools.partial(fn, item) for item in items))


# --------------------------------------------------------------------------- scopes


class _Scope:
    """Requests that are pending, and a flag that tells if results may be deferred at all.

    A scope inside a scope shares what is pending with the outer one, but leaves nothing behind.
    """

    def __init__(self, *, lazy: bool) -> None:
        self.lazy = lazy
        self.closed = False
        outer = _SCOPE.get()
        self.pending: list[Request] = [] if outer is None else outer.pending
        self._nodes: weakref.WeakValueDictionary[int, Settling] = weakref.WeakValueDictionary()
        self._number = itertools.count()

    def track(self, node: Settling) -> None:
        self._nodes[next(self._number)] = node

    def settle(self) -> None:
        """Compute the values of all deferred arrays that others still hold."""
        for node in list(self._nodes.values()):
            node.settle()

    def defer(self, request: Request, batch_sizes: Sequence[int | None]) -> tuple[Any, ...]:
        """Keep a request for later and return deferred results in its place."""
        config = request.config
        plain = config is not None and config.device_options[DEFERRED] == Interface.NUMPY.value
        scalar = np.float64(1) if plain else np.ones(())  # what a plain call would return
        results = tuple(
            deferred_results(self, request, i, rows, scalar) for i, rows in enumerate(batch_sizes)
        )
        self.pending.append(request)
        return results

    def obtain(self, request: Request) -> tuple[Any, ...]:
        """Return the results of a request, fetched with everything that is pending.

        A circuit whose parameters are results themselves has to wait for these: it is sent
        in the next batch, together with all others at that point.
        """
        while request in self.pending:
            if any(r.ready for r in self.pending):
                dispatch_all((), self.pending)
            else:  # what it needs is under way, with another task or in another thread
                next(need for need in request.needs if not need.ready).fetch()
        if not request.finished:
            dispatch(())  # another task has handed it over: let the session send it
        return request.result()

    def close(self) -> None:
        """Fetch the rest; raise the first error that nobody has seen."""
        for request in list(self.pending):
            self.obtain(request)

    def abandon(self) -> None:
        """Drop what is pending: the scope was left by an error and nothing more is to be paid."""
        error = QStoreError(
            "This result was not fetched: an error ended its deferred() scope first. Call the "
            "QNode again."
        )
        mine = [request for request in self.pending if request.scope is self]
        self.pending[:] = [request for request in self.pending if request.scope is not self]
        for request in mine:
            request.fail(error)


_SCOPE: contextvars.ContextVar[_Scope | None] = contextvars.ContextVar("qstore_scope", default=None)


@contextlib.contextmanager
def _scope(*, lazy: bool) -> Iterator[None]:
    scope = _Scope(lazy=lazy)
    token = _SCOPE.set(scope)
    try:
        yield
        scope.close()
    except BaseException:
        scope.abandon()
        raise
    finally:
        scope.closed = True
        _SCOPE.reset(token)
    scope.settle()


def _check_gather(name: str, dev: Any, *functions: Any) -> None:
    if not isinstance(dev, Device):
        raise ConfigurationError(
            f"The first argument of {name}() is the device, got {type(dev).__name__}."
        )
    for function in functions:
        if not callable(function):
            raise ConfigurationError(
                f"{name}() calls functions, got {type(function).__name__}; "
                "write lambda: circuit(x) instead of circuit(x)."
            )
