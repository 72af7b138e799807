"""CNOT networks are resynthesised to the same linear map, with the fewest CNOTs known."""

import itertools

import numpy as np
import pennylane as qml
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.circuits import tapes
from support.ir_circuits import program_of, same, unitary

from pennylane_qstore.native.passes import cnot_networks
from pennylane_qstore.native.passes.cnot_networks import linear_network, resynthesise_cnots
from pennylane_qstore.native.passes.lower import lower
from pennylane_qstore.native.passes.pairs import entangling_cost, merge_pairs

some_tapes = st.one_of(tapes(), tapes(max_wires=6, max_operations=30))


def rows_of(cnots, n):
    rows = [1 << i for i in range(n)]
    for control, target in cnots:
        rows[target] ^= rows[control]
    return rows


@st.composite
def cnot_lists(draw, max_wires=7):
    n = draw(st.integers(2, max_wires))
    pair = st.permutations(range(n)).map(lambda order: (order[0], order[1]))
    return draw(st.lists(pair, max_size=20)), n


@settings(deadline=None)
@given(cnot_lists())
def test_a_network_is_the_matrix_up_to_where_its_outputs_are(made):
    cnots, n = made
    target = rows_of(cnots, n)
    network = linear_network(tuple(target))
    rows = rows_of(network.cnots, n)
    assert sorted(network.where) == list(range(n))
    assert [rows[wire] for wire in network.where] == target
    if n <= 4:  # exact: the fewest
        assert len(network.cnots) <= len(cnots)


@settings(max_examples=40, deadline=None)
@given(made=some_tapes)
def test_cnot_regions_keep_the_unitary(made):
    tape, n = made
    program, rows = program_of(tape, n)
    new = lower(resynthesise_cnots(program))
    for row in rows:
        assert same(unitary(lower(program), row), unitary(new, row))


@settings(max_examples=60, deadline=None)
@given(cnot_lists(), st.data())
def test_networks_with_swaps_keep_the_unitary_and_take_no_more_entanglers(made, data):
    cnots, n = made
    swaps = data.draw(st.lists(st.integers(0, len(cnots)), max_size=3))
    ops = [qml.CNOT(on) for on in cnots]
    for i, at in enumerate(swaps):
        ops.insert(at, qml.SWAP([i % n, (i + 1) % n]))
    program, (row, *_) = program_of(qml.tape.QuantumScript(ops), n)
    new = resynthesise_cnots(program)
    assert same(unitary(lower(program), row), unitary(lower(new), row))
    before, after = (entangling_cost(merge_pairs(lower(p)).operations) for p in (program, new))
    assert after.entanglers <= before.entanglers


def cnots_after(ops, wires):
    program, _ = program_of(qml.tape.QuantumScript(ops), wires)
    return sum(gate.name == "CNOT" for gate in resynthesise_cnots(program).gates)


def test_a_full_layer_of_cnots_takes_one_less_than_its_wires():
    assert cnots_after([qml.CNOT([i, j]) for i in range(6) for j in range(i + 1, 6)], 6) == 5


@pytest.mark.parametrize("n", [3, 4])
def test_a_ring_of_cnots_takes_one_for_each_wire(n):
    assert cnots_after([qml.CNOT([i, (i + 1) % n]) for i in range(n)], n) == n


def test_a_ring_of_range_two_on_four_wires_takes_two():
    """By relabelling: i to i + 2 twice is a SWAP but for one CNOT, on each of two pairs."""
    ops = [qml.CNOT([i, (i + 2) % 4]) for i in range(4)]
    program, (row, *_) = program_of(qml.tape.QuantumScript(ops), 4)
    merged = merge_pairs(lower(resynthesise_cnots(program)))
    assert entangling_cost(merged.operations).entanglers == 2
    assert same(unitary(lower(program), row), unitary(merged, row))


def test_regions_that_share_no_wire_are_taken_apart():
    chains = [[0, 1], [1, 2], [0, 1], [3, 4], [4, 5], [3, 4]]
    assert cnots_after([qml.CNOT(on) for on in chains], 6) == 4


def test_what_is_no_cnot_keeps_regions_apart():
    ops = [qml.CNOT([0, 1]), qml.CNOT([1, 2]), qml.Hadamard(1), qml.CNOT([1, 2]), qml.CNOT([0, 1])]
    assert cnots_after(ops, 3) == 4


def test_random_networks_of_many_wires_take_no_more_than_elimination():
    rng = np.random.default_rng(4)
    for n in (5, 8, 12):
        cnots = [tuple(rng.permutation(n)[:2].tolist()) for _ in range(4 * n)]
        assert len(linear_network(tuple(rows_of(cnots, n))).cnots) <= n * n


def reduced_by_definition(target):
    """Additions and where outputs end, every addition scored by matrices of its own."""
    n = len(target)

    def length(rows):
        inverse = np.rint(np.linalg.inv(rows) * np.linalg.det(rows)) % 2  # over GF(2)
        return np.log2(rows.sum(axis=1)).sum() + np.log2(inverse.sum(axis=0)).sum()

    rows = np.array([[row >> j & 1 for j in range(n)] for row in target])
    additions, present = [], length(rows)
    while (rows.sum(axis=1) > 1).any():
        scored = []
        for s, t in itertools.permutations(range(n), 2):
            new = rows.copy()
            new[t] ^= new[s]
            scored.append((round(length(new), 9), (s, t), new))
        best, addition, rows = min(scored, key=lambda one: one[0])
        if best >= present - 1e-9:
            return None
        additions.append(addition)
        present = best
    return tuple(additions), tuple(rows.argmax(axis=1).tolist())


@settings(max_examples=60, deadline=None)
@given(cnot_lists())
def test_differences_of_lengths_choose_the_same_additions(made):
    target = tuple(rows_of(*made))
    assert cnot_networks._reduce(target) == reduced_by_definition(target)


def test_a_wide_network_takes_its_least_without_a_second_search(monkeypatch):
    n, calls = 36, []
    reduce = cnot_networks._reduce
    monkeypatch.setattr(cnot_networks, "_reduce", lambda t: calls.append(t) or reduce(t))
    rows = tuple((1 << i) - 1 | 1 << i for i in range(n))  # sums of all wires before
    assert len(cnot_networks._greedy(rows).cnots) == n - 1
    assert len(calls) == 1
