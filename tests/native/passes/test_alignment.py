"""Axes of entanglers: turned for fewer pulses, the unitary and the entanglers as they were."""

from __future__ import annotations

from typing import Any

import numpy as np
import pennylane as qml
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.circuits import tapes
from support.ir_circuits import circuit_of, circuit_with, program_of, random_unitary, same, unitary

from pennylane_qstore.native.compiler import IonQNativeGateCompiler
from pennylane_qstore.native.frontend.program import Affine
from pennylane_qstore.native.ir import I2, H, IRCircuit, OneQubitUnitary, Rotation
from pennylane_qstore.native.ir import pauli_pair as pair
from pennylane_qstore.native.passes.alignment import align_axes
from pennylane_qstore.native.passes.lower import lower
from pennylane_qstore.native.passes.pairs import entangling_cost, merge_pairs, synthesise
from pennylane_qstore.native.template.template import Template


def pulses(circuit: IRCircuit, parameters: int = 0) -> int:
    return Template(circuit, "zz", parameters, compact=False).pulses


def checked(circuit: IRCircuit, rows: Any = ((),)) -> IRCircuit:
    """The aligned circuit, with the unitary and the entanglers of the one given."""
    new = align_axes(circuit)
    assert entangling_cost(new.operations) == pytest.approx(entangling_cost(circuit.operations))
    for row in rows:
        assert same(unitary(circuit, row), unitary(new, row))
    return new


def axes(a: int, b: int, *, turn: float = 0.0, **angles: Any) -> list[Any]:
    """Rotations about pairs of axes, say ``xx=0.1``; on the second wire after a turn about Z."""
    out = [Rotation(b, "z", Affine((), turn))]
    for name, angle in angles.items():
        out += pair(a, b, name, angle if isinstance(angle, Affine) else Affine((), angle))
    return out


@settings(max_examples=60, deadline=None)
@given(st.one_of(tapes(), tapes(max_wires=6, max_operations=30)), st.booleans())
def test_unitary_and_entanglers_stay_and_no_pulse_comes(made: Any, merged: bool) -> None:
    tape, n = made
    circuit, rows = circuit_of(tape, n)
    if merged:
        circuit = synthesise(merge_pairs(lower(program_of(tape, n)[0])))
    new = checked(circuit, rows)
    parameters = len(rows[0])
    assert pulses(new, parameters) <= pulses(circuit, parameters)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32))
def test_groups_of_equal_and_other_angles_between_any_gates(seed: int) -> None:
    rng = np.random.default_rng(seed)
    operations: list[Any] = []
    for _ in range(6):
        a, b = (int(q) for q in rng.permutation(4)[:2])
        angles = rng.choice([0.1, -0.1, 0.07, 0.25, -0.25], 3)
        names = rng.permutation(["xx", "yy", "zz"])[: rng.integers(1, 4)]
        operations += axes(a, b, **dict(zip(names, angles, strict=False)))
        some = random_unitary(2, rng)
        operations.append(OneQubitUnitary(a, [some, H, I2][rng.integers(3)]))
    circuit = circuit_with(4, *operations)
    assert pulses(checked(circuit)) <= pulses(circuit)


def test_the_order_on_a_pair_follows_its_neighbours() -> None:
    first, second = axes(0, 1, xx=0.1, zz=0.2), axes(1, 2, xx=0.1, zz=0.2)
    circuit = circuit_with(3, *first, *second)
    assert (pulses(circuit), pulses(checked(circuit))) == (8, 6)


@pytest.mark.parametrize("sign", [1, -1])
def test_equal_angles_are_turned_to_the_axis_beside(sign: int) -> None:
    found = []
    for second in (0.1 * sign, 0.13):
        blocks = [axes(q + 1, q, turn=0.3, xx=0.1, yy=second) for q in (0, 1)]
        circuit = circuit_with(3, *blocks[0], *blocks[1])
        found.append((pulses(circuit), pulses(checked(circuit))))
    assert found == [(12, 10), (12, 12)]


def test_angles_of_one_parameter_are_equal() -> None:
    x, y = Affine(((0, 0.1),)), Affine(((1, 0.1),))
    found = []
    for second in (x, x.scaled(-1.0), y):
        blocks = [axes(q + 1, q, turn=0.3, xx=x, yy=second) for q in (0, 1)]
        circuit = circuit_with(3, *blocks[0], *blocks[1])
        new = checked(circuit, [(0.4, 1.3), (2.0, -0.7)])
        found.append((pulses(circuit, 2), pulses(new, 2)))
    assert found == [(12, 10), (12, 10), (12, 12)]


def test_a_trained_run_between_groups_stays_where_it_is() -> None:
    free = [Rotation(1, "y", Affine(((0, 1.0),)))]
    circuit = circuit_with(3, *axes(0, 1, xx=0.1, yy=0.1), *free, *axes(1, 2, xx=0.1, yy=0.1))
    checked(circuit, [(0.3,), (1.7,)])


@pytest.mark.parametrize("number", [0, 913])
def test_a_trained_run_is_looked_at_where_it_is_not_special(number: int) -> None:
    """At 1 + sin(12.9 number + 1.7), which is nearly 0 for 913, a pulse would be added."""
    free = [Rotation(1, "y", Affine(((number, 1.0),)))]
    circuit = circuit_with(3, *axes(0, 1, xx=0.1, yy=0.1), *free, *axes(1, 2, xx=0.1, yy=0.1))
    assert pulses(circuit, number + 1) == 11
    assert pulses(align_axes(circuit), number + 1) == 10


def w_state(wires: int) -> list[Any]:
    ops: list[Any] = [qml.X(0)]
    for k in range(wires - 1):
        ops += [qml.CRY(2 * np.arccos((wires - k) ** -0.5), [k, k + 1]), qml.CNOT([k + 1, k])]
    return ops


def heisenberg() -> list[Any]:
    """Second-order Trotter steps of 4 spins in an uneven field."""
    half = [op(0.2, [q, q + 1]) for q in range(3) for op in (qml.IsingXX, qml.IsingYY, qml.IsingZZ)]
    half += [qml.RZ(0.2 + 0.1 * q, q) for q in range(4)]
    return [*half, *half[::-1]] * 2


@pytest.mark.parametrize(
    ("operations", "entanglers", "most"), [(w_state(8), 14, 28), (heisenberg(), 27, 44)]
)
def test_pulses_of_whole_circuits(operations: list[Any], entanglers: int, most: int) -> None:
    """Without it they were 42 and 72."""
    tape = qml.tape.QuantumScript(operations)
    made = IonQNativeGateCompiler("zz", absorb=False, optimize_fidelity=False).compile(tape)
    assert (made.n_2q, made.n_1q) == (entanglers, most)
