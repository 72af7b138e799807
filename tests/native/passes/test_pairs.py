"""Two-qubit passes keep the unitary, and gain what each is there for."""

import numpy as np
import pennylane as qml
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.circuits import tapes
from support.ir_circuits import (
    circuit_with,
    has_two_qubit_unitaries,
    is_entangler,
    program_of,
    random_unitary,
    same,
    unitary,
)

from pennylane_qstore.native.frontend.program import Affine
from pennylane_qstore.native.ir import CNOT, SWAP, OneQubitUnitary, TwoQubitUnitary, ZZRotation
from pennylane_qstore.native.passes.lower import lower
from pennylane_qstore.native.passes.pairs import (
    entangling_cost,
    merge_diagonal,
    merge_pairs,
    synthesise,
)

some_tapes = st.one_of(tapes(), tapes(max_wires=6, max_operations=30))


def lowered(*ops, wires):
    program, rows = program_of(qml.tape.QuantumScript(ops), wires)
    return lower(program), rows


@pytest.mark.parametrize(
    "pass_",
    [
        merge_pairs,
        merge_diagonal,
        synthesise,
        lambda circuit: synthesise(merge_pairs(merge_diagonal(merge_pairs(circuit)))),
    ],
    ids=["merge_pairs", "merge_diagonal", "synthesise", "all"],
)
@settings(max_examples=40, deadline=None)
@given(made=some_tapes)
def test_the_unitary_is_kept(pass_, made):
    tape, n = made
    program, rows = program_of(tape, n)
    circuit = lower(program)
    new = pass_(circuit)
    assert entangling_cost(new.operations)[0] <= entangling_cost(circuit.operations)[0]
    for row in rows:
        assert same(unitary(circuit, row), unitary(new, row))


def test_interactions_merge_across_diagonal_ones():
    tape = qml.tape.QuantumScript(
        [
            qml.IsingZZ(0.1, [0, 1]),
            qml.IsingZZ(0.2, [1, 2]),
            qml.RZ(0.3, 0),
            qml.S(1),
            qml.IsingZZ(0.4, [1, 0]),
            qml.Hadamard(2),
            qml.IsingZZ(0.5, [1, 2]),
        ]
    )
    program, _ = program_of(tape, 3)
    circuit = merge_diagonal(lower(program))
    pairs = [(op.a, op.b) for op in circuit.operations if isinstance(op, ZZRotation)]
    assert pairs == [(0, 1), (1, 2), (1, 2)]  # the Hadamard keeps two of them apart
    assert [i for i, _ in circuit.operations[0].angle.terms] == [0, 3]


def test_constant_neighbours_on_a_pair_become_one_unitary():
    circuit, _ = lowered(
        qml.CNOT([0, 1]), qml.Hadamard(0), qml.CNOT([1, 0]), qml.T(1), qml.CNOT([0, 1]), wires=2
    )
    (op,) = merge_pairs(circuit).operations
    assert isinstance(op, TwoQubitUnitary)


def test_a_single_interaction_stays_what_it_is():
    circuit, _ = lowered(qml.Hadamard(0), qml.IsingZZ(0.3, [0, 1]), qml.T(1), wires=2)
    assert merge_pairs(circuit).operations == circuit.operations


def test_a_third_wire_ends_a_pair():
    circuit, _ = lowered(qml.CNOT([0, 1]), qml.CNOT([1, 2]), qml.CNOT([0, 1]), wires=3)
    assert entangling_cost(merge_pairs(circuit).operations).entanglers == 3


def test_conjugated_rotations_become_interactions_of_their_angle():
    """CNOT·RZ·CNOT is exp(-i t/2 Z⊗Z): one interaction, and no constant is left."""
    circuit, rows = lowered(qml.CNOT([0, 1]), qml.RZ(0.3, 1), qml.CNOT([0, 1]), wires=2)
    merged = synthesise(merge_pairs(circuit))
    (interaction,) = (op for op in merged.operations if is_entangler(op))
    assert [i for i, _ in interaction.angle.terms] == [0]
    for row in rows:
        assert same(unitary(circuit, row), unitary(merged, row))


def test_rotations_about_one_axis_merge_through_constants():
    circuit, _ = lowered(
        qml.CNOT([0, 1]),
        qml.RZ(0.3, 1),
        qml.CNOT([0, 1]),
        qml.S(0),
        qml.IsingZZ(0.5, [0, 1]),
        wires=2,
    )
    entanglers = [op for op in merge_pairs(circuit).operations if isinstance(op, ZZRotation)]
    assert [[i for i, _ in op.angle.terms] for op in entanglers] == [[0, 1]]


def test_synthesis_leaves_no_two_qubit_unitaries_and_relabels_swaps():
    rng = np.random.default_rng(2)
    operations = [
        TwoQubitUnitary(0, 1, random_unitary(4, rng)),
        TwoQubitUnitary(1, 2, SWAP),
        TwoQubitUnitary(0, 2, SWAP @ CNOT),
        OneQubitUnitary(1, random_unitary(2, rng)),
    ]
    circuit = circuit_with(3, *operations)
    new = synthesise(circuit)
    assert not has_two_qubit_unitaries(new)
    assert sum(map(is_entangler, new.operations)) <= 4
    assert new.outputs != circuit.outputs
    assert same(unitary(circuit), unitary(new))


def test_cost_counts_angles_as_they_are_least():
    half = ZZRotation(0, 1, Affine((), 0.5))  # Z⊗Z
    unknown = ZZRotation(0, 1, Affine(((0, 1.0),), 0.1))
    quarter = ZZRotation(0, 1, Affine((), -0.75))
    assert entangling_cost([half]) == (1, 0)
    assert entangling_cost([quarter]) == (1, 0.25)
    assert entangling_cost([unknown, TwoQubitUnitary(0, 1, SWAP)]) == (1, 0.125)
