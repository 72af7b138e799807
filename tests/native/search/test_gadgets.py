"""Pauli gadgets: rotations, then a Clifford, do what the circuit does."""

import tracemalloc

import numpy as np
import pennylane as qml
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.circuits import tapes
from support.ir_circuits import circuit_of, circuit_with, outcomes, random_unitary, unitary
from support.pauli_strings import rotations_of, string

from pennylane_qstore.native.frontend.program import Affine
from pennylane_qstore.native.ir import PAULI, IRCircuit, OneQubitUnitary, Rotation, T, ZZRotation
from pennylane_qstore.native.search.gadgets import gadgets_of, layers, simplified
from pennylane_qstore.native.search.pauli import PauliTable, anticommuting

some_tapes = tapes(max_wires=4, max_operations=16)


@settings(max_examples=60, deadline=None)
@given(made=some_tapes)
def test_what_is_left_of_the_rotations_is_the_clifford_of_the_frame(made):
    tape, n = made
    circuit, rows = circuit_of(tape, n)
    gadgets = gadgets_of(circuit)
    own = IRCircuit(n, circuit.operations, circuit_with(n).outputs)
    for row in rows:
        clifford = unitary(own, row) @ rotations_of(gadgets, row).conj().T
        for q in range(n):
            for k, code in ((q, 1), (n + q, 3)):
                pauli = string([code if i == q else 0 for i in range(n)], 1)
                want = string(gadgets.frame.codes[k], gadgets.frame.signs[k])
                assert np.allclose(clifford.conj().T @ pauli @ clifford, want, atol=1e-7)


@settings(max_examples=60, deadline=None)
@given(made=some_tapes, data=st.data())
def test_for_outcomes_the_frame_is_what_is_measured(made, data):
    tape, n = made
    circuit, rows = circuit_of(tape, n)
    measured = data.draw(st.lists(st.sampled_from(range(n)), min_size=1, unique=True))
    circuit = IRCircuit(n, circuit.operations, tuple(circuit.outputs[q] for q in measured))
    gadgets = gadgets_of(circuit, outcomes=True)
    for row in rows:
        state = rotations_of(gadgets, row)[:, 0]
        weights = outcomes(circuit, row).reshape((2,) * len(measured))
        for i, (codes, sign) in enumerate(zip(*gadgets.frame, strict=True)):
            marginal = weights.sum(axis=tuple(k for k in range(len(measured)) if k != i))
            want = marginal[0] - marginal[1]
            assert np.vdot(state, string(codes, sign) @ state).real == pytest.approx(want, abs=1e-7)


@settings(max_examples=40, deadline=None)
@given(made=some_tapes)
def test_no_rotation_is_left_that_could_merge(made):
    gadgets = gadgets_of(circuit_of(*made)[0])
    again = simplified(gadgets)
    assert len(again.angles) == len(gadgets.angles)
    for angle in gadgets.angles:
        if not angle.terms:
            quarters = angle.const / (np.pi / 2)
            assert abs(quarters - round(quarters)) > 1e-11


def test_rotations_about_equal_strings_merge_and_quarter_turns_vanish():
    tape = qml.tape.QuantumScript(
        [
            qml.RZ(0.3, 0),
            qml.CNOT([0, 1]),
            qml.T(0),
            qml.S(1),
            qml.CNOT([0, 1]),
            qml.RZ(0.4, 0),
        ]
    )
    circuit, _ = circuit_of(tape, 2)
    (angle,) = gadgets_of(circuit).angles
    assert sorted(i for i, _ in angle.terms) == [0, 1]
    assert angle.const == pytest.approx(np.pi / 4)


@pytest.mark.parametrize(
    ("u", "rotations"),
    [
        (T, 1),
        (T @ T, 0),
        (PAULI["x"], 0),
        (T @ (PAULI["x"] + PAULI["z"]) / np.sqrt(2) @ T, 2),
        (random_unitary(2, np.random.default_rng(1)), 3),
    ],
)
def test_a_one_qubit_unitary_takes_as_few_rotations_as_it_needs(u, rotations):
    gadgets = gadgets_of(circuit_with(1, OneQubitUnitary(0, np.asarray(u, dtype=complex))))
    assert len(gadgets.angles) == rotations


def test_what_is_not_seen_is_dropped():
    angle = Affine(((0, 1.0),))
    first, unread, last = Rotation(0, "z", angle), Rotation(1, "x", angle), Rotation(0, "z", angle)
    middle = Rotation(0, "x", angle)
    circuit = circuit_with(2, first, middle, unread, last)
    circuit = IRCircuit(2, circuit.operations, circuit.outputs[:1])
    gadgets = gadgets_of(circuit, outcomes=True)
    assert gadgets.strings.codes.tolist() == [[1, 0]]


def test_layers_count_what_does_not_commute():
    codes = np.array([[1, 0], [3, 0], [0, 1], [1, 1], [0, 3]], dtype=np.int8)
    assert layers(anticommuting(codes, codes)).tolist() == [0, 1, 0, 2, 3]
    assert layers(np.zeros((0, 0), dtype=bool)).tolist() == []


def test_nothing_has_no_rotations():
    gadgets = gadgets_of(circuit_with(2))
    assert gadgets.angles == ()
    assert isinstance(gadgets.strings, PauliTable)
    assert gadgets.frame.codes.tolist() == [[1, 0], [0, 1], [3, 0], [0, 3]]


def test_memory_does_not_grow_with_the_square_of_the_rotations():
    rng = np.random.default_rng(3)
    operations = []
    for i in range(1000):
        a, b = (int(q) for q in rng.permutation(6)[:2])
        operations.append(ZZRotation(a, b, Affine((), float(rng.uniform(0, 0.2)))))
        operations.append(Rotation(a, "xyz"[i % 3], Affine(((i, 1.0),))))
    circuit = circuit_with(6, *operations)
    tracemalloc.start()
    try:
        gadgets = gadgets_of(circuit, outcomes=True)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(gadgets.angles) > 1500
    assert peak < 12e6  # a mask of all pairs alone takes 4 MB, of bytes
