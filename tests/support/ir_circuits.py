"""IR circuits of tapes; their unitary and outcomes, from the matrices of their operations."""

import numpy as np
from support.circuits import SPECIAL

from pennylane_qstore.native.frontend.affine_fit import affine_program
from pennylane_qstore.native.frontend.program import Affine
from pennylane_qstore.native.frontend.structure import extract_structure
from pennylane_qstore.native.ir import (
    IRCircuit,
    OneQubitUnitary,
    OutputParity,
    TwoQubitUnitary,
    is_constant,
    matrix,
    wires_of,
)
from pennylane_qstore.native.passes.lower import lower
from pennylane_qstore.native.passes.pairs import synthesise


def program_of(tape, wires):
    """A tape's program, and rows of parameters: its own, random ones and special angles."""
    labels = {i: i for i in range(wires)}
    piece, program = affine_program(extract_structure(tape, labels)[0], labels)
    rng = np.random.default_rng(len(tape.operations))
    p = piece.parameters.shape[1]
    return program, [piece.parameters[0], rng.uniform(-4, 4, p), rng.choice(SPECIAL, p)]


def circuit_of(tape, wires):
    """A tape's circuit without two-qubit unitaries, pairs not merged, and rows of parameters."""
    program, rows = program_of(tape, wires)
    return synthesise(lower(program)), rows


def circuit_with(wires, *operations):
    """A circuit of these operations that reads every wire."""
    return IRCircuit(wires, operations, tuple(OutputParity(frozenset((q,))) for q in range(wires)))


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


def unitary(circuit, parameters=()):
    """The unitary on the tape's wires, which the outputs find."""
    n = circuit.wires
    total = evolved(circuit, parameters, np.eye(2**n, dtype=complex).reshape((2,) * n + (-1,)))
    where = [next(iter(bit.wires)) for bit in circuit.outputs]
    return np.moveaxis(total, where, range(n)).reshape(2**n, -1)


def outcomes(circuit, parameters=()):
    """The distribution of the outputs, from |0…0⟩."""
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
    """Equal up to a global phase."""
    return abs(abs(np.vdot(a, b)) / len(a) - 1) < 1e-9


def random_unitary(size, rng):
    """A Haar random unitary, of the QR decomposition of a Gaussian matrix."""
    q, r = np.linalg.qr(rng.normal(size=(size, size)) + 1j * rng.normal(size=(size, size)))
    return q * (np.diag(r) / np.abs(np.diag(r)))


def is_entangler(operation):
    return not isinstance(operation, OneQubitUnitary) and len(wires_of(operation)) == 2


def has_two_qubit_unitaries(circuit):
    return any(isinstance(op, TwoQubitUnitary) for op in circuit.operations)
