"""Calls of a function that wait until the value of one is looked at, and are then made together."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Any

import numpy as np

from pennylane_qstore.deferral.array import DeferredArray
from pennylane_qstore.deferral.operands import Scope
from pennylane_qstore.deferral.scope import current_scope, evaluate


class Postponed:
    """A function of several values, called with all of them as soon as one result is looked at.

    Made for code that asks for values one by one and then needs all: two perturbed losses, for
    example. The calls are tasks, so their circuits travel together even where the function looks
    at its results. To be called inside a deferred scope.

    Args:
        function: returns a real number.
    """

    def __init__(self, function: Callable[..., float]) -> None:
        self._function = function
        self._waiting: list[_Call] = []

    def __call__(self, *args: Any) -> DeferredArray:
        """Return the value, deferred.

        Args:
            *args: of the function; they must not be changed any more.

        Returns:
            A deferred number.
        """
        scope = current_scope()
        assert scope is not None  # noqa: S101
        call = _Call(self, scope, args)
        self._waiting.append(call)
        return DeferredArray.leaf(np.float64(1), call)

    def evaluate(self) -> None:
        """Make all calls that wait.

        Raises:
            BaseException: the first error of the function; it is that of every one of them.
        """
        calls, self._waiting = self._waiting, []
        try:
            values = evaluate(*(partial(self._function, *call.args) for call in calls))
        except BaseException as error:
            for call in calls:
                call.set_exception(error)
            raise
        for call, value in zip(calls, values, strict=True):
            call.set_result(np.float64(value))


class _Call(Future[np.float64]):
    """A call and what comes of it; the source of a deferred number."""

    def __init__(self, group: Postponed, scope: Scope, args: tuple[Any, ...]) -> None:
        super().__init__()
        self.scope, self.args, self._group = scope, args, group

    @property
    def ready(self) -> bool:
        """True once the call has been made."""
        return self.done()

    def fetch(self) -> np.float64:
        """Return the value; makes all calls that wait."""
        if not self.done():
            self._group.evaluate()
        return self.result()
