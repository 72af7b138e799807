"""The circuits that compilers are compared on, built in or read from files."""

import numpy as np
import pennylane as qml
import pytest

from pennylane_qstore.bench.compile_circuits import (
    _by_emulator,
    default_circuits,
    read_circuits,
)
from pennylane_qstore.errors import ConfigurationError

QASM = """// a comment
OPENQASM 2.0;
include "qelib1.inc";
gate pair(a) x, y { rz(a / 2) x; cx x, y; }
qreg q[2];
qreg r[1];
creg c[3];
u2(0.1, pi/2) q[0];
h r;
pair(0.3) r[0], q[1];
barrier q;
u1(0.7) r[0];
cu1(0.4) q[0], q[1];
cu3(0.1, 0.2, 0.3) q[1], r[0];
measure q[0] -> c[0];
"""


def probabilities(tape):
    return qml.execute([tape], qml.device("default.qubit"))[0]


def test_elementary_gates_have_the_outcomes_of_the_tape():
    circuits = [c for c in default_circuits() if len(c.tape.wires) <= 5]
    assert len(circuits) > 5
    for circuit in circuits:
        np.testing.assert_allclose(
            probabilities(circuit.elementary), probabilities(circuit.tape), atol=1e-9
        )


def test_there_are_some_twenty_circuits_always_the_same():
    circuits = default_circuits()
    assert len({c.name for c in circuits}) == len(circuits) >= 20
    assert max(len(c.tape.wires) for c in circuits) == 10
    for circuit, again in zip(circuits, default_circuits(), strict=True):
        assert qml.equal(circuit.tape, again.tape)
    constants = {c.name for c in circuits if not c.tape.trainable_params}
    assert "QFT 8q" in constants
    assert "UCCSD 4q" not in constants


def test_files_are_read(tmp_path):
    (tmp_path / "b.qasm").write_text(QASM)
    (tmp_path / "a.qasm").write_text('OPENQASM 2.0;\ninclude "qelib1.inc";\nqreg q[1];\nx q[0];')
    (tmp_path / "notes.txt").write_text("no circuit")
    a, b = read_circuits(tmp_path)
    assert (a.name, b.name) == ("a", "b")
    np.testing.assert_allclose(probabilities(a.tape), [0, 1])
    assert not b.tape.trainable_params
    assert b.tape.wires.tolist() == [0, 1, 2] or set(b.tape.wires) == {0, 1, 2}


def test_without_pennylane_qiskit_the_emulator_reads_the_same_gates():
    tape = qml.tape.QuantumScript(_by_emulator(QASM))
    with qml.queuing.QueuingManager.stop_recording():
        wanted = [
            *(qml.U2(0.1, np.pi / 2, 0), qml.H(2), qml.RZ(0.15, 2), qml.CNOT([2, 1])),
            *(qml.PhaseShift(0.7, 2), qml.ControlledPhaseShift(0.4, [0, 1])),
            qml.ctrl(qml.U3(0.1, 0.2, 0.3, 2), 1),
        ]
    unitary = qml.matrix(tape, wire_order=range(3))
    overlap = np.vdot(qml.matrix(qml.tape.QuantumScript(wanted), wire_order=range(3)), unitary)
    assert abs(overlap) / 8 == pytest.approx(1)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("OPENQASM 2.0;\nqreg q[1];\nx q[0]\n", ""),
        ("hello", "OPENQASM 2"),
        ('OPENQASM 2.0;\ninclude "qelib1.inc";\nqreg q[1];\nnothing q[0];\n', "nothing"),
        ("OPENQASM 2.0;\nqreg q[1];\n", "0 qubits"),
        ('OPENQASM 2.0;\ninclude "qelib1.inc";\nqreg q[13];\nx q;\n', "13 qubits"),
    ],
)
def test_a_bad_file_is_named(tmp_path, text, reason):
    (tmp_path / "good.qasm").write_text(QASM)
    (tmp_path / "bad.qasm").write_text(text)
    with pytest.raises(ConfigurationError, match=r"bad\.qasm cannot be compared") as error:
        read_circuits(tmp_path)
    assert reason in str(error.value)


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(ConfigurationError, match="no file"):
        read_circuits(tmp_path)
