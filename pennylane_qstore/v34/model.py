"""The circuit that v3.4's settings describe: depth, entanglement, kind of gates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pennylane as qml
from numpy.typing import NDArray

from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.v34.optimizers import diff_method
from pennylane_qstore.v34.settings import Settings

if TYPE_CHECKING:
    from pennylane.devices import Device


def weights_shape(settings: Settings, wires: int | None = None) -> tuple[int, int, int]:
    """Return the shape of the model's weights.

    Args:
        settings: ``circuit_depth``, ``n_qubits`` and ``hardware_efficient_ansatz``.
        wires: number of wires, instead of ``n_qubits``.

    Returns:
        Layers, wires, angles per wire and layer.
    """
    angles = 2 if settings.hardware_efficient_ansatz else 3
    return settings.circuit_depth, wires or settings.n_qubits, angles


def initial_weights(
    settings: Settings, rng: np.random.Generator, wires: int | None = None
) -> NDArray[np.float64]:
    """Return small random angles.

    Args:
        settings: fields of the model.
        rng: random generator.
        wires: number of wires, instead of ``n_qubits``.

    Returns:
        Radians, of :func:`weights_shape`.
    """
    return rng.normal(0.0, 0.1, weights_shape(settings, wires))


def ansatz(settings: Settings, weights: Any, wires: Sequence[Any]) -> None:
    """Queue the layers.

    Args:
        settings: ``entanglement`` and ``hardware_efficient_ansatz``.
        weights: of :func:`weights_shape`, radians.
        wires: as many as the weights have.
    """
    for layer in weights:
        for angles, wire in zip(layer, wires, strict=True):
            if settings.hardware_efficient_ansatz:
                qml.RY(angles[0], wire)
                qml.RZ(angles[1], wire)
            else:
                qml.Rot(angles[0], angles[1], angles[2], wire)
        for pair in pairs(settings.entanglement, len(wires)):
            gate = qml.CZ if settings.hardware_efficient_ansatz else qml.CNOT
            gate([wires[i] for i in pair])


def pairs(entanglement: str, wires: int) -> list[tuple[int, int]]:
    """Return the pairs of wires that are entangled.

    Args:
        entanglement: ``"linear"``, ``"circular"``, ``"full"`` or ``"none"``.
        wires: number of wires.

    Returns:
        Pairs of wire numbers.
    """
    line = [(i, i + 1) for i in range(wires - 1)]
    if entanglement == "linear":
        return line
    if entanglement == "circular":
        return [*line, (wires - 1, 0)] if wires > 2 else line
    if entanglement == "full":
        return [(i, j) for i in range(wires) for j in range(i + 1, wires)]
    return []


def make_circuit(settings: Settings, device: Device) -> Callable[..., Any]:
    """Return a QNode: features as angles, the layers, the expectation of Z.

    Args:
        settings: fields of the model.
        device: to run on.

    Returns:
        A QNode of ``(x, weights)``. ``x`` has one row or many (``[B, features]``, at most as many
        features as wires); the expectations are a number or ``[B]``.

    Raises:
        ConfigurationError: when called with more features than wires.
    """
    wires = device.wires if device.wires is not None else range(settings.n_qubits)
    labels = list(wires)

    def circuit(x: Any, weights: Any) -> Any:
        if np.shape(x)[-1] > len(labels):
            raise ConfigurationError(
                f"{np.shape(x)[-1]} features do not fit on {len(labels)} wires; set n_qubits."
            )
        qml.AngleEmbedding(x, wires=labels[: np.shape(x)[-1]], rotation="Y")
        ansatz(settings, weights, labels)
        return qml.expval(qml.Z(labels[0]))

    node = qml.QNode(circuit, device, diff_method=diff_method(settings))
    shots: Callable[..., Any] = qml.set_shots(node, shots=settings.shots_per_circuit)
    return shots


def squared_error_model(
    settings: Settings, device: Device, rng: np.random.Generator
) -> tuple[Callable[..., Any], NDArray[np.float64]]:
    """Return the mean squared error of the model over rows of data, and weights to start from.

    Args:
        settings: fields of the model.
        device: to run on.
        rng: random generator of the weights.

    Returns:
        A function of ``(weights, x, y)``, and weights in radians.
    """
    circuit, by_rows = make_circuit(settings, device), diff_method(settings) is not None

    def cost(weights: Any, x: Any, y: Any) -> Any:
        if not by_rows:
            return np.mean((circuit(x, weights) - y) ** 2)
        # PennyLane does not shift parameters of broadcast tapes.
        errors = [(circuit(row, weights) - label) ** 2 for row, label in zip(x, y, strict=True)]
        return sum(errors) / len(errors)

    wires = None if device.wires is None else len(device.wires)
    return cost, initial_weights(settings, rng, wires)
