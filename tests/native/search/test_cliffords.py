"""Clifford sections keep the unitary, and take no more entanglers than other compilers' do."""

import numpy as np
import pennylane as qml
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.circuits import angles, operations
from support.ir_circuits import circuit_of, outcomes, program_of, same, unitary

from pennylane_qstore.native.ir import IRCircuit, OutputParity
from pennylane_qstore.native.passes.pairs import entangling_cost
from pennylane_qstore.native.pipeline import compile_program
from pennylane_qstore.native.search.cliffords import resynthesise_cliffords
from pennylane_qstore.native.search.resynthesis import GREEDY_WEIGHTS, resynthesise

CLIFFORDS = (qml.CNOT, qml.CNOT, qml.CZ, qml.CY, qml.SWAP, qml.ISWAP, qml.S, qml.SX, qml.Hadamard)


def entanglers(circuit):
    return entangling_cost(circuit.operations).entanglers


@st.composite
def clifford_heavy(draw):
    """Cliffords, among which something else stands now and then."""
    n = draw(st.integers(3, 5))
    ops = []
    with qml.QueuingManager.stop_recording():
        for _ in range(draw(st.integers(1, 40))):
            a, b, *_ = draw(st.permutations(range(n)))
            gate = draw(st.sampled_from(CLIFFORDS))
            ops.append(gate(wires=[a, b][: gate.num_wires]))
            if draw(st.integers(0, 9)) == 0:
                ops.append(draw(st.one_of(operations(n), st.builds(qml.RX, angles, st.just(a)))))
    return qml.tape.QuantumScript(ops), n


@st.composite
def measured_cliffords(draw):
    """Cliffords from |0…0⟩ of which XORs of some wires are read, flipped or not."""
    n = draw(st.integers(2, 5))
    ops = []
    with qml.QueuingManager.stop_recording():
        for _ in range(draw(st.integers(0, 30))):
            a, b, *_ = draw(st.permutations(range(n)))
            gate = draw(st.sampled_from(CLIFFORDS))
            ops.append(gate(wires=[a, b][: gate.num_wires]))
    circuit, _ = circuit_of(qml.tape.QuantumScript(ops), n)
    some = st.frozensets(st.integers(0, n - 1), max_size=3)
    bits = draw(st.lists(st.builds(OutputParity, some, st.booleans()), min_size=1, max_size=n))
    return IRCircuit(n, circuit.operations, tuple(bits))


def random_clifford(n, seed):
    """A random Clifford on n wires, by 8 n² gates."""
    rng = np.random.default_rng(1000 * n + seed)
    ops = []
    for _ in range(8 * n * n):
        kind = rng.integers(3)
        if kind < 2:
            ops.append((qml.Hadamard, qml.S)[kind](int(rng.integers(n))))
        else:
            ops.append(qml.CNOT([int(q) for q in rng.permutation(n)[:2]]))
    return qml.tape.QuantumScript(ops)


@settings(max_examples=30, deadline=None)
@given(made=clifford_heavy())
def test_sections_keep_the_unitary_at_every_row_with_fewer_entanglers(made):
    circuit, rows = circuit_of(*made)
    new = resynthesise_cliffords(circuit)
    assert new is circuit or entanglers(new) < entanglers(circuit)
    for row in rows:
        assert same(unitary(circuit, row), unitary(new, row))


@settings(max_examples=60, deadline=None)
@given(circuit=measured_cliffords())
def test_outcomes_of_a_clifford_are_those_of_coins(circuit):
    (new,) = resynthesise(circuit, GREEDY_WEIGHTS[:1], most=0, outcomes=True)
    assert entanglers(new) == 0
    assert np.allclose(outcomes(circuit), outcomes(new), atol=1e-9)


def test_a_template_of_a_clifford_has_no_entanglers():
    for seed in range(3):
        program, _ = program_of(random_clifford(5, seed), 5)
        assert compile_program(program, measured=range(5), effort=None).entanglers == 0


@pytest.mark.parametrize(
    ("wires", "pytket"), [(3, [2, 3, 3]), (4, [5, 6, 5]), (6, [10, 11, 11]), (8, [19, 21, 20])]
)
def test_random_cliffords_take_no_more_than_greedy_pauli_simp(wires, pytket):
    for seed, most in enumerate(pytket):
        circuit, _ = circuit_of(random_clifford(wires, seed), wires)
        new = resynthesise_cliffords(circuit)
        assert entanglers(new) <= most
        assert same(unitary(circuit), unitary(new))


def test_what_stands_between_divides_sections_only_where_it_has_to():
    ring = [qml.CNOT([q, (q + 1) % 4]) for q in range(4)]
    undone = [qml.adjoint(op) for op in reversed(ring)]
    aside = qml.tape.QuantumScript([*ring, qml.RX(0.3, 4), *undone])
    between = qml.tape.QuantumScript([*ring, qml.RX(0.3, 1), qml.RX(0.3, 2), *undone])
    left = [entanglers(resynthesise_cliffords(circuit_of(tape, 5)[0])) for tape in (aside, between)]
    assert left[0] == 0 < left[1] <= 8


def test_work_narrows_the_search_and_ends_it():
    circuit, _ = circuit_of(random_clifford(6, 0), 6)
    assert resynthesise_cliffords(circuit, work=1e3) is circuit
    narrow, wide = (entanglers(resynthesise_cliffords(circuit, work=w)) for w in (3e5, 1e8))
    assert wide <= narrow < entanglers(circuit)


def test_the_quick_search_encodes_five_qubits_by_seven_entanglers():
    """As it is written it takes twelve; pytket's GreedyPauliSimp finds seven."""
    ops = []
    for q, word in enumerate(("IZIZX", "IIZZX", "ZZIIX", "ZIZIY")):
        ops += [qml.Hadamard(q), *([qml.S(q)] if q in (0, 3) else [])]
        pairs = {"X": qml.CNOT, "Y": qml.CY, "Z": qml.CZ}
        ops += [pairs[pauli]([q, t]) for t, pauli in enumerate(word) if pauli != "I"]
    program, _ = program_of(qml.tape.QuantumScript(ops), 5)
    template = compile_program(program, measured=range(5), absorb=False, effort=None)
    assert template.entanglers == 7


def test_an_outcome_that_is_certain_keeps_its_sign():
    """Random examples seldom have one that is 1."""
    flipped = [qml.SX(0), qml.SX(0), qml.CNOT([0, 1]), qml.Hadamard(2), qml.CNOT([2, 1])]
    circuit, _ = circuit_of(qml.tape.QuantumScript(flipped), 3)
    (new,) = resynthesise(circuit, GREEDY_WEIGHTS[:1], most=0, outcomes=True)
    assert np.allclose(outcomes(circuit), outcomes(new), atol=1e-9)
