"""Conversions and comparisons of an array that is not there yet: each of them fetches it."""

from __future__ import annotations

import json
import math
import operator
from collections.abc import Callable
from types import FrameType
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from pennylane_qstore.deferral.numpy_functions import words
from pennylane_qstore.deferral.operands import Deferred, real

_JSON_REFUSAL = json.JSONEncoder.default.__code__


def refuse_json(frame: FrameType) -> None:
    """Say what to give json, which is about to refuse a value by the name of its class.

    Args:
        frame: that asks for the class.

    Raises:
        TypeError: it is json's.
    """
    if frame.f_code is _JSON_REFUSAL:
        raise TypeError(
            "A deferred result is not JSON serializable. Give json float(x), or x.tolist() for "
            "an array."
        )


class Fetching(Deferred):
    """Mixin that gives a class with ``fetch`` what Python asks of a real array or scalar."""

    __slots__ = ()

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> np.ndarray:
        # A copy unless forbidden: others may still be computed from our own array.
        return np.array(self.fetch(), dtype=dtype, copy=copy is not False)


def _of_value(function: Callable[..., Any]) -> Any:
    """Return a method that applies a function to the value, and to that of any other operand."""

    def method(self: Fetching, *others: Any) -> Any:
        return function(self.fetch(), *map(real, others))

    return method


for _function in (float, int, complex, bool, round, format, repr, str, hash, divmod, math.trunc):
    setattr(Fetching, f"__{_function.__name__}__", _of_value(_function))

for _name in words("index contains lt le gt ge eq ne"):
    setattr(Fetching, f"__{_name}__", _of_value(getattr(operator, _name)))

Fetching.__rdivmod__ = _of_value(lambda value, other: divmod(other, value))  # type: ignore[attr-defined]
