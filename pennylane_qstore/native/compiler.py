"""The native compiler: a tape in, a circuit out (:mod:`~.pipeline` has the passes)."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pennylane as qml
from pennylane.tape import QuantumScript

from pennylane_qstore.errors import CompileError
from pennylane_qstore.native.circuit import NativeCircuit
from pennylane_qstore.native.frontend.affine_fit import affine_program
from pennylane_qstore.native.frontend.json_circuit import tape_from_json
from pennylane_qstore.native.frontend.program import (
    Affine,
    FloatArray,
    Gate,
    Program,
    bind_constants,
)
from pennylane_qstore.native.frontend.shared_basis import shared_basis
from pennylane_qstore.native.frontend.structure import extract_structure
from pennylane_qstore.native.passes.sections import outside_boxes
from pennylane_qstore.native.pipeline import EFFORT_S, compile_program
from pennylane_qstore.native.template.batch import Readout, native_slots
from pennylane_qstore.native.template.template import Template
from pennylane_qstore.operations import tape_with_parameters
from pennylane_qstore.validation import check_number


@dataclass(eq=False)
class IonQNativeGateCompiler:
    """Compiles circuits to IonQ's native gates.

    Args:
        two_qubit: entangling gate, ``"ms"`` (Aria) or ``"zz"`` (Forte).
        absorb: leave to the readout what only relabels outcomes, and drop what does nothing
            to ``|0…0⟩``. The circuit is then another unitary than the tape, but
            ``readout.apply`` gives outcomes with exactly the tape's distribution, with shots
            and without: expval, var, probs, counts and sample follow from them alike
            (:mod:`~pennylane_qstore.native.passes.readout`). States and density matrices do not;
            take ``absorb=False`` for them. Under a machine's noise, the noise of the gates
            that were left out is left out with them.
        optimize_depth: fewer pulses in sequence: rotations move through entanglers. With
            ``optimize_fidelity``, pulses and depth count beside entanglers and their angle, a
            pulse a twentieth of an entangler.
        optimize_fidelity: fewest entanglers and least entangling angle, found by search;
            alone, whatever pulses and depth that costs.
            Compiling takes milliseconds without, and with it some seconds for circuits of
            hundreds of gates: the search is bounded in size, and beyond 600 entanglers only
            the circuit as a whole is looked at.
        effort: seconds that this search may take, of the processor's time. It says when it has
            stopped: in :meth:`get_stats`, and once in a :class:`QStoreEfficiencyWarning`.

    **Example**

    >>> tape = qml.tape.QuantumScript([qml.Hadamard(0), qml.CNOT([0, 1]), qml.RX(0.3, 1)])
    >>> circuit = IonQNativeGateCompiler("zz").compile(tape)
    >>> circuit.n_2q, circuit.n_1q
    (0, 3)
    """

    two_qubit: str = "zz"
    absorb: bool = True
    optimize_depth: bool = True
    optimize_fidelity: bool = True
    effort: float = EFFORT_S

    def __post_init__(self) -> None:
        for name in ("absorb", "optimize_depth", "optimize_fidelity"):
            if not isinstance(flag := getattr(self, name), bool):
                raise CompileError(f"{name}={flag!r} is not allowed. Allowed: True or False.")
        if self.two_qubit not in ("ms", "zz"):
            raise CompileError(f"two_qubit={self.two_qubit!r} is not allowed. Allowed: 'ms', 'zz'.")
        check_number("effort", self.effort, least=0, unit="seconds")
        self._lock = threading.Lock()  # of the counts below: one compiler may serve many threads
        self._circuits = self._gates_before = self._gates_after = self._stopped = 0
        self._took_s = 0.0

    def compile(self, tape: QuantumScript) -> NativeCircuit:
        """Compile one tape, its parameters (of any interface) taken as constants.

        Measurements of Pauli words are turned to the Z basis, which all of them must share
        qubit by qubit; a tape without measurements is measured on all wires.

        Raises:
            CompileError: an operation is not supported, a parameter is not finite or traced by
                jax, the tape is broadcast or on no wire, or its measurements need more than
                one basis.
        """
        return self._compile(tape, absorb=self.absorb)

    def compile_circuit(self, circuit: Mapping[str, Any] | QuantumScript) -> dict[str, Any]:
        """Compile a circuit to a dictionary, as Q-Store v3.4 does.

        Args:
            circuit: ``{"qubits": n, "circuit": [gates]}``
                (:func:`~.tape_from_json`), rotations in radians; or a tape.

        Returns:
            The ``input`` of an IonQ job in native gates, phases and angles in turns. Nothing
            is left to the readout: its outcomes are the circuit's, qubit by qubit.
        """
        tape = circuit if isinstance(circuit, QuantumScript) else tape_from_json(circuit)
        compiled = self._compile(tape, absorb=False)
        tape_wire = {native: i for i, native in enumerate(compiled.permutation)}
        gates = tuple(
            (name, tuple(tape_wire[q] for q in on), params) for name, on, params in compiled.gates
        )
        return replace(compiled, gates=gates).to_ionq()

    def get_stats(self) -> dict[str, Any]:
        """Return counts and times of what was compiled so far.

        Returns:
            ``total_gates_compiled`` (native gates that the tapes' gates take one by one),
            ``total_gates_reduced`` (how many fewer came out), ``avg_reduction_pct``,
            ``avg_compilation_time_ms`` (per circuit), ``circuits_compiled``,
            ``searches_stopped`` (circuits whose search ran out of time).
        """
        with self._lock:
            reduced = self._gates_before - self._gates_after
            return {
                "circuits_compiled": self._circuits,
                "total_gates_compiled": self._gates_before,
                "total_gates_reduced": reduced,
                "avg_reduction_pct": 100 * reduced / max(self._gates_before, 1),
                "avg_compilation_time_ms": 1e3 * self._took_s / max(self._circuits, 1),
                "searches_stopped": self._stopped,
            }

    def _compile(self, tape: QuantumScript, *, absorb: bool) -> NativeCircuit:
        start = time.perf_counter()
        _check_tape(tape)
        given = tape.get_parameters(trainable_only=False)
        plain = qml.math.unwrap(given)
        other = [i for i, value in enumerate(given) if plain[i] is not value]
        tape = tape_with_parameters(tape, [plain[i] for i in other], other)
        wires = {label: i for i, label in enumerate(wire_order(tape))}
        pieces = extract_structure(tape, wires)
        if len(pieces) > 1 or len(pieces[0].parameters) > 1:
            raise CompileError("The tape is broadcast; compile its rows one by one.")
        piece, constant = affine_program(pieces[0], wires)
        outside = outside_boxes(constant.gates)  # gates in boxes are kept at special angles, too
        constant = bind_constants(constant, piece.parameters, outside)
        basis, measured = shared_basis(tape.measurements, wires)
        measured = measured or list(range(len(wires)))
        template = compile_program(
            constant,
            measured=measured if absorb else range(len(wires)),
            basis=basis,
            family=self.two_qubit,
            absorb=absorb,
            optimize_depth=self.optimize_depth,
            optimize_fidelity=self.optimize_fidelity,
            effort=self.effort,
        )
        row = piece.parameters[:, : constant.parameters]
        circuit = only_circuit(template, row, None if absorb else measured)
        took_s = time.perf_counter() - start
        gates_before = sum(
            _native_count(gate, self.two_qubit)
            for gate, counted in zip(constant.gates, outside, strict=True)
            if counted
        )
        with self._lock:
            self._circuits += 1
            self._gates_before += gates_before
            self._gates_after += len(circuit.gates)
            self._took_s += took_s
            self._stopped += template.search_stopped
        return circuit


def is_tracer(value: Any) -> bool:
    """Return True if a parameter stands for values that jax traces or differentiates."""
    return any(kind.__name__ == "Tracer" for kind in type(value).__mro__)


def wire_order(tape: QuantumScript) -> list[Any]:
    """Return wires as the compiler numbers them: integers ascending, other labels as they come."""
    labels = list(tape.wires)
    return sorted(labels) if all(isinstance(w, int) for w in labels) else labels


def _check_tape(tape: QuantumScript) -> None:
    if not isinstance(tape, QuantumScript):
        raise CompileError(
            f"A {type(tape).__name__} is not a tape. Make one of a quantum function with "
            "qml.tape.make_qscript(function)(arguments)."
        )
    if not tape.wires:
        raise CompileError("The tape is on no wire: there is nothing to compile or to measure.")
    for op in tape.operations:
        if any(is_tracer(value) for value in op.data):
            raise CompileError(
                f"{op.name} on wires {op.wires.tolist()} has a parameter that jax traces: its "
                "value is not known here. Compile outside of jax.jit, jax.vmap and jax.grad."
            )


def only_circuit(
    template: Template, parameters: FloatArray, measured: Sequence[int] | None
) -> NativeCircuit:
    """Return the circuit of one row of parameters.

    Args:
        template: to bind.
        parameters: in radians, shape (1, P).
        measured: tape wires that are measured, where all of them are outputs of the template, each
            on a native wire of its own: the circuit tells where they are, and reads only those
            that are measured. None where the template has absorbed gates.

    Returns:
        The circuit.
    """
    batch = template.bind(parameters)
    readout = batch.readout
    permutation: tuple[int, ...] = ()
    if measured is not None:
        permutation = tuple(batch.measured[int(i)] for i in readout.matrix.argmax(axis=1))
        readout = Readout(readout.matrix[measured], readout.offset[measured])
    block, frames = batch.blocks[0], tuple(template.frames(parameters)[0].tolist())
    gates = tuple(
        (name, on, tuple(block.params[0, slots].tolist()))
        for (name, on), slots in zip(block.gates, native_slots(block.gates), strict=True)
    )
    return NativeCircuit(batch.qubits, gates, frames, permutation, batch.measured, readout)


def _native_count(gate: Gate, family: str) -> int:
    """Count the native gates that one elementary gate with constant angles takes by itself."""
    angles = tuple(round(angle.const, 9) for angle in gate.angles)
    unitary = b"" if gate.matrix is None else gate.matrix.tobytes()
    return _count_alone(gate.name, len(gate.wires), angles, unitary, family)


@functools.lru_cache(maxsize=4096)
def _count_alone(
    name: str, wires: int, angles: tuple[float, ...], unitary: bytes, family: str
) -> int:
    on = tuple(range(wires))
    matrix = np.frombuffer(unitary, dtype=complex).reshape(2**wires, -1) if unitary else None
    gate = Gate(name, on, tuple(Affine((), angle) for angle in angles), matrix)
    template = compile_program(
        Program(wires, (gate,), 0),
        measured=on,
        family=family,
        absorb=False,
        optimize_fidelity=False,
    )
    return template.entanglers + template.pulses
