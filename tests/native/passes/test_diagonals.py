"""Diagonals move on to the next unitary of a pair, past what commutes with them alone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.ir_circuits import circuit_with, random_unitary, same, unitary

from pennylane_qstore.native.frontend.program import Affine
from pennylane_qstore.native.ir import (
    CNOT,
    CNOT_REVERSED,
    H,
    OneQubitUnitary,
    Rotation,
    S,
    TwoQubitUnitary,
    X,
    ZZRotation,
)
from pennylane_qstore.native.passes.diagonals import move_diagonals
from pennylane_qstore.native.passes.pairs import entangling_cost

PARAMETER = Affine(((0, 1.0),), 0.2)
LETS_PASS = (
    OneQubitUnitary(0, S),
    OneQubitUnitary(2, H),
    Rotation(1, "z", PARAMETER),
    Rotation(2, "x", PARAMETER),
    ZZRotation(1, 2, PARAMETER),
    TwoQubitUnitary(0, 2, CNOT),
    TwoQubitUnitary(2, 1, CNOT_REVERSED),
)
STANDS_IN_THE_WAY = (
    OneQubitUnitary(0, H),
    Rotation(1, "y", PARAMETER),
    TwoQubitUnitary(2, 0, CNOT),
    TwoQubitUnitary(1, 2, CNOT_REVERSED),
)


def around(*between, swapped=False, seed=0):
    rng = np.random.default_rng(seed)
    first, last = (random_unitary(4, rng) for _ in range(2))
    pair = (1, 0) if swapped else (0, 1)
    return circuit_with(3, TwoQubitUnitary(0, 1, first), *between, TwoQubitUnitary(*pair, last))


def saved(circuit):
    before, after = (
        entangling_cost(c.operations).entanglers for c in (circuit, move_diagonals(circuit))
    )
    return before - after


@settings(max_examples=40, deadline=None)
@given(
    between=st.lists(st.sampled_from(LETS_PASS + STANDS_IN_THE_WAY), max_size=4),
    swapped=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_the_unitary_stays_and_no_entangler_is_added(between, swapped, seed):
    circuit = around(*between, swapped=swapped, seed=seed)
    assert same(unitary(circuit, [0.7]), unitary(move_diagonals(circuit), [0.7]))
    assert saved(circuit) >= 0


@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize("between", LETS_PASS)
def test_what_is_diagonal_on_the_pair_lets_a_diagonal_pass(between, swapped):
    assert saved(around(between, swapped=swapped)) == 1


@pytest.mark.parametrize("between", STANDS_IN_THE_WAY)
def test_nothing_else_does(between):
    assert saved(around(between)) == 0


def test_a_diagonal_that_the_next_one_would_have_to_pay_for_stays():
    first = random_unitary(4, np.random.default_rng(0))
    turn_about_xx = np.cos(0.3) * np.eye(4) - 1j * np.sin(0.3) * np.kron(X, X)
    circuit = circuit_with(
        3,
        TwoQubitUnitary(0, 1, first),
        ZZRotation(1, 2, PARAMETER),
        TwoQubitUnitary(0, 1, turn_about_xx),
    )
    new = move_diagonals(circuit).operations
    assert all(a is b for a, b in zip(circuit.operations, new, strict=True))
