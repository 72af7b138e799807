"""Pauli tables change as the matrices of their strings do."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pennylane_qstore.native.ir import PAULI, T
from pennylane_qstore.native.search.pauli import (
    AXES,
    GENERATORS,
    LOST,
    PauliTable,
    all_cliffords,
    anticommuting,
    clifford,
    is_clifford,
    product,
    weight,
)

CODES = [np.eye(2), *PAULI.values()]
triples = st.tuples(*[st.integers(0, 3)] * 3)
tables = st.lists(triples, min_size=1, max_size=6)


def string(row):
    total = np.eye(1)
    for code in row:
        total = np.kron(total, CODES[code])
    return total


def table_of(rows):
    codes = np.array(rows, dtype=np.int8)
    return PauliTable(codes, np.ones(len(codes), dtype=np.int8))


@given(tables, st.integers(0, 8), st.permutations(range(3)), triples, st.sampled_from([1, -1]))
def test_cliffords_move_strings_as_matrices_do(rows, generator, order, turned, sign):
    a, b, _ = order
    codes = np.zeros(3, dtype=np.int8)
    codes[a], codes[b] = GENERATORS[generator]
    by_entangler, by_quarter_turn = table_of(rows), table_of(rows)
    by_entangler.conjugate_by_entangler(a, b, generator)
    quarter = np.array(turned, dtype=np.int8)
    by_quarter_turn.conjugate_by_quarter_turn(quarter, sign)
    for pauli, s, got in ((codes, 1, by_entangler), (quarter, sign, by_quarter_turn)):
        g = (np.eye(8) - 1j * s * string(pauli)) / np.sqrt(2)
        if not pauli.any():
            g = np.eye(8)
        for before, after, after_sign in zip(rows, got.codes, got.signs, strict=True):
            assert np.allclose(g @ string(before) @ g.conj().T, after_sign * string(after))


@given(tables, st.integers(0, 8))
def test_the_table_of_lost_weights_agrees_with_conjugation(rows, generator):
    table = table_of(rows)
    before = weight(table.codes)
    lost = LOST[4 * table.codes[:, 0] + table.codes[:, 2], generator]
    table.conjugate_by_entangler(0, 2, generator)
    assert (before - weight(table.codes) == lost).all()


@given(triples, triples)
def test_products_of_commuting_strings(one, other):
    a, b = string(one), string(other)
    commute = np.allclose(a @ b, b @ a)
    codes = [np.array([row], dtype=np.int8) for row in (one, other)]
    assert anticommuting(*codes) == [[not commute]]
    if commute:
        row, sign = product(codes[0][0], codes[1][0])
        assert np.allclose(sign * string(row), a @ b)


@pytest.mark.parametrize("g", all_cliffords())
def test_one_qubit_cliffords_are_found_by_what_they_do(g):
    table = table_of([[1], [3]])
    table.pull_back(0, np.ascontiguousarray(g))
    for before, after, sign in zip((1, 3), table.codes[:, 0], table.signs, strict=True):
        assert np.allclose(g.conj().T @ CODES[before] @ g, sign * CODES[after])
    x, z = ((int(table.codes[i, 0]), int(table.signs[i])) for i in (0, 1))
    assert abs(np.vdot(clifford(x, z), g)) == pytest.approx(2)


def test_there_are_24_cliffords():
    assert len(all_cliffords()) == 24
    assert AXES == "ixyz"
    assert np.allclose(all_cliffords()[0], np.eye(2))
    assert all(np.linalg.det(g) == pytest.approx(1) for g in all_cliffords())


def test_a_t_gate_is_no_clifford():
    assert not is_clifford(T)
    assert is_clifford(T @ T)


def test_slices_of_a_table_share_its_memory():
    table = PauliTable.identities(4, 2)
    table.rows(slice(1, 3)).codes[:, 0] = 3
    assert weight(table.codes).tolist() == [0, 1, 1, 0]
    joined = table.joined(table)
    joined.codes[:] = 0
    assert len(joined.signs) == 8
    assert weight(table.codes).sum() == 2


def test_tables_without_rows_are_compared():
    none, some = np.zeros((0, 3), dtype=np.int8), np.ones((2, 3), dtype=np.int8)
    assert anticommuting(none, some).shape == (0, 2)
    assert anticommuting(some, none).shape == (2, 0)
