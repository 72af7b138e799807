"""The native compiler: a structure in, a template out; or a tape in, a circuit out."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pennylane as qml
from pennylane.tape import QuantumScript

from pennylane_qstore.errors import CompileError
from pennylane_qstore.native.circuit import NativeCircuit, from_row
from pennylane_qstore.native.frontend.json_circuit import tape_of
from pennylane_qstore.native.frontend.program import Affine, Gate, Program, bind_constants
from pennylane_qstore.native.frontend.shared_basis import shared_basis
from pennylane_qstore.native.frontend.structure import NotAffine, Split, expand, program, split
from pennylane_qstore.native.ir import IRCircuit
from pennylane_qstore.native.passes.cnot_networks import resynthesise_cnots
from pennylane_qstore.native.passes.lower import lower
from pennylane_qstore.native.passes.pairs import (
    entangling_cost,
    merge_diagonal,
    merge_pairs,
    synthesise,
)
from pennylane_qstore.native.passes.readout import absorb_into_readout, simplify_initial_state
from pennylane_qstore.native.search.search import rewritten
from pennylane_qstore.native.template.template import Readout, Template

_TEMPLATES = 8
"""Candidates whose pulses are looked at."""
_PULSE, _LAYER = 1 / 20, 1 / 200
"""What a pulse and a layer of depth count beside an entangler: a two-qubit gate's published
error is 8 to 35 times a pulse's, and depth costs coherence, of which ions have plenty."""


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
        absorb: whether the known start and the readout may take over gates. Without it the
            template keeps the unitary and all wires.
        optimize_depth: move pulses through entanglers so that fewer are left in sequence, and
            weigh pulses and depth when choosing among candidates.
        optimize_fidelity: search for fewer entanglers and less entangling angle, as
            :mod:`~pennylane_qstore.native.search.search` does.
        thorough: whether that search may take seconds.
    """
    finish = _absorbed if absorb else _plain
    source = synthesise(lower(program, basis))
    source = replace(source, outputs=tuple(source.outputs[q] for q in measured))
    circuit = lower(resynthesise_cnots(program), basis)
    for _ in range(2):  # CNOT·RZ·CNOT is an interaction only once it is gathered
        circuit = merge_pairs(merge_diagonal(circuit))
    if not absorb:
        circuit = synthesise(circuit)
    circuit = replace(circuit, outputs=tuple(circuit.outputs[q] for q in measured))
    if absorb:
        circuit = finish(circuit)

    def template(circuit: IRCircuit) -> Template:
        return Template(circuit, family, program.parameters, compact=absorb, push=optimize_depth)

    plain = template(circuit)
    if not optimize_fidelity:
        return plain
    candidates = rewritten(circuit, source, finish, outcomes=absorb, thorough=thorough)
    if not optimize_depth:
        return template(candidates[0]) if candidates else plain
    found = [(circuit, plain), *((new, template(new)) for new in candidates[:_TEMPLATES])]
    # More pulses are no price for fewer entanglers: nothing gets worse.
    found = [(new, made) for new, made in found if made.pulses <= plain.pulses]
    return min(found, key=_price)[1]


def _price(candidate: tuple[IRCircuit, Template]) -> float:
    """Error to expect, in entanglers."""
    circuit, template = candidate
    count, angle = entangling_cost(circuit.operations)
    return count + angle + _PULSE * template.pulses + _LAYER * template.depth


def _plain(circuit: IRCircuit) -> IRCircuit:
    return synthesise(merge_pairs(circuit))


def _absorbed(circuit: IRCircuit) -> IRCircuit:
    return _trimmed(synthesise(_trimmed(merge_pairs(circuit))))


def _trimmed(circuit: IRCircuit) -> IRCircuit:
    """Both ends, in the better order: what one leaves can be in the other's way."""
    orders = (
        absorb_into_readout(simplify_initial_state(circuit)),
        absorb_into_readout(simplify_initial_state(absorb_into_readout(circuit))),
    )
    return min(orders, key=lambda ends: entangling_cost(ends.operations))


