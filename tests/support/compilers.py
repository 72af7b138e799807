"""Small circuits for comparing compilers, and compilers that are none."""

import pennylane as qml

from pennylane_qstore.bench.compile_check import Compiled, unitary_gate
from pennylane_qstore.bench.compile_circuits import Circuit


def circuit(name, *operations, wires):
    return Circuit(name, qml.tape.QuantumScript(operations, [qml.probs(wires=range(wires))]))


SMALL = (
    circuit(
        "chain", qml.RY(0.4, 0), qml.CNOT([0, 1]), qml.RX(0.7, 1), qml.CNOT([1, 2]),
        qml.Rot(0.1, 0.2, 0.3, 2), wires=3,
    ),
    circuit("swapped", qml.Hadamard(1), qml.SWAP([0, 1]), qml.T(0), qml.CZ([1, 0]), wires=2),
)  # fmt: skip


def gate_by_gate(family):
    """One ZZ gate for each CNOT, CZ and SWAP's three, whatever the family."""

    def compiled(circuit):
        gates = []
        for op in circuit.elementary.operations:
            for part in op.decomposition() if op.name == "SWAP" else [op]:
                gates += _gates(part)
        return Compiled(len(circuit.tape.wires), tuple(gates))

    return compiled


def _gates(op):
    if len(op.wires) == 1:
        return [unitary_gate(op.matrix(), op.wires[0])]
    a, b = op.wires
    # CZ is a quarter turn of ZZ, and of Z on either side back
    inner = [
        ("zz", (a, b), (0.25,)),
        *(g for q in (a, b) for g in _gates(qml.adjoint(qml.S(q)))),
    ]
    h = _gates(qml.Hadamard(b)) if op.name == "CNOT" else []
    return [*h, *inner, *h]


def wrong(family):
    """Leaves out everything."""
    return lambda circuit: Compiled(len(circuit.tape.wires), ())


def fails(family):
    """Cannot do anything."""

    def compiled(circuit):
        raise ValueError(f"no idea of {circuit.name}")

    return compiled


def endless(family):
    """Ends only with the circuit of the start."""

    def compiled(circuit):
        while len(circuit.tape.wires) > 2:
            pass
        return gate_by_gate(family)(circuit)

    return compiled


def dies(family):
    """Ends its process."""
    raise SystemExit
