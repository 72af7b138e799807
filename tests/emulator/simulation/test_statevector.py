"""Simulation equals PennyLane's own, for random circuits in every gateset."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pennylane as qml
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.native_bodies import native_gates

from pennylane_qstore.emulator.simulation import statevector as simulate
from pennylane_qstore.emulator.simulation.native_circuit import native_circuit
from pennylane_qstore.emulator.simulation.noise import NoiseConfig
from pennylane_qstore.emulator.simulation.run import SimulationOptions, run
from pennylane_qstore.emulator.simulation.statevector import compact, probabilities, spread
from pennylane_qstore.native.gates import NATIVE_GATES
from pennylane_qstore.server.inputs.circuits import read_circuits
from pennylane_qstore.server.inputs.program import Program

ANGLES = st.floats(-7, 7)
QIS_NAMES = (
    "x y z h s si v vi t ti not cnot rx ry rz p swap xx yy zz pauliexp".split()  # noqa: SIM905
)


@st.composite
def qis_circuits(draw: Any, qubits: int = 4) -> list[dict[str, Any]]:
    out = []
    for _ in range(draw(st.integers(1, 12))):
        order = draw(st.permutations(range(qubits)))
        name = draw(st.sampled_from(QIS_NAMES))
        size = 2 if name in ("swap", "xx", "yy", "zz", "pauliexp") else 1
        count = draw(st.integers(1 if name == "cnot" else 0, qubits - size))
        gate: dict[str, Any] = {"gate": "z" if name == "p" else name, "targets": order[:size]}
        if count:
            gate["controls"] = order[size : size + count]
        if name in ("rx", "ry", "rz", "p", "xx", "yy", "zz"):
            gate["rotation"] = draw(ANGLES)
        if name == "pauliexp":
            terms = draw(st.lists(st.text("IXYZ", min_size=2, max_size=2), min_size=1, max_size=3))
            gate |= {
                "terms": terms,
                "coefficients": [draw(st.floats(-2, 2)) for _ in terms],
                "time": draw(st.floats(0, 2)),
            }
        out.append(gate)
    return out


@st.composite
def native_skeletons(draw: Any, qubits: int = 4) -> list[tuple[str, list[int]]]:
    out = []
    for _ in range(draw(st.integers(1, 20))):
        name = draw(st.sampled_from(["gpi", "gpi2", "gpi2", "ms", "zz"]))
        order = draw(st.permutations(range(qubits)))
        out.append((name, order[: 2 if name in ("ms", "zz") else 1]))
    return out


PLAIN: dict[str, Any] = {
    "x": qml.X,
    "not": qml.X,
    "cnot": qml.X,
    "y": qml.Y,
    "z": qml.Z,
    "h": qml.Hadamard,
    "s": qml.S,
    "t": qml.T,
    "v": qml.SX,
    "swap": qml.SWAP,
    "si": lambda wires: qml.adjoint(qml.S(wires)),
    "ti": lambda wires: qml.adjoint(qml.T(wires)),
    "vi": lambda wires: qml.adjoint(qml.SX(wires)),
}
TURNING = {
    "rx": qml.RX,
    "ry": qml.RY,
    "rz": qml.RZ,
    "z": qml.PhaseShift,
    "xx": qml.IsingXX,
    "yy": qml.IsingYY,
    "zz": qml.IsingZZ,
}


def reference(gates: list[dict[str, Any]], qubits: int) -> np.ndarray:
    """default.qubit, gate by gate from the JSON, with a table of its own."""
    ops = []
    for gate in gates:
        name, targets = gate["gate"], gate["targets"]
        theta = gate.get("rotation")
        if name == "pauliexp":
            hamiltonian = sum(
                c
                * np.kron(
                    *(qml.matrix(getattr(qml, p)(0)) if p != "I" else np.eye(2) for p in term)
                )
                for term, c in zip(gate["terms"], gate["coefficients"], strict=True)
            )
            values, vectors = np.linalg.eigh(hamiltonian)
            matrix = (vectors * np.exp(-1j * gate["time"] * values)) @ vectors.conj().T
            op: Any = qml.QubitUnitary(matrix, wires=targets[::-1])
        elif name in NATIVE_GATES and theta is None:
            numbers = (
                [gate["phase"]] if "phase" in gate else [*gate.get("phases", ()), gate["angle"]]
            )
            op = NATIVE_GATES[name](*numbers, wires=targets)
        else:
            op = PLAIN[name](targets) if theta is None else TURNING[name](theta, targets)
        ops.append(qml.ctrl(op, gate["controls"]) if gate.get("controls") else op)
    tape = qml.tape.QuantumScript(ops, [qml.probs(wires=range(qubits)[::-1])])
    (result,) = qml.execute([tape], qml.device("default.qubit"))
    return np.asarray(result)


def read(gates: list[dict[str, Any]], gateset: str, qubits: int) -> Program:
    (program,) = read_circuits([{"circuit": gates}], gateset=gateset, qubits=qubits)
    return program


@settings(deadline=None, max_examples=60)
@given(qis_circuits())
def test_qis_circuits_agree_with_default_qubit(gates: list[dict[str, Any]]) -> None:
    found = probabilities(read(gates, "qis", 4))[0]
    np.testing.assert_allclose(found, reference(gates, 4), atol=1e-9)


@settings(deadline=None, max_examples=15)
@given(qis_circuits())
def test_compiled_circuits_agree_in_both_families(gates: list[dict[str, Any]]) -> None:
    program = read(gates, "qis", 4)
    for family in ("zz", "ms"):
        compiled = native_circuit(program, 0, family)
        assert {g["gate"] for g in compiled} <= {"gpi", "gpi2", family}
        found = probabilities(read(compiled, "native", 4))[0] if compiled else np.eye(16)[0]
        np.testing.assert_allclose(found, reference(gates, 4), atol=1e-7)


@settings(deadline=None, max_examples=40)
@given(native_skeletons(), st.integers(0, 2**32))
def test_rows_of_native_circuits_agree_with_default_qubit(skeleton: Any, seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = [native_gates(skeleton, rng) for _ in range(5)]
    (program,) = read_circuits([{"circuit": r} for r in rows], gateset="native", qubits=4)
    assert program.rows == 5
    found = probabilities(program)
    for row, gates in zip(found, rows, strict=True):
        np.testing.assert_allclose(row, reference(gates, 4), atol=1e-9)


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
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(simulate, "LARGE", 1)
            np.testing.assert_allclose(probabilities(program), expected, atol=1e-9)


def test_a_long_pauli_string_needs_no_matrix() -> None:
    """exp(-i t X..X) on 12 qubits: |0..0> goes to cos t |0..0> - i sin t |1..1>."""
    gate = {
        "gate": "pauliexp",
        "targets": list(range(12)),
        "terms": ["X" * 12, "Y" * 12],
        "coefficients": [0.5, 0.25],
        "time": 1.0,
    }
    p = probabilities(read([gate], "qis", 12))[0]
    # Y..Y|0..0> = i^12 |1..1>, so both strings move the same pair of states
    assert p[[0, -1]] == pytest.approx([np.cos(0.75) ** 2, np.sin(0.75) ** 2])


def test_twenty_qubits() -> None:
    gates = [{"gate": "h", "target": 0}]
    gates += [{"gate": "cnot", "control": q, "target": q + 1} for q in range(19)]
    (result,) = run([read(gates, "qis", 20)], SimulationOptions(), 0)
    assert result.probabilities() == pytest.approx({"0": 0.5, str(2**20 - 1): 0.5})


def test_bit_k_of_a_state_is_qubit_k() -> None:
    assert probabilities(read([{"gate": "x", "target": 2}], "qis", 3))[0].argmax() == 4


def test_idle_qubits_cost_nothing_and_are_zero() -> None:
    gates = [{"gate": "x", "target": 3}, {"gate": "h", "target": 28}]
    program = read(gates, "qis", 29)
    small, used = compact(program)
    assert (small.qubits, used) == (2, (3, 28))
    (result,) = run([program], SimulationOptions(), 0)
    assert result.probabilities() == pytest.approx({"8": 0.5, str(8 + 2**28): 0.5})


def test_spread_moves_bit_k_to_the_kth_used_qubit() -> None:
    states = np.arange(8, dtype=np.uint64)
    expected = [sum(1 << q for k, q in enumerate((1, 4, 6)) if i >> k & 1) for i in range(8)]
    assert spread(states, (1, 4, 6)).tolist() == expected


def test_a_circuit_without_gates_gives_zero() -> None:
    (result,) = run([read([], "qis", 3)], SimulationOptions(), 0)
    assert result.probabilities() == {"0": 1.0}


def test_a_machine_that_is_too_small_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulate, "_free_memory", lambda: 32 * 2**14)
    circuit = [{"gate": "h", "target": q} for q in range(15)]
    (fits,) = read_circuits([{"circuit": circuit[:14]}], gateset="qis")
    assert probabilities(fits).shape == (1, 2**14)
    (program,) = read_circuits([{"circuit": circuit}], gateset="qis")
    with pytest.raises(MemoryError, match="15 qubits"):
        probabilities(program)
    with pytest.raises(MemoryError, match="15 qubits"):
        run([program], SimulationOptions(NoiseConfig(0.1, 0.1), shots=3), 1)


def test_a_large_state_takes_the_memory_that_is_reckoned_with() -> None:
    """22 qubits: a state and its probabilities, at most twice, beside what was there before."""
    script = """
import resource
from pennylane_qstore.server.inputs.circuits import read_circuits
from pennylane_qstore.emulator.simulation.run import SimulationOptions, run
def ghz(n):
    gates = [{"gate": "h", "target": 0}]
    gates += [{"gate": "cnot", "control": q, "target": q + 1} for q in range(n - 1)]
    return read_circuits([{"circuit": gates}], gateset="qis")
run(ghz(14), SimulationOptions(), 1)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
(result,) = run(ghz(22), SimulationOptions(), 1)
assert result.probabilities().keys() == {"0", str(2**22 - 1)}
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 34 * 2**22
