"""Passes see sections between barriers, one by one."""

import pennylane as qml
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.circuits import operations

from pennylane_qstore import IonQNativeGateCompiler


def compiled(ops, absorb):
    compiler = IonQNativeGateCompiler(absorb=absorb, optimize_fidelity=False)
    return compiler.compile(qml.tape.QuantumScript(ops))


@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_nothing_before_a_barrier_depends_on_what_follows(data):
    some = st.lists(operations(3), min_size=1, max_size=6)
    before, after = data.draw(some), data.draw(some)
    every = [qml.Identity(q) for q in range(3)]
    for absorb in (True, False):
        head = compiled([*every, *before, qml.Barrier(range(3)), *every], absorb=absorb)
        whole = compiled([*every, *before, qml.Barrier(range(3)), *after], absorb=absorb)
        if not head.n_2q:  # an empty circuit is two pulses, and the readout reads some gates
            continue
        for (name, on, numbers), got in zip(head.gates, whole.gates, strict=False):
            assert name == got[0]
            assert on == got[1] or absorb  # wires without gates are left out
            assert numbers == pytest.approx(got[2], abs=1e-12)


def test_a_barrier_stops_every_pass_and_a_visual_one_does_not():
    pair = [qml.CNOT([0, 1]), qml.RX(0.3, 0)]
    inverse = [qml.RX(-0.3, 0), qml.CNOT([0, 1])]
    for absorb in (True, False):
        counts = [
            compiled([qml.H(0), *pair, *middle, *inverse, qml.H(0)], absorb=absorb).n_2q
            for middle in ([], [qml.Barrier([0, 1], only_visual=True)], [qml.Barrier([0, 1])])
        ]
        assert counts == [0, 0, 2]
    one_wire = [qml.H(0), qml.CNOT([0, 1]), qml.Barrier(2), qml.CNOT([0, 1]), qml.H(0)]
    assert compiled(one_wire, absorb=False).n_2q == 0
