"""The circuit that a :class:`TrainingConfig` describes: depth, entanglement, kind of gates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pennylane as qml
from numpy.typing import NDArray

from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.v34.optimizers import diff_method

if TYPE_CHECKING:
    from pennylane.devices import Device

    from pennylane_qstore.v34.config import TrainingConfig


def weights_shape(config: TrainingConfig, wires: int | None = None) -> tuple[int, int, int]:
    """Layers, wires, angles per wire and layer."""
    angles = 2 if config.hardware_efficient_ansatz else 3
    return config.circuit_depth, wires or config.n_qubits, angles


def initial_weights(
    config: TrainingConfig, rng: np.random.Generator, wires: int | None = None
) -> NDArray[np.float64]:
    """Small random angles, in radians, of :func:`weights_shape`."""
    return rng.normal(0.0, 0.1, weights_shape(config, wires))


def ansatz(config: TrainingConfig, weights: Any, wires: Sequence[Any]) -> None:
    """Queue the layers.

    Args:
        config: ``entanglement`` and ``hardware_efficient_ansatz``.
        weights: of :func:`weights_shape`, radians.
        wires: as many as the weights have.
    """
    for layer in weights:
        for angles, wire in zip(layer, wires, strict=True):
            if config.hardware_efficient_ansatz:
                qml.RY(angles[0], wire)
                qml.RZ(angles[1], wire)
            else:
                qml.Rot(angles[0], angles[1], angles[2], wire)
        for pair in pairs(config.entanglement, len(wires)):
            gate = qml.CZ if config.hardware_efficient_ansatz else qml.CNOT
            gate([wires[i] for i in pair])


def pairs(entanglement: str, wires: int) -> list[tuple[int, int]]:
    """Which wires are entangled."""
    line = [(i, i + 1) for i in range(wires - 1)]
    if entanglement == "linear":
        return line
    if entanglement == "circular":
        return [*line, (wires - 1, 0)] if wires > 2 else line
    if entanglement == "full":
        return [(i, j) for i in range(wires) for j in range(i + 1, wires)]
    return []


def make_circuit(config: TrainingConfig, device: Device) -> Callable[..., Any]:
    """A QNode of ``(x, weights)``: features as angles, the layers, the expectation of Z.

    ``x`` has one row or many (``[B, features]``, at most as many features as wires).
    """
    wires = device.wires if device.wires is not None else range(config.n_qubits)
    labels = list(wires)

    def circuit(x: Any, weights: Any) -> Any:
        if np.shape(x)[-1] > len(labels):
            raise ConfigurationError(
                f"{np.shape(x)[-1]} features do not fit on {len(labels)} wires; set n_qubits."
            )
        qml.AngleEmbedding(x, wires=labels[: np.shape(x)[-1]], rotation="Y")
        ansatz(config, weights, labels)
        return qml.expval(qml.Z(labels[0]))

    node = qml.QNode(circuit, device, diff_method=diff_method(config))
    shots: Callable[..., Any] = qml.set_shots(node, shots=config.shots_per_circuit)
    return shots


def squared_error(config: TrainingConfig, circuit: Callable[..., Any]) -> Callable[..., Any]:
    """The mean squared error of a circuit of :func:`make_circuit` over rows of data."""

    def cost(weights: Any, x: Any, y: Any) -> Any:
        if diff_method(config) is None:
            return np.mean((circuit(x, weights) - y) ** 2)
        # PennyLane does not shift parameters of broadcast tapes.
        errors = [(circuit(row, weights) - label) ** 2 for row, label in zip(x, y, strict=True)]
        return sum(errors) / len(errors)

    return cost
