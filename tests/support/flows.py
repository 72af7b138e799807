"""What a flow of the compiler does, from the matrices of its operations."""

import numpy as np

from pennylane_qstore.native.passes.lower import matrix, wires_of


def evolved(flow, parameters, states):
    """What becomes of states, shape (2,)*wires + (...), on the flow's own wires."""
    for op in flow.operations:
        on = wires_of(op)
        m = matrix(op, parameters).reshape((2,) * (2 * len(on)))
        states = np.tensordot(m, states, (range(len(on), 2 * len(on)), on))
        states = np.moveaxis(states, range(len(on)), on)
    return states


def unitary(flow, parameters):
    n = flow.wires
    total = evolved(flow, parameters, np.eye(2**n, dtype=complex).reshape((2,) * n + (-1,)))
    where = [next(iter(bit.wires)) for bit in flow.outputs]
    return np.moveaxis(total, where, range(n)).reshape(2**n, -1)


def outcomes(flow, parameters):
    n = flow.wires
    zero = np.zeros((2,) * n, dtype=complex)
    zero[(0,) * n] = 1
    weights = np.abs(evolved(flow, parameters, zero)) ** 2
    states = np.indices((2,) * n).reshape(n, -1)
    index = np.zeros(2**n, dtype=int)
    for bit in flow.outputs:
        index = 2 * index + (states[list(bit.wires)].sum(axis=0) + bit.flip) % 2
    return np.bincount(index, weights.reshape(-1), 2 ** len(flow.outputs))


def same(a, b):
    return abs(abs(np.vdot(a, b)) / len(a) - 1) < 1e-9
