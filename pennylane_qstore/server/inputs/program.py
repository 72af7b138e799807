"""The circuit program that a submission becomes: a gate skeleton, a row of numbers per circuit."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

COPY = "copy"
"""A CNOT without noise onto a fresh qubit: what a measurement in the middle of a circuit does to
the qubit that goes on. Never in IonQ's JSON; the OpenQASM reader makes it."""


class Gate(NamedTuple):
    """One gate of a skeleton; ``slots`` numbers of the row belong to it.

    ``name`` is IonQ's, with ``p`` for ``z`` with a rotation, ``x`` for ``not`` and ``cnot``.
    """

    name: str
    targets: tuple[int, ...]
    controls: tuple[int, ...]
    slots: int
    terms: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Program:
    """Circuits of one skeleton.

    Args:
        gateset: ``"qis"`` or ``"native"``.
        qubits: qubits of each circuit (all are measured).
        gates: the skeleton.
        params: the numbers, shape [rows, slots]; radians (qis) or turns (native).
        index: shape [rows], position of each row in its job.
    """

    gateset: str
    qubits: int
    gates: tuple[Gate, ...]
    params: NDArray[np.float64]
    index: NDArray[np.intp]

    @property
    def rows(self) -> int:
        """Number of circuits."""
        return len(self.index)

    def part(self, rows: slice) -> Program:
        """Return the program with some of the rows."""
        return replace(self, params=self.params[rows], index=self.index[rows])

    def gate_counts(self) -> tuple[int, int]:
        """Count the one- and two-qubit gates of one circuit, as priced.

        A swap counts as three two-qubit gates, a gate on m > 2 qubits as 6 (m - 2): the
        service compiles, and counts what it has compiled.
        """
        n_1q = n_2q = 0
        for gate in self.gates:
            touched = len(gate.targets) + len(gate.controls)
            if gate.name == COPY:
                continue
            if touched == 1:
                n_1q += 1
            elif touched == 2:
                n_2q += 3 if gate.name == "swap" else max(1, len(gate.terms))
            elif touched > 2:
                n_2q += 6 * (touched - 2)
        return n_1q, n_2q


def commute(terms: tuple[str, ...]) -> bool:
    """Return whether all Pauli strings commute with each other.

    Two strings commute if they differ, both letters not I, at an even number of places.
    """
    return all(
        sum(p != q and "I" not in (p, q) for p, q in zip(a, b, strict=True)) % 2 == 0
        for i, a in enumerate(terms)
        for b in terms[:i]
    )
