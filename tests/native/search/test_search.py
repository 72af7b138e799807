"""The search returns candidates that do the same and cost no more."""

import numpy as np
import pennylane as qml
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.circuits import tapes
from support.ir_circuits import circuit_of, circuit_with, outcomes, program_of, same, unitary

from pennylane_qstore.native.frontend.program import Affine
from pennylane_qstore.native.ir import ZZRotation, rotation
from pennylane_qstore.native.passes.pairs import entangling_cost, merge_pairs, synthesise
from pennylane_qstore.native.pipeline import compile_program
from pennylane_qstore.native.search.search import Deadline, rewritten

some_tapes = tapes(max_wires=5, max_operations=24)


def finish(circuit):
    return synthesise(merge_pairs(circuit))


@settings(max_examples=20, deadline=None)
@given(made=some_tapes, thorough=st.sampled_from([False, False, True]))
def test_search_keeps_the_unitary_and_costs_no_more(made, thorough):
    source, rows = circuit_of(*made)
    circuit = finish(source)
    cost = entangling_cost(circuit.operations)
    for new in rewritten(circuit, source, finish, outcomes=False, thorough=thorough):
        count, angle = entangling_cost(new.operations)
        assert count <= cost[0]
        assert count + angle <= sum(cost) + 1e-6
        for row in rows:
            assert same(unitary(circuit, row), unitary(new, row))


@settings(max_examples=20, deadline=None)
@given(made=some_tapes)
def test_search_for_outcomes_keeps_their_distribution(made):
    source, rows = circuit_of(*made)
    circuit = finish(source)
    for new in rewritten(circuit, source, finish, outcomes=True, thorough=False):
        for row in rows:
            assert np.allclose(outcomes(circuit, row), outcomes(new, row), atol=1e-9)


def toffolis():
    ops = [gate for on in ([0, 1, 2], [3, 1, 0]) for gate in qml.Toffoli(on).decomposition()]
    return circuit_of(qml.tape.QuantumScript(ops), 4)[0]


@pytest.mark.parametrize("thorough", [False, True])
def test_candidates_are_cheapest_first_and_differ_in_cost(thorough):
    source = toffolis()
    circuit = finish(source)
    candidates = rewritten(circuit, source, finish, outcomes=False, thorough=thorough)
    ranks = [entangling_cost(new.operations).rank for new in candidates]
    assert ranks == sorted(set(ranks))
    assert ranks[0] < entangling_cost(circuit.operations).rank


def test_equal_circuits_give_equal_candidates():
    source = toffolis()
    runs = [
        rewritten(finish(source), source, finish, outcomes=False, thorough=True) for _ in range(2)
    ]
    one, other = ([str(new.operations) for new in candidates] for candidates in runs)
    assert one == other


def test_one_entangler_is_not_searched():
    source, _ = circuit_of(qml.tape.QuantumScript([qml.CNOT([0, 1])]), 2)
    assert rewritten(finish(source), source, finish, outcomes=False) == []


def test_search_finds_a_product_of_exponentials_for_what_it_is():
    """Excitations are few gadgets, which merging pairs first hides."""
    wires = ([0, 1], [2, 3])
    with qml.QueuingManager.stop_recording():
        ops = [
            qml.FermionicDoubleExcitation(0.3, *wires),
            qml.FermionicSingleExcitation(0.7, range(3)),
        ]
    tape = qml.tape.QuantumScript([inner for op in ops for inner in op.decomposition()])
    program, _ = program_of(tape, 4)
    plain, quick = (
        compile_program(
            program,
            measured=range(4),
            absorb=False,
            optimize_fidelity=search,
            effort=None,
        )
        for search in (False, True)
    )
    assert plain.entanglers > 30
    assert quick.entanglers < 0.6 * plain.entanglers
    assert quick.pulses <= plain.pulses


def test_a_deep_chain_takes_as_many_entanglers_as_a_shallow_one():
    """Rotations of an Ising chain are turned over and merged, whatever the number of steps."""
    step = [ZZRotation(q, q + 1, Affine((), 0.1)) for q in range(3)]
    step += [rotation(q, "x", Affine((), 0.7)) for q in range(4)]
    source = circuit_with(4, *step * 8)
    circuit = finish(source)
    new, *_ = rewritten(circuit, source, finish, outcomes=False, thorough=False)
    assert entangling_cost(new.operations).entanglers == 10
    assert same(unitary(source), unitary(new))


class Ticks:
    """A clock that goes on by a second whenever it is read."""

    def __init__(self):
        self.now = 0

    def __call__(self):
        self.now += 1
        return self.now


def test_a_search_ends_with_what_it_has_when_its_time_is_over():
    source = toffolis()
    circuit = finish(source)
    costs, asked = [], []
    for seconds in (0, 3, 1e9):
        deadline = Deadline(seconds, clock := Ticks())
        found = rewritten(circuit, source, finish, outcomes=False, deadline=deadline)
        costs.append(min([entangling_cost(new.operations) for new in (circuit, *found)]))
        asked.append(clock.now)
        assert deadline.passed == (seconds < 1e9)
    assert costs[0] == entangling_cost(circuit.operations)
    assert costs[0] >= costs[1] >= costs[2]
    assert costs[0] > costs[2]
    assert asked[0] <= 2 < asked[1] <= 5 < asked[2]
