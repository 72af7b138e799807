"""Circuits as runs between entanglers."""

from __future__ import annotations

import functools

import numpy as np
import pytest

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
from pennylane_qstore.native.template.runs import runs_of

ANGLE = Affine(((0, 1.0),))


def circuit(wires, *operations):
    outputs = tuple(OutputParity(frozenset((q,))) for q in range(wires))
    return IRCircuit(wires, operations, outputs)


def test_neighbours_about_one_axis_and_neighbouring_constants_are_one():
    runs = runs_of(
        circuit(
            1,
            OneQubitUnitary(0, H),
            OneQubitUnitary(0, S),
            Rotation(0, "x", ANGLE),
            Rotation(0, "x", ANGLE.plus(0.5)),
            Rotation(0, "y", Affine((), 0.25)),
        ),
        "zz",
    )
    ((first, turned, last),) = runs.runs[0]
    assert np.allclose(first.matrix, S @ H)
    assert turned == Rotation(0, "x", Affine(((0, 2.0),), 0.5))
    assert isinstance(last, OneQubitUnitary)


@pytest.mark.parametrize("family", ["ms", "zz"])
@pytest.mark.parametrize("turns", [0.1, 0.6, -0.4, 1.25])
def test_runs_and_entanglers_give_the_circuit_back(family, turns):
    made = circuit(
        2, OneQubitUnitary(0, H), ZZRotation(0, 1, Affine((), turns)), OneQubitUnitary(1, S)
    )
    runs = runs_of(made, family)
    (entangler,) = runs.entanglers
    assert -0.25 < entangler.angle.const <= 0.25
    unitary = functools.partial(functools.reduce, np.matmul)
    before, after = (
        [unitary([matrix(op) for op in reversed(runs.runs[q][i])] or [np.eye(2)]) for q in (0, 1)]
        for i in (0, 1)
    )
    basis = np.kron(H, H) if family == "ms" else np.eye(4)
    middle = basis @ matrix(ZZRotation(0, 1, entangler.angle)) @ basis
    got = np.kron(*after) @ middle @ np.kron(*before)
    zz = matrix(ZZRotation(0, 1, Affine((), turns)))
    want = np.kron(np.eye(2), S) @ zz @ np.kron(H, np.eye(2))
    assert abs(np.vdot(got, want)) / 4 == pytest.approx(1)


def test_an_interaction_of_angle_zero_is_no_entangler():
    runs = runs_of(circuit(2, ZZRotation(0, 1, Affine((), 1.0)), OneQubitUnitary(0, H)), "zz")
    assert runs.entanglers == ()


def test_idle_wires_are_left_out_only_when_compact():
    made = circuit(3, OneQubitUnitary(2, H))
    assert runs_of(made, "zz").wires == (2,)
    assert runs_of(made, "zz", compact=False).wires == (0, 1, 2)
