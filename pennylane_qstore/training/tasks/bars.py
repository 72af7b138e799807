"""Bars and stripes: the generative model of Zhu et al., Science Advances 5, eaaw9918 (2019).

A 2 x 2 image of bars or stripes is one of 6 among 16. A circuit Born machine on four qubits
learns to give these six, and no others, with equal probability: rotations X and Z on every
qubit (no Z at first, nothing is to be turned), then Ising XX between all pairs, or between one
qubit and the others ("star"). With all pairs one layer has 14 angles and suffices; a star's 11
do not. The paper trains by particle swarms and Bayesian optimisation, this task by SPSA.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import pennylane as qml
from numpy.typing import NDArray
from pennylane.devices import Device

from pennylane_qstore.training.callbacks import Calibrate
from pennylane_qstore.training.run import TrainingRun
from pennylane_qstore.training.spsa import SPSAOptimizer
from pennylane_qstore.validation import check_one_of

Floats: TypeAlias = NDArray[np.float64]

WIRES = 4
PIXELS = ((0, 1), (2, 3))
"""Wires by row and column of the image."""
PATTERNS = (0b0000, 0b1111, 0b1100, 0b0011, 0b1010, 0b0101)
"""Bars and stripes, wire 0 first."""
TARGET: Floats = np.bincount(PATTERNS, minlength=2**WIRES) / len(PATTERNS)
"""Probabilities to be learnt, ``[16]``."""

_LEAST = 1e-3  # probability that a pattern which was not seen is given, so that KL is finite
_INITIAL_SPREAD = 0.5  # radians
_FIRST_STEP = 0.2  # radians
_PERTURBATION = 0.3  # radians
_RESAMPLINGS = 4  # gradients averaged in a step: with one alone some seeds get lost
_AVERAGED = 0.2  # the last fifth of the iterates


def pairs(connectivity: str) -> list[tuple[int, int]]:
    """Return the pairs of wires that interact.

    Raises:
        ConfigurationError: neither ``"all"`` nor ``"star"``.
    """
    check_one_of("connectivity", connectivity, ("all", "star"))
    if connectivity == "all":
        return list(itertools.combinations(range(WIRES), 2))
    return [(0, wire) for wire in range(1, WIRES)]


def make_circuit(device: Device, shots: int | None = 500, connectivity: str = "all") -> Any:
    """Return the Born machine.

    Args:
        device: with four wires.
        shots: per circuit; None for exact probabilities.
        connectivity: ``"all"`` or ``"star"``.

    Returns:
        A QNode of ``params`` that gives probabilities, ``[16]``.
    """

    def born_machine(params: dict[str, Floats]) -> Any:
        for wire in range(WIRES):
            qml.RX(params["rotations"][wire, 0], wire)
            qml.RZ(params["rotations"][wire, 1], wire)
        for angle, pair in zip(params["interactions"], pairs(connectivity), strict=True):
            qml.IsingXX(angle, pair)
        return qml.probs(wires=range(WIRES))

    return qml.set_shots(qml.QNode(born_machine, device, diff_method=None), shots)


def initial_params(seed: int, connectivity: str = "all") -> dict[str, Floats]:
    """Return random angles.

    Args:
        seed: of the angles.
        connectivity: ``"all"`` or ``"star"``.

    Returns:
        ``rotations``, ``[4, 2]``, and ``interactions``, one per pair; radians.
    """
    rng = np.random.default_rng([seed, 1])
    return {
        "rotations": rng.normal(0.0, _INITIAL_SPREAD, (WIRES, 2)),
        "interactions": rng.normal(0.0, _INITIAL_SPREAD, len(pairs(connectivity))),
    }


def divergence(probabilities: Any) -> Any:
    """Return the Kullback-Leibler divergence of the target from a model (nats); 0 is perfect.

    Args:
        probabilities: of the model, ``[16]``. A pattern it never gives counts as 0.001.
    """
    seen = np.maximum(probabilities[list(PATTERNS)], _LEAST)
    return np.mean(-np.log(seen)) - np.log(len(PATTERNS))


def share(probabilities: Any) -> float:
    """Return the probability that a model gives a bar or a stripe."""
    return float(np.sum(np.asarray(probabilities)[list(PATTERNS)]))


def make_run(
    device: Device,
    *,
    seed: int = 0,
    steps: int = 150,
    shots: int = 500,
    connectivity: str = "all",
    name: str = "bas",
    callbacks: Sequence[Any] = (),
    **options: Any,
) -> TrainingRun:
    """Return the training; a step is nine circuits in one batch: four SPSA gradients, the loss.

    Args:
        device: with four wires.
        seed: of initial angles and perturbations.
        steps: that will be trained; the step sizes follow.
        shots: per circuit.
        connectivity: ``"all"`` or ``"star"``.
        name: of the run.
        callbacks: after the calibration.
        **options: further ones of :class:`TrainingRun`.

    Returns:
        The run, before its first step.
    """
    optimizer = SPSAOptimizer(
        maxiter=steps,
        c=_PERTURBATION,
        seed=np.random.default_rng([seed, 2]),
        resamplings=_RESAMPLINGS,
        average=_AVERAGED,
    )
    return TrainingRun(
        make_circuit(device, shots, connectivity),
        initial_params(seed, connectivity),
        optimizer,
        loss=divergence,
        metrics={"share": share},
        seed=seed,
        device=device,
        name=name,
        callbacks=[Calibrate(_FIRST_STEP, 10), *callbacks],
        **options,
    )


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
    information = {pair: _mutual_information(bits[:, pair]) for pair in pairs("all")}
    trees = [t for t in itertools.combinations(information, WIRES - 1) if _spans(t)]
    return uniform_divergence() - max(sum(information[pair] for pair in tree) for tree in trees)


def shot_noise_divergence(shots: int) -> float:
    """Return the mean divergence of a perfect model, estimated from ``shots`` draws."""
    return (len(PATTERNS) - 1) / (2 * shots)


def _mutual_information(bits: NDArray[np.int64]) -> float:
    """Return the mutual information of two columns that are fair coins each (nats)."""
    joint = np.bincount(2 * bits[:, 0] + bits[:, 1], minlength=4) / len(bits)
    seen = joint[joint > 0]
    return float(np.sum(seen * np.log(seen / 0.25)))


def _spans(edges: tuple[tuple[int, int], ...]) -> bool:
    """Return True where edges reach every wire."""
    reached = {0}
    for _ in edges:
        reached |= {w for edge in edges if reached & set(edge) for w in edge}
    return len(reached) == WIRES
