"""Deferred results in place of a device's own, nested as PennyLane nests them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from pennylane.measurements import ExpectationMP, MeasurementProcess, ProbabilityMP, VarianceMP
from pennylane.tape import QuantumScript

from pennylane_qstore.deferral.array import DeferredArray
from pennylane_qstore.deferral.operands import Scope
from pennylane_qstore.deferral.requests import Request
from pennylane_qstore.errors import InvalidResponse
from pennylane_qstore.validation import check_entries


class ObtainingScope(Scope, Protocol):
    """A scope that fetches results."""

    def obtain(self, request: Request) -> tuple[Any, ...]:
        """Return the results of a request, fetched with everything that is pending."""


class ResultSource:
    """One measurement's result of a request: the source of a deferred array."""

    __slots__ = ("_like", "_path", "_request", "scope")

    def __init__(
        self, scope: ObtainingScope, request: Request, path: tuple[int, ...], like: Any
    ) -> None:
        self.scope, self._request, self._path, self._like = scope, request, path, like

    @property
    def ready(self) -> bool:
        """True once the request has results or an error."""
        return self._request.finished

    def fetch(self) -> Any:
        """Return the result, an array or scalar of the stand-in's shape and dtype.

        Raises:
            InvalidResponse: the device returned a result of another shape.
        """
        finished = self._request.finished
        value: Any = self._request.result() if finished else self.scope.obtain(self._request)
        for i in self._path:
            value = value[i]
        value = np.asarray(value)
        if value.shape != self._like.shape:
            raise InvalidResponse(
                f"{self._request.device.name} returned a result of shape {value.shape} where "
                f"{self._like.shape} was expected ({self._request.origin or 'no QNode'})."
            )
        value = value.astype(self._like.dtype, copy=False)
        return value if isinstance(self._like, np.ndarray) else value[()]


def deferred_results(
    scope: ObtainingScope, request: Request, i: int, rows: int | None, scalar: Any
) -> Any:
    """Return deferred results of one circuit, nested as PennyLane nests them.

    Args:
        scope: the scope that fetches them.
        request: the circuits asked for.
        i: index of the circuit in the request.
        rows: size of its batch, None if it is not broadcast.
        scalar: stand-in for a result without axes, of the type that a plain call would return.

    Returns:
        A deferred array for each measurement: alone, or in a tuple; in one tuple more where
        the shots are partitioned.
    """
    circuit = request.circuits[i]
    batch = () if rows is None else (rows,)

    def leaf(path: tuple[int, ...], measurement: MeasurementProcess) -> DeferredArray:
        shape = batch + result_shape(measurement)
        check_entries("A deferred result", math.prod(shape), "Ask for counts, or fewer wires")
        like = np.ones(shape) if shape else scalar
        return DeferredArray.leaf(like, ResultSource(scope, request, (i, *path), like))

    return nested(circuit, leaf)


def nested(
    circuit: QuantumScript, leaf: Callable[[tuple[int, ...], MeasurementProcess], Any]
) -> Any:
    """Return something for each result of a circuit, nested as PennyLane nests results.

    Args:
        circuit: the circuit.
        leaf: called with the place among the circuit's results, and the measurement.

    Returns:
        Its value for each measurement: alone, or in a tuple; in one tuple more where the shots
        are partitioned.
    """

    def results(path: tuple[int, ...]) -> Any:
        if len(circuit.measurements) == 1:
            return leaf(path, circuit.measurements[0])
        return tuple(leaf((*path, m), mp) for m, mp in enumerate(circuit.measurements))

    if circuit.shots.has_partitioned_shots:
        return tuple(results((s,)) for s in range(circuit.shots.num_copies))
    return results(())


def result_shape(measurement: MeasurementProcess) -> tuple[int, ...]:
    """Return the shape of a result without its batch; only of what is deferrable."""
    if _kind_of(measurement) is ProbabilityMP:
        return (2 ** len(measurement.wires),)
    return ()


def is_deferrable(circuit: QuantumScript) -> bool:
    """Return True where all results are arrays of floats of shapes known beforehand."""
    return bool(circuit.measurements) and all(
        _kind_of(m) in (ExpectationMP, VarianceMP)
        or (_kind_of(m) is ProbabilityMP and len(m.wires) > 0)
        for m in circuit.measurements
    )


def _kind_of(measurement: MeasurementProcess) -> Any:
    """Return the type of a measurement, or of that whose standard error it is."""
    return getattr(measurement, "of", type(measurement))
