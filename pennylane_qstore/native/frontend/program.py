"""Rows of a structure, and programs: elementary gates whose angles are affine in parameters."""

from __future__ import annotations

from collections.abc import Container, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pennylane as qml
from pennylane.operation import Operator

from pennylane_qstore.native.gates import GPI, GPI2, MS, ZZ
from pennylane_qstore.native.verbatim import VerbatimBegin, VerbatimEnd

ELEMENTARY: Mapping[type, int] = {
    **dict.fromkeys((qml.RX, qml.RY, qml.RZ, qml.PhaseShift, qml.U1, GPI, GPI2, ZZ), 1),
    **dict.fromkeys((qml.IsingXX, qml.IsingYY, qml.IsingZZ), 1),
    **dict.fromkeys((qml.CRX, qml.CRY, qml.CRZ, qml.ControlledPhaseShift), 1),
    **dict.fromkeys((qml.Rot, qml.U3, MS), 3),
    qml.U2: 2,
    **dict.fromkeys((qml.Hadamard, qml.PauliX, qml.PauliY, qml.PauliZ, qml.S, qml.T, qml.SX), 0),
    **dict.fromkeys((qml.CNOT, qml.CZ, qml.CY, qml.SWAP, qml.Identity), 0),
    **dict.fromkeys((qml.Barrier, VerbatimBegin, VerbatimEnd), 0),
}
"""Gates the compiler knows by itself, and marks of where it stops, with their numbers of angles."""

DROPPED = (qml.GlobalPhase, qml.Snapshot, qml.WireCut)
"""Operations without effect on the outcome of a circuit."""

FloatArray = npt.NDArray[Any]
"""An array of float64."""
ComplexArray = npt.NDArray[Any]
"""An array of complex128."""


class StructuredTape(NamedTuple):
    """Rows of one structure.

    Attributes:
        key: the structure; equal keys have the same elementary gates.
        parameters: numbers of each row, ``[rows, P]``, in the tape's units.
        operations: the tape's operations, with the parameters of all rows.
        batched: whether the tape is broadcast.
        by_value: names of operations that were decomposed at their values, since no template
            of their parameters fits.
    """

    key: tuple[Hashable, ...]
    parameters: FloatArray
    operations: tuple[Operator, ...]
    batched: bool
    by_value: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Affine:
    """An angle as a function of the parameters: ``const + Σ factor · parameter[index]``."""

    terms: tuple[tuple[int, float], ...] = ()
    const: float = 0.0

    def scaled(self, factor: float) -> Affine:
        """Return this angle times a number."""
        return Affine(tuple((i, c * factor) for i, c in self.terms), self.const * factor)

    def plus(self, other: Affine | float) -> Affine:
        """Return the sum of two angles."""
        if not isinstance(other, Affine):
            return Affine(self.terms, self.const + other)
        total = dict(self.terms)
        for i, c in other.terms:
            total[i] = total.get(i, 0.0) + c
        return Affine(tuple((i, c) for i, c in total.items() if c), self.const + other.const)

    def at(self, parameters: FloatArray) -> FloatArray:
        """Return the values for parameters ``[rows, P]``; shape (rows,)."""
        out = np.full(len(parameters), self.const)
        for i, c in self.terms:
            out += c * parameters[:, i]
        return out


class Gate(NamedTuple):
    """An elementary gate on wire indices, angles in radians (turns for native gates)."""

    name: str
    wires: tuple[int, ...]
    angles: tuple[Affine, ...] = ()
    matrix: ComplexArray | None = None

    def renumbered(self, column: Sequence[int]) -> Gate:
        """Return this gate with angles over ``column[index]`` for each index."""
        return self._replace(
            angles=tuple(
                [Affine(tuple([(column[i], c) for i, c in a.terms]), a.const) for a in self.angles]
            )
        )


@dataclass(frozen=True, slots=True)
class Program:
    """Elementary gates in time order on wires ``0 .. wires-1``.

    Attributes:
        wires: number of wires.
        gates: angles are affine in the columns.
        parameters: number of columns: a tape's parameters, then products of them.
        products: indices of the parameters in each product.
    """

    wires: int
    gates: tuple[Gate, ...]
    parameters: int
    products: tuple[tuple[int, ...], ...] = ()

    def columns(self, rows: FloatArray) -> FloatArray:
        """Return a tape's parameters ``[rows, P]`` with the products beside them."""
        if not self.products:
            return rows
        products = [rows[:, product].prod(axis=1) for product in self.products]
        return np.concatenate([rows, np.stack(products, axis=1)], axis=1)


def bind_constants(
    program: Program,
    parameters: FloatArray,
    some: Sequence[bool] | None = None,
    columns: Container[int] | None = None,
) -> Program:
    """Return the program at one row of parameters: angles as constants.

    Args:
        program: the program.
        parameters: the row of its columns, ``[1, columns]``.
        some: the gates whose angles become constants; all of them by default.
        columns: the parameters that become constants; all of them by default.

    Returns:
        The program; without parameters, if all angles are constants.
    """

    def bound(angle: Affine) -> Affine:
        left, const = [], angle.const
        for i, factor in angle.terms:
            if columns is None or i in columns:
                const += factor * float(parameters[0, i])
            else:
                left.append((i, factor))
        return Affine(tuple(left), const)

    gates = tuple(
        gate._replace(angles=tuple([bound(angle) for angle in gate.angles])) if chosen else gate
        for gate, chosen in zip(program.gates, some or [True] * len(program.gates), strict=True)
    )
    if not any(angle.terms for gate in gates for angle in gate.angles):
        return Program(program.wires, gates, 0)
    return replace(program, gates=gates)
