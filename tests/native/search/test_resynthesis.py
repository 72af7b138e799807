"""Resynthesis from Pauli gadgets keeps what a circuit does, within bounds."""

import numpy as np
import pennylane as qml
from hypothesis import given, settings
from hypothesis import strategies as st
from support.circuits import tapes
from support.ir_circuits import circuit_of, outcomes, same, unitary

from pennylane_qstore.native.ir import IRCircuit
from pennylane_qstore.native.passes.pairs import entangling_cost
from pennylane_qstore.native.search.resynthesis import GREEDY_WEIGHTS, resynthesise

MANY = 10_000
some_tapes = tapes(max_wires=5, max_operations=24)


def toffoli():
    tape = qml.tape.QuantumScript(qml.Toffoli([0, 1, 2]).decomposition())
    return circuit_of(tape, 3)[0]


def layers(count):
    weights = np.random.default_rng(0).uniform(-3, 3, (count, 4, 3))
    tape = qml.tape.QuantumScript([qml.StronglyEntanglingLayers(weights, range(4))])
    return circuit_of(tape, 4)[0]


@settings(max_examples=60, deadline=None)
@given(made=some_tapes)
def test_resynthesis_keeps_the_unitary_at_every_row(made):
    circuit, rows = circuit_of(*made)
    for new in resynthesise(circuit, GREEDY_WEIGHTS[:4], most=MANY):
        for row in rows:
            assert same(unitary(circuit, row), unitary(new, row))


@settings(max_examples=80, deadline=None)
@given(made=some_tapes, data=st.data())
def test_resynthesis_for_outcomes_keeps_the_distribution(made, data):
    tape, n = made
    circuit, rows = circuit_of(tape, n)
    measured = data.draw(st.lists(st.sampled_from(range(n)), min_size=1, unique=True))
    flips = data.draw(st.lists(st.booleans(), min_size=len(measured), max_size=len(measured)))
    extra = circuit.outputs[measured[0]].wires ^ circuit.outputs[measured[-1]].wires
    bits = [
        circuit.outputs[q]._replace(flip=flip) for q, flip in zip(measured, flips, strict=True)
    ] + [circuit.outputs[0]._replace(wires=extra)]  # a XOR, or a bit that is always 0
    circuit = IRCircuit(n, circuit.operations, tuple(bits))
    for new in resynthesise(circuit, GREEDY_WEIGHTS[:4], most=MANY, outcomes=True):
        for row in rows:
            assert np.allclose(outcomes(circuit, row), outcomes(new, row), atol=1e-9)


def test_a_toffoli_takes_five_interactions_of_three_and_a_half():
    costs = [entangling_cost(new.operations) for new in resynthesise(toffoli(), most=MANY)]
    count, angle = min(costs)
    assert (count, 4 * angle) <= (5, 3.5 + 1e-9)


def test_a_rotation_about_two_wires_takes_one_interaction():
    ops = [qml.CNOT([0, 1]), qml.RZ(0.3, 1), qml.CNOT([0, 1])]
    circuit, _ = circuit_of(qml.tape.QuantumScript(ops), 2)
    costs = [entangling_cost(new.operations).entanglers for new in resynthesise(circuit, most=5)]
    assert costs == [1] * len(GREEDY_WEIGHTS)


def test_no_weights_go_in_circles():
    """Turns that undo each other would go on for ever; here some once did."""
    for only_outcomes in (False, True):
        circuits = resynthesise(layers(8), most=MANY, outcomes=only_outcomes)
        assert len(circuits) == len(GREEDY_WEIGHTS)
        assert max(entangling_cost(new.operations)[0] for new in circuits) < 150


def test_work_decides_how_many_weights_are_tried():
    circuit = layers(2)
    tried = [len(resynthesise(circuit, most=40, work=work)) for work in (1e3, 1e7, 1e9)]
    assert tried == sorted(tried)
    assert tried[0] == 0 < tried[1] < tried[2] == len(GREEDY_WEIGHTS)


def test_weights_that_need_too_many_entanglers_are_given_up():
    assert resynthesise(toffoli(), most=2) == []


def test_equal_circuits_are_written_equally():
    one, other = (resynthesise(layers(2), GREEDY_WEIGHTS[:2], most=MANY) for _ in range(2))
    for a, b in zip(one, other, strict=True):
        assert a.outputs == b.outputs
        assert list(map(str, a.operations)) == list(map(str, b.operations))
