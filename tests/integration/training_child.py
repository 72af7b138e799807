"""A training run as a user writes it, on a service in another process."""

from __future__ import annotations

import numpy as np
import pennylane as qml
from support.children import print_to

import pennylane_qstore as qstore


def main(url, ledger, seed, steps, out):
    """Write one line per step to ``out``, every number to its last bit; errors beside it."""
    print_to(out)
    dev = qml.device(
        "qstore.ionq", wires=2, backend="simulator", base_url=url, api_key="crash-key",
        ledger=ledger, run="training", seed=seed, noise_model="aria-1", max_circuits_per_job=7,
    )  # fmt: skip
    inputs = np.random.default_rng(0).uniform(0, np.pi, 5)

    @qml.qnode(dev, shots=100)
    def circuit(x, weights):
        qml.RY(x, 0)
        qml.StronglyEntanglingLayers(weights, wires=[0, 1])
        return qml.expval(qml.Z(0))

    def cost(weights):
        return sum((circuit(x, weights) - np.cos(x)) ** 2 for x in inputs) / len(inputs)

    optimizer = qstore.SPSAOptimizer(maxiter=steps, seed=seed)
    weights = qml.numpy.array(np.full((1, 2, 3), 0.1), requires_grad=True)
    for step in range(steps):
        weights, loss = optimizer.step_and_cost(cost, weights)
        numbers = [float(loss), *np.ravel(weights).tolist()]
        print(step, *(number.hex() for number in numbers), flush=True)
