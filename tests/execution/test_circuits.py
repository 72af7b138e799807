"""Tapes become circuits: stacked over the batch, compiled once, each in its place."""

from __future__ import annotations

import numpy as np
import orjson
import pennylane as qml
import pytest

from pennylane_qstore.execution.circuits import compile_circuits, plan_tape
from pennylane_qstore.execution.options import Options
from pennylane_qstore.execution.stats import BatchMeter
from pennylane_qstore.native.cache import SmartCircuitCache


def tape(angle, *measurements, shots=10):
    operations = [qml.RX(angle, 0), qml.CNOT([0, 1])]
    return qml.tape.QuantumScript(operations, measurements or [qml.expval(qml.Z(1))], shots=shots)


def compiled(tapes, cache=None, **options):
    cache = SmartCircuitCache() if cache is None else cache
    target = Options.of({"absorb": False, **options}).target
    plans = [plan_tape(t, [0, 1], cache) for t in tapes]
    return compile_circuits(plans, target, cache, BatchMeter())


def rounded(text):
    """Gates of a circuit, phases and angles to 1e-12 turns."""
    return [
        {name: round(v, 12) if isinstance(v, float) else v for name, v in gate.items()}
        for gate in orjson.loads(text)
    ]


def test_circuits_stand_tape_by_tape_and_basis_by_basis():
    two_bases = tape(np.array([0.1, 0.2]), qml.expval(qml.Z(0)), qml.expval(qml.X(0)))
    circuits = compiled([tape(0.3), two_bases])
    assert [t.number for t in circuits.measured] == [0, 1, 1]
    assert [list(t.positions) for t in circuits.measured] == [[0], [1, 2], [3, 4]]
    assert len(circuits.encoded) == len(circuits.gates) == 5
    assert [len(orjson.loads(text)) for text in circuits.encoded] == circuits.gates


def test_a_batch_has_the_circuits_of_its_tapes_alone():
    tapes = [tape(x) for x in (0.3, 1.1, -2.0)]
    together = compiled(tapes)
    for text, alone in zip(together.encoded, tapes, strict=True):
        assert rounded(text) == rounded(compiled([alone]).encoded[0])
    assert together.qubits == 2


def test_a_structure_is_compiled_once():
    cache = SmartCircuitCache()
    compiled([tape(x) for x in np.linspace(0, 1, 5)], cache)
    assert cache.get_stats()["template_misses"] == 3  # measurements, program, template


@pytest.mark.parametrize("gateset", ["native", "qis"])
def test_circuits_are_written_in_the_gates_of_the_target(gateset):
    names = {g["gate"] for g in orjson.loads(compiled([tape(0.3)], gateset=gateset).encoded[0])}
    assert names <= ({"gpi", "gpi2", "zz"} if gateset == "native" else {"rx", "cnot", "rz", "ry"})


def test_wires_beyond_the_devices_are_numbered_after_them():
    script = qml.tape.QuantumScript([qml.CNOT(["ancilla", 1])], [qml.expval(qml.Z(1))])
    assert plan_tape(script, [0, 1], SmartCircuitCache()).wires == {0: 0, 1: 1, "ancilla": 2}
    assert plan_tape(script, None, SmartCircuitCache()).wires.keys() == {"ancilla", 1}


@pytest.mark.parametrize(("rows", "searched"), [(64, True), (65, False)])
def test_many_unitaries_are_compiled_without_a_search_for_each(rows, searched):
    angles = np.linspace(0, 1, rows)
    unitaries = qml.IsingXX(angles, [0, 1]).matrix()
    tape = qml.tape.QuantumScript([qml.QubitUnitary(unitaries, [0, 1])], [qml.expval(qml.Z(0))])
    plan = plan_tape(tape, [0, 1], SmartCircuitCache())
    assert plan.searched == searched
    same_structure = qml.tape.QuantumScript([qml.RX(angles, 0)], [qml.expval(qml.Z(0))])
    assert plan_tape(same_structure, [0], SmartCircuitCache()).searched


def test_rows_are_assigned_whatever_their_layout_in_memory():
    x = np.linspace(0.1, 1.2, 4)
    operations = [qml.RX(x, 0), qml.IsingXX(0.8, [0, 1]), qml.CRY(0.7, [0, 1])]
    noisy = {"noise_model": "forte-1", "symmetrize": True}
    broadcast = qml.tape.QuantumScript(operations, [qml.expval(qml.Z(1))], shots=10)
    assert len(compiled([broadcast], **noisy).measured[0].readouts) == 4
