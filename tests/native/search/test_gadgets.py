"""Pauli gadgets: the form, its way back to gates, and windows keep what a circuit does."""

import numpy as np
import pennylane as qml
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.circuits import SPECIAL, tapes
from support.ir_circuits import outcomes, same, unitary

from pennylane_qstore.native.compiler import affine_program, compile_program
from pennylane_qstore.native.frontend.structure import extract_structure
from pennylane_qstore.native.ir import PAULI, IRCircuit, ZZRotation, wires_of
from pennylane_qstore.native.passes.lower import lower
from pennylane_qstore.native.passes.pairs import entangling_cost, merge_pairs, synthesise
from pennylane_qstore.native.search.gadgets import gadgets_of
from pennylane_qstore.native.search.pauli import (
    AXES,
    GENERATORS,
    all_cliffords,
    clifford,
    turn_all,
    turn_pair,
    turn_wire,
)
from pennylane_qstore.native.search.resynthesis import STYLES, resynthesise
from pennylane_qstore.native.search.search import rewritten
from pennylane_qstore.native.search.windows import rewrite_at_random, rewrite_windows, windows

MANY = 10_000
CODES = [np.eye(2), *PAULI.values()]
some_tapes = tapes(max_wires=5, max_operations=24)


def flow_of(tape, wires):
    labels = {i: i for i in range(wires)}
    piece, program = affine_program(extract_structure(tape, labels)[0], labels)
    return synthesise(lower(program)), piece.parameters


def string(row):
    total = np.eye(1)
    for code in row:
        total = np.kron(total, CODES[code])
    return total


def rows_at(parameters, seed):
    rng = np.random.default_rng(seed)
    p = parameters.shape[1]
    return [parameters[0], rng.uniform(-4, 4, p), rng.choice(SPECIAL, p)]


@given(
    st.lists(st.tuples(*[st.integers(0, 3)] * 3), min_size=1, max_size=6),
    st.integers(0, 8),
    st.permutations(range(3)),
    st.tuples(*[st.integers(0, 3)] * 3),
    st.sampled_from([1, -1]),
)
def test_cliffords_move_strings_as_matrices_do(rows, generator, order, turned, sign):
    table = np.array(rows, dtype=np.int8)
    a, b, _ = order
    codes = np.zeros(3, dtype=np.int8)
    codes[a], codes[b] = GENERATORS[generator]
    for pauli, s, turn in (
        (codes, 1, lambda r, signs: turn_pair(r, signs, a, b, generator)),
        (np.array(turned, dtype=np.int8), sign, None),
    ):
        got, signs = table.copy(), np.ones(len(table), dtype=np.int8)
        if turn is None:
            turn_all(got, signs, pauli, s)
        else:
            turn(got, signs)
        g = (np.eye(8) - 1j * s * string(pauli)) / np.sqrt(2)
        if not pauli.any():
            g = np.eye(8)
        for before, after, its in zip(table, got, signs, strict=True):
            assert np.allclose(g @ string(before) @ g.conj().T, its * string(after))


@pytest.mark.parametrize("g", all_cliffords())
def test_one_qubit_cliffords_are_found_by_what_they_do(g):
    rows, signs = np.array([[1], [3]], dtype=np.int8), np.ones(2, dtype=np.int8)
    turn_wire(rows, signs, 0, np.ascontiguousarray(g))
    for before, after, sign in zip((1, 3), rows[:, 0], signs, strict=True):
        assert np.allclose(g.conj().T @ CODES[before] @ g, sign * CODES[after])
    found = clifford((int(rows[0, 0]), int(signs[0])), (int(rows[1, 0]), int(signs[1])))
    assert abs(np.vdot(found, g)) == pytest.approx(2)


def test_there_are_24_cliffords():
    assert len(all_cliffords()) == 24
    assert AXES == "ixyz"


@settings(max_examples=60, deadline=None)
@given(made=some_tapes)
def test_resynthesis_keeps_the_unitary_at_every_row(made):
    tape, n = made
    circuit, parameters = flow_of(tape, n)
    for new in resynthesise(circuit, STYLES[:4], most=MANY):
        for row in rows_at(parameters, len(tape.operations)):
            assert same(unitary(circuit, row), unitary(new, row))


@settings(max_examples=80, deadline=None)
@given(made=some_tapes, data=st.data())
def test_resynthesis_for_outcomes_keeps_the_distribution(made, data):
    tape, n = made
    circuit, parameters = flow_of(tape, n)
    measured = data.draw(st.lists(st.sampled_from(range(n)), min_size=1, unique=True))
    flips = data.draw(st.lists(st.booleans(), min_size=len(measured), max_size=len(measured)))
    extra = circuit.outputs[measured[0]].wires ^ circuit.outputs[measured[-1]].wires
    bits = [
        circuit.outputs[q]._replace(flip=flip) for q, flip in zip(measured, flips, strict=True)
    ] + [circuit.outputs[0]._replace(wires=extra)]  # a XOR, or a bit that is always 0
    circuit = IRCircuit(n, circuit.operations, tuple(bits))
    for new in resynthesise(circuit, STYLES[:4], most=MANY, outcomes=True):
        for row in rows_at(parameters, len(tape.operations)):
            assert np.allclose(outcomes(circuit, row), outcomes(new, row), atol=1e-9)


