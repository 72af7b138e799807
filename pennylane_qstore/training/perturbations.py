"""Simultaneous perturbations: random directions, and a gradient with its error from slopes.

Pure NumPy: nothing here evaluates anything. A slope along a random direction, times the
direction, estimates the gradient of the objective smoothed over the perturbation (J. C. Spall,
IEEE Trans. Automat. Contr. 37, 332 (1992)). The directions may differ from sample to sample where
the objective is a mean over samples: then the error that comes from the directions falls with the
number of samples, as with independent weight perturbations (Y. Wen et al., ICLR 2018, Flipout).

Trained values are lists of arrays, one per trainable array. A leading axis counts perturbations.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:  # records of steps are read where no PennyLane is needed
    from pennylane_qstore.training.parameters import Arrays


class Gradient(NamedTuple):
    """An estimate of a gradient, with error bars.

    Attributes:
        mean: one array per trainable array, of its shape.
        variance: of that mean, in the same form; None from a single perturbation. It holds all
            that differs between what was averaged: directions, shots, and, where each sample has
            its own direction, the choice of samples.
        directions: averaged; of each sample, if each has its own.
        pairs: perturbed pairs of points.
    """

    mean: Arrays
    variance: Arrays | None
    directions: int
    pairs: int = 0

    @property
    def rms(self) -> float:
        """Root mean square of the mean over all parameters; noise included."""
        return float(np.sqrt(_average([g * g for g in self.mean])))

    @property
    def mean_variance(self) -> float | None:
        """Mean over all parameters of the variance; None if it is not known."""
        return None if self.variance is None else _average(self.variance)


def draw_directions(generator: np.random.Generator, values: Arrays, count: int) -> Arrays:
    """Draw random signs, one direction after another.

    Args:
        generator: of the signs.
        values: trained values.
        count: number of directions.

    Returns:
        Signs, ``[count, *shape]`` for each value.
    """
    sizes = [value.size for value in values]
    signs = generator.choice((-1.0, 1.0), size=(count, sum(sizes)))
    parts = np.split(signs, np.cumsum(sizes)[:-1], axis=1)
    return [part.reshape(count, *v.shape) for part, v in zip(parts, values, strict=True)]


def estimate_gradient(slopes: Arrays, each: int = 0) -> Gradient:
    """Return the mean of slopes, and the variance of that mean.

    Args:
        slopes: estimates of the gradient, ``[perturbations, *shape]`` for each trainable array.
        each: successive perturbations that belong to one sample; 0 where all samples share them.
            Those of a sample are not independent, so the variance is that between samples; with
            one sample only, between perturbations.

    Returns:
        The gradient.
    """
    pairs = count = len(slopes[0])
    directions = each or count
    if 1 < each < count:
        slopes = [s.reshape(count // each, each, *s.shape[1:]).mean(axis=1) for s in slopes]
        count //= each
    mean = [np.asarray(np.sum(s / count, axis=0)) for s in slopes]
    variance = None
    if count > 1:
        variance = [np.asarray(np.var(s, axis=0, ddof=1) / count) for s in slopes]
    return Gradient(mean, variance, directions, pairs)


def shortened(gradient: Arrays, max_norm: float | None) -> Arrays:
    """Return a gradient no longer than a limit.

    Args:
        gradient: one array per trainable array.
        max_norm: largest Euclidean length over all parameters; None for no limit.

    Returns:
        The gradient, in the same direction.
    """
    norm = float(np.sqrt(sum(float(np.sum(g * g)) for g in gradient)))
    if max_norm is None or norm <= max_norm:
        return gradient
    return [g * (max_norm / norm) for g in gradient]


def _average(arrays: Sequence[np.ndarray]) -> float:
    """Return the mean over all elements."""
    return float(sum(np.sum(a) for a in arrays) / sum(a.size for a in arrays))
