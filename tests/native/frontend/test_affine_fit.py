"""Programs of structures: affine angles are fitted exactly, others are found out."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pennylane as qml
import pytest

from pennylane_qstore.errors import CompileError
from pennylane_qstore.native.frontend.affine_fit import _fit, affine_program, program_of
from pennylane_qstore.native.frontend.program import ELEMENTARY, Affine
from pennylane_qstore.native.frontend.structure import extract_structure

WIRES = {i: i for i in range(3)}


def structured(*ops):
    return extract_structure(qml.tape.QuantumScript(ops), WIRES)[0]


@pytest.mark.parametrize(
    "make",
    [
        lambda v: qml.StronglyEntanglingLayers(np.reshape(v[:9], (1, 3, 3)), range(3)),
        lambda v: qml.CRot(*v[:3], wires=[2, 0]),
        lambda v: qml.ctrl(qml.RX(v[0], 0), control=[1, 2]),
        lambda v: qml.adjoint(qml.PauliRot(v[0], "XYZ", range(3))),
        lambda v: qml.SimplifiedTwoDesign(v[:3], np.reshape(v[3:7], (1, 2, 2)), range(3)),
        lambda v: qml.OrbitalRotation(v[0], [0, 1, 2, 3]),
    ],
)
def test_the_program_agrees_with_the_decomposition_at_other_parameters(make):
    rng = np.random.default_rng(3)
    wires = {i: i for i in range(4)}
    ones, values = np.ones(12), rng.uniform(-3, 3, 12)
    (piece,) = extract_structure(qml.tape.QuantumScript([make(ones)]), wires)
    (other,) = extract_structure(qml.tape.QuantumScript([make(values)]), wires)
    assert other.key == piece.key
    program = program_of(piece, wires)
    assert all(gate.name in {kind.__name__ for kind in ELEMENTARY} for gate in program.gates)
    ops = [
        getattr(qml, gate.name)(
            *(float(angle.at(other.parameters)[0]) for angle in gate.angles), wires=gate.wires
        )
        for gate in program.gates
    ]
    got = qml.matrix(qml.tape.QuantumScript(ops), wire_order=range(4))
    want = qml.matrix(make(values), wire_order=range(4))
    assert abs(np.vdot(got, want)) / 16 == pytest.approx(1, abs=1e-9)


def test_rational_factors_are_exact():
    program = program_of(structured(qml.CRot(0.1, 0.2, 0.3, wires=[0, 1])), WIRES)
    factors = {abs(factor) for gate in program.gates for a in gate.angles for _, factor in a.terms}
    assert factors <= {0.5, 1.0}


def test_products_of_parameters_are_columns_of_their_own():
    piece, program = affine_program(structured(qml.IQPEmbedding([0.3, 0.7, -0.2], range(3))), WIRES)
    assert sorted(program.products) == [(0, 1), (0, 2), (1, 2)]
    assert piece.parameters[0] == pytest.approx([0.3, 0.7, -0.2, 0.21, -0.06, -0.14])
    assert program.parameters == 6
    assert all(len(a.terms) == 1 and a.const == 0 for gate in program.gates for a in gate.angles)


def test_rows_with_one_decomposition_each_are_expanded_one_by_one():
    states = np.array([[1, 0, 0, 0], [0.5, 0.5, 0.5, -0.5]])
    parts = extract_structure(
        qml.tape.QuantumScript([qml.StatePrep(states, wires=[0, 1])]), {0: 0, 1: 1}
    )
    assert len(parts) in (1, 2)
    assert all(part.batched for part in parts)
    assert sum(len(part.parameters) for part in parts) == 2


def test_constants_take_no_parameters():
    program = program_of(structured(qml.QFT(range(3)), qml.RX(0.2, 1)), WIRES)
    assert program.parameters == 1
    *constants, last = program.gates
    assert all(angle.terms == () for gate in constants for angle in gate.angles)
    assert last.angles == (Affine(((0, 1.0),)),)


def test_a_fixed_matrix_is_part_of_the_program():
    matrix = qml.RY.compute_matrix(0.3)
    (gate,) = program_of(structured(qml.QubitUnitary(matrix, 1)), WIRES).gates
    assert gate.name == "QubitUnitary"
    assert np.array_equal(gate.matrix, matrix)


def test_different_batches_in_one_tape_are_refused():
    with pytest.raises(CompileError, match="different batches: 2 and 3"):
        structured(qml.RX([0.1, 0.2], 0), qml.RX([0.1, 0.2, 0.3], 1))


def test_parameters_are_fitted_some_at_a_time(monkeypatch):
    values = np.arange(18.0).reshape(2, 3, 3) / 7
    op = qml.SelectPauliRot(values[:, 0, :2].reshape(-1), [0, 1], 2)
    piece = structured(op)
    want = program_of(piece, WIRES)
    assert max(len(angle.terms) for gate in want.gates for angle in gate.angles) == 4
    monkeypatch.setattr("pennylane_qstore.native.frontend.operation_fit._BLOCK", 3)
    _fit.cache_clear()
    assert program_of(piece, WIRES) == want


def test_many_parameters_do_not_take_their_square_in_memory():
    count = 1500
    piece = structured(qml.BasicEntanglerLayers(np.ones((count // 3, 3)), range(3)))
    tracemalloc.start()
    try:
        program = program_of(piece, WIRES)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert program.parameters == count
    assert peak < 2 * 8 * count**2
