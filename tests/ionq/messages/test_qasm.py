"""Circuits as OpenQASM 3: the same distributions as the JSON that they are written from."""

from __future__ import annotations

import numpy as np
import orjson
import pytest

from pennylane_qstore.emulator.simulation.statevector import probabilities
from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.gateset import QIS
from pennylane_qstore.ionq.messages.qasm import qasm_text
from pennylane_qstore.server.inputs.circuits import read_circuits
from pennylane_qstore.server.inputs.qasm import read_qasm

pytest.importorskip("openqasm3")
QUBITS = 3


def found(circuit):
    (program,) = read_circuits([circuit], gateset="qis")
    return probabilities(program)[0]


def gate(name, rng):
    targets = list(map(int, rng.permutation(QUBITS)))
    spec = QIS[name]
    numbers = rng.uniform(-7, 7, spec.slots) * rng.choice([1, 1e-6], spec.slots)
    controls = targets[2:] if name == "cnot" else []
    return spec.to_json(targets[: spec.targets], numbers.tolist(), controls)


@pytest.mark.parametrize("name", QIS)
def test_every_gate_plays_the_same(name):
    rng = np.random.default_rng(len(name) + ord(name[0]))
    gates = [gate(other, rng) for other in rng.choice([*QIS], 8)]
    gates = [*gates, gate(name, rng), *(gate(other, rng) for other in rng.choice([*QIS], 8))]
    program = read_qasm(qasm_text(orjson.dumps(gates), QUBITS))
    assert program["registers"] == {"c": [0, 1, 2]}
    assert program["recorded"] == 0
    expected = found({"circuit": gates, "qubits": QUBITS})
    np.testing.assert_allclose(found(program), expected, atol=1e-9)


def test_the_text_is_plain():
    gates = [QIS["rx"].to_json([0], [1e-7]), QIS["cnot"].to_json([1], [], [0])]
    assert qasm_text(orjson.dumps(gates), 2).split("\n") == [
        "OPENQASM 3.0;", 'include "stdgates.inc";', "qubit[2] q;", "bit[2] c;",
        "rx(1e-07) q[0];", "cx q[0], q[1];", "c[0] = measure q[0];", "c[1] = measure q[1];",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "gate",
    [
        {"gate": "gpi", "target": 0, "phase": 0.5},
        {"gate": "zz", "targets": [0, 1], "angle": 0.25},
        {"gate": "x", "target": 0, "controls": [1]},
    ],
)
def test_another_gate_is_refused(gate):
    with pytest.raises(ConfigurationError, match="gateset='qis'"):
        qasm_text(orjson.dumps([gate]), 2)
