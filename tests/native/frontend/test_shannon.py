"""The quantum Shannon decomposition is exact, and as short as it is known to be."""

import numpy as np
import pennylane as qml
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.ir_circuits import circuit_of, program_of, random_unitary, same, unitary

from pennylane_qstore.native.frontend.shannon import shannon
from pennylane_qstore.native.pipeline import compile_program


@st.composite
def unitaries(draw):
    """Arbitrary ones; and products, permutations, controls, whose blocks have equal angles."""
    n = draw(st.integers(3, 4))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    kind = draw(st.integers(0, 4))
    if kind == 0:
        return random_unitary(2**n, rng)
    if kind == 1:
        return np.eye(2**n)[rng.permutation(2**n)]
    if kind == 2:
        size = 2 ** draw(st.integers(1, n - 1))
        return np.kron(random_unitary(size, rng), random_unitary(2**n // size, rng))
    if kind == 3:
        return np.diag(np.exp(1j * rng.choice([0, np.pi / 2, np.pi, 0.3], 2**n)))
    controlled = np.eye(2**n, dtype=complex)
    controlled[-4:, -4:] = random_unitary(4, rng)
    return controlled


@settings(max_examples=60, deadline=None)
@given(matrix=unitaries())
def test_the_decomposition_is_exact(matrix):
    wires = list(range(len(matrix).bit_length() - 1))
    parts = shannon(matrix, wires)
    assert {len(op.wires) for op in parts} <= {1, 2, len(wires) - 1}
    product = np.eye(len(matrix))
    for op in parts:
        product = qml.matrix(op, wire_order=wires) @ product
    assert np.allclose(product, matrix, atol=1e-9)


@settings(max_examples=20, deadline=None)
@given(matrix=unitaries())
def test_a_tape_with_the_unitary_has_it(matrix):
    n = len(matrix).bit_length() - 1
    circuit, rows = circuit_of(qml.tape.QuantumScript([qml.QubitUnitary(matrix, range(n))]), n)
    assert same(unitary(circuit, rows[0]), matrix)


@pytest.mark.parametrize(("wires", "entanglers"), [(3, 20), (4, 100)])
def test_an_arbitrary_unitary_takes_as_many_entanglers_as_are_known(wires, entanglers):
    """23/48 · 4^n - 3/2 · 2^n + 4/3 of them (quant-ph/0406176)."""
    matrix = random_unitary(2**wires, np.random.default_rng(0))
    program, _ = program_of(qml.tape.QuantumScript([qml.QubitUnitary(matrix, range(wires))]), wires)
    template = compile_program(
        program, measured=range(wires), absorb=False, optimize_fidelity=False
    )
    assert template.entanglers == entanglers


@pytest.mark.parametrize("pair", [(0, 1), (0, 2), (1, 2)])
def test_what_needs_no_multiplexer_has_none(pair):
    rng = np.random.default_rng(0)
    (other,) = {0, 1, 2} - set(pair)
    parts = [
        qml.QubitUnitary(random_unitary(4, rng), pair),
        qml.QubitUnitary(random_unitary(2, rng), other),
    ]
    matrix = qml.matrix(qml.prod(*parts), wire_order=range(3))
    tape = qml.tape.QuantumScript([qml.QubitUnitary(matrix, range(3))])
    program, _ = program_of(tape, 3)
    template = compile_program(program, measured=range(3), absorb=False, effort=None)
    assert template.entanglers == 3
