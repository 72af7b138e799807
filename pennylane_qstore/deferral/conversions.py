"""Conversions and comparisons of an array that is not there yet: each of them fetches it."""

from __future__ import annotations

import json
import math
import operator
from types import FrameType
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

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

    def __float__(self) -> float:
        return float(self.fetch())

    def __int__(self) -> int:
        return int(self.fetch())

    def __complex__(self) -> complex:
        return complex(self.fetch())

    def __bool__(self) -> bool:
        return bool(self.fetch())

    def __index__(self) -> int:
        return operator.index(self.fetch())

    def __round__(self, digits: int | None = None) -> Any:
        return round(self.fetch(), digits) if digits is not None else round(self.fetch())

    def __format__(self, spec: str) -> str:
        return format(self.fetch(), spec)

    def __repr__(self) -> str:
        return repr(self.fetch())

    def __str__(self) -> str:
        return str(self.fetch())

    def __contains__(self, item: Any) -> bool:
        return item in self.fetch()

    def __trunc__(self) -> Any:
        return math.trunc(self.fetch())

    def __divmod__(self, other: Any) -> Any:
        return divmod(self.fetch(), real(other))

    def __rdivmod__(self, other: Any) -> Any:
        return divmod(other, self.fetch())

    def __lt__(self, other: Any) -> Any:
        return operator.lt(self.fetch(), real(other))

    def __le__(self, other: Any) -> Any:
        return operator.le(self.fetch(), real(other))

    def __gt__(self, other: Any) -> Any:
        return operator.gt(self.fetch(), real(other))

    def __ge__(self, other: Any) -> Any:
        return operator.ge(self.fetch(), real(other))

    def __eq__(self, other: object) -> Any:
        return operator.eq(self.fetch(), real(other))

    def __ne__(self, other: object) -> Any:
        return operator.ne(self.fetch(), real(other))

    def __hash__(self) -> int:
        return hash(self.fetch())
