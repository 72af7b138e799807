"""Programs: elementary gates whose angles are affine in parameters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[Any]
"""An array of float64."""
ComplexArray = npt.NDArray[Any]
"""An array of complex128."""


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


@dataclass(frozen=True, slots=True)
class Program:
    """Elementary gates in time order on wires ``0 .. wires-1``, over ``parameters`` parameters."""

    wires: int
    gates: tuple[Gate, ...]
    parameters: int


def bind_constants(program: Program, parameters: FloatArray) -> Program:
    """Return the program at one row of parameters: every angle a constant.

    Args:
        program: the program.
        parameters: the row, ``[1, P]``.

    Returns:
        A program without parameters.
    """
    gates = tuple(
        gate._replace(angles=tuple(Affine((), float(a.at(parameters)[0])) for a in gate.angles))
        for gate in program.gates
    )
    return Program(program.wires, gates, 0)
