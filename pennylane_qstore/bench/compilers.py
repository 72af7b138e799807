"""Our compiler in its two settings, and others, each as its makers publish it.

*Thorough* is :class:`~pennylane_qstore.IonQNativeGateCompiler`: the circuit's elementary gates, all
numbers known, as the other compilers get them. *Device* is what a ``qstore.ionq`` device sends on
the first call of a structure: the tape as it is written, trainable numbers and arrays unknown, and
the quick search. Its time is that of the first call, template and numbers.

The others are not needed here. All get the same gates (:attr:`.Circuit.elementary`) as OpenQASM 2
text, or gate by gate where a library has no reader of its own, all pairs of qubits connected, and
are called so:

* *qiskit-ionq*: what its ``TrappedIonOptimizerPlugin`` does at level 3 (Qiskit's passes for a
  target of GPI, GPI2 and ZZ or MS, its own rules, Qiskit's passes), one by one, since it forgets
  which qubit is where. Native gates come out.
* *qiskit, RZZ*: ``transpile`` at level 3 to ``rz, sx, x, rzz``.
* *cirq-ionq*: ``optimize_for_target_gateset`` to ``ForteNativeGateset`` or ``AriaNativeGateset``.
  Native gates come out, entanglers of full angle.
* *pytket, TK2*: ``FullPeepholeOptimise`` to TK2, these to ZZPhase, ``SquashRzPhasedX``.
* *pytket, GreedyPauliSimp*: ``GreedyPauliSimp(allow_zzphase=True)`` before that.
* *bqskit*: ``compile`` at level 2 to ``rzz, u3``, one worker.

Every CNOT, MS, ZZ or RZZ counts as one two-qubit gate, its angle as it is. Pulses are counted as
:mod:`~pennylane_qstore.bench.compile_check` says: those of native gates as they come, and other
one-qubit gates as favourably as they could be sent, with virtual rotations about Z.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any, NamedTuple

import pennylane as qml
from pennylane.tape import QuantumScript

from pennylane_qstore.backends import backend
from pennylane_qstore.bench.compile_check import Compiled, Reading, unitary_gate
from pennylane_qstore.bench.compile_circuits import Circuit
from pennylane_qstore.execution.circuits import Target, plan_tape, templates_of
from pennylane_qstore.execution.literals import SteadyConstants, structures_of
from pennylane_qstore.native.cache import SmartCircuitCache
from pennylane_qstore.native.circuit import NativeCircuit
from pennylane_qstore.native.compiler import IonQNativeGateCompiler, only_circuit
from pennylane_qstore.native.gates import TURN

Compiler = Callable[[Circuit], Compiled]
"""Compiles one circuit for one family of native gates."""


def thorough(family: str, *, absorb: bool) -> Compiler:
    """Make the compiler that knows all numbers and searches.

    Args:
        family: ``"zz"`` or ``"ms"``.
        absorb: whether the readout may take over gates.

    Returns:
        The compiler.
    """
    made = IonQNativeGateCompiler(family, absorb=absorb)
    return lambda circuit: _compiled(made.compile(circuit.elementary), absorb)


def device(family: str, *, absorb: bool) -> Compiler:
    """Make the compiler that a device is to a tape that it has not seen.

    Args:
        family: ``"zz"`` or ``"ms"``.
        absorb: as the device's option.

    Returns:
        The compiler.
    """
    target = Target(backend("simulator"), "native", family, absorb, exact=True)

    def compiled(circuit: Circuit) -> Compiled:
        cache = SmartCircuitCache()
        plan = plan_tape(circuit.tape, None, cache)
        parts = [(plan.tape, plan.pieces, plan.wires)]
        structures, columns = structures_of(parts, cache, SteadyConstants())
        (basis,) = plan.measurement.bases
        (template,) = templates_of(plan, basis, structures, target, cache)
        measured = None if absorb else list(range(len(plan.wires)))
        return _compiled(only_circuit(template, columns[0][0], measured), absorb)

    return compiled


def _compiled(native: NativeCircuit, absorb: bool) -> Compiled:
    if absorb:
        reading = Reading(native.measured, native.readout)
        return Compiled(native.qubits, native.gates, reading=reading)
    return Compiled(native.qubits, native.gates, native.permutation, frames=native.frames)


OURS: Mapping[str, Callable[[str], Compiler]] = {
    "thorough": partial(thorough, absorb=False),
    "device": partial(device, absorb=False),
    "thorough, absorbed": partial(thorough, absorb=True),
    "device, absorbed": partial(device, absorb=True),
}
"""Our settings by name; absorbed circuits have the tape's outcomes, the others its unitary."""