@settings(max_examples=20, deadline=None)
@given(made=some_tapes, thorough=st.sampled_from([False, False, True]))
def test_windows_and_search_keep_the_unitary_and_cost_no_more(made, thorough):
    tape, n = made
    source, parameters = flow_of(tape, n)
    circuit = synthesise(merge_pairs(source))
    cost = entangling_cost(circuit.operations)

    def rewrite(window, _):
        return resynthesise(window, STYLES[:1], most=MANY)[0]

    tried = 0

    def a_few(window, cost):
        nonlocal tried
        tried += 1
        return rewrite(window, cost) if tried < 6 else None

    found = [rewrite_windows(circuit, min(3, n), a_few)]
    if cost[0]:
        rng = np.random.default_rng(7)
        found += [rewrite_at_random(circuit, rng, rewrite) for _ in range(3)]
    options = {"outcomes": False, "thorough": thorough}
    for new in rewritten(circuit, source, lambda f: synthesise(merge_pairs(f)), **options):
        count, angle = entangling_cost(new.operations)
        assert count <= cost[0]
        assert angle <= cost[1] + 1e-6
        found.append(new)
    for new in found:
        for row in rows_at(parameters, len(tape.operations)):
            assert same(unitary(circuit, row), unitary(new, row))


@settings(max_examples=40, deadline=None)
@given(made=some_tapes)
def test_a_window_can_stand_together_in_time(made):
    tape, n = made
    circuit, _ = flow_of(tape, n)
    for start, op in enumerate(circuit.operations):
        if not isinstance(op, ZZRotation):
            continue
        for wires, members in windows(circuit.operations, start, min(3, n)):
            assert len(wires) == min(3, n)
            assert members[0] == start
            outside = [j for j in range(start, members[-1]) if j not in members]
            for j in outside:  # nothing left out shares a wire with a later member
                later = {q for m in members if m > j for q in wires_of(circuit.operations[m])}
                assert later.isdisjoint(wires_of(circuit.operations[j]))


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
    circuit, _ = flow_of(tape, 2)
    (angle,) = gadgets_of(circuit).angles
    assert sorted(i for i, _ in angle.terms) == [0, 1]
    assert angle.const == pytest.approx(np.pi / 4)


def test_a_toffoli_takes_five_interactions_of_three_and_a_half():
    tape = qml.tape.QuantumScript(qml.Toffoli([0, 1, 2]).decomposition())
    circuit, _ = flow_of(tape, 3)
    costs = [entangling_cost(new.operations) for new in resynthesise(circuit, most=MANY)]
    count, angle = min(costs)
    assert (count, 4 * angle) <= (5, 3.5 + 1e-9)


def test_where_nothing_interacts_there_is_no_window_to_rewrite():
    circuit, _ = flow_of(qml.tape.QuantumScript([qml.RX(0.3, 0), qml.Hadamard(1)]), 2)
    assert rewrite_at_random(circuit, np.random.default_rng(1), lambda *_: None) is circuit


def test_no_style_goes_in_circles():
    """Turns that undo each other would go on for ever; here some once did."""
    weights = np.random.default_rng(0).uniform(-3, 3, (8, 4, 3))
    tape = qml.tape.QuantumScript([qml.StronglyEntanglingLayers(weights, range(4))])
    circuit, _ = flow_of(tape, 4)
    for only_outcomes in (False, True):
        found = resynthesise(circuit, most=MANY, outcomes=only_outcomes)
        assert len(found) == len(STYLES)
        assert max(entangling_cost(new.operations)[0] for new in found) < 150


def test_work_decides_how_many_styles_are_tried():
    weights = np.random.default_rng(0).uniform(-3, 3, (2, 4, 3))
    tape = qml.tape.QuantumScript([qml.StronglyEntanglingLayers(weights, range(4))])
    circuit, _ = flow_of(tape, 4)
    tried = [len(resynthesise(circuit, most=40, work=work)) for work in (1e3, 1e7, 1e9)]
    assert tried == sorted(tried)
    assert tried[0] == 0 < tried[1] < tried[2] == len(STYLES)


def test_search_finds_a_product_of_exponentials_for_what_it_is():
    """Excitations are few gadgets, which merging pairs first hides."""
    wires = ([0, 1], [2, 3])
    with qml.QueuingManager.stop_recording():
        ops = [
            qml.FermionicDoubleExcitation(0.3, *wires),
            qml.FermionicSingleExcitation(0.7, range(3)),
        ]
    tape = qml.tape.QuantumScript([inner for op in ops for inner in op.decomposition()])
    labels = {i: i for i in range(4)}
    _, program = affine_program(extract_structure(tape, labels)[0], labels)
    plain, quick = (
        compile_program(
            program,
            measured=range(4),
            absorb=False,
            optimize_fidelity=search,
            thorough=False,
        )
        for search in (False, True)
    )
    assert plain.entanglers > 30
    assert quick.entanglers < 0.6 * plain.entanglers
    assert quick.pulses <= plain.pulses


def test_a_style_that_needs_too_many_entanglers_is_given_up():
    tape = qml.tape.QuantumScript(qml.Toffoli([0, 1, 2]).decomposition())
    circuit, _ = flow_of(tape, 3)
    assert resynthesise(circuit, most=2) == []
