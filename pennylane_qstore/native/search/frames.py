"""Frames: strategies for the Clifford that remains once a resynthesis has emitted all rotations.

A frame is a table of what is wanted of the Clifford. The resynthesis conjugates it along with the
strings of the rotations, calls :meth:`~UnitaryFrame.shorten` after each conjugation, and goes on
until every row acts on one wire at most.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pennylane_qstore.native.ir import TO_Z, OneQubitUnitary, Operation, OutputParity
from pennylane_qstore.native.search.pauli import AXES, PauliTable, clifford, product, weight

Weights = npt.NDArray[Any]
"""float64 or small integers."""
Ending = tuple[list[Operation], tuple[OutputParity, ...]]
"""Last operations, and where each output is found after them."""


class UnitaryFrame:
    """The Clifford kept as a unitary: rows of all X_q, then of all Z_q."""

    def __init__(self, table: PauliTable) -> None:
        self.table = table
        self.wires = table.codes.shape[1]

    def shorten(self) -> None:
        """Leave every row as it is: each is wanted for itself."""

    def certain(self, lost: Weights) -> npt.NDArray[np.bool_]:
        """Return the candidates that make sure progress, (pairs, generators).

        They shorten one wire's rows to their end: its Z first, then X leaving Z alone. ``lost``
        is the weight that each row loses by each candidate, (rows, pairs, generators).
        """
        n = self.wires
        lengths = weight(self.table.codes)
        both = lengths[:n] + lengths[n:]
        q = int(np.where(both > 2, both, 2 * n + 1).argmin())
        if lengths[n + q] > 1:
            return np.asarray(lost[n + q] > 0)
        return np.asarray((lost[q] > 0) & (lost[n + q] >= 0))

    def finish(self, outputs: Sequence[OutputParity]) -> Ending:
        """End with a Clifford on each wire; outputs move to the wires of their rows."""
        codes, signs = self.table
        where = [int(np.flatnonzero(row)[0]) for row in codes[: self.wires]]
        last: list[Operation] = []
        for q, wire in enumerate(where):
            x, z = ((int(codes[i, wire]), int(signs[i])) for i in (q, self.wires + q))
            last.append(OneQubitUnitary(wire, clifford(x, z)))
        return last, tuple(bit.relabelled(where) for bit in outputs)


class OutcomeFrame:
    """The measured products of Z alone.

    They commute and may be multiplied by each other: outcome i is the XOR of the rows
    ``parts[i]``.
    """

    def __init__(self, table: PauliTable) -> None:
        self.table = table
        self.parts = [{i} for i in range(len(table.codes))]
        self.shorten()

    def shorten(self) -> None:
        """Multiply rows by others where that makes them shorter."""
        codes, signs = self.table
        count, start = len(codes), 0
        # Weights of the products, at [i, j]; a row is not multiplied by itself.
        lengths = (codes[:, None] != codes).sum(axis=2) + 2 * codes.shape[1] * np.eye(count)
        while True:
            shorter = np.flatnonzero(lengths < weight(codes)[:, None])
            if not len(shorter):
                return
            # In turn, from the start again after the last.
            following = shorter[shorter >= start]
            chosen = int(following[0] if len(following) else shorter[0])
            start = chosen + 1
            i, j = divmod(chosen, count)
            codes[i], sign = product(codes[i], codes[j])
            signs[i] *= sign * signs[j]
            for parts in self.parts:
                if i in parts:
                    parts ^= {j}
            others = np.arange(count) != i
            lengths[i, others] = lengths[others, i] = weight(codes[others] != codes[i])

    def certain(self, lost: Weights) -> npt.NDArray[np.bool_]:
        """Return the candidates that shorten the shortest row, (pairs, generators)."""
        lengths = weight(self.table.codes)
        shortest = int(np.where(lengths > 1, lengths, self.table.codes.shape[1] + 1).argmin())
        return np.asarray(lost[shortest] > 0)

    def finish(self, outputs: Sequence[OutputParity]) -> Ending:
        """End with changes of basis to Z; each output is an XOR of rows, flipped by signs."""
        codes, signs = self.table
        last: list[Operation] = [
            OneQubitUnitary(int(q), TO_Z[AXES[codes[i, q]]])
            for i, q in np.argwhere(codes)
            if codes[i, q] != 3
        ]
        new = []
        for parts, output in zip(self.parts, outputs, strict=True):
            wires = frozenset(np.flatnonzero((codes[list(parts)] > 0).sum(axis=0) % 2).tolist())
            flip = bool(np.prod(signs[list(parts)]) < 0)
            new.append(OutputParity(wires, flip ^ output.flip))
        return last, tuple(new)


Frame = UnitaryFrame | OutcomeFrame
