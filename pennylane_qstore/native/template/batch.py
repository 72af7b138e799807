"""Bound templates: circuits in native gates, and the meaning of their outcomes."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pennylane_qstore.gateset import NATIVE
from pennylane_qstore.native.frontend.program import FloatArray
from pennylane_qstore.native.ir import OutputParity

NativeGate = tuple[str, tuple[int, ...]]
"""Name and wires of a gate whose parameters stand elsewhere."""


def native_slots(gates: Iterable[NativeGate]) -> list[slice]:
    """Return for each native gate the columns of its numbers among those of all."""
    ends = itertools.accumulate([NATIVE[name].slots for name, _ in gates], initial=0)
    return [slice(*pair) for pair in itertools.pairwise(ends)]


class NativeBlock(NamedTuple):
    """Rows of one gate skeleton.

    Attributes:
        rows: indices of the rows in the batch.
        gates: the skeleton, (name, wires) in time order; QIS gates have controls besides.
        params: parameters, (len(rows), slots), as :mod:`pennylane_qstore.gateset` lists them.
    """

    rows: npt.NDArray[np.intp]
    gates: tuple[NativeGate, ...]
    params: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Readout:
    """The meaning of outcomes: tape bits as an affine map over GF(2) of the measured bits.

    Args:
        matrix: (tape wires measured, native wires measured), zeros and ones.
        offset: (tape wires measured,), zeros and ones.
    """

    matrix: npt.NDArray[np.uint8]
    offset: npt.NDArray[np.uint8]

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Readout)
            and np.array_equal(self.matrix, other.matrix)
            and np.array_equal(self.offset, other.offset)
        )

    def __hash__(self) -> int:
        return hash((self.matrix.shape, self.matrix.tobytes(), self.offset.tobytes()))

    @classmethod
    def of(
        cls, outputs: Sequence[OutputParity], wires: Sequence[int]
    ) -> tuple[tuple[int, ...], Readout]:
        """Return the native wires to measure, ascending, and the readout from their bits.

        Args:
            outputs: for each tape wire measured, the XOR of wires that holds its bit.
            wires: circuit wire of each native wire.

        Returns:
            The wires, and the readout.
        """
        native = {q: i for i, q in enumerate(wires)}
        measured = tuple(sorted({native[q] for bit in outputs for q in bit.wires}))
        matrix = np.zeros((len(outputs), len(measured)), dtype=np.uint8)
        for i, bit in enumerate(outputs):
            for q in bit.wires:
                matrix[i, measured.index(native[q])] = 1
        return measured, cls(matrix, np.array([bit.flip for bit in outputs], dtype=np.uint8))

    @classmethod
    def identity(cls, bits: int) -> Readout:
        """Return the readout that leaves every bit as it is."""
        return cls(np.eye(bits, dtype=np.uint8), np.zeros(bits, dtype=np.uint8))

    def apply(self, bits: npt.NDArray[np.integer]) -> npt.NDArray[np.uint8]:
        """Return tape bits (shots, tape wires) of measured bits (shots, native wires)."""
        bits = np.asarray(bits, dtype=np.uint8)
        return np.asarray((bits @ self.matrix.T + self.offset) & 1, dtype=np.uint8)


class NativeBatch(NamedTuple):
    """A bound template: circuits in native gates, and how to read their outcomes.

    Args:
        rows: number of circuits.
        qubits: number of native wires.
        blocks: the circuits, by gate skeleton.
        measured: native wires measured, in the order of the readout's columns.
        readout: from measured bits to the tape's.
    """

    rows: int
    qubits: int
    blocks: tuple[NativeBlock, ...]
    measured: tuple[int, ...]
    readout: Readout
