"""Lowering keeps the unitary of every elementary gate, up to a global phase."""

import numpy as np
import pennylane as qml
import pytest
from support.ir_circuits import same, unitary

from pennylane_qstore.native.frontend.affine_fit import affine_program, program_of
from pennylane_qstore.native.frontend.program import ELEMENTARY
from pennylane_qstore.native.frontend.structure import extract_structure
from pennylane_qstore.native.passes.lower import lower
from pennylane_qstore.native.passes.sections import MARKS

rng = np.random.default_rng(5)


GATES = [kind for kind in ELEMENTARY if kind.__name__ not in MARKS]


@pytest.mark.parametrize("gate", [*GATES, "S", "T", "SX"], ids=str)
def test_each_gate(gate):
    if isinstance(gate, str):
        op = qml.adjoint(getattr(qml, gate)(1))
    else:
        wires = [1, 0] if gate.num_wires == 2 else [1]
        op = gate(*rng.uniform(-3, 3, ELEMENTARY[gate]), wires=wires)
    tape = qml.tape.QuantumScript([qml.RY(0.3, 0), op, qml.CNOT([0, 1])])
    wires = {0: 0, 1: 1}
    (piece,) = extract_structure(tape, wires)
    circuit = lower(program_of(piece, wires))
    assert same(unitary(circuit, piece.parameters[0]), qml.matrix(tape, wire_order=[0, 1]))


@pytest.mark.parametrize(
    "op",
    [
        qml.StronglyEntanglingLayers(rng.uniform(-3, 3, (2, 3, 3)), wires=range(3)),
        qml.AngleEmbedding(rng.uniform(-3, 3, 3), wires=range(3), rotation="Y"),
        qml.BasicEntanglerLayers(rng.uniform(-3, 3, (2, 3)), wires=range(3), rotation=qml.RZ),
        qml.IQPEmbedding(rng.uniform(-3, 3, 3), wires=range(3), n_repeats=2),
        qml.PauliRot(0.3, "XYZ", wires=range(3)),
        qml.MultiRZ(0.4, wires=range(3)),
        qml.QFT(range(3)),
        qml.CRot(0.1, 0.2, 0.3, wires=[2, 0]),
        qml.IsingXY(0.7, wires=[0, 2]),
        qml.Toffoli([0, 1, 2]),
        qml.ctrl(qml.RX(0.3, 0), control=[1, 2]),
        qml.adjoint(qml.RX(0.3, 0)),
        qml.StatePrep(np.array([1, 2, 3, 4, 5, 6, 7, 8]) / np.sqrt(204), wires=range(3)),
    ],
    ids=lambda op: op.name,
)
def test_composite_operations(op):
    tape = qml.tape.QuantumScript([op])
    wires = {0: 0, 1: 1, 2: 2}
    (piece,) = extract_structure(tape, wires)
    piece, p = affine_program(piece, wires)
    got = unitary(lower(p), piece.parameters[0])
    want = qml.matrix(tape, wire_order=range(3))
    if op.name == "StatePrep":
        assert abs(abs(np.vdot(got[:, 0], op.state_vector().reshape(-1))) - 1) < 1e-9
    else:
        assert same(got, want)
