"""Bars and stripes: the generative model of Zhu et al., Science Advances 5, eaaw9918 (2019).

A 2 x 2 image of bars or stripes is one of 6 among 16. A circuit Born machine on four qubits
learns to give these six, and no others, with equal probability: rotations X and Z on every
qubit (no Z at first, nothing is to be turned), then Ising XX between all pairs, or between one
qubit and the others ("star"). With all pairs one layer has 14 angles and suffices; a star's 11
do not. The paper trains by particle swarms and Bayesian optimisation, this task by SPSA.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pennylane as qml
from numpy.typing import NDArray
from pennylane import math
from pennylane.devices import Device
from scipy.sparse.csgraph import minimum_spanning_tree
from scipy.special import rel_entr

from pennylane_qstore.validation import check_one_of

Floats: TypeAlias = NDArray[np.float64]

WIRES = 4
PATTERNS = (0b0000, 0b1111, 0b1100, 0b0011, 0b1010, 0b0101)
"""Bars and stripes of two by two pixels, row by row, wire 0 first."""
TARGET: Floats = np.bincount(PATTERNS, minlength=2**WIRES) / len(PATTERNS)
"""Probabilities to be learnt, ``[16]``."""

_LEAST = 1e-3  # probability that a pattern which was not seen is given, so that KL is finite
_INITIAL_SPREAD = 0.5  # radians


def pairs(connectivity: str) -> list[tuple[int, int]]:
    """Return the pairs of wires that interact.

    Raises:
        ConfigurationError: neither ``"all"`` nor ``"star"``.
    """
    check_one_of("connectivity", connectivity, ("all", "star"))
    if connectivity == "all":
        return list(itertools.combinations(range(WIRES), 2))
    return [(0, wire) for wire in range(1, WIRES)]


@dataclass(frozen=True, slots=True)
class BornMachine:
    """The circuit whose outcomes are the images.

    Attributes:
        connectivity: ``"all"`` or ``"star"``.
    """

    wires = WIRES
    connectivity: str = "all"

    def make(self, device: Device, shots: int | None = 500, diff_method: str | None = None) -> Any:
        """Return the QNode of parameters, whose arrays may have leading dimensions.

        Args:
            device: with four wires.
            shots: per circuit; None for exact probabilities.
            diff_method: of the QNode.

        Returns:
            A QNode of ``params`` that gives probabilities, ``[16]``.
        """

        def born_machine(params: dict[str, Floats]) -> Any:
            for wire in range(WIRES):
                qml.RX(params["rotations"][..., wire, 0], wire)
                qml.RZ(params["rotations"][..., wire, 1], wire)
            for i, pair in enumerate(pairs(self.connectivity)):
                qml.IsingXX(params["interactions"][..., i], pair)
            return qml.probs(wires=range(WIRES))

        return qml.set_shots(qml.QNode(born_machine, device, diff_method=diff_method), shots)

    def initial_params(self, seed: int) -> dict[str, Floats]:
        """Return random angles.

        Args:
            seed: of the angles.

        Returns:
            ``rotations``, ``[4, 2]``, and ``interactions``, one per pair; radians.
        """
        rng = np.random.default_rng([seed, 1])
        return {
            "rotations": rng.normal(0.0, _INITIAL_SPREAD, (WIRES, 2)),
            "interactions": rng.normal(0.0, _INITIAL_SPREAD, len(pairs(self.connectivity))),
        }


def divergence(probabilities: Any) -> Any:
    """Return the Kullback-Leibler divergence of the target from a model (nats); 0 is perfect.

    Args:
        probabilities: of the model, ``[..., 16]``; a mean over rows. A pattern it never gives
            counts as 0.001.
    """
    seen = math.maximum(probabilities[..., list(PATTERNS)], _LEAST)
    return math.mean(-math.log(seen)) - np.log(len(PATTERNS))


def share(probabilities: Any) -> float:
    """Return the probability that a model gives a bar or a stripe."""
    return float(np.sum(np.asarray(probabilities)[list(PATTERNS)]))


def uniform_divergence() -> float:
    """Return the divergence of a constant guess, all images alike; independent pixels tie it."""
    return float(divergence(np.full(2**WIRES, 2.0**-WIRES)))


def tree_divergence() -> float:
    """Return the divergence of a classical model in which each pixel depends on one other.

    The best such model is the tree of Chow and Liu, IEEE Trans. Inf. Theory 14, 462 (1968): its
    divergence is the uniform one less the mutual information (nats)
    along its edges, and the best three edges between four pixels are those of a spanning tree.
    """
    bits = np.array(
        [[pattern >> (WIRES - 1 - w) & 1 for w in range(WIRES)] for pattern in PATTERNS]
    )
    information = np.zeros((WIRES, WIRES))
    for a, b in pairs("all"):
        joint = np.bincount(2 * bits[:, a] + bits[:, b], minlength=4) / len(bits)
        information[a, b] = rel_entr(joint, 0.25).sum()  # each pixel alone is a fair coin
    return uniform_divergence() + float(minimum_spanning_tree(-information).sum())


def shot_noise_divergence(shots: int) -> float:
    """Return the mean divergence of a perfect model, estimated from ``shots`` draws."""
    return (len(PATTERNS) - 1) / (2 * shots)
