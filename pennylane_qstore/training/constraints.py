"""Constraints of trained parameters: bounds, and a projection."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.training.parameters import Arrays, Parameters
from pennylane_qstore.validation import check, check_bounds


class Constraints:
    """The set of allowed parameters.

    Args:
        bounds: ``(low, high)``, numbers or arrays that broadcast to each parameter.
        projection: called with the arguments, returns them projected to where they are allowed.

    Raises:
        ConfigurationError: bounds that are none, or a projection that is no function.
    """

    def __init__(self, bounds: Any, projection: Callable[..., Any] | None) -> None:
        usable = projection is None or callable(projection)
        check("projection", projection, usable, "a function, or None")
        self.bounds = None if bounds is None else check_bounds(bounds)
        self.projection = projection

    def clip(self, value: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return values within the bounds, of the shape of ``value``.

        Raises:
            ConfigurationError: the bounds do not broadcast to the shape.
        """
        if self.bounds is None:
            return value
        shapes = [bound.shape for bound in self.bounds]
        check(
            "bounds",
            self.bounds,
            _fits(shapes, value.shape),
            f"numbers, or arrays that broadcast to parameters of shape {value.shape}",
        )
        return np.clip(value, *self.bounds)

    def pairs(self, value: NDArray[np.float64], shifts: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return pairs of points within the bounds, on either side of a value.

        Args:
            value: current values.
            shifts: perturbations, ``[pairs, *shape]``.

        Returns:
            ``value + shift`` and ``value - shift`` in turns, ``[2 * pairs, *shape]``.

        Raises:
            ConfigurationError: the bounds do not broadcast to the shape.
        """
        self.clip(value)
        points = np.stack([self.clip(value + shifts), self.clip(value - shifts)], axis=1)
        return points.reshape(-1, *value.shape)

    def slopes(
        self,
        differences: NDArray[np.float64],
        value: NDArray[np.float64],
        shifts: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """Return the slopes between pairs of points.

        Args:
            differences: of the losses at the two points of each pair, ``[pairs]``.
            value: current values.
            shifts: perturbations, ``[pairs, *shape]``.

        Returns:
            Slopes along each parameter, ``[pairs, *shape]``.
        """
        difference = differences.reshape(-1, *(1,) * value.ndim)
        if self.bounds is None:
            return np.asarray(difference / (2 * shifts))
        # At a bound the points are nearer to each other than 2 c; on it, if it has no width,
        # they are one.
        gap = self.clip(value + shifts) - self.clip(value - shifts)
        return np.divide(difference, gap, out=np.zeros_like(gap), where=gap != 0)

    def project(self, parameters: Parameters, values: Arrays) -> list[Any]:
        """Return arguments with new values, projected.

        Args:
            parameters: the arguments before the step.
            values: one array per trainable array, within the bounds.

        Returns:
            The new arguments.

        Raises:
            ConfigurationError: the projection returned something else than finite parameters.
        """
        args = parameters.rebuild(values)
        if self.projection is None:
            return args
        projected = self.projection(*args)
        arrays = parameters.read([projected] if len(args) == 1 else projected)
        if arrays is None or not all(np.all(np.isfinite(v)) for v in arrays):
            given = args[0] if len(args) == 1 else args
            raise ConfigurationError(
                f"The projection returned {projected!r}; it has to return finite parameters of "
                f"the form it was given: {given!r}."
            )
        return parameters.rebuild(arrays)


def _fits(shapes: Sequence[tuple[int, ...]], shape: tuple[int, ...]) -> bool:
    try:
        return np.broadcast_shapes(*shapes, shape) == shape
    except ValueError:
        return False
