"""Equal keys: the same analysis serves."""

from __future__ import annotations

import numpy as np
import pennylane as qml
import pytest

from pennylane_qstore.measurement.keys import measurement_key
from pennylane_qstore.measurement.recipes import Postselected

WIRES = {"a": 0, "b": 1}
MEASUREMENTS = {
    "word": lambda: qml.expval(qml.Z("a") @ qml.X("b")),
    "sum": lambda: qml.expval(2.0 * qml.Z("a") + qml.X("b")),
    "another coefficient": lambda: qml.expval(2.1 * qml.Z("a") + qml.X("b")),
    "variance": lambda: qml.var(qml.Z("a") @ qml.X("b")),
    "other wires": lambda: qml.expval(qml.Z("b") @ qml.X("a")),
    "matrix": lambda: qml.expval(qml.Hermitian(np.diag([1.0, 2.0]), "a")),
    "another matrix": lambda: qml.expval(qml.Hermitian(np.diag([1.0, 3.0]), "a")),
    "all outcomes": lambda: qml.counts(wires="a", all_outcomes=True),
    "some outcomes": lambda: qml.counts(wires="a"),
    "selected": lambda: Postselected(["a"], [1]),
    "selected otherwise": lambda: Postselected(["a"], [0]),
}


def test_every_difference_is_in_the_key():
    keys = {name: measurement_key([make()], WIRES) for name, make in MEASUREMENTS.items()}
    assert len(set(keys.values())) == len(MEASUREMENTS)


@pytest.mark.parametrize("make", MEASUREMENTS.values(), ids=MEASUREMENTS)
def test_made_again_it_is_the_same_key(make):
    assert measurement_key([make()], WIRES) == measurement_key([make()], WIRES) is not None


def test_labels_of_wires_are_no_part_of_it():
    there = measurement_key([qml.expval(qml.Z("a"))], WIRES)
    assert there == measurement_key([qml.expval(qml.Z(7))], {7: 0})


def test_what_cannot_be_compared_has_no_key():
    assert measurement_key([qml.expval(qml.SparseHamiltonian(qml.Z(0).sparse_matrix(), 0))],
                           {0: 0}) is None  # fmt: skip
