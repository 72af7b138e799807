"""Cost of a circuit once its structure is known, beside doing without templates.

    pytest -m benchmark tests/benchmarks/test_bind.py -s

StronglyEntanglingLayers on 4 qubits with 2 layers. Each pair is measured in turns in one run:
binding beside compiling every row, and JSON from arrays beside a dictionary per gate. Only
ratios are asserted, with much room.
"""

import json
import statistics
import time

import numpy as np
import pennylane as qml
import pytest

from pennylane_qstore.gateset import NATIVE
from pennylane_qstore.ionq.messages.job_request import encode_circuits
from pennylane_qstore.native.frontend.affine_fit import affine_program
from pennylane_qstore.native.frontend.program import bind_constants
from pennylane_qstore.native.frontend.structure import extract_structure
from pennylane_qstore.native.pipeline import compile_program

pytestmark = pytest.mark.benchmark
WIRES, LAYERS = 4, 2
FEW = 10
"""Rows compiled one by one."""


def template(family, absorb):
    wires = {i: i for i in range(WIRES)}
    weights = np.ones((LAYERS, WIRES, 3))
    tape = qml.tape.QuantumScript([qml.StronglyEntanglingLayers(weights, range(WIRES))])
    _, program = affine_program(extract_structure(tape, wires)[0], wires)
    made = compile_program(program, measured=range(WIRES), family=family, absorb=absorb)
    return made, program


def compiled_one_by_one(program, family, absorb, rows):
    options = {"family": family, "absorb": absorb, "optimize_fidelity": False}
    return [
        compile_program(bind_constants(program, row[None]), measured=range(WIRES), **options)
        for row in rows
    ]


def dictionaries(block):
    """The plain way to a body: a dictionary per gate."""
    bodies = []
    for row in block.params.tolist():
        gates, slot = [], 0
        for name, on in block.gates:
            values = row[slot : slot + NATIVE[name].slots]
            slot += NATIVE[name].slots
            if name == "ms":
                gate = {"targets": list(on), "phases": values[:2], "angle": values[2]}
            elif name == "zz":
                gate = {"targets": list(on), "angle": values[0]}
            else:
                gate = {"target": on[0], "phase": values[0]}
            gates.append({"gate": name, **gate})
        bodies.append(json.dumps(gates))
    return bodies


def seconds(work):
    start = time.perf_counter()
    made = work()
    return time.perf_counter() - start, made


@pytest.mark.parametrize("family", ["ms", "zz"])
@pytest.mark.parametrize("absorb", [False, True])
def test_binding_beside_compiling_and_json_beside_dictionaries(family, absorb):
    made, program = template(family, absorb)
    rng = np.random.default_rng(7)
    kept = "outcomes" if absorb else "unitary"
    print(f"\n{family}, {kept} kept: {made.entanglers} entanglers, {made.pulses} pulses")
    print(" rows    bind   compile    JSON   dictionaries    us a circuit, medians")
    for rows in (1, 20, 200, 2000):
        parameters = rng.uniform(-3, 3, (rows, program.parameters))
        few = parameters[:FEW]
        bind, compiled, arrays, plain = [], [], [], []
        for _ in range(max(5, 400 // rows)):
            took, batch = seconds(lambda p=parameters: made.bind(p))
            bind.append(took / rows)
            took, ours = seconds(lambda b=batch: [encoded(block) for block in b.blocks])
            arrays.append(took / rows)
            took, theirs = seconds(lambda b=batch: [dictionaries(block) for block in b.blocks])
            plain.append(took / rows)
        for _ in range(3):
            took, _ = seconds(lambda f=few: compiled_one_by_one(program, family, absorb, f))
            compiled.append(took / len(few))
        medians = [1e6 * statistics.median(times) for times in (bind, compiled, arrays, plain)]
        print(f"{rows:5d} {medians[0]:7.2f} {medians[1]:9.1f} {medians[2]:7.2f} {medians[3]:14.2f}")
        for one, other in zip(ours, theirs, strict=True):
            assert json.loads(one[0]) == json.loads(other[0])
        assert medians[0] < medians[1] / 5
        if rows >= 20:
            assert medians[2] < medians[3]


def encoded(block):
    return encode_circuits(block.gates, block.params)
