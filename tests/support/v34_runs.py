"""Small trainings and calls of Q-Store v3.4, for tests of its classes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pennylane as qml

from pennylane_qstore.v34.config import TrainingConfig

X = np.linspace(-1, 1, 12).reshape(6, 2)
Y = np.sign(X[:, 0])


def small(**settings: Any) -> TrainingConfig:
    base = {"n_qubits": 2, "circuit_depth": 1, "epochs": 1, "batch_size": 6}
    return TrainingConfig(**{**base, **settings})


def run(emulator: Any, **settings: Any) -> Any:
    config = small(shots_per_circuit=200, **settings)
    return config.run(data=(X, Y), device=config.device(emulator=emulator, seed=1), seed=1)


def circuit(dev: Any) -> Any:
    @qml.set_shots(shots=100)
    @qml.qnode(dev, diff_method=None)
    def run(x):
        qml.RX(x, 0)
        qml.CNOT([0, 1])
        return qml.expval(qml.Z(1))

    return run


def posts(emulator: Any, config: TrainingConfig, circuits: int = 6) -> int:
    before = emulator.stats()["posts"]
    circuit(config.device(emulator=emulator))(np.linspace(0, 1, circuits))
    return emulator.stats()["posts"] - before


def quadratic(w: Any) -> Any:
    return np.sum((np.asarray(w) - 1.0) ** 2)


def circuits(count: int = 20, qubits: int = 3) -> list[dict[str, Any]]:
    """Circuits in IonQ's JSON, one structure."""
    return [
        {
            "qubits": qubits,
            "circuit": [
                {"gate": "ry", "target": 0, "rotation": 0.1 * i},
                {"gate": "cnot", "control": 0, "target": 1},
                {"gate": "h", "target": 2},
            ],
        }
        for i in range(count)
    ]


def layer(parameters: Any, inputs: Any) -> dict[str, Any]:
    """A builder whose angles are affine in what it is given, numbers or traced."""
    plain = inputs.dtype != object
    gates = [
        {"gate": "ry", "target": i, "rotation": float(inputs[i]) if plain else inputs[i]}
        for i in range(2)
    ]
    gates += [
        {"gate": "rz", "target": i, "rotation": 2 * parameters[i] - inputs[i] / 2 + 0.5}
        for i in range(2)
    ]
    return {"qubits": 2, "circuit": [*gates, {"gate": "cnot", "control": 0, "target": 1}]}
