"""Unitary and outcomes of an IR circuit, from the matrices of its operations."""

import numpy as np

from pennylane_qstore.native.frontend.program import Affine
from pennylane_qstore.native.ir import is_constant, matrix, wires_of


def bound(operation, parameters):
    """An operation at one row of parameters."""
    if is_constant(operation):
        return operation
    (angle,) = operation.angle.at(np.array([parameters]))
    return operation._replace(angle=Affine((), angle))


def evolved(circuit, parameters, states):
    """States, shape (2,)*wires + (...), after the circuit, on the circuit's own wires."""
    for op in circuit.operations:
        on = wires_of(op)
        m = matrix(bound(op, parameters)).reshape((2,) * (2 * len(on)))
        states = np.tensordot(m, states, (range(len(on), 2 * len(on)), on))
        states = np.moveaxis(states, range(len(on)), on)
    return states


def unitary(circuit, parameters):
    n = circuit.wires
    total = evolved(circuit, parameters, np.eye(2**n, dtype=complex).reshape((2,) * n + (-1,)))
    where = [next(iter(bit.wires)) for bit in circuit.outputs]
    return np.moveaxis(total, where, range(n)).reshape(2**n, -1)


def outcomes(circuit, parameters):
    n = circuit.wires
    zero = np.zeros((2,) * n, dtype=complex)
    zero[(0,) * n] = 1
    weights = np.abs(evolved(circuit, parameters, zero)) ** 2
    states = np.indices((2,) * n).reshape(n, -1)
    index = np.zeros(2**n, dtype=int)
    for bit in circuit.outputs:
        index = 2 * index + (states[list(bit.wires)].sum(axis=0) + bit.flip) % 2
    return np.bincount(index, weights.reshape(-1), 2 ** len(circuit.outputs))


def same(a, b):
    return abs(abs(np.vdot(a, b)) / len(a) - 1) < 1e-9
