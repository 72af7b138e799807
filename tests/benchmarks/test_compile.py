"""Native gates and compile time beside other compilers, paired in one run.

    pytest -m benchmark tests/benchmarks/test_compile.py -s

Rivals take part when they are installed: qiskit-ionq (transpile to its native gates, level 3),
cirq-ionq (its native gatesets), pytket (FullPeepholeOptimise to ZZPhase, its rotations counted
as pulses with virtual Z). Only counts are asserted, never a time.
"""

import importlib.util
import statistics
import time
from typing import NamedTuple

import numpy as np
import pennylane as qml
import pytest

from pennylane_qstore import IonQNativeGateCompiler

pytestmark = pytest.mark.benchmark
ROUNDS = 3


class Cost(NamedTuple):
    """Entanglers, their angle in full gates, pulses, and the median of compile times."""

    pairs: int
    angle: float
    pulses: int
    time_ms: float = 0.0

    def __str__(self):
        return f"{self.pairs:4d} {self.angle:7.2f} {self.pulses:5d} {self.time_ms:9.1f}"


# --- circuits ------------------------------------------------------------------------------


def hardware_efficient(wires, layers, rng):
    ops = []
    for _ in range(layers):
        ops += [qml.RY(rng.uniform(-3, 3), q) for q in range(wires)]
        ops += [qml.CNOT([q, (q + 1) % wires]) for q in range(wires)]
    return ops


def strongly_entangling(wires, layers, rng):
    weights = rng.uniform(-3, 3, (layers, wires, 3))
    ops = []
    for op in qml.StronglyEntanglingLayers(weights, range(wires)).decomposition():
        ops += op.decomposition() if op.name == "Rot" else [op]
    return ops


def qaoa(wires, layers, rng):
    ops = [qml.Hadamard(q) for q in range(wires)]
    edges = {tuple(sorted((q, (q + step) % wires))) for q in range(wires) for step in (1, 3)}
    for _ in range(layers):
        gamma, beta = rng.uniform(0.2, 1.2, 2)
        for a, b in sorted(edges):
            ops += [qml.CNOT([a, b]), qml.RZ(gamma, b), qml.CNOT([a, b])]
        ops += [qml.RX(beta, q) for q in range(wires)]
    return ops


def fourier(wires):
    ops = []
    for q in range(wires):
        ops.append(qml.Hadamard(q))
        for k in range(q + 1, wires):
            half = np.pi / 2 ** (k - q + 1)
            ops += [qml.RZ(half, k), qml.CNOT([k, q]), qml.RZ(-half, q), qml.CNOT([k, q])]
            ops.append(qml.RZ(half, q))
    return ops


def toffolis(wires, count, rng):
    ops = []
    for _ in range(count):
        a, b, c = (int(q) for q in rng.permutation(wires)[:3])
        ops += [*qml.Toffoli([a, b, c]).decomposition(), qml.CNOT([c, a])]
    return ops


def clifford_and_t(wires, count, rng):
    ops = []
    for _ in range(count):
        a, b = (int(q) for q in rng.permutation(wires)[:2])
        ops.append((qml.CNOT([a, b]), qml.Hadamard(a), qml.T(a), qml.S(b))[int(rng.integers(4))])
    return ops


def circuits():
    rng = np.random.default_rng(7)
    return {
        "hardware efficient 4q 4L": hardware_efficient(4, 4, rng),
        "hardware efficient 8q 2L": hardware_efficient(8, 2, rng),
        "strongly entangling 4q 2L": strongly_entangling(4, 2, rng),
        "strongly entangling 8q 2L": strongly_entangling(8, 2, rng),
        "qaoa 6q 2L": qaoa(6, 2, rng),
        "fourier 6q": fourier(6),
        "toffolis 5q": toffolis(5, 5, rng),
        "clifford and T 5q": clifford_and_t(5, 80, rng),
    }


# --- compilers -----------------------------------------------------------------------------


def ours(family, **options):
    def compiled(tape):
        made = IonQNativeGateCompiler(family, absorb=False, **options).compile(tape)
        return Cost(made.n_2q, made.entangling, made.n_1q)

    return compiled


