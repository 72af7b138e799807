r"""From elementary gates to the one form all passes work on.

The form has three kinds of operation, none of which IonQ knows yet:

- :class:`Local`: a constant one-qubit unitary,
- :class:`Turn`: :math:`\exp(-i \frac{\alpha}{2} \sigma)` on one wire, angle affine in the
  parameters,
- :class:`Interaction`: :math:`\exp(-i \pi \theta\, Z \otimes Z)`, angle in turns.

Every two-qubit gate with one interaction angle (CNOT, CZ, CRX, IsingYY, ...) is one
interaction between local operations; SWAP is relabelling. Global phases are dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from pennylane_qstore.native.frontend.program import Affine, ComplexArray, Gate, Program
from pennylane_qstore.native.gates import TURN

I2: ComplexArray = np.eye(2, dtype=complex)
X: ComplexArray = np.array([[0, 1], [1, 0]], dtype=complex)
Y: ComplexArray = np.array([[0, -1j], [1j, 0]])
Z: ComplexArray = np.diag([1, -1]).astype(complex)
H: ComplexArray = (X + Z) / np.sqrt(2)
S: ComplexArray = np.diag([1, 1j])
T: ComplexArray = np.diag([1, np.exp(0.25j * np.pi)])
SX: ComplexArray = np.array([[1 + 1j, 1 - 1j], [1 - 1j, 1 + 1j]]) / 2
PAULI: Mapping[str, ComplexArray] = {"x": X, "y": Y, "z": Z}

TO_Z: Mapping[str, ComplexArray] = {
    "x": H,
    "y": (Y + Z) / np.sqrt(2),
    "z": I2,
}
"""Hermitian unitaries V with V σ V = Z."""


class Local(NamedTuple):
    """A constant one-qubit unitary, up to phase."""

    wire: int
    matrix: ComplexArray


class Turn(NamedTuple):
    """exp(-i angle/2 σ) about ``axis`` ("x", "y" or "z"); angle in radians."""

    wire: int
    axis: str
    angle: Affine


class Interaction(NamedTuple):
    """exp(-iπθ Z⊗Z); ``angle`` θ in turns."""

    a: int
    b: int
    angle: Affine


class Block(NamedTuple):
    """A constant two-qubit unitary, up to phase; ``a`` is the left tensor factor."""

    a: int
    b: int
    matrix: ComplexArray


Operation = Local | Turn | Interaction | Block


class Bit(NamedTuple):
    """An outcome as read from the machine: the XOR of these wires' bits, flipped or not."""

    wires: frozenset[int]
    flip: bool = False


@dataclass(frozen=True, slots=True)
class Flow:
    """Operations in time order, and where each tape wire is found at the end.

    Args:
        wires: number of wires.
        operations: in time order.
        outputs: one per tape wire. Without readout absorption each is one wire, unflipped.
    """

    wires: int
    operations: tuple[Operation, ...]
    outputs: tuple[Bit, ...]


def lower(program: Program, basis: Sequence[Gate] = ()) -> Flow:
    """Lower a program, followed by the gates that turn its measurement basis to Z."""
    at = list(range(program.wires))
    operations: list[Operation] = []
    for gate in (*program.gates, *basis):
        on = tuple(at[q] for q in gate.wires)
        if gate.name == "SWAP":
            p, q = gate.wires
            at[p], at[q] = at[q], at[p]
        elif gate.name == "QubitUnitary":
            assert gate.matrix is not None  # noqa: S101 - the structure always gives it one
            operations.append(
                Local(on[0], gate.matrix) if len(on) == 1 else Block(on[0], on[1], gate.matrix)
            )
        else:
            operations += LOWERINGS[gate.name](on, gate.angles)
    outputs = tuple(Bit(frozenset((q,))) for q in at)
    return Flow(program.wires, tuple(operations), outputs)


def matrix(operation: Operation, parameters: Sequence[float] = ()) -> ComplexArray:
    """Matrix of an operation at one row of parameters (a two-qubit one: a ⊗ b)."""
    match operation:
        case Local(_, m) | Block(_, _, m):
            return m
        case Turn(_, axis, angle):
            half = _value(angle, parameters) / 2
            return np.asarray(np.cos(half) * I2 - 1j * np.sin(half) * PAULI[axis])
        case Interaction(_, _, angle):
            e = np.exp(-1j * np.pi * _value(angle, parameters))
            return np.diag([e, 1 / e, 1 / e, e])


def pauli_pair(
    a: int, b: int, axes: str, angle: Affine, after: Sequence[Operation] = ()
) -> list[Operation]:
    """exp(-iπθ σ⊗σ') as an interaction between the local bases of its axes (say "xy")."""
    bases = [Local(q, TO_Z[axis]) for q, axis in zip((a, b), axes, strict=True) if axis != "z"]
    return [*bases, Interaction(a, b, angle), *bases, *after]


def wires_of(operation: Operation) -> tuple[int, ...]:
    """The wires an operation acts on."""
    if isinstance(operation, (Local, Turn)):
        return (operation.wire,)
    return operation.a, operation.b


def is_constant(operation: Operation) -> bool:
    """Whether an operation is independent of the parameters."""
    return isinstance(operation, (Local, Block)) or not operation.angle.terms


