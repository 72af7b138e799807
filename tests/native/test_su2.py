"""One-qubit unitaries and their columns, quaternions, Euler angles and rotations in space."""

from __future__ import annotations

import itertools

import numpy as np
import pennylane as qml
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pennylane_qstore.native.ir import PAULI
from pennylane_qstore.native.su2 import (
    euler_angles,
    first_column,
    from_first_column,
    quaternion,
    so3,
    to_su2,
    wrapped,
)

ROTATIONS = {"x": qml.RX, "y": qml.RY, "z": qml.RZ}
angles = st.one_of(
    st.floats(-7, 7), st.sampled_from([0.0, np.pi / 2, np.pi, -np.pi / 2, 1e-11, np.pi - 1e-11])
)


@st.composite
def unitaries(draw):
    phase = np.exp(1j * draw(angles))
    return phase * qml.Rot.compute_matrix(*(draw(angles) for _ in range(3)))


def same_up_to_phase(one, other):
    return abs(abs(np.vdot(one, other)) / 2 - 1) < 1e-9


@given(unitaries())
def test_a_unitary_of_determinant_one_is_its_first_column(u):
    assert np.linalg.det(to_su2(u)) == pytest.approx(1)
    assert np.allclose(from_first_column(*first_column(u)), to_su2(u))


@given(unitaries())
def test_a_quaternion_gives_the_unitary_back(u):
    w, *axis = quaternion(to_su2(u))
    parts = zip(axis, PAULI.values(), strict=True)
    again = w * np.eye(2) - 1j * sum(x * pauli for x, pauli in parts)
    assert np.allclose(again, to_su2(u))


@pytest.mark.parametrize(("outer", "inner"), list(itertools.permutations("xyz", 2)))
@given(u=unitaries())
def test_euler_angles_give_the_unitary_back(outer, inner, u):
    turns = euler_angles(to_su2(u), outer, inner)
    assert [axis for axis, _ in turns] == [outer, inner, outer]
    product = np.eye(2)
    for axis, angle in turns:
        assert abs(angle) <= np.pi
        product = ROTATIONS[axis].compute_matrix(angle) @ product
    assert same_up_to_phase(product, u)


@given(unitaries(), unitaries())
def test_so3_is_a_representation_by_rotations(u, v):
    assert np.allclose(so3(u) @ so3(u).T, np.eye(3))
    assert np.allclose(so3(u @ v), so3(u) @ so3(v))


@given(unitaries())
def test_the_last_column_of_so3_is_the_bloch_vector(u):
    state = u[:, 0]
    want = [(state.conj() @ pauli @ state).real for pauli in PAULI.values()]
    assert np.allclose(so3(u)[:, 2], want)


@given(st.floats(-100, 100))
def test_wrapped_angles_differ_by_whole_turns(angle):
    turns = (wrapped(angle) - angle) / (2 * np.pi)
    assert turns == pytest.approx(round(turns), abs=1e-9)
