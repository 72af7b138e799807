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

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

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

TO_Z: Mapping[str, ComplexArray] = {"x": H, "y": (Y + Z) / np.sqrt(2), "z": I2}
"""Hermitian unitaries V with V σ V = Z."""

SWAP: ComplexArray = np.eye(4, dtype=complex)[[0, 2, 1, 3]]
CNOT: ComplexArray = np.eye(4, dtype=complex)[[0, 1, 3, 2]]
CNOT_REVERSED: ComplexArray = np.eye(4, dtype=complex)[[0, 3, 2, 1]]

_T = TypeVar("_T")


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


OneQubitOperation = OneQubitUnitary | Rotation
TwoQubitOperation = ZZRotation | TwoQubitUnitary
Operation = OneQubitOperation | TwoQubitOperation


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


def wires_of(operation: Operation) -> tuple[int, ...]:
    """Return the wires an operation acts on."""
    if isinstance(operation, OneQubitOperation):
        return (operation.wire,)
    return operation.a, operation.b


def is_constant(operation: Operation) -> bool:
    """Return True if an operation is independent of the parameters."""
    return isinstance(operation, OneQubitUnitary | TwoQubitUnitary) or not operation.angle.terms


def matrix(operation: Operation) -> ComplexArray:
    """Return the matrix of a constant operation, 2x2 or 4x4 (a ⊗ b)."""
    match operation:
        case OneQubitUnitary(_, m) | TwoQubitUnitary(_, _, m):
            return m
        case Rotation(_, axis, angle):
            half = angle.const / 2
            return np.asarray(np.cos(half) * I2 - 1j * np.sin(half) * PAULI[axis])
        case ZZRotation(_, _, angle):
            e = np.exp(-1j * np.pi * angle.const)
            return np.diag([e, 1 / e, 1 / e, e])


def moved(operation: Operation, wires: Sequence[int]) -> Operation:
    """Return an operation on other wires.

    Args:
        operation: the operation.
        wires: its new wires, as many as it has.

    Returns:
        The same operation on these wires.
    """
    if isinstance(operation, OneQubitOperation):
        return operation._replace(wire=wires[0])
    return operation._replace(a=wires[0], b=wires[1])


def rotation(wire: int, axis: str, angle: Affine) -> OneQubitOperation:
    """Build a one-qubit rotation, as a unitary where its angle is constant.

    Args:
        wire: wire it acts on.
        axis: ``"x"``, ``"y"`` or ``"z"``.
        angle: radians.

    Returns:
        exp(-i angle/2 σ).
    """
    turn = Rotation(wire, axis, angle)
    return turn if angle.terms else OneQubitUnitary(wire, matrix(turn))


def pauli_pair(a: int, b: int, axes: str, angle: Affine) -> list[Operation]:
    """Build a rotation about a product of two Pauli axes.

    Args:
        a: first wire.
        b: second wire.
        axes: axis on each wire, say ``"xy"``.
        angle: θ in turns.

    Returns:
        exp(-iπθ σ⊗σ') as a ZZ rotation between the changes of basis of its axes.
    """
    axis_of = dict(zip((a, b), axes, strict=True))
    bases = [OneQubitUnitary(q, TO_Z[axis]) for q, axis in axis_of.items() if axis != "z"]
    return [*bases, ZZRotation(a, b, angle), *bases]


def cached_by_value(function: Callable[[ComplexArray], _T]) -> Callable[[ComplexArray], _T]:
    """Cache a function of one square complex matrix by the matrix's bytes.

    The passes ask for a cost first and for the operations next, and the windows of a search
    repeat the same few unitaries many thousand times.
    """

    @functools.lru_cache(maxsize=4096)
    def of_bytes(buffer: bytes) -> _T:
        size = math.isqrt(len(buffer) // np.dtype(complex).itemsize)
        return function(np.frombuffer(buffer, dtype=complex).reshape(size, size))

    @functools.wraps(function)
    def of_matrix(matrix: ComplexArray) -> _T:
        return of_bytes(np.ascontiguousarray(matrix, dtype=complex).tobytes())

    return of_matrix