def _value(angle: Affine, parameters: Sequence[float]) -> float:
    return angle.const + sum(c * parameters[i] for i, c in angle.terms)


_Lowering = Callable[[tuple[int, ...], tuple[Affine, ...]], list[Operation]]


def _turn(axis: str) -> _Lowering:
    return lambda on, angles: [_rotation(on[0], axis, angles[0])]


def _local(m: ComplexArray) -> _Lowering:
    return lambda on, angles: [Local(on[0], m)]


def _rotation(wire: int, axis: str, angle: Affine) -> Operation:
    turn = Turn(wire, axis, angle)
    return turn if angle.terms else Local(wire, matrix(turn))


def _euler(on: tuple[int, ...], first: Affine, middle: Affine, last: Affine) -> list[Operation]:
    """RZ, RY, RZ in time order."""
    (q,) = on
    return [_rotation(q, "z", first), _rotation(q, "y", middle), _rotation(q, "z", last)]


def _ising(axes: str) -> _Lowering:
    return lambda on, angles: pauli_pair(on[0], on[1], axes, angles[0].scaled(1 / TURN))


def _controlled_rotation(axis: str) -> _Lowering:
    """CR(t) = R_target(t/2) · exp(i t/4 Z⊗σ)."""

    def build(on: tuple[int, ...], angles: tuple[Affine, ...]) -> list[Operation]:
        c, t = on
        half = _rotation(t, axis, angles[0].scaled(0.5))
        return pauli_pair(c, t, "z" + axis, angles[0].scaled(-0.5 / TURN), [half])

    return build


def _controlled_phase(on: tuple[int, ...], angles: tuple[Affine, ...]) -> list[Operation]:
    """CP(t) = RZ(t/2) ⊗ RZ(t/2) · exp(i t/4 Z⊗Z), up to phase."""
    half = angles[0].scaled(0.5)
    locals_ = [_rotation(q, "z", half) for q in on]
    return [Interaction(on[0], on[1], angles[0].scaled(-0.5 / TURN)), *locals_]


def _controlled_pauli(axis: str) -> _Lowering:
    """CZ between the bases of the target's axis."""

    def build(on: tuple[int, ...], angles: tuple[Affine, ...]) -> list[Operation]:
        t = on[1]
        to_z = [Local(t, TO_Z[axis])] if axis != "z" else []
        return [*to_z, *_controlled_phase(on, (Affine((), np.pi),)), *to_z]

    return build


def _gpi(on: tuple[int, ...], angles: tuple[Affine, ...]) -> list[Operation]:
    return [_rotation(on[0], "z", angles[0].scaled(-2 * TURN)), Local(on[0], X)]


def _gpi2(on: tuple[int, ...], angles: tuple[Affine, ...]) -> list[Operation]:
    phase, (q,) = angles[0].scaled(TURN), on
    quarter = Local(q, matrix(Turn(q, "x", Affine((), np.pi / 2))))
    return [_rotation(q, "z", phase.scaled(-1)), quarter, _rotation(q, "z", phase)]


def _ms(on: tuple[int, ...], angles: tuple[Affine, ...]) -> list[Operation]:
    frames = [(q, angle.scaled(TURN)) for q, angle in zip(on, angles, strict=False)]
    return [
        *(_rotation(q, "z", phase.scaled(-1)) for q, phase in frames),
        *pauli_pair(on[0], on[1], "xx", angles[2]),
        *(_rotation(q, "z", phase) for q, phase in frames),
    ]


LOWERINGS: Mapping[str, _Lowering] = {
    **{name: _turn("z") for name in ("RZ", "PhaseShift", "U1")},
    "RX": _turn("x"),
    "RY": _turn("y"),
    "Rot": lambda on, v: _euler(on, v[0], v[1], v[2]),
    "U2": lambda on, v: _euler(on, v[1], Affine((), np.pi / 2), v[0]),
    "U3": lambda on, v: _euler(on, v[2], v[0], v[1]),
    "Identity": lambda on, v: [],
    "Hadamard": _local(H),
    "PauliX": _local(X),
    "PauliY": _local(Y),
    "PauliZ": _local(Z),
    "S": _local(S),
    "T": _local(T),
    "SX": _local(SX),
    "Adjoint(S)": _local(S.conj().T),
    "Adjoint(T)": _local(T.conj().T),
    "Adjoint(SX)": _local(SX.conj().T),
    "CNOT": _controlled_pauli("x"),
    "CY": _controlled_pauli("y"),
    "CZ": _controlled_pauli("z"),
    "CRX": _controlled_rotation("x"),
    "CRY": _controlled_rotation("y"),
    "CRZ": _controlled_rotation("z"),
    "ControlledPhaseShift": _controlled_phase,
    "IsingXX": _ising("xx"),
    "IsingYY": _ising("yy"),
    "IsingZZ": _ising("zz"),
    "GPI": _gpi,
    "GPI2": _gpi2,
    "MS": _ms,
    "ZZ": lambda on, v: [Interaction(on[0], on[1], v[0])],
}
"""Lowering of each elementary gate. SWAP and QubitUnitary are handled by :func:`lower`."""
