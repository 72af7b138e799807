"""Frames end a resynthesis with the Clifford that remains, or with what is measured of it."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.ir_circuits import circuit_with, same, unitary

from pennylane_qstore.native.ir import IRCircuit, OutputParity
from pennylane_qstore.native.search.frames import OutcomeFrame, UnitaryFrame
from pennylane_qstore.native.search.pauli import PauliTable, product, weight


def table_of(*rows, signs=None):
    codes = np.array(rows, dtype=np.int8)
    return PauliTable(codes, np.array(signs or [1] * len(codes), dtype=np.int8))


def parity(*wires, flip=False):
    return OutputParity(frozenset(wires), flip)


def test_a_swap_is_left_to_the_outputs():
    frame = UnitaryFrame(table_of([0, 1], [1, 0], [0, 3], [3, 0]))
    last, outputs = frame.finish([parity(0), parity(1)])
    swap = np.eye(4)[[0, 2, 1, 3]]
    assert outputs == (parity(1), parity(0))
    assert same(unitary(IRCircuit(2, tuple(last), outputs)), swap)


def test_one_qubit_cliffords_are_emitted():
    hadamard = UnitaryFrame(table_of([3], [1]))
    last, outputs = hadamard.finish([parity(0)])
    want = np.array([[1, 1], [1, -1]]) / np.sqrt(2)
    assert same(unitary(IRCircuit(1, tuple(last), outputs)), want)


def test_sure_progress_shortens_a_z_first_then_its_x():
    frame = UnitaryFrame(table_of([1, 1], [0, 1], [3, 0], [3, 3]))
    lost = np.zeros((4, 1, 2), dtype=np.int8)
    lost[3, 0, 0] = 1  # the only Z that is long
    lost[0, 0, 1] = 1  # an X
    assert frame.certain(lost).tolist() == [[False, True]]  # wire 0 is done first: its Z is short
    lost[2, 0, 1] = -1  # but it would lengthen the Z
    assert frame.certain(lost).tolist() == [[False, False]]


def test_measured_rows_are_multiplied_to_shorter_ones():
    frame = OutcomeFrame(table_of([3, 3, 0], [0, 3, 3], [0, 0, 3], signs=[1, -1, 1]))
    assert weight(frame.table.codes).tolist() == [1, 1, 1]
    last, outputs = frame.finish([parity(0), parity(1), parity(2, flip=True)])
    assert last == []
    assert [sorted(bit.wires) for bit in outputs] == [[0, 1], [1, 2], [2]]
    assert [bit.flip for bit in outputs] == [False, True, True]


@pytest.mark.parametrize("code", [1, 2])
def test_measured_axes_are_turned_to_z(code):
    frame = OutcomeFrame(table_of([code]))
    last, outputs = frame.finish([parity(0)])
    turn = unitary(circuit_with(1, *last))
    axis = {1: [[0, 1], [1, 0]], 2: [[0, -1j], [1j, 0]]}[code]
    assert np.allclose(turn @ axis @ turn.conj().T, np.diag([1, -1]))
    assert outputs == (parity(0),)


def test_outcomes_that_are_always_zero_read_no_wire():
    frame = OutcomeFrame(table_of([3, 0], [3, 0]))
    _, outputs = frame.finish([parity(0), parity(0)])
    assert len(outputs) == 2
    assert outputs[0] == outputs[1] == parity(0)
    empty = OutcomeFrame(table_of([0, 0]))
    assert empty.finish([parity()])[1] == (parity(),)


def test_sure_progress_shortens_the_shortest_measured_row():
    frame = OutcomeFrame(table_of([1, 1, 1], [3, 3, 0]))
    lost = np.zeros((2, 1, 2), dtype=np.int8)
    lost[1, 0, 1] = 1
    lost[0, 0, 0] = 1
    assert frame.certain(lost).tolist() == [[False, True]]


def shortened_by_definition(table):
    """Rows multiplied pair by pair, in turn; the parts of each outcome."""
    codes, signs = (part.copy() for part in table)
    parts, changed = [{i} for i in range(len(codes))], True
    while changed:
        changed = False
        for i, j in itertools.permutations(range(len(codes)), 2):
            row, sign = product(codes[i], codes[j])
            if np.count_nonzero(row) < np.count_nonzero(codes[i]):
                codes[i] = row
                signs[i] *= sign * signs[j]
                for some in parts:
                    if i in some:
                        some ^= {j}
                changed = True
    return codes, signs, parts


@given(st.integers(1, 7), st.data())
def test_rows_are_multiplied_as_one_pair_after_another_would_be(n, data):
    table = PauliTable.identities(n, n)
    table.codes[range(n), range(n)] = 3
    if n > 1:
        for _ in range(data.draw(st.integers(0, 20))):
            a, b, *_ = data.draw(st.permutations(range(n)))
            table.conjugate_by_entangler(a, b, data.draw(st.integers(0, 8)))
    codes, signs, parts = shortened_by_definition(table)
    frame = OutcomeFrame(table)
    assert np.array_equal(frame.table.codes, codes)
    assert np.array_equal(frame.table.signs, signs)
    assert frame.parts == parts
