r"""The compiler's intermediate representation: the one form that all passes work on.

It has four kinds of operation, none of which IonQ knows yet:

- :class:`OneQubitUnitary`: a constant one-qubit unitary,
- :class:`Rotation`: :math:`\exp(-i \frac{\alpha}{2} \sigma)` on one wire, angle affine in the
  parameters,
- :class:`ZZRotation`: :math:`\exp(-i \pi \theta\, Z \otimes Z)`, angle in turns,
- :class:`TwoQubitUnitary`: a constant two-qubit unitary, which synthesis turns into the others.

Global phases are dropped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from pennylane_qstore.native.frontend.program import Affine, ComplexArray

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


class OneQubitUnitary(NamedTuple):
    """A constant one-qubit unitary, up to phase."""

    wire: int
    matrix: ComplexArray


class Rotation(NamedTuple):
    """exp(-i angle/2 σ) about ``axis`` ("x", "y" or "z"); angle in radians."""

    wire: int
    axis: str
    angle: Affine


class ZZRotation(NamedTuple):
    """exp(-iπθ Z⊗Z); ``angle`` θ in turns."""

    a: int
    b: int
    angle: Affine


class TwoQubitUnitary(NamedTuple):
    """A constant two-qubit unitary, up to phase; ``a`` is the left tensor factor."""

    a: int
    b: int
    matrix: ComplexArray


Operation = OneQubitUnitary | Rotation | ZZRotation | TwoQubitUnitary


class OutputParity(NamedTuple):
    """An outcome as read from the machine: the XOR of these wires' bits, flipped or not."""

    wires: frozenset[int]
    flip: bool = False

    def relabelled(self, where: Sequence[int]) -> OutputParity:
        """Return the outcome when wire q is found on wire ``where[q]``."""
        return self._replace(wires=frozenset(where[q] for q in self.wires))


@dataclass(frozen=True, slots=True)
class IRCircuit:
    """Operations in time order, and where each tape wire is found at the end.

    Args:
        wires: number of wires.
        operations: in time order.
        outputs: one per tape wire. Without readout absorption each is one wire, unflipped.
    """

    wires: int
    operations: tuple[Operation, ...]
    outputs: tuple[OutputParity, ...]


def matrix(operation: Operation, parameters: Sequence[float] = ()) -> ComplexArray:
    """Matrix of an operation at one row of parameters (a two-qubit one: a ⊗ b)."""
    match operation:
        case OneQubitUnitary(_, m) | TwoQubitUnitary(_, _, m):
            return m
        case Rotation(_, axis, angle):
            half = _value(angle, parameters) / 2
            return np.asarray(np.cos(half) * I2 - 1j * np.sin(half) * PAULI[axis])
        case ZZRotation(_, _, angle):
            e = np.exp(-1j * np.pi * _value(angle, parameters))
            return np.diag([e, 1 / e, 1 / e, e])


def pauli_pair(
    a: int, b: int, axes: str, angle: Affine, after: Sequence[Operation] = ()
) -> list[Operation]:
    """exp(-iπθ σ⊗σ') as an interaction between the local bases of its axes (say "xy")."""
    bases = [
        OneQubitUnitary(q, TO_Z[axis]) for q, axis in zip((a, b), axes, strict=True) if axis != "z"
    ]
    return [*bases, ZZRotation(a, b, angle), *bases, *after]


def wires_of(operation: Operation) -> tuple[int, ...]:
    """The wires an operation acts on."""
    if isinstance(operation, (OneQubitUnitary, Rotation)):
        return (operation.wire,)
    return operation.a, operation.b


def is_constant(operation: Operation) -> bool:
    """Whether an operation is independent of the parameters."""
    return isinstance(operation, (OneQubitUnitary, TwoQubitUnitary)) or not operation.angle.terms


def _value(angle: Affine, parameters: Sequence[float]) -> float:
    return angle.const + sum(c * parameters[i] for i, c in angle.terms)
