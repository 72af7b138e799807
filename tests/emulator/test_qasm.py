"""The OpenQASM 3 subset, against PennyLane's simulation."""

from __future__ import annotations

import numpy as np
import pennylane as qml
import pytest

from pennylane_qstore.emulator.circuits import BadRequest, read_circuits
from pennylane_qstore.emulator.qasm import read_qasm
from pennylane_qstore.emulator.simulate import probabilities

from .conftest import Wire

pytest.importorskip("openqasm3")
HEAD = 'OPENQASM 3.0; include "stdgates.inc"; qubit[3] q; bit[2] c;'


def found(text: str) -> np.ndarray:
    (program,) = read_circuits([read_qasm(HEAD + text)], gateset="qis")
    return probabilities(program)[0]


def expected(*ops: qml.operation.Operator) -> np.ndarray:
    tape = qml.tape.QuantumScript(list(ops), [qml.probs(wires=[2, 1, 0])])
    (result,) = qml.execute([tape], qml.device("default.qubit"))
    return np.asarray(result)


@pytest.mark.parametrize(
    ("text", "ops"),
    [
        ("h q[0]; cx q[0], q[1];", [qml.Hadamard(0), qml.CNOT([0, 1])]),
        ("h q;", [qml.Hadamard(w) for w in range(3)]),
        ("rx(pi/4) q[0]; ry(-2*0.3) q[1];", [qml.RX(np.pi / 4, 0), qml.RY(-0.6, 1)]),
        ("const float a = 0.5; rx(a**2) q[-1];", [qml.RX(0.25, 2)]),
        (
            "h q[0]; p(0.7) q[0]; h q[0];",
            [qml.Hadamard(0), qml.PhaseShift(0.7, 0), qml.Hadamard(0)],
        ),
        (
            "h q[1]; inv @ s q[1]; h q[1];",
            [qml.Hadamard(1), qml.adjoint(qml.S(1)), qml.Hadamard(1)],
        ),
        ("x q[0]; ctrl @ ry(0.4) q[0], q[2];", [qml.X(0), qml.CRY(0.4, [0, 2])]),
        (
            "h q; ctrl(2) @ x q[0], q[1], q[2];",
            [*map(qml.Hadamard, range(3)), qml.Toffoli([0, 1, 2])],
        ),
        ("h q; ccx q[0], q[1], q[2];", [*map(qml.Hadamard, range(3)), qml.Toffoli([0, 1, 2])]),
        ("U(0.1, 0.2, 0.3) q[0]; h q[0];", [qml.U3(0.1, 0.2, 0.3, 0), qml.Hadamard(0)]),
        ("h q[0]; u2(0.2, 0.3) q[0];", [qml.Hadamard(0), qml.U2(0.2, 0.3, 0)]),
        (
            "h q[0]; inv @ U(0.1, 0.2, 0.3) q[0];",
            [qml.Hadamard(0), qml.adjoint(qml.U3(0.1, 0.2, 0.3, 0))],
        ),
        ("rx(0.3) q[0]; swap q[0], q[2]; id q[0];", [qml.RX(0.3, 0), qml.SWAP([0, 2])]),
        (
            "h q[0]; crx(0.4) q[0], q[1]; cp(0.2) q[0], q[1]; barrier q; sx q[1];",
            [
                qml.Hadamard(0),
                qml.CRX(0.4, [0, 1]),
                qml.ControlledPhaseShift(0.2, [0, 1]),
                qml.SX(1),
            ],
        ),
    ],
)
def test_gates_agree_with_pennylane(text: str, ops: list[qml.operation.Operator]) -> None:
    np.testing.assert_allclose(found(text), expected(*ops), atol=1e-12)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("h q[0]", "cannot be parsed"),
        ("h $0;", "physical qubits"),
        ("h q[7];", "does not exist"),
        ("h r[0];", "no qubit register"),
        ("reset q[0];", "not supported"),
        ("if (c[0]) x q[0];", "not supported"),
        ("c[0] = measure q[0]; x q[0];", "after its measurement"),
        ("c = measure q;", "3 qubit"),
        ("foo q[0];", "'foo'"),
        ("rx q[0];", "takes 1"),
        ("rx(1/0) q[0];", "cannot be evaluated"),
        ("pow(2) @ x q[0];", "modifier"),
        ("qubit[100] r;", "more than 64"),
        ("gate g a { h a; } g q[0];", "not supported"),
        ("x q[0]; ctrl @ U(1,1,1) q[0], q[1];", "controls"),
    ],
)
def test_what_ionq_does_not_take_is_refused(text: str, says: str) -> None:
    with pytest.raises(BadRequest, match=says):
        read_qasm(HEAD + text)


def test_a_job_with_registers(wire: Wire) -> None:
    text = HEAD + "x q[2]; c[0] = measure q[2]; c[1] = measure q[0];"
    body = {
        "type": "ionq.qasm3.v1",
        "backend": "simulator",
        "noise": {"model": "aria-1"},
        "shots": 20,
        "input": {"data": text, "qubits": 3},
    }
    job_id = wire("POST", "/jobs", body).json["id"]
    job = wire.done(job_id)
    assert (job["type"], job["stats"]["qubits"]) == ("ionq.qasm3.v1", 3)
    shots = wire("GET", f"/jobs/{job_id}/artifacts/ionq.result.shots.json.v2").json["shots"]
    assert sum(s["registers"]["c"] == [1, 0] for s in shots) > 15
    assert wire("POST", "/jobs", body | {"input": {"data": "nonsense"}}).status == 400
    assert wire("POST", "/jobs", body | {"input": {}}).status == 400