_IONQ_RULES = (
    *("CancelGPI2Adjoint", "CancelGPIAdjoint", "GPI2TwiceIsGPI", "CommuteGPIsThroughMS"),
    *("CommuteGPIsThroughZZ", "CompactMoreThanThreeSingleQubitGates", "FuseConsecutiveZZ"),
    "FuseConsecutiveMS",
)
"""The plugin's rules, in its order."""


class Rival(NamedTuple):
    """A compiler that may be installed.

    Attributes:
        make: a compiler for a family.
        needs: modules that it imports.
        packages: distributions, whose versions are told.
    """

    make: Callable[[str], Compiler]
    needs: tuple[str, ...]
    packages: tuple[str, ...]

    @property
    def installed(self) -> bool:
        """True where it can be imported."""
        return all(find_spec(name) for name in self.needs)


def _qasm(circuit: Circuit) -> str:
    bare = QuantumScript(circuit.elementary.operations)
    return str(qml.to_openqasm(bare, wires=range(len(circuit.tape.wires)), measure_all=False))


def _qiskit_ionq(family: str) -> Compiler:
    from qiskit import QuantumCircuit
    from qiskit.circuit import Parameter
    from qiskit.transpiler import PassManager, Target, generate_preset_pass_manager
    from qiskit_ionq import GPI2Gate, GPIGate, MSGate, ZZGate, rewrite_rules
    from qiskit_ionq.ionq_equivalence_library import add_equivalences

    add_equivalences()
    phases = [Parameter(name) for name in "abc"]
    entangler = MSGate(*phases) if family == "ms" else ZZGate(phases[0])
    rules = PassManager([getattr(rewrite_rules, name)() for name in _IONQ_RULES])

    def compiled(circuit: Circuit) -> Compiled:
        source = QuantumCircuit.from_qasm_str(_qasm(circuit))
        wires = range(source.num_qubits)
        target = Target(num_qubits=len(wires))
        for gate in (GPIGate(phases[0]), GPI2Gate(phases[0])):
            target.add_instruction(gate, {(q,): None for q in wires})
        target.add_instruction(entangler, {(a, b): None for a in wires for b in wires if a != b})
        preset = generate_preset_pass_manager(
            3, target=target, initial_layout=[*wires], seed_transpiler=1
        )
        first = preset.run(source)
        made = _of_qiskit(preset.run(rules.run(first)))
        moved = made.outputs or wires
        return made._replace(outputs=tuple(moved[q] for q in _outputs(first) or wires))

    return compiled


def _qiskit(family: str) -> Compiler:
    from qiskit import QuantumCircuit, transpile

    def compiled(circuit: Circuit) -> Compiled:
        source = QuantumCircuit.from_qasm_str(_qasm(circuit))
        basis = ["rz", "sx", "x", "rzz"]
        return _of_qiskit(
            transpile(source, basis_gates=basis, optimization_level=3, seed_transpiler=1)
        )

    return compiled


def _of_qiskit(made: Any) -> Compiled:
    gates: list[Any] = []
    for step in made.data:
        on = tuple(made.find_bit(qubit).index for qubit in step.qubits)
        name, params = step.operation.name, tuple(map(float, step.operation.params))
        if name in ("gpi", "gpi2", "ms", "zz"):
            gates.append((name, on, params))
        elif name == "rzz":
            gates.append(("zz", on, (params[0] / TURN,)))
        else:
            gates.append(unitary_gate(step.operation.to_matrix(), *on))
    return Compiled(made.num_qubits, tuple(gates), _outputs(made))


def _outputs(made: Any) -> tuple[int, ...]:
    return tuple(made.layout.final_index_layout()) if made.layout else ()


def _cirq_ionq(family: str) -> Compiler:
    import cirq
    from cirq_ionq import AriaNativeGateset, ForteNativeGateset, GPI2Gate, GPIGate, MSGate, ZZGate

    gateset = AriaNativeGateset() if family == "ms" else ForteNativeGateset()
    fixed = {"Hadamard": cirq.H, "PauliX": cirq.X, "PauliY": cirq.Y, "PauliZ": cirq.Z}
    fixed |= {"S": cirq.S, "T": cirq.T, "Adjoint(S)": cirq.S**-1, "Adjoint(T)": cirq.T**-1}
    fixed |= {"CNOT": cirq.CNOT, "CZ": cirq.CZ, "SWAP": cirq.SWAP}
    turned = {"RX": cirq.rx, "RY": cirq.ry, "RZ": cirq.rz}

    def compiled(circuit: Circuit) -> Compiled:
        source = cirq.Circuit()
        for op in circuit.elementary.operations:
            gate = turned[op.name](float(op.data[0])) if op.data else fixed[op.name]
            source.append(gate.on(*map(cirq.LineQubit, op.wires)))
        made = cirq.optimize_for_target_gateset(source, gateset=gateset, max_num_passes=None)
        gates: list[Any] = []
        for op in made.all_operations():
            gate, on = op.gate, tuple(qubit.x for qubit in op.qubits)
            if isinstance(gate, GPIGate | GPI2Gate):
                gates.append(("gpi" if isinstance(gate, GPIGate) else "gpi2", on, (gate.phi,)))
            elif isinstance(gate, ZZGate):
                gates.append(("zz", on, (gate.theta,)))
            elif isinstance(gate, MSGate):
                gates.append(("ms", on, (gate.phi0, gate.phi1, gate.theta)))
            elif len(on) == 1:
                gates.append(unitary_gate(cirq.unitary(op), *on))
            else:
                raise ValueError(f"{op} is no native gate")
        return Compiled(len(circuit.tape.wires), tuple(gates))

    return compiled


