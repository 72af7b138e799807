"""What a flow of the compiler does, from the matrices of its operations."""

import numpy as np

from pennylane_qstore.native.lower import matrix, wires_of


def evolved(flow, parameters):
    """The flow's unitary on its own wires, outputs not looked at."""
    n = flow.wires
    total = np.eye(2**n, dtype=complex).reshape((2,) * n + (-1,))
    for op in flow.operations:
        on = wires_of(op)
        m = matrix(op, parameters).reshape((2,) * (2 * len(on)))
        total = np.tensordot(m, total, (range(len(on), 2 * len(on)), on))
        total = np.moveaxis(total, range(len(on)), on)
    return total


def unitary(flow, parameters):
    where = [next(iter(bit.wires)) for bit in flow.outputs]
    total = np.moveaxis(evolved(flow, parameters), where, range(flow.wires))
    return total.reshape(2**flow.wires, -1)


def outcomes(flow, parameters):
    weights = np.abs(evolved(flow, parameters)[..., 0]) ** 2
    out = np.zeros(2 ** len(flow.outputs))
    for state, weight in np.ndenumerate(weights):
        bits = [(sum(state[q] for q in b.wires) + b.flip) % 2 for b in flow.outputs]
        out[int("".join(map(str, bits)), 2)] += weight
    return out


def same(a, b):
    return abs(abs(np.vdot(a, b)) / len(a) - 1) < 1e-9
