"""What counts as a right circuit, and what it costs."""

import numpy as np
import pennylane as qml
import pytest

from pennylane_qstore.bench.compile_check import (
    UNITARY,
    Compiled,
    Counts,
    Reading,
    is_right,
    unitary_gate,
)
from pennylane_qstore.native.template.batch import Readout


def gate(operation):
    (wire,) = operation.wires
    return unitary_gate(operation.matrix(), wire)


def tape(*operations, wires=2):
    return qml.tape.QuantumScript(operations, [qml.probs(wires=range(wires))])


ZZ = ("zz", (0, 1), (0.1,))
ISING = qml.IsingZZ(2 * np.pi * 0.1, [0, 1])


@pytest.mark.parametrize("wires", [2, 7])
def test_a_unitary_is_right_up_to_a_global_phase(wires):
    more = [qml.S(q) for q in range(2, wires)]
    wanted = tape(ISING, qml.RY(0.3, 1), *more, wires=wires)
    gates = (ZZ, gate(qml.RY(0.3, 1)), *map(gate, more))
    phase = tuple(1j * number for number in gates[1][2])
    assert is_right(Compiled(wires, gates), wanted)
    assert is_right(Compiled(wires, (ZZ, (UNITARY, (1,), phase), *gates[2:])), wanted)
    assert not is_right(Compiled(wires, gates[:1] + gates[2:]), wanted)
    assert not is_right(Compiled(wires, (*gates, gate(qml.Z(0)))), wanted)


def test_a_phase_that_outcomes_do_not_show_is_seen():
    assert not is_right(Compiled(1, ()), tape(qml.RZ(0.1, 0), wires=1))
    assert is_right(Compiled(1, (), frames=(0.1 / (2 * np.pi),)), tape(qml.RZ(0.1, 0), wires=1))


def test_qubits_may_end_elsewhere():
    wanted = tape(
        qml.RY(0.3, 0), qml.T(1), qml.RX(0.2, 2), qml.SWAP([0, 1]), qml.SWAP([1, 2]), wires=3
    )
    gates = (gate(qml.RY(0.3, 0)), gate(qml.T(1)), gate(qml.RX(0.2, 2)))
    # what began on wire 1, 2 and 0 is on tape wires 0, 1 and 2
    assert is_right(Compiled(3, gates, (1, 2, 0)), wanted)
    assert not is_right(Compiled(3, gates, (2, 0, 1)), wanted)
    assert not is_right(Compiled(3, gates), wanted)


def test_what_absorbs_is_right_in_its_outcomes():
    bell = tape(qml.Hadamard(0), qml.CNOT([0, 1]))
    readout = Readout(np.array([[1], [1]], dtype=np.uint8), np.zeros(2, dtype=np.uint8))
    gates = (("gpi2", (0,), (0.3,)),)
    assert is_right(Compiled(1, gates, reading=Reading((0,), readout)), bell)
    flipped = Readout(readout.matrix, np.array([0, 1], dtype=np.uint8))
    assert not is_right(Compiled(1, gates, reading=Reading((0,), flipped)), bell)


def test_native_pulses_count_as_they_come():
    gates = (("gpi2", (0,), (0.1,)), ("gpi2", (0,), (0.6,)), ("ms", (0, 1), (0.0, 0.5, 0.25)))
    assert Compiled(2, gates).counts("ms") == Counts(1, 1.0, 2)


@pytest.mark.parametrize(
    ("operations", "pulses"),
    [
        ([qml.RZ(0.3, 0)], 0),
        ([qml.RZ(0.3, 0), qml.X(0)], 1),
        ([qml.RY(np.pi / 2, 0), qml.RZ(1.0, 0)], 1),
        ([qml.RY(0.3, 0)], 2),
        ([qml.RY(0.3, 0), qml.RZ(0.3, 0), qml.RX(1.0, 0), qml.RY(0.1, 1)], 4),
        ([qml.Hadamard(0), qml.Hadamard(0)], 0),
    ],
)
def test_other_gates_count_as_they_could_be_sent(operations, pulses):
    assert Compiled(2, tuple(map(gate, operations))).counts("zz") == Counts(0, 0.0, pulses)


def test_an_entangler_of_the_other_family_is_turned_by_pulses():
    gates = (gate(qml.RX(0.3, 0)), ZZ)
    assert Compiled(2, gates).counts("zz") == Counts(1, 0.4, 2)
    assert Compiled(2, gates).counts("ms") == Counts(
        1, 0.4, 4
    )  # RX, H is a virtual Z and one pulse


@pytest.mark.parametrize(
    ("turns", "angle"), [(0.25, 1), (-0.25, 1), (0.3, 0.8), (0.5, 0), (0.6, 0.4)]
)
def test_angles_are_the_least_that_do(turns, angle):
    assert Compiled(2, (("zz", (0, 1), (turns,)),)).counts("zz").angle == pytest.approx(angle)
