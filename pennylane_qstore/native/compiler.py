"""The native compiler: a structure in, a template out; or a tape in, a circuit out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from pennylane.tape import QuantumScript
from pennylane.wires import Wires

from pennylane_qstore.errors import CompileError
from pennylane_qstore.native.absorb import leave_to_readout, start_from_zero
from pennylane_qstore.native.circuit import NativeCircuit, from_row
from pennylane_qstore.native.cnots import resynthesise_cnots
from pennylane_qstore.native.lower import Flow, lower
from pennylane_qstore.native.passes import entangling_cost, gather, synthesise
from pennylane_qstore.native.search import rewritten
from pennylane_qstore.native.structure import (
    Gate,
    NotAffine,
    Program,
    Split,
    expand,
    freeze,
    program,
    split,
)
from pennylane_qstore.native.template import Readout, Template

_TEMPLATES = 8
"""Candidates whose pulses are looked at."""


def compile_program(
    program: Program,
    *,
    measured: Sequence[int],
    basis: Sequence[Gate] = (),
    family: str = "zz",
    absorb: bool = True,
) -> Template:
    """Compile a program to a template.

    Args:
        program: elementary gates.
        measured: wires measured, in the order of the outcome's bits.
        basis: gates that turn what is measured to the Z basis.
        family: entangling gate, ``"ms"`` or ``"zz"``.
        absorb: whether the known start and the readout may take over gates. Without it the
            template keeps the unitary and all wires.
    """
    flow = gather(lower(resynthesise_cnots(program), basis))

    def plain(flow: Flow) -> Flow:
        return synthesise(gather(flow))

    def absorbed(flow: Flow) -> Flow:
        return _trimmed(synthesise(_trimmed(gather(flow))))

    finish = absorbed if absorb else plain
    if not absorb:
        flow = synthesise(flow)
    flow = replace(flow, outputs=tuple(flow.outputs[q] for q in measured))
    if absorb:
        flow = absorbed(flow)
    best = Template(flow, family, program.parameters, compact=absorb)
    for candidate in rewritten(flow, finish, outcomes=absorb)[:_TEMPLATES]:
        other = Template(candidate, family, program.parameters, compact=absorb)
        if other.pulses <= best.pulses:
            return other
    return best


def _trimmed(flow: Flow) -> Flow:
    """Both ends, in the better order: what one leaves can be in the other's way."""
    orders = (
        leave_to_readout(start_from_zero(flow)),
        leave_to_readout(start_from_zero(leave_to_readout(flow))),
    )
    return min(orders, key=lambda ends: entangling_cost(ends.operations))


def affine(piece: Split, wires: Mapping[Any, int]) -> tuple[Split, Program]:
    """A piece and its program; decomposed at its own values where that is not affine."""
    try:
        return piece, program(piece, wires)
    except NotAffine:
        piece = expand(piece, wires)
        return piece, program(piece, wires)


class IonQNativeGateCompiler:
    """Compiles circuits to IonQ's native gates.

    Args:
        two_qubit: entangling gate, ``"ms"`` (Aria) or ``"zz"`` (Forte).
        absorb: leave to the readout what only relabels outcomes, and drop what does nothing
            to |0…0⟩. Exact for the outcomes of the tape's measurements, not as a unitary.
    """

    def __init__(self, two_qubit: str = "zz", absorb: bool = True) -> None:
        if two_qubit not in ("ms", "zz"):
            raise CompileError(f"Unknown two_qubit gate {two_qubit!r}. Allowed: 'ms', 'zz'.")
        self.two_qubit = two_qubit
        self.absorb = absorb

    def compile(self, tape: QuantumScript) -> NativeCircuit:
        """Compile one tape, its parameters taken as constants.

        Raises:
            CompileError: an operation is not supported, a parameter is not finite, or the
                tape is broadcast.
        """
        order = _order(tape)
        wires = {w: i for i, w in enumerate(order)}
        pieces = split(tape, wires)
        if len(pieces) > 1 or len(pieces[0].parameters) > 1:
            raise CompileError("The tape is broadcast; compile its rows one by one.")
        piece, made = affine(pieces[0], wires)
        made = freeze(made, piece.parameters)
        asked = Wires.all_wires([m.wires for m in tape.measurements])
        measured = [wires[w] for w in asked] if asked else list(range(len(order)))
        template = compile_program(
            made,
            measured=measured if self.absorb else range(len(order)),
            family=self.two_qubit,
            absorb=self.absorb,
        )
        batch = template.bind(np.zeros((1, 0)))
        readout = batch.readout
        permutation: tuple[int, ...] = ()
        if not self.absorb:
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


def _order(tape: QuantumScript) -> list[Any]:
    """Wires as the compiler numbers them: integers ascending, other labels as they come."""
    labels = list(tape.wires)
    return sorted(labels) if all(isinstance(w, int) for w in labels) else labels
