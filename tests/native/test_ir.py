"""Operations of the intermediate representation: matrices, wires, building blocks."""

import itertools

import numpy as np
import pytest

from pennylane_qstore.native.frontend.program import Affine
from pennylane_qstore.native.ir import (
    CNOT,
    CNOT_REVERSED,
    PAULI,
    SWAP,
    TO_Z,
    OneQubitUnitary,
    OutputParity,
    Rotation,
    TwoQubitUnitary,
    X,
    Z,
    ZZRotation,
    cached_by_value,
    is_constant,
    matrix,
    moved,
    pauli_pair,
    rotation,
    wires_of,
)

ANGLE = Affine((), 0.7)
ON_A_PARAMETER = Affine(((0, 1.0),), 0.2)


def test_bases_turn_each_axis_to_z():
    for axis, v in TO_Z.items():
        assert np.allclose(v @ PAULI[axis] @ v, Z)


def test_relabelling_matrices_do_what_they_are_called():
    ends = np.array(list(itertools.product((0, 1), repeat=2)))
    for m, end in ((SWAP, (1, 0)), (CNOT, None), (CNOT_REVERSED, None)):
        for i, (a, b) in enumerate(ends):
            want = {id(SWAP): (b, a), id(CNOT): (a, a ^ b), id(CNOT_REVERSED): (a ^ b, b)}[id(m)]
            assert tuple(ends[np.flatnonzero(m[:, i])[0]]) == want, end


@pytest.mark.parametrize("axis", "xyz")
def test_a_rotation_is_the_exponential_of_its_axis(axis):
    want = np.cos(0.35) * np.eye(2) - 1j * np.sin(0.35) * PAULI[axis]
    assert np.allclose(matrix(Rotation(0, axis, ANGLE)), want)
    assert np.allclose(matrix(rotation(0, axis, ANGLE)), want)


def test_a_rotation_by_a_constant_is_a_unitary_and_by_a_parameter_is_not():
    assert isinstance(rotation(1, "x", ANGLE), OneQubitUnitary)
    assert rotation(1, "x", ON_A_PARAMETER) == Rotation(1, "x", ON_A_PARAMETER)


@pytest.mark.parametrize("axes", [a + b for a, b in itertools.product("xyz", repeat=2)])
def test_a_pauli_pair_is_the_exponential_of_its_product(axes):
    total = np.eye(4, dtype=complex)
    for op in pauli_pair(0, 1, axes, Affine((), 0.1)):
        m = matrix(op)
        if len(m) == 2:
            m = np.kron(m, np.eye(2)) if op.wire == 0 else np.kron(np.eye(2), m)
        total = m @ total
    generator = np.kron(PAULI[axes[0]], PAULI[axes[1]])
    want = np.cos(0.1 * np.pi) * np.eye(4) - 1j * np.sin(0.1 * np.pi) * generator
    assert np.allclose(total, want)


def test_operations_move_to_other_wires():
    for op, on in (
        (OneQubitUnitary(0, X), (3,)),
        (Rotation(0, "y", ANGLE), (3,)),
        (ZZRotation(0, 1, ANGLE), (3, 2)),
        (TwoQubitUnitary(0, 1, CNOT), (3, 2)),
    ):
        new = moved(op, on)
        assert wires_of(new) == on
        assert type(new) is type(op)
        assert new[-1] is op[-1]


def test_what_depends_on_a_parameter_is_not_constant():
    assert is_constant(OneQubitUnitary(0, X))
    assert is_constant(TwoQubitUnitary(0, 1, CNOT))
    for kind in (lambda angle: Rotation(0, "z", angle), lambda angle: ZZRotation(0, 1, angle)):
        assert is_constant(kind(ANGLE))
        assert not is_constant(kind(ON_A_PARAMETER))


def test_an_output_follows_its_wires():
    parity = OutputParity(frozenset((0, 2)), flip=True)
    assert parity.relabelled([2, 1, 0, 3]) == parity
    assert parity.relabelled([1, 0, 3, 2]) == OutputParity(frozenset((1, 3)), flip=True)


def test_equal_matrices_are_computed_once():
    calls = []

    @cached_by_value
    def trace(m):
        calls.append(m.shape)
        return np.trace(m)

    assert trace(X) == trace(X.copy()) == 0
    assert trace(np.eye(4)[::1]) == 4  # real, and not complex as the cache keeps it
    assert calls == [(2, 2), (4, 4)]