def affine_program(piece: Split, wires: Mapping[Any, int]) -> tuple[Split, Program]:
    """A piece of one row and its program; decomposed at its values where that is not affine."""
    try:
        return piece, program(piece, wires)
    except NotAffine:
        (piece,) = expand(piece, wires)
        return piece, program(piece, wires)


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

    def __init__(
        self,
        two_qubit: str = "zz",
        absorb: bool = True,
        optimize_depth: bool = True,
        optimize_fidelity: bool = True,
    ) -> None:
        for name, flag in (
            ("absorb", absorb),
            ("optimize_depth", optimize_depth),
            ("optimize_fidelity", optimize_fidelity),
        ):
            if not isinstance(flag, bool):
                raise CompileError(f"{name}={flag!r} is neither True nor False.")
        if two_qubit not in ("ms", "zz"):
            raise CompileError(f"Unknown two_qubit gate {two_qubit!r}. Allowed: 'ms', 'zz'.")
        self.two_qubit = two_qubit
        self.absorb = absorb
        self.optimize_depth = optimize_depth
        self.optimize_fidelity = optimize_fidelity
        self._lock = threading.Lock()
        self._circuits = self._written = self._sent = 0
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
                (:func:`~.tape_of`), rotations in radians.

        Returns:
            The ``input`` of an IonQ job in native gates, phases and angles in turns. Nothing
            is left to the readout: its outcomes are the circuit's, qubit by qubit.
        """
        made = self._compile(tape_of(circuit), absorb=False)
        tape_wire = {native: i for i, native in enumerate(made.permutation)}
        gates = tuple((name, tuple(tape_wire[q] for q in on), p) for name, on, p in made.gates)
        return replace(made, gates=gates).to_ionq()

    def get_stats(self) -> dict[str, Any]:
        """What was compiled so far, measured.

        Returns:
            ``total_gates_compiled`` (native gates that the tapes' gates take one by one),
            ``total_gates_reduced`` (how many fewer came out), ``avg_reduction_pct``,
            ``avg_compilation_time_ms`` (per circuit), ``circuits_compiled``.
        """
        with self._lock:
            reduced = self._written - self._sent
            return {
                "circuits_compiled": self._circuits,
                "total_gates_compiled": self._written,
                "total_gates_reduced": reduced,
                "avg_reduction_pct": 100 * reduced / self._written if self._written else 0.0,
                "avg_compilation_time_ms": (
                    1e3 * self._took_s / self._circuits if self._circuits else 0.0
                ),
            }

    def _compile(self, tape: QuantumScript, *, absorb: bool) -> NativeCircuit:
        if not isinstance(tape, QuantumScript):
            raise CompileError(
                f"A {type(tape).__name__} is no tape. Make one of a quantum function with "
                "qml.tape.make_qscript(function)(arguments)."
            )
        if not tape.wires:
            raise CompileError("The tape is on no wire: there is nothing to compile or to measure.")
        _refuse_traced(tape)
        start = time.perf_counter()
        (tape,), _ = qml.transforms.convert_to_numpy_parameters(tape)
        order = wire_order(tape)
        wires = {w: i for i, w in enumerate(order)}
        pieces = split(tape, wires)
        if len(pieces) > 1 or len(pieces[0].parameters) > 1:
            raise CompileError("The tape is broadcast; compile its rows one by one.")
        piece, made = affine_program(pieces[0], wires)
        made = bind_constants(made, piece.parameters)
        basis, measured = shared_basis(tape.measurements, wires)
        if not measured:
            measured = list(range(len(order)))
        template = compile_program(
            made,
            measured=measured if absorb else range(len(order)),
            basis=basis,
            family=self.two_qubit,
            absorb=absorb,
            optimize_depth=self.optimize_depth,
            optimize_fidelity=self.optimize_fidelity,
        )
        batch = template.bind(np.zeros((1, 0)))
        readout = batch.readout
        permutation: tuple[int, ...] = ()
        if not absorb:
            permutation = tuple(batch.measured[int(i)] for i in readout.matrix.argmax(axis=1))
            readout = Readout(readout.matrix[measured], readout.offset[measured])
        circuit = from_row(
            batch.blocks[0],
            0,
            qubits=batch.qubits,
            frames=template.frames(np.zeros((1, 0)))[0],
            measured=batch.measured,
            readout=readout,
            permutation=permutation,
        )
        took_s = time.perf_counter() - start
        written = sum(_alone(gate, self.two_qubit) for gate in made.gates)
        with self._lock:
            self._circuits += 1
            self._written += written
            self._sent += len(circuit.gates)
            self._took_s += took_s
        return circuit


def is_tracer(value: Any) -> bool:
    """Whether a parameter stands for values that jax does not know yet, or differentiates."""
    return any(kind.__name__ == "Tracer" for kind in type(value).__mro__)


def _refuse_traced(tape: QuantumScript) -> None:
    for op in tape.operations:
        if any(is_tracer(value) for value in op.data):
            raise CompileError(
                f"{op.name} on wires {op.wires.tolist()} has a parameter that jax traces: its "
                "value is not known here. Compile outside of jax.jit, jax.vmap and jax.grad."
            )


def _alone(gate: Gate, family: str) -> int:
    """Native gates that one elementary gate takes by itself."""
    on = tuple(range(len(gate.wires)))
    angles = tuple(round(angle.const, 9) for angle in gate.angles)
    unitary = None if gate.matrix is None else gate.matrix.tobytes()
    return _native_count(gate.name, on, angles, unitary, family)


@functools.lru_cache(maxsize=4096)
def _native_count(
    name: str, on: tuple[int, ...], angles: tuple[float, ...], unitary: bytes | None, family: str
) -> int:
    matrix = None
    if unitary is not None:
        matrix = np.frombuffer(unitary, dtype=complex).reshape(2 ** len(on), 2 ** len(on))
    gate = Gate(name, on, tuple(Affine((), angle) for angle in angles), matrix)
    program = Program(len(on), (gate,), 0)
    made = compile_program(
        program, measured=on, family=family, absorb=False, optimize_fidelity=False
    )
    return made.entanglers + made.pulses


def wire_order(tape: QuantumScript) -> list[Any]:
    """Wires as the compiler numbers them: integers ascending, other labels as they come."""
    labels = list(tape.wires)
    return sorted(labels) if all(isinstance(w, int) for w in labels) else labels
