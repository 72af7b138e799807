"""Readouts: tape bits as parities of measured bits."""

from __future__ import annotations

import numpy as np

from pennylane_qstore.native.ir import OutputParity
from pennylane_qstore.native.template.batch import Readout, native_slots


def test_a_readout_xors_the_wires_of_each_output_and_flips():
    outputs = [OutputParity(frozenset((5, 2)), True), OutputParity(frozenset((5,)))]
    measured, readout = Readout.of(outputs, wires=[2, 4, 5])
    assert measured == (0, 2)
    bits = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    assert readout.apply(bits).tolist() == [[1, 0], [0, 1], [0, 0], [1, 1]]


def test_the_identity_leaves_bits_alone():
    bits = np.array([[0, 1, 1], [1, 0, 1]])
    assert np.array_equal(Readout.identity(3).apply(bits), bits)


def test_equal_readouts_hash_equally():
    one, other = Readout.identity(2), Readout.identity(2)
    assert one == other
    assert hash(one) == hash(other)
    assert one != Readout.identity(3)
    assert one != Readout(np.eye(2, dtype=np.uint8), np.ones(2, dtype=np.uint8))


def test_the_slots_of_gates_follow_each_other():
    gates = [("gpi", (0,)), ("ms", (0, 1)), ("zz", (0, 1))]
    assert native_slots(gates) == [slice(0, 1), slice(1, 4), slice(4, 5)]
    assert native_slots([]) == []
