"""Calls of a function that wait until the value of one is looked at, and are then made together."""

from __future__ import annotations

from collections.abc import Callable
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
                call.error = error
            raise
        for call, value in zip(calls, values, strict=True):
            call.value = np.float64(value)


class _Call:
    """A call and what came of it; the source of a deferred number."""

    def __init__(self, group: Postponed, scope: Scope, args: tuple[Any, ...]) -> None:
        self.scope, self.args = scope, args
        self.value: np.float64 | None = None
        self.error: BaseException | None = None
        self._group = group

    @property
    def ready(self) -> bool:
        """True once the call has been made."""
        return self.value is not None or self.error is not None

    def fetch(self) -> np.float64:
        """Return the value; makes all calls that wait."""
        if not self.ready:
            self._group.evaluate()
        if self.error is not None:
            raise self.error
        assert self.value is not None  # noqa: S101 - called, and without an error
        return self.value
