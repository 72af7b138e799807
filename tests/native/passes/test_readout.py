"""Readout passes keep the distribution of outcomes; each rule deals with what it is there for."""

import numpy as np
import pennylane as qml
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.circuits import marginal, tapes, unitary_of
from support.ir_circuits import (
    circuit_with,
    is_entangler,
    outcomes,
    program_of,
    random_unitary,
)

from pennylane_qstore.native.frontend.program import Affine
from pennylane_qstore.native.ir import (
    IRCircuit,
    OneQubitUnitary,
    OutputParity,
    Rotation,
    TwoQubitUnitary,
    X,
    ZZRotation,
    wires_of,
)
from pennylane_qstore.native.passes import readout
from pennylane_qstore.native.passes.lower import lower
from pennylane_qstore.native.passes.pairs import entangling_cost, merge_pairs, synthesise
from pennylane_qstore.native.passes.readout import (
    INITIAL_STATE_RULES,
    MEASUREMENT_RULES,
    absorb_into_readout,
    simplify_ends,
    simplify_initial_state,
)

some_tapes = st.one_of(tapes(), tapes(max_wires=6, max_operations=30))
random = [random_unitary(size, np.random.default_rng(size)) for size in (2, 4)]
ON_A_PARAMETER = Affine(((0, 1.0),), 0.0)
QUARTER = Affine((), 0.25)
ROW = [0.7]

Y_TO_Z = np.array([[1, -1j], [1, 1j]]) / np.sqrt(2)
TO_Y = OneQubitUnitary(0, Y_TO_Z.conj().T)

INITIAL = {
    "_fold_into_state": ([OneQubitUnitary(0, X), OneQubitUnitary(0, X)], (0, 0)),
    "_drop_rotation_about_state": ([TO_Y, Rotation(0, "y", ON_A_PARAMETER)], (0, 1)),
    "_rotate_instead_of_zz": (
        [OneQubitUnitary(1, random[0]), ZZRotation(0, 1, ON_A_PARAMETER)],
        (0, 2),
    ),
    "_prepare_pair": ([TwoQubitUnitary(0, 1, random[1])], (1, 7)),
}
"""By rule: operations that it simplifies; entanglers and operations that are left."""

MEASURED = {
    "_drop_unmeasured": ([TwoQubitUnitary(2, 3, random[1])], (0, 0)),
    "_fold_into_tail": ([OneQubitUnitary(0, random[0])] * 2, (0, 1)),
    "_drop_diagonal": (
        [ZZRotation(0, 1, ON_A_PARAMETER), Rotation(0, "z", ON_A_PARAMETER)],
        (0, 0),
    ),
    "_read_zz_as_cnot": (
        [
            Rotation(0, "x", ON_A_PARAMETER),
            OneQubitUnitary(1, Y_TO_Z),
            ZZRotation(0, 1, QUARTER),
            OneQubitUnitary(1, Y_TO_Z.conj().T),
        ],
        (0, 2),
    ),
    "_relabel_two_qubit_unitary": ([TwoQubitUnitary(0, 1, random[1])], (2, 10)),
}
"""The same before wires 0 and 1 are measured."""


def measuring(circuit, *wires):
    return IRCircuit(circuit.wires, circuit.operations, tuple(circuit.outputs[q] for q in wires))


def test_every_rule_has_a_case():
    assert [rule.__name__ for rule in INITIAL_STATE_RULES] == list(INITIAL)
    assert [rule.__name__ for rule in MEASUREMENT_RULES] == list(MEASURED)


def size(circuit):
    return entangling_cost(circuit.operations).entanglers, len(circuit.operations)


@pytest.mark.parametrize(
    ("table", "pass_", "name", "operations", "left"),
    [
        (table, pass_, name, *case)
        for table, pass_, cases in (
            ("INITIAL_STATE_RULES", simplify_initial_state, INITIAL),
            ("MEASUREMENT_RULES", absorb_into_readout, MEASURED),
        )
        for name, case in cases.items()
    ],
)
def test_each_rule_alone_simplifies_its_case(monkeypatch, table, pass_, name, operations, left):
    circuit = measuring(circuit_with(4, *operations), 0, 1)
    shorter = pass_(circuit)
    rules = tuple(rule for rule in getattr(readout, table) if rule.__name__ != name)
    monkeypatch.setattr(readout, table, rules)
    longer = pass_(circuit)
    assert size(shorter) == left < size(longer)
    for new in (shorter, longer):
        assert np.allclose(outcomes(circuit, ROW), outcomes(new, ROW), atol=1e-9)


@pytest.mark.parametrize("pass_", [simplify_initial_state, absorb_into_readout, simplify_ends])
@settings(max_examples=40, deadline=None)
@given(made=some_tapes, data=st.data())
def test_the_ends_keep_the_distribution(pass_, made, data):
    tape, n = made
    measured = data.draw(st.lists(st.sampled_from(range(n)), min_size=1, unique=True))
    program, rows = program_of(tape, n)
    circuit = measuring(merge_pairs(lower(program)), *measured)
    new = pass_(circuit)
    for row in rows:
        assert np.allclose(outcomes(circuit, row), outcomes(new, row), atol=1e-9)
    want = marginal(np.abs(unitary_of(tape, n)[:, 0]) ** 2, measured)
    assert np.allclose(outcomes(new, rows[0]), want, atol=1e-9)


@settings(max_examples=30, deadline=None)
@given(made=some_tapes)
def test_simplifying_costs_no_entanglers(made):
    tape, n = made
    program, _ = program_of(tape, n)
    circuit = synthesise(merge_pairs(lower(program)))
    before, after = (entangling_cost(c.operations) for c in (circuit, simplify_ends(circuit)))
    assert after.no_worse_than(before)


def test_trailing_relabelling_is_left_to_the_readout():
    ops = [qml.RY(0.3, 0), qml.CNOT([0, 1]), qml.X(1), qml.CZ([0, 1]), qml.SWAP([0, 1])]
    program, _ = program_of(qml.tape.QuantumScript(ops), 2)
    circuit = absorb_into_readout(merge_pairs(lower(program)))
    assert not any(len(wires_of(op)) == 2 for op in circuit.operations)
    # Wire 1 is never touched: only wire 0 is read, and tape wire 0 is its complement.
    assert circuit.outputs == (OutputParity(frozenset((0,)), True), OutputParity(frozenset((0,))))


def test_a_ghz_state_takes_no_entangler_before_its_measurement():
    ops = [qml.Hadamard(0), *(qml.CNOT([q, q + 1]) for q in range(5))]
    program, _ = program_of(qml.tape.QuantumScript(ops), 6)
    circuit = absorb_into_readout(merge_pairs(lower(program)))
    assert not any(map(is_entangler, circuit.operations))
    assert outcomes(circuit)[[0, -1]] == pytest.approx([0.5, 0.5])


def test_controls_on_zero_do_nothing():
    ops = [qml.CNOT([0, 1]), qml.CRX(0.3, [1, 2]), qml.RX(0.4, 2)]
    program, (row, *_) = program_of(qml.tape.QuantumScript(ops), 3)
    circuit = simplify_initial_state(lower(program))
    assert not any(map(is_entangler, circuit.operations))
    assert outcomes(circuit, row)[[0, 1]] == pytest.approx([np.cos(0.2) ** 2, np.sin(0.2) ** 2])
