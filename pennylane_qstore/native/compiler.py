"""The native compiler: a structure in, a template out; or a tape in, a circuit out.

The passes, in order (:func:`compile_program` runs them):

1. :func:`~.resynthesise_cnots`: networks of CNOTs alone, while they are still CNOTs.
2. :func:`~.lower`: elementary gates to the operations of :mod:`~pennylane_qstore.native.ir`.
3. :data:`MERGING`: neighbours on one pair of wires, or what commutes to be, become one unitary
   or as few ZZ rotations as possible. Twice, since CNOT·RZ·CNOT is a ZZ rotation only once it is
   merged, and may then commute to another.
4. :data:`FINISHING`, which every rewriting of the search goes through again. Where the readout may
   absorb, both ends are simplified before synthesis, which needs not be exact there, and after it,
   when its one-qubit unitaries and ZZ rotations are seen one by one.
5. :func:`~.rewritten`: the same written otherwise, by Pauli gadgets, where that is cheaper.

Readout passes keep the distribution of outcomes, the others the unitary; all up to a global phase.
"""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pennylane as qml
from pennylane.tape import QuantumScript

from pennylane_qstore.errors import CompileError
from pennylane_qstore.native.circuit import NativeCircuit, from_row
from pennylane_qstore.native.frontend.affine_fit import affine_program
from pennylane_qstore.native.frontend.json_circuit import tape_from_json
from pennylane_qstore.native.frontend.program import Affine, Gate, Program, bind_constants
from pennylane_qstore.native.frontend.shared_basis import shared_basis
from pennylane_qstore.native.frontend.structure import extract_structure
from pennylane_qstore.native.ir import IRCircuit
from pennylane_qstore.native.passes.cnot_networks import resynthesise_cnots
from pennylane_qstore.native.passes.lower import lower
from pennylane_qstore.native.passes.pairs import (
    entangling_cost,
    merge_diagonal,
    merge_pairs,
    synthesise,
)
from pennylane_qstore.native.passes.readout import simplify_ends
from pennylane_qstore.native.search.search import rewritten
from pennylane_qstore.native.template.batch import Readout
from pennylane_qstore.native.template.template import Template
from pennylane_qstore.operations import tape_with_parameters

_TEMPLATES = 8
"""Candidates whose pulses are counted."""
_PULSE, _LAYER = 1 / 20, 1 / 200
"""Price of a pulse and of a layer of depth, in entanglers: a two-qubit gate's published error is
8 to 35 times a pulse's, and depth costs coherence, of which ions have plenty."""

Pass = Callable[[IRCircuit], IRCircuit]

MERGING: tuple[Pass, ...] = (merge_diagonal, merge_pairs, merge_diagonal, merge_pairs)
FINISHING: Mapping[bool, tuple[Pass, ...]] = {
    False: (merge_pairs, synthesise),
    True: (merge_pairs, simplify_ends, synthesise, simplify_ends),
}
"""Passes by ``absorb``: whether only outcomes are kept, or the unitary."""


def compile_program(
    program: Program,
    *,
    measured: Sequence[int],
    basis: Sequence[Gate] = (),
    family: str = "zz",
    absorb: bool = True,
    optimize_depth: bool = True,
    optimize_fidelity: bool = True,
    thorough: bool = True,
) -> Template:
    """Compile a program to a template.

    Args:
        program: elementary gates.
        measured: wires measured, in the order of the outcome's bits.
        basis: gates that turn what is measured to the Z basis.
        family: entangling gate, ``"ms"`` or ``"zz"``.
        absorb: let the known start and the readout take over gates. Without it the template
            keeps the unitary and all wires.
        optimize_depth: move pulses through entanglers so that fewer are left in sequence, and
            weigh pulses and depth when choosing among candidates.
        optimize_fidelity: search for fewer entanglers and less entangling angle, as
            :mod:`~pennylane_qstore.native.search.search` does.
        thorough: let that search take seconds.

    Returns:
        A template over the program's parameters.
    """

    def measuring(circuit: IRCircuit) -> IRCircuit:
        return replace(circuit, outputs=tuple(circuit.outputs[q] for q in measured))

    def template_of(circuit: IRCircuit) -> Template:
        return Template(
            circuit, family, program.parameters, compact=absorb, commute_rotations=optimize_depth
        )

    finish = functools.partial(_run, FINISHING[absorb])
    lowered = measuring(lower(resynthesise_cnots(program), basis=basis))
    circuit = finish(_run(MERGING, lowered))
    unsearched = template_of(circuit)
    if not optimize_fidelity:
        return unsearched
    source = synthesise(measuring(lower(program, basis=basis)))
    candidates = rewritten(circuit, source, finish, outcomes=absorb, thorough=thorough)
    if not optimize_depth:
        return template_of(candidates[0]) if candidates else unsearched
    templates = [(new, template_of(new)) for new in candidates[:_TEMPLATES]]
    # More pulses are no price for fewer entanglers: nothing gets worse.
    allowed = [(new, made) for new, made in templates if made.pulses <= unsearched.pulses]
    return min([(circuit, unsearched), *allowed], key=_price)[1]


