"""Lowering: elementary gates to the operations of :mod:`~pennylane_qstore.native.ir`.

Every two-qubit gate with one interaction angle (CNOT, CZ, CRX, IsingYY, ...) is one ZZ rotation
between one-qubit operations; SWAP is relabelling. Global phases are dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from pennylane_qstore.native.frontend.program import Affine, ComplexArray, Gate, Program
from pennylane_qstore.native.gates import TURN
from pennylane_qstore.native.ir import (
    SWAP,
    SX,
    TO_Z,
    H,
    IRCircuit,
    OneQubitUnitary,
    Operation,
    OutputParity,
    S,
    T,
    TwoQubitUnitary,
    X,
    Y,
    Z,
    ZZRotation,
    pauli_pair,
    rotation,
)
from pennylane_qstore.native.passes.kak import canonical


def lower(program: Program, *, basis: Sequence[Gate] = ()) -> IRCircuit:
    """Lower a program to a circuit with the same unitary.

    Args:
        program: elementary gates.
        basis: gates that follow, which turn what is measured to the Z basis.

    Returns:
        A circuit without SWAPs; the outputs say where each tape wire is found.
    """
    at = list(range(program.wires))
    operations: list[Operation] = []
    for gate in (*program.gates, *basis):
        on = tuple(at[q] for q in gate.wires)
        if gate.name == "SWAP":
            p, q = gate.wires
            at[p], at[q] = at[q], at[p]
        elif gate.name == "QubitUnitary":
            assert gate.matrix is not None  # noqa: S101 - the structure always gives it one
            if len(on) == 1:
                operations.append(OneQubitUnitary(on[0], gate.matrix))
            else:
                operations.append(TwoQubitUnitary(on[0], on[1], gate.matrix))
        else:
            operations += LOWERINGS[gate.name](on, gate.angles)
    outputs = tuple(OutputParity(frozenset((q,))) for q in at)
    return IRCircuit(program.wires, tuple(operations), outputs)


def alone(gate: Gate) -> Sequence[Operation]:
    """Return the operations of one gate on its own wires, which are not exchanged."""
    if gate.name == "SWAP":
        return canonical(SWAP).operations(*gate.wires)
    if gate.matrix is None:
        return LOWERINGS[gate.name](gate.wires, gate.angles)
    if len(gate.wires) == 1:
        return [OneQubitUnitary(gate.wires[0], gate.matrix)]
    return canonical(gate.matrix).operations(*gate.wires)


_Lowering = Callable[[tuple[int, ...], tuple[Affine, ...]], list[Operation]]


def _rotation(axis: str) -> _Lowering:
    return lambda on, angles: [rotation(on[0], axis, angles[0])]


def _constant(m: ComplexArray) -> _Lowering:
    return lambda on, angles: [OneQubitUnitary(on[0], m)]


def _euler(on: tuple[int, ...], first: Affine, middle: Affine, last: Affine) -> list[Operation]:
    """RZ, RY, RZ in time order."""
    (q,) = on
    return [rotation(q, "z", first), rotation(q, "y", middle), rotation(q, "z", last)]


def _ising(axes: str) -> _Lowering:
    return lambda on, angles: pauli_pair(on[0], on[1], axes, angles[0].scaled(1 / TURN))


def _controlled_rotation(axis: str) -> _Lowering:
    """CR(t) = R_target(t/2) · exp(i t/4 Z⊗σ)."""

    def build(on: tuple[int, ...], angles: tuple[Affine, ...]) -> list[Operation]:
        c, t = on
        half = rotation(t, axis, angles[0].scaled(0.5))
        return [*pauli_pair(c, t, "z" + axis, angles[0].scaled(-0.5 / TURN)), half]

    return build


def _controlled_phase(axis: str) -> _Lowering:
    """CP(t) = RZ(t/2) ⊗ RZ(t/2) · exp(i t/4 Z⊗Z), up to phase, with the target's axis for its Z.

    The angle is π where the gate has none: a controlled Pauli.
    """

    def build(on: tuple[int, ...], angles: tuple[Affine, ...]) -> list[Operation]:
        a, b = on
        (angle,) = angles or (Affine((), np.pi),)
        to_z = [OneQubitUnitary(b, TO_Z[axis])] if axis != "z" else []
        frames = [rotation(q, "z", angle.scaled(0.5)) for q in on]
        return [*to_z, ZZRotation(a, b, angle.scaled(-0.5 / TURN)), *frames, *to_z]

    return build


def _gpi(on: tuple[int, ...], angles: tuple[Affine, ...]) -> list[Operation]:
    return [rotation(on[0], "z", angles[0].scaled(-2 * TURN)), OneQubitUnitary(on[0], X)]


def _gpi2(on: tuple[int, ...], angles: tuple[Affine, ...]) -> list[Operation]:
    phase, (q,) = angles[0].scaled(TURN), on
    quarter = rotation(q, "x", Affine((), np.pi / 2))
    return [rotation(q, "z", phase.scaled(-1)), quarter, rotation(q, "z", phase)]


def _ms(on: tuple[int, ...], angles: tuple[Affine, ...]) -> list[Operation]:
    frames = [(q, angle.scaled(TURN)) for q, angle in zip(on, angles, strict=False)]
    return [
        *(rotation(q, "z", phase.scaled(-1)) for q, phase in frames),
        *pauli_pair(on[0], on[1], "xx", angles[2]),
        *(rotation(q, "z", phase) for q, phase in frames),
    ]


LOWERINGS: Mapping[str, _Lowering] = {
    **{name: _rotation("z") for name in ("RZ", "PhaseShift", "U1")},
    "RX": _rotation("x"),
    "RY": _rotation("y"),
    "Rot": lambda on, v: _euler(on, v[0], v[1], v[2]),
    "U2": lambda on, v: _euler(on, v[1], Affine((), np.pi / 2), v[0]),
    "U3": lambda on, v: _euler(on, v[2], v[0], v[1]),
    "Identity": lambda on, v: [],
    "Hadamard": _constant(H),
    "PauliX": _constant(X),
    "PauliY": _constant(Y),
    "PauliZ": _constant(Z),
    "S": _constant(S),
    "T": _constant(T),
    "SX": _constant(SX),
    "Adjoint(S)": _constant(S.conj().T),
    "Adjoint(T)": _constant(T.conj().T),
    "Adjoint(SX)": _constant(SX.conj().T),
    "CNOT": _controlled_phase("x"),
    "CY": _controlled_phase("y"),
    "CZ": _controlled_phase("z"),
    "CRX": _controlled_rotation("x"),
    "CRY": _controlled_rotation("y"),
    "CRZ": _controlled_rotation("z"),
    "ControlledPhaseShift": _controlled_phase("z"),
    "IsingXX": _ising("xx"),
    "IsingYY": _ising("yy"),
    "IsingZZ": _ising("zz"),
    "GPI": _gpi,
    "GPI2": _gpi2,
    "MS": _ms,
    "ZZ": lambda on, v: [ZZRotation(on[0], on[1], v[0])],
}
"""Lowering of each elementary gate but SWAP and QubitUnitary, which :func:`lower` handles."""