def qiskit_ionq(family):
    from qiskit import QuantumCircuit, transpile
    from qiskit.circuit import Parameter
    from qiskit.transpiler import Target
    from qiskit_ionq import GPI2Gate, GPIGate, MSGate, ZZGate
    from qiskit_ionq.ionq_equivalence_library import add_equivalences

    add_equivalences()
    phases = [Parameter(name) for name in "abc"]
    target = Target(num_qubits=8)
    target.add_instruction(GPIGate(phases[0]), {(q,): None for q in range(8)})
    target.add_instruction(GPI2Gate(phases[0]), {(q,): None for q in range(8)})
    pair = MSGate(*phases) if family == "ms" else ZZGate(phases[0])
    target.add_instruction(pair, {(a, b): None for a in range(8) for b in range(8) if a != b})

    def compiled(tape):
        source = QuantumCircuit.from_qasm_str(qml.to_openqasm(tape, measure_all=False))
        made = transpile(source, target=target, optimization_level=3, seed_transpiler=1)
        counts = made.count_ops()
        pairs = counts.get(family, 0)
        return Cost(pairs, float(pairs), counts.get("gpi", 0) + counts.get("gpi2", 0))

    return compiled


def cirq_ionq(family):
    import cirq
    from cirq_ionq import AriaNativeGateset, ForteNativeGateset

    gateset = AriaNativeGateset() if family == "ms" else ForteNativeGateset()
    fixed = {"Hadamard": cirq.H, "S": cirq.S, "T": cirq.T, "Adjoint(T)": cirq.T**-1}
    fixed["CNOT"] = cirq.CNOT
    turned = {"RX": cirq.rx, "RY": cirq.ry, "RZ": cirq.rz}

    def compiled(tape):
        source = cirq.Circuit(
            (turned[op.name](*op.data) if op.data else fixed[op.name]).on(
                *map(cirq.LineQubit, op.wires)
            )
            for op in tape.operations
        )
        made = list(cirq.optimize_for_target_gateset(source, gateset=gateset).all_operations())
        pairs = sum(len(op.qubits) == 2 for op in made)
        return Cost(pairs, float(pairs), len(made) - pairs)

    return compiled


def pytket(family):
    from pytket.circuit import OpType
    from pytket.passes import AutoRebase, FullPeepholeOptimise, SequencePass, SquashRzPhasedX
    from pytket.qasm import circuit_from_qasm_str

    passes = SequencePass(
        [
            FullPeepholeOptimise(target_2qb_gate=OpType.TK2),
            AutoRebase({OpType.ZZPhase, OpType.Rz, OpType.PhasedX}),
            SquashRzPhasedX(),
        ]
    )

    def compiled(tape):
        made = circuit_from_qasm_str(qml.to_openqasm(tape, measure_all=False))
        passes.apply(made)
        pairs, angle, pulses = 0, 0.0, 0
        for command in made.get_commands():
            if command.op.type == OpType.ZZPhase:  # half turns
                pairs += 1
                angle += abs((command.op.params[0] + 0.5) % 1 - 0.5) / 0.5
            elif command.op.type == OpType.PhasedX:
                quarter = abs(command.op.params[0] % 1 - 0.5) < 1e-9
                pulses += 1 if quarter or abs((command.op.params[0] % 2) - 1) < 1e-9 else 2
        return Cost(pairs, angle, pulses)

    return compiled


RIVALS = {"qiskit_ionq": qiskit_ionq, "cirq_ionq": cirq_ionq, "pytket": pytket}


def timed(compile_, tape, rounds=ROUNDS):
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        cost = compile_(tape)
        times.append(1e3 * (time.perf_counter() - start))
    return cost._replace(time_ms=statistics.median(times))


# --- benchmarks ----------------------------------------------------------------------------


@pytest.mark.parametrize("family", ["ms", "zz"])
@pytest.mark.parametrize("rival", RIVALS)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_no_more_of_anything_than_a_rival(rival, family):
    if importlib.util.find_spec(rival) is None:
        pytest.skip(f"{rival} is not installed")
    compilers = {"ours": ours(family), rival: RIVALS[rival](family)}
    print(f"\n{family}: entanglers, their angle in full gates, pulses, ms")
    for name, operations in circuits().items():
        tape = qml.tape.QuantumScript(operations)
        cost = {who: timed(compile_, tape) for who, compile_ in compilers.items()}
        print(f"{name:28s}", "   ".join(f"{who} {its}" for who, its in cost.items()))
        assert cost["ours"].pairs <= cost[rival].pairs
        assert cost["ours"].angle <= cost[rival].angle + 1e-6
        assert cost["ours"].pulses <= cost[rival].pulses


@pytest.mark.parametrize("family", ["ms", "zz"])
def test_what_searching_gains(family):
    print(f"\n{family}: without and with search")
    for name, operations in circuits().items():
        tape = qml.tape.QuantumScript(operations)
        plain = timed(ours(family, optimize_fidelity=False), tape)
        found = timed(ours(family, optimize_fidelity=True), tape, rounds=1)
        print(f"{name:28s} {plain}   {found}")
        assert found.pairs <= plain.pairs
        assert found.angle <= plain.angle + 1e-6
        assert found.pulses <= plain.pulses
