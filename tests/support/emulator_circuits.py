"""Random circuits in IonQ's JSON and as the emulator's programs, and default.qubit beside them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pennylane as qml
from hypothesis import strategies as st
from support.native_bodies import native_gates

from pennylane_qstore.emulator.simulation.noise import (
    NoiseConfig,
    density_probabilities,
    noisy_gates,
)
from pennylane_qstore.native.gates import NATIVE_GATES
from pennylane_qstore.server.inputs.circuits import read_circuits
from pennylane_qstore.server.inputs.program import Program

ANGLES = st.floats(-7, 7)
QIS_NAMES = (
    "x y z h s si v vi t ti not cnot rx ry rz p swap xx yy zz pauliexp".split()  # noqa: SIM905
)


@st.composite
def qis_circuits(
    draw: Any, qubits: int = 4, names: Sequence[str] = QIS_NAMES
) -> list[dict[str, Any]]:
    out = []
    for _ in range(draw(st.integers(1, 12))):
        order = draw(st.permutations(range(qubits)))
        name = draw(st.sampled_from(names))
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
def native_skeletons(
    draw: Any, qubits: int = 4, names: Sequence[str] = ("gpi", "gpi2", "gpi2", "ms", "zz")
) -> list[tuple[str, list[int]]]:
    out = []
    for _ in range(draw(st.integers(1, 20))):
        name = draw(st.sampled_from(names))
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


def noisy_probabilities(program: Program, noise: NoiseConfig) -> np.ndarray:
    """The distributions [rows, 2**n] after noisy circuits, by density matrix."""
    fused, rates = noisy_gates(program, noise)
    return density_probabilities(fused, program.qubits, rates, program.rows)


def random_program(seed: int, qubits: int = 3, rows: int = 2, gates: int = 12) -> Program:
    rng = np.random.default_rng(seed)
    circuits: list[dict[str, Any]] = [{"circuit": []} for _ in range(rows)]
    for _ in range(gates):
        name = str(rng.choice(["gpi", "gpi2", "gpi2", "ms", "zz"]))
        targets = rng.permutation(qubits)[: 2 if name in ("ms", "zz") else 1].tolist()
        for circuit in circuits:
            circuit["circuit"] += native_gates([(name, targets)], rng)
    (program,) = read_circuits(circuits, gateset="native", qubits=qubits)
    return program


def random_qis_program(seed: int, qubits: int = 3, rows: int = 2, gates: int = 12) -> Program:
    rng = np.random.default_rng(seed)
    circuits: list[dict[str, Any]] = [{"circuit": []} for _ in range(rows)]
    fixed = ["x", "y", "z", "h", "s", "si", "t", "ti", "v", "vi"]
    for _ in range(gates):
        kind = rng.integers(5)
        a, b = rng.permutation(qubits)[:2].tolist()
        gate: dict[str, Any] = {"gate": str(rng.choice(fixed)), "target": a}
        if kind == 1:
            gate["control"] = b
        elif kind == 2:
            gate = {"gate": str(rng.choice(["rx", "ry", "rz", "z"])), "target": a, "rotation": 0}
            gate |= {"controls": [b]} if rng.random() < 0.5 else {}
        elif kind == 3:
            gate = {"gate": str(rng.choice(["xx", "yy", "zz"])), "targets": [a, b], "rotation": 0}
        elif kind == 4:
            gate = {"gate": "swap", "targets": [a, b]}
        for circuit in circuits:
            turned = {"rotation": rng.uniform(-4, 4)} if "rotation" in gate else {}
            circuit["circuit"].append(gate | turned)
    (program,) = read_circuits(circuits, gateset="qis", qubits=qubits)
    return program
