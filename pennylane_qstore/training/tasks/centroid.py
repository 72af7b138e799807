"""Nearest centroid on Iris, as Johri et al. did on an IonQ machine: npj Quantum Inf. 7, 122 (2021).

A vector of four numbers is loaded into four qubits in unary: one excitation, shared out by a
tree of three beam splitters. Loading a flower and unloading a class's centroid brings the
excitation home with probability <x, c>^2, from which, with the lengths, the distance follows.
Outcomes without exactly one excitation are noise and left out. All 150 flowers against all
three centroids are 450 circuits: one request.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pennylane as qml
from numpy.typing import NDArray
from pennylane.devices import Device

from pennylane_qstore.training.tasks.data import sklearn

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]

WIRES = 4

_TREE = ((0, 2), (0, 1), (2, 3))  # beam splitters, from the root
_UNARY = (8, 4, 2, 1)  # outcomes with one excitation, on wire 0 first


@dataclass(frozen=True, slots=True)
class Classified:
    """Distances of all flowers from all centroids, and the classes that follow.

    Attributes:
        distances: squared, in cm^2, ``[150, 3]``.
        exact: the same, computed.
        kept: share of outcomes with one excitation, ``[150, 3]``.
        labels: true species, ``[150]``.
        features: cm, ``[150, 4]``.
    """

    distances: Floats
    exact: Floats
    kept: Floats
    labels: Ints
    features: Floats

    @property
    def predicted(self) -> Ints:
        """Species of the nearest centroid."""
        return np.asarray(np.argmin(self.distances, axis=1))

    @property
    def accuracy(self) -> float:
        """Share of flowers classified rightly."""
        return float(np.mean(self.predicted == self.labels))

    @property
    def baseline_accuracy(self) -> float:
        """Accuracy of the same method, computed."""
        return float(np.mean(np.argmin(self.exact, axis=1) == self.labels))

    @property
    def constant_accuracy(self) -> float:
        """Accuracy of always predicting the commonest species."""
        return float(np.bincount(self.labels).max() / len(self.labels))


def classify(device: Device, shots: int | None = 500) -> Classified:
    """Classify all flowers by the nearest centroid; one batch of 450 circuits.

    Args:
        device: with four wires.
        shots: per circuit; None for exact probabilities.

    Returns:
        Distances and classes.

    Raises:
        ConfigurationError: scikit-learn is not installed.
    """
    data = sklearn().datasets.load_iris()
    x, y = data.data, data.target
    centroids = np.stack([x[y == species].mean(axis=0) for species in range(3)])
    flowers, centres = np.repeat(x, 3, axis=0), np.tile(centroids, (len(x), 1))
    probabilities = make_circuit(device, shots)(splitters(flowers), splitters(centres))
    single = np.asarray(probabilities)[:, _UNARY]
    kept = single.sum(axis=1)
    home = single[:, 0] / kept
    lengths, others = np.linalg.norm(flowers, axis=1), np.linalg.norm(centres, axis=1)
    # All features are positive, so is every inner product: the square loses no sign.
    distances = lengths**2 + others**2 - 2 * lengths * others * np.sqrt(home)
    exact = np.sum((flowers - centres) ** 2, axis=1)
    distances, exact, kept = (a.reshape(-1, 3) for a in (distances, exact, kept))
    return Classified(distances, exact, kept, y, x)


def make_circuit(device: Device, shots: int | None = 500) -> Any:
    """Return the QNode that loads one vector and unloads another.

    Args:
        device: with four wires.
        shots: per circuit.

    Returns:
        A QNode of the angles of two vectors, ``[B, 3]`` each, that gives probabilities ``[B, 16]``.
    """

    def inner_product(load: Floats, unload: Floats) -> Any:
        qml.X(0)
        for node, pair in enumerate(_TREE):
            qml.SingleExcitation(2 * load[..., node], pair)
        for node, pair in reversed(list(enumerate(_TREE))):
            qml.SingleExcitation(-2 * unload[..., node], pair)
        return qml.probs(wires=range(WIRES))

    return qml.set_shots(qml.QNode(inner_product, device, diff_method=None), shots)


def splitters(vectors: Floats) -> Floats:
    """Return the angles (radians) of the tree that loads vectors of four numbers, ``[B, 3]``."""
    a, b, c, d = np.moveaxis(vectors, -1, 0)
    root = np.arctan2(np.hypot(c, d), np.hypot(a, b))
    return np.stack([root, np.arctan2(b, a), np.arctan2(d, c)], axis=-1)