def _pytket(family: str, *, greedy: bool) -> Compiler:
    from pytket.circuit import OpType
    from pytket.passes import (
        AutoRebase,
        FullPeepholeOptimise,
        GreedyPauliSimp,
        SequencePass,
        SquashRzPhasedX,
    )
    from pytket.qasm import circuit_from_qasm_str

    passes = SequencePass(
        [
            *([GreedyPauliSimp(allow_zzphase=True)] if greedy else []),
            FullPeepholeOptimise(target_2qb_gate=OpType.TK2),
            AutoRebase({OpType.ZZPhase, OpType.Rz, OpType.PhasedX}),
            SquashRzPhasedX(),
        ]
    )

    def compiled(circuit: Circuit) -> Compiled:
        made = circuit_from_qasm_str(_qasm(circuit))
        passes.apply(made)
        index = {qubit: i for i, qubit in enumerate(made.qubits)}
        gates: list[Any] = []
        for command in made.get_commands():
            on = tuple(index[qubit] for qubit in command.qubits)
            if command.op.type == OpType.ZZPhase:  # half turns
                gates.append(("zz", on, (float(command.op.params[0]) / 2,)))
            else:
                gates.append(unitary_gate(command.op.get_unitary(), *on))
        moved = {end: start for start, end in made.implicit_qubit_permutation().items()}
        return Compiled(len(index), tuple(gates), tuple(index[moved[q]] for q in made.qubits))

    return compiled


def _bqskit(family: str) -> Compiler:
    import bqskit
    from bqskit.compiler import Compiler as Runtime
    from bqskit.ir.gates import RZZGate, U3Gate
    from bqskit.ir.lang.qasm2 import OPENQASM2Language

    def compiled(circuit: Circuit) -> Compiled:
        source = OPENQASM2Language().decode(_qasm(circuit))
        model = bqskit.MachineModel(source.num_qudits, gate_set={RZZGate(), U3Gate()})
        with Runtime(num_workers=1) as runtime:
            made, first, last = bqskit.compile(
                source, model, 2, compiler=runtime, seed=1, with_mapping=True
            )
        gates: list[Any] = []
        for op in made:
            on = tuple(op.location)
            if isinstance(op.gate, RZZGate):
                gates.append(("zz", on, (op.params[0] / TURN,)))
            elif len(on) == 1:
                gates.append(unitary_gate(op.get_unitary().numpy, *on))
            else:
                raise ValueError(f"{op.gate} was not asked for")
        if list(first) != sorted(first):
            raise ValueError(f"qubits begin at {first}, with all pairs connected")
        return Compiled(source.num_qudits, tuple(gates), tuple(last))

    return compiled


RIVALS: Mapping[str, Rival] = {
    "qiskit-ionq": Rival(_qiskit_ionq, ("qiskit", "qiskit_ionq"), ("qiskit-ionq", "qiskit")),
    "qiskit, RZZ": Rival(_qiskit, ("qiskit",), ("qiskit",)),
    "cirq-ionq": Rival(_cirq_ionq, ("cirq", "cirq_ionq"), ("cirq-ionq",)),
    "pytket, TK2": Rival(partial(_pytket, greedy=False), ("pytket",), ("pytket",)),
    "pytket, GreedyPauliSimp": Rival(partial(_pytket, greedy=True), ("pytket",), ("pytket",)),
    "bqskit": Rival(_bqskit, ("bqskit",), ("bqskit",)),
}
"""Compilers by the name that the table gives them."""


def versions() -> dict[str, str]:
    """Return the versions of ours and of all rivals that are installed, by distribution."""
    packages = ["pennylane-qstore", "pennylane"]
    for rival in RIVALS.values():
        packages += rival.packages if rival.installed else ()
    return {package: version(package) for package in dict.fromkeys(packages)}
