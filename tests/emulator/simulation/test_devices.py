"""Programs on PennyLane's devices give what the emulator's own simulation gives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pennylane as qml
from hypothesis import given, settings
from hypothesis import strategies as st
from support.emulator_circuits import native_skeletons, qis_circuits, random_program, read
from support.native_bodies import native_gates

from pennylane_qstore.emulator.simulation.devices import gates_of, operations, run_tape
from pennylane_qstore.emulator.simulation.engines import LIGHTNING
from pennylane_qstore.emulator.simulation.fusion import fuse
from pennylane_qstore.emulator.simulation.statevector import probabilities


@settings(deadline=None, max_examples=10)
@given(qis_circuits(), native_skeletons(), st.integers(0, 2**32))
def test_other_simulators_agree(gates: Any, skeleton: Any, seed: int) -> None:
    native = native_gates(skeleton, np.random.default_rng(seed))
    for gateset, circuit in (("qis", gates), ("native", native)):
        program = read(circuit, gateset, 4)
        expected = probabilities(program)
        np.testing.assert_allclose(
            probabilities(program, simulator="default.qubit"), expected, atol=1e-9
        )


@settings(deadline=None, max_examples=15)
@given(qis_circuits(), native_skeletons(), st.integers(0, 2**32))
def test_large_circuits_go_to_lightning_with_the_same_result(
    gates: Any, skeleton: Any, seed: int
) -> None:
    native = native_gates(skeleton, np.random.default_rng(seed))
    for gateset, circuit in (("qis", gates), ("native", native)):
        program = read(circuit, gateset, 4)
        expected = probabilities(program)
        found = probabilities(program, simulator=LIGHTNING)
        np.testing.assert_allclose(found, expected, atol=1e-9)


@settings(deadline=None, max_examples=20)
@given(qis_circuits())
def test_fused_operations_do_what_the_gates_do(gates: list[dict[str, Any]]) -> None:
    program = read(gates, "qis", 4)
    device = qml.device("default.qubit", wires=4)
    one_by_one = run_tape(device, list(gates_of(program, 0)), 4)
    fused = run_tape(device, operations(fuse(program), 0), 4)
    np.testing.assert_allclose(fused, one_by_one, atol=1e-9)


def test_gates_keep_their_numbers_and_wires() -> None:
    gates = [
        {"gate": "rz", "target": 2, "rotation": 0.5},
        {"gate": "cnot", "control": 0, "target": 1},
        {"gate": "swap", "targets": [1, 2]},
    ]
    rz, cnot, swap = gates_of(read(gates, "qis", 3), 0)
    assert (rz.name, rz.data, rz.wires.tolist()) == ("RZ", (0.5,), [2])
    assert (cnot.name, cnot.wires.tolist()) == ("CNOT", [0, 1])
    assert (swap.name, swap.wires.tolist()) == ("SWAP", [1, 2])


def test_each_row_has_its_own_numbers() -> None:
    program = random_program(3, rows=2)
    device = qml.device("default.qubit", wires=3)
    for row, expected in enumerate(probabilities(program)):
        found = run_tape(device, list(gates_of(program, row)), 3)
        np.testing.assert_allclose(found, expected, atol=1e-9)


def test_bit_k_of_a_devices_outcome_is_qubit_k() -> None:
    p = run_tape(qml.device("default.qubit", wires=3), [qml.X(2)], 3)
    assert p.argmax() == 4
