"""Operations with a batch that ``tape.batch_size`` does not tell, by name, on wires 0 to 2."""

import numpy as np
import pennylane as qml

SUM = qml.dot([0.4, 0.7], [qml.X(0) @ qml.X(1), qml.Z(1)])
COMMUTING = qml.dot([0.4, 0.7], [qml.X(0) @ qml.X(1), qml.Z(0) @ qml.Z(1)])

UNTOLD = {
    "entangling layers": lambda x: qml.StronglyEntanglingLayers(_weights(x, 3), [0, 1]),
    "basic layers": lambda x: qml.BasicEntanglerLayers(_weights(x), [0, 1]),
    "adjoint layers": lambda x: qml.adjoint(qml.BasicEntanglerLayers(_weights(x), [0, 1])),
    "trotter": lambda x: qml.TrotterProduct(SUM, x, n=2),
    "controlled trotter": lambda x: qml.ctrl(qml.TrotterProduct(qml.X(1) + qml.Z(1), x), [0, 2]),
    "power of trotter": lambda x: qml.pow(qml.TrotterProduct(SUM, x), 2),
    "time evolution": lambda x: qml.ApproxTimeEvolution(SUM, x, 2),
    "commuting evolution": lambda x: qml.CommutingEvolution(COMMUTING, x),
    "selection": lambda x: qml.Select([qml.RX(x, 1), qml.RY(0.3, 1)], control=[0]),
    "phase estimation": lambda x: qml.QuantumPhaseEstimation(qml.RX(x, 0), estimation_wires=[1, 2]),
    "reflection": lambda x: qml.Reflection(qml.RX(x, 0), 0.7),
    "reflection by angles": lambda x: qml.Reflection(qml.Hadamard(0) @ qml.Hadamard(1), x),
}
"""Each takes the batch, an array of one dimension."""


def _weights(x, *angles):
    """Weights of two layers on two wires for each element of a batch."""
    shape = (2, 2, *angles)
    return np.multiply.outer(x, np.linspace(-1, 2, int(np.prod(shape))).reshape(shape))
