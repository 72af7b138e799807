"""Each pass alone keeps what it promises to keep, and gains what it is there for."""

import numpy as np
import pennylane as qml
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.circuits import SPECIAL, marginal, tapes, unitary_of
from support.ir_circuits import outcomes, same, unitary

from pennylane_qstore.native.compiler import affine_program
from pennylane_qstore.native.frontend.structure import extract_structure
from pennylane_qstore.native.ir import IRCircuit, OutputParity, ZZRotation, wires_of
from pennylane_qstore.native.passes.cnot_networks import resynthesise_cnots
from pennylane_qstore.native.passes.lower import lower
from pennylane_qstore.native.passes.pairs import (
    entangling_cost,
    merge_diagonal,
    merge_pairs,
    synthesise,
)
from pennylane_qstore.native.passes.readout import absorb_into_readout, simplify_initial_state

some_tapes = st.one_of(tapes(), tapes(max_wires=6, max_operations=30))


def program_of(tape, wires):
    labels = {i: i for i in range(wires)}
    piece, program = affine_program(extract_structure(tape, labels)[0], labels)
    rng = np.random.default_rng(len(tape.operations))
    p = piece.parameters.shape[1]
    return program, [piece.parameters[0], rng.uniform(-4, 4, p), rng.choice(SPECIAL, p)]


@pytest.mark.parametrize(
    "pass_",
    [
        merge_pairs,
        merge_diagonal,
        synthesise,
        lambda circuit: synthesise(merge_pairs(merge_diagonal(merge_pairs(circuit)))),
    ],
    ids=["gather", "merge_diagonal", "synthesise", "all"],
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


@settings(max_examples=40, deadline=None)
@given(made=some_tapes)
def test_cnot_regions_keep_the_unitary(made):
    tape, n = made
    program, rows = program_of(tape, n)
    new = lower(resynthesise_cnots(program))
    for row in rows:
        assert same(unitary(lower(program), row), unitary(new, row))


@pytest.mark.parametrize("pass_", [simplify_initial_state, absorb_into_readout])
@settings(max_examples=40, deadline=None)
@given(made=some_tapes, data=st.data())
def test_the_ends_keep_the_distribution(pass_, made, data):
    tape, n = made
    measured = data.draw(st.lists(st.sampled_from(range(n)), min_size=1, unique=True))
    program, rows = program_of(tape, n)
    circuit = merge_pairs(lower(program))
    circuit = IRCircuit(n, circuit.operations, tuple(circuit.outputs[q] for q in measured))
    new = pass_(circuit)
    for row in rows:
        assert np.allclose(outcomes(circuit, row), outcomes(new, row), atol=1e-9)
    want = marginal(np.abs(unitary_of(tape, n)[:, 0]) ** 2, measured)
    assert np.allclose(outcomes(new, rows[0]), want, atol=1e-9)


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


def test_a_full_layer_of_cnots_takes_one_less_than_its_wires():
    ops = [qml.CNOT([i, j]) for i in range(6) for j in range(i + 1, 6)]
    program, _ = program_of(qml.tape.QuantumScript(ops), 6)
    assert sum(g.name == "CNOT" for g in resynthesise_cnots(program).gates) == 5


def test_trailing_relabelling_is_left_to_the_readout():
    ops = [qml.RY(0.3, 0), qml.CNOT([0, 1]), qml.X(1), qml.CZ([0, 1]), qml.SWAP([0, 1])]
    program, _ = program_of(qml.tape.QuantumScript(ops), 2)
    circuit = absorb_into_readout(merge_pairs(lower(program)))
    assert not any(len(wires_of(op)) == 2 for op in circuit.operations)
    # Wire 1 is never touched: only wire 0 is read, and tape wire 0 is its complement.
    assert circuit.outputs == (OutputParity(frozenset((0,)), True), OutputParity(frozenset((0,))))
