"""Runs evaluated over rows: exact, and to the bit the same for angles alone as in a batch."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pennylane_qstore.native.frontend.program import Affine
from pennylane_qstore.native.ir import (
    H,
    IRCircuit,
    OneQubitUnitary,
    OutputParity,
    Rotation,
    S,
    ZZRotation,
    matrix,
)
from pennylane_qstore.native.su2 import from_first_column
from pennylane_qstore.native.template.run_evaluator import AffineMap, RunEvaluator
from pennylane_qstore.native.template.runs import runs_of

P = 4
numbers = st.floats(-7, 7)
affines = st.builds(
    lambda factors, const: Affine(tuple(factors.items()), const),
    st.dictionaries(st.integers(0, P - 1), numbers, max_size=P),
    numbers,
)
one_qubit = st.one_of(
    st.builds(Rotation, st.integers(0, 2), st.sampled_from("xyz"), affines),
    st.builds(OneQubitUnitary, st.integers(0, 2), st.sampled_from([H, S, S @ H])),
)
pairs = st.permutations(range(3)).map(lambda order: order[:2])
interactions = st.builds(lambda on, angle: ZZRotation(*on, angle), pairs, affines)


@st.composite
def evaluators(draw, family):
    ops = draw(st.lists(st.one_of(one_qubit, one_qubit, interactions), min_size=1, max_size=12))
    outputs = tuple(OutputParity(frozenset((q,))) for q in range(3))
    runs = runs_of(IRCircuit(3, tuple(ops), outputs), family)
    return runs, RunEvaluator(runs, family, P)


def at(op, row):
    if isinstance(op, OneQubitUnitary):
        return op
    return op._replace(angle=Affine((), float(op.angle.at(row[None])[0])))


def product(operations, row):
    matrices = [matrix(at(op, row)) for op in operations]
    return functools.reduce(lambda total, m: m @ total, matrices, np.eye(2, dtype=complex))


@pytest.mark.parametrize("family", ["ms", "zz"])
@given(data=st.data(), seed=st.integers(0, 99))
def test_runs_are_the_products_of_their_operations(family, data, seed):
    runs, evaluator = data.draw(evaluators(family))
    rows = np.random.default_rng(seed).uniform(-3, 3, (3, P))
    angles, (alpha, beta) = evaluator.evaluate(rows)
    assert np.abs(angles).max(initial=0) <= 0.25 + 1e-9
    pauli = np.array([[0, 1], [1, 0]]) if family == "ms" else np.diag([1, -1])
    for k, row in enumerate(rows):
        want = {
            evaluator.index[q][i]: product(run, row)
            for q, wire in enumerate(runs.runs)
            for i, run in enumerate(wire)
        }
        for e, entangler in enumerate(runs.entanglers):
            halves = round(2 * (entangler.angle.at(row[None])[0] - angles[e, k]))
            if halves % 2:  # half a turn is a Pauli on what follows
                for run in evaluator.after[:, e]:
                    want[run] = want[run] @ pauli
        for run, unitary in want.items():
            got = from_first_column(alpha[run, k], beta[run, k])
            assert abs(np.vdot(got, unitary)) / 2 == pytest.approx(1, abs=1e-9)


@given(st.lists(affines, min_size=1, max_size=5), st.integers(0, 99))
def test_affine_angles_have_the_same_bits_alone_as_in_a_batch(angles, seed):
    rows = np.random.default_rng(seed).uniform(-7, 7, (70, P))
    angles_of = AffineMap(angles)
    together = angles_of(rows)
    want = np.stack([angle.at(rows) for angle in angles])
    assert np.allclose(together, want, atol=1e-9)
    for k in (0, 33, 69):
        assert np.array_equal(angles_of(rows[k : k + 1])[:, 0], together[:, k])
        assert angles_of.of_row(rows[k : k + 1]) == together[:, k].tolist()


def test_constants_need_no_parameters():
    angles_of = AffineMap([Affine((), 0.5), Affine((), -1.0)])
    assert angles_of(np.zeros((2, 0))).tolist() == [[0.5, 0.5], [-1.0, -1.0]]
    assert angles_of.of_row(np.zeros((1, 0))) == [0.5, -1.0]


def test_one_angle_of_many_parameters_costs_no_matrix():
    count = 3000
    whole = Affine(tuple((i, 1 / (i + 1)) for i in range(count)), 0.5)
    angles = AffineMap([whole, *(Affine(((i, 2.0),)) for i in range(count))])
    assert angles.nbytes < 100 * count
    row = np.random.default_rng(4).uniform(-1, 1, (2, count))
    got = angles(row)
    np.testing.assert_allclose(got[0], row @ (1 / np.arange(1, count + 1)) + 0.5)
    np.testing.assert_array_equal(got[1:], 2 * row.T)
    assert angles.of_row(row[:1]) == got[:, 0].tolist()