def _run(passes: Iterable[Pass], circuit: IRCircuit) -> IRCircuit:
    for one_pass in passes:
        circuit = one_pass(circuit)
    return circuit


def _price(candidate: tuple[IRCircuit, Template]) -> float:
    """Return the error to expect, in entanglers."""
    circuit, template = candidate
    cost = entangling_cost(circuit.operations)
    return cost.entanglers + cost.angle + _PULSE * template.pulses + _LAYER * template.depth


@dataclass(eq=False)
class IonQNativeGateCompiler:
    """Compiles circuits to IonQ's native gates.

    Args:
        two_qubit: entangling gate, ``"ms"`` (Aria) or ``"zz"`` (Forte).
        absorb: leave to the readout what only relabels outcomes, and drop what does nothing
            to |0…0⟩. The circuit is then another unitary than the tape, but
            ``readout.apply`` gives outcomes with exactly the tape's distribution, with shots
            and without: expval, var, probs, counts and sample follow from them alike
            (:mod:`~pennylane_qstore.native.passes.readout`). States and density matrices do not;
            take ``absorb=False`` for them. Under a machine's noise, the noise of the gates
            that were left out is left out with them.
        optimize_depth: fewer pulses in sequence: rotations move through entanglers. With
            ``optimize_fidelity``, fewer entanglers are taken only where they cost no pulses,
            and pulses and depth decide among what is left, a pulse a twentieth of an
            entangler.
        optimize_fidelity: fewest entanglers and least entangling angle, found by search;
            alone, whatever pulses and depth that costs.
            Compiling takes milliseconds without, and with it some seconds for circuits of
            hundreds of gates: the search is bounded in size, and beyond 600 entanglers only
            the circuit as a whole is looked at.

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

    def __post_init__(self) -> None:
        for name in ("absorb", "optimize_depth", "optimize_fidelity"):
            if not isinstance(flag := getattr(self, name), bool):
                raise CompileError(f"{name}={flag!r} is not allowed. Allowed: True or False.")
        if self.two_qubit not in ("ms", "zz"):
            raise CompileError(f"two_qubit={self.two_qubit!r} is not allowed. Allowed: 'ms', 'zz'.")
        self._lock = threading.Lock()  # of the counts below: one compiler may serve many threads
        self._circuits = self._gates_before = self._gates_after = 0
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

    def compile_circuit(self, circuit: Mapping[str, Any]) -> dict[str, Any]:
        """Compile a circuit given as a dictionary, as Q-Store v3.4 does.

        Args:
            circuit: ``{"qubits": n, "circuit": [gates]}``
                (:func:`~.tape_from_json`), rotations in radians.

        Returns:
            The ``input`` of an IonQ job in native gates, phases and angles in turns. Nothing
            is left to the readout: its outcomes are the circuit's, qubit by qubit.
        """
        compiled = self._compile(tape_from_json(circuit), absorb=False)
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
            ``avg_compilation_time_ms`` (per circuit), ``circuits_compiled``.
        """
        with self._lock:
            reduced = self._gates_before - self._gates_after
            return {
                "circuits_compiled": self._circuits,
                "total_gates_compiled": self._gates_before,
                "total_gates_reduced": reduced,
                "avg_reduction_pct": 100 * reduced / max(self._gates_before, 1),
                "avg_compilation_time_ms": 1e3 * self._took_s / max(self._circuits, 1),
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
        constant = bind_constants(constant, piece.parameters)
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
        )
        circuit = _only_circuit(template, None if absorb else measured)
        took_s = time.perf_counter() - start
        gates_before = sum(_native_count(gate, self.two_qubit) for gate in constant.gates)
        with self._lock:
            self._circuits += 1
            self._gates_before += gates_before
            self._gates_after += len(circuit.gates)
            self._took_s += took_s
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


def _only_circuit(template: Template, measured: Sequence[int] | None) -> NativeCircuit:
    """Return the circuit of a template without parameters.

    With ``measured``, all tape wires are outputs of the template, each on a native wire of its
    own: the circuit tells where they are, and reads only those that are measured.
    """
    batch = template.bind(np.zeros((1, 0)))
    readout = batch.readout
    permutation: tuple[int, ...] = ()
    if measured is not None:
        permutation = tuple(batch.measured[int(i)] for i in readout.matrix.argmax(axis=1))
        readout = Readout(readout.matrix[measured], readout.offset[measured])
    return from_row(
        batch.blocks[0],
        0,
        qubits=batch.qubits,
        frames=template.frames(np.zeros((1, 0)))[0],
        measured=batch.measured,
        readout=readout,
        permutation=permutation,
    )


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
