"""Windows stand together in time, and are rewritten in place."""

import numpy as np
import pennylane as qml
from hypothesis import given, settings
from support.circuits import tapes
from support.ir_circuits import circuit_of, is_entangler, same, unitary

from pennylane_qstore.native.ir import ZZRotation, wires_of
from pennylane_qstore.native.passes.pairs import entangling_cost, merge_pairs, synthesise
from pennylane_qstore.native.search.resynthesis import GREEDY_WEIGHTS, resynthesise
from pennylane_qstore.native.search.windows import rewrite_at_random, rewrite_windows, windows

MANY = 10_000
some_tapes = tapes(max_wires=5, max_operations=24)


def anew(window, _):
    return resynthesise(window, GREEDY_WEIGHTS[:1], most=MANY)[0]


@settings(max_examples=30, deadline=None)
@given(made=some_tapes)
def test_rewritten_windows_keep_the_unitary(made):
    tape, n = made
    circuit, rows = circuit_of(tape, n)
    circuit = synthesise(merge_pairs(circuit))
    tried = 0

    def a_few(window, cost):
        nonlocal tried
        tried += 1
        assert cost == entangling_cost(window.operations)
        return anew(window, cost) if tried < 6 else None

    rewritten = [rewrite_windows(circuit, min(3, n), a_few)]
    rng = np.random.default_rng(7)
    rewritten += [rewrite_at_random(circuit, rng, anew) for _ in range(3)]
    for new in rewritten:
        for row in rows:
            assert same(unitary(circuit, row), unitary(new, row))


@settings(max_examples=40, deadline=None)
@given(made=some_tapes)
def test_a_window_can_stand_together_in_time(made):
    tape, n = made
    circuit, _ = circuit_of(tape, n)
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


def test_where_nothing_interacts_there_is_no_window_to_rewrite():
    circuit, _ = circuit_of(qml.tape.QuantumScript([qml.RX(0.3, 0), qml.Hadamard(1)]), 2)
    assert rewrite_at_random(circuit, np.random.default_rng(1), lambda *_: None) is circuit


def ladder():
    pairs = [[0, 1], [1, 2], [0, 2], [2, 3], [1, 3]] * 3
    ops = [qml.IsingZZ(0.3, pair) for pair in pairs]
    ops = [gate for op in ops for gate in (op, qml.RX(0.2, op.wires[0]))]
    return circuit_of(qml.tape.QuantumScript(ops), 4)[0]


def test_what_is_not_rewritten_stays():
    circuit = ladder()
    assert rewrite_windows(circuit, 3, lambda *_: None) is circuit
    rng = np.random.default_rng(1)
    assert all(rewrite_at_random(circuit, rng, lambda *_: None) is circuit for _ in range(20))


def test_windows_have_few_wires_and_enough_entanglers():
    seen = []
    rewrite_windows(ladder(), 3, lambda window, cost: seen.append((window, cost)))
    rng = np.random.default_rng(1)
    for _ in range(20):
        rewrite_at_random(ladder(), rng, lambda window, cost: seen.append((window, cost)))
    assert {window.wires for window, _ in seen} == {3, 4}
    for window, cost in seen:
        assert cost.entanglers == sum(map(is_entangler, window.operations)) >= 3


def test_one_seed_chooses_one_window():
    def chosen():
        rng, seen = np.random.default_rng(3), []
        for _ in range(5):
            rewrite_at_random(ladder(), rng, lambda window, _: seen.append(str(window)))
        return seen

    assert chosen() == chosen()
