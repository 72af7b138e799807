"""Programs fused into few, large array operations over all rows at once.

Runs of one-qubit gates are multiplied together before they touch a state; two-qubit gates
that only mix |00⟩ with |11⟩ and |01⟩ with |10⟩ (MS, XX, YY) keep that form, and diagonal
ones stay diagonal. Matrices come from :mod:`pennylane_qstore.native.gates` and from
PennyLane's operations; they carry the rows on their **last** axis, where the loops of NumPy
are contiguous.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache, reduce
from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np
import pennylane as qml
from numpy.typing import NDArray
from scipy.linalg import expm

from pennylane_qstore.native.gates import NATIVE_GATES, QIS_GATES
from pennylane_qstore.server.inputs.program import COPY, Gate, Program, commute

Complex = NDArray[np.complex128]

OPERATIONS: Mapping[str, Mapping[str, Any]] = {
    "native": NATIVE_GATES,
    "qis": {**QIS_GATES, "p": qml.PhaseShift, COPY: qml.X},  # with the server's own names
}
"""PennyLane's operations by gateset and name."""
_DIAGONAL = frozenset({"z", "s", "si", "t", "ti", "rz", "p", "zz"})
_CROSS = frozenset({"ms", "xx", "yy"})


class FusedGate(NamedTuple):
    """One operation on a state.

    Args:
        kind: ``"1q"`` (matrix [2, 2, B]), ``"diagonal"`` ([2, .., 2, B], one axis per
            target), ``"cross"`` (a pair of [2, 2, B]: the diagonal and the antidiagonal),
            ``"swap"`` (no matrix), ``"dense"`` ([d, d, B]) or ``"pauli"`` (cos and -i sin of
            the angle, [B] each, for exp(-i angle P)). B is the rows or 1.
        data: the array(s).
        targets: qubits; the first is the left tensor factor.
        controls: qubits that must be 1.
        gates: number of gates fused (for noise; 0: without noise).
        letters: of ``"pauli"``: X, Y or Z for each target.
    """

    kind: str
    data: tuple[Complex, ...]
    targets: tuple[int, ...]
    controls: tuple[int, ...] = ()
    gates: int = 1
    letters: str = ""

    @property
    def qubits(self) -> tuple[int, ...]:
        """Targets, then controls."""
        return self.targets + self.controls

    def of_rows(self, rows: NDArray[np.intp] | slice) -> FusedGate:
        """Return the gate of some rows, in their order."""
        return self._replace(data=tuple(d[..., rows] if d.shape[-1] > 1 else d for d in self.data))


def fuse(program: Program, near: Mapping[int, Sequence[int]] | None = None) -> list[FusedGate]:
    """Return the fused gates of a program, in order.

    Args:
        program: the program.
        near: by qubit, others that a two-qubit gate on it touches as well.

    Returns:
        The gates.
    """
    fused: list[FusedGate] = []
    runs: dict[int, list[Complex]] = {}  # by place in ``fused``: one-qubit gates to multiply
    diagonal: dict[int, bool] = {}
    open_run: dict[int, int] = {}  # by qubit: the place of the run that its next gate joins
    matrices = _matrices(program)
    for gate, start, matrix in zip(program.gates, slot_starts(program), matrices, strict=True):
        if matrix is not None and len(matrix) == 2 and not gate.controls:
            (qubit,) = gate.targets
            if qubit not in open_run:
                open_run[qubit] = len(fused)
                runs[len(fused)], diagonal[len(fused)] = [], True
                fused.append(FusedGate("1q", (), gate.targets))
            runs[open_run[qubit]].append(matrix)
            diagonal[open_run[qubit]] &= gate.name in _DIAGONAL
            continue
        for qubit in gate.targets + gate.controls:
            for touched in (qubit, *(near or {}).get(qubit, ())):
                open_run.pop(touched, None)
        fused.extend(_unfused(gate, matrix, program.params[:, start : start + gate.slots]))
    for (place, run), product in zip(runs.items(), _products(list(runs.values())), strict=True):
        kind, data = ("diagonal", product[[0, 1], [0, 1]]) if diagonal[place] else ("1q", product)
        fused[place] = FusedGate(kind, (data,), fused[place].targets, gates=len(run))
    return fused


def slot_starts(program: Program) -> list[int]:
    """Return for each gate the column of ``program.params`` where its numbers start."""
    return [0, *accumulate(gate.slots for gate in program.gates)][:-1]


def _matrices(program: Program) -> list[Complex | None]:
    """Return a matrix [d, d, B] per gate, ``None`` for swaps and Pauli exponentials.

    All gates of one name are computed in one call.
    """
    operations = OPERATIONS[program.gateset]
    matrices: list[Complex | None] = [None] * len(program.gates)
    places: dict[str, list[tuple[int, int]]] = {}
    for i, (gate, start) in enumerate(zip(program.gates, slot_starts(program), strict=True)):
        if gate.slots and not gate.terms:
            places.setdefault(gate.name, []).append((i, start))
        elif gate.name in operations and gate.name != "swap":
            matrices[i] = constant_matrix(gate.name)
    columns = program.params.T
    for name, gates in places.items():
        slots = program.gates[gates[0][0]].slots
        starts = np.array([start for _, start in gates])
        arguments = [columns[starts + k].ravel() for k in range(slots)]
        stack = np.asarray(operations[name].compute_matrix(*arguments), dtype=np.complex128)
        dim = stack.shape[-1]
        stack = stack.reshape(len(gates), program.rows, dim, dim).transpose(0, 2, 3, 1)
        for (i, _), matrix in zip(gates, np.ascontiguousarray(stack), strict=True):
            matrices[i] = matrix
    return matrices


@cache
def constant_matrix(name: str) -> Complex:
    """Return the matrix [d, d, 1] of a gate of the abstract gateset without parameters."""
    operation = OPERATIONS["qis"][name](wires=0)
    return np.asarray(qml.matrix(operation), dtype=np.complex128)[:, :, None]


def _products(runs: list[list[Complex]]) -> list[Complex]:
    """Multiply out each run (the last gate leftmost), all runs at once, step by step."""
    if not runs:
        return []
    rows = max(matrix.shape[-1] for run in runs for matrix in run)
    product = np.stack([np.broadcast_to(run[0], (2, 2, rows)) for run in runs])
    for step in range(1, max(map(len, runs))):
        longer = [i for i, run in enumerate(runs) if len(run) > step]
        left = np.stack([np.broadcast_to(runs[i][step], (2, 2, rows)) for i in longer])
        right = product[longer]
        product[longer] = left[:, :, 0:1] * right[:, 0:1, :] + left[:, :, 1:2] * right[:, 1:2, :]
    return list(product)


def _unfused(
    gate: Gate, matrix: Complex | None, numbers: NDArray[np.float64]
) -> Iterator[FusedGate]:
    """Yield what a gate becomes that is no part of a run; numbers [rows, slots]."""
    if gate.terms:
        yield from _pauli_exponential(gate, numbers)
    elif gate.name == "swap":
        yield FusedGate("swap", (), gate.targets, gate.controls)
    elif matrix is None:
        raise ValueError(f"No matrix for gate {gate.name!r}.")
    elif gate.name in _DIAGONAL:
        diagonal = matrix[range(len(matrix)), range(len(matrix))]
        shape = (2,) * len(gate.targets) + (diagonal.shape[-1],)
        yield FusedGate("diagonal", (diagonal.reshape(shape),), gate.targets, gate.controls)
    elif gate.name in _CROSS:
        index = np.arange(4)
        shape = (2, 2, matrix.shape[-1])
        through = matrix[index, index].reshape(shape)
        across = matrix[index, 3 - index].reshape(shape)
        yield FusedGate("cross", (through, across), gate.targets, gate.controls)
    else:
        kind = "1q" if len(matrix) == 2 else "dense"
        yield FusedGate(kind, (matrix,), gate.targets, gate.controls, int(gate.name != COPY))


def _pauli_exponential(gate: Gate, angles: NDArray[np.float64]) -> Iterator[FusedGate]:
    """Yield exp(-i Σ angleₖ Pₖ), angles [rows, terms], term by term if the terms commute."""
    # IonQ's order: the last letter acts on targets[0].
    targets = gate.targets[::-1]
    if not commute(gate.terms):
        pauli_strings = np.stack([_pauli_string(term) for term in gate.terms])
        generators = np.tensordot(angles, pauli_strings, axes=1)
        matrix = np.stack([expm(-1j * generator) for generator in generators], axis=-1)
        yield FusedGate("dense", (matrix,), targets, gate.controls)
        return
    for term, angle in zip(gate.terms, angles.T, strict=True):
        letters = [(q, p) for q, p in zip(targets, term, strict=True) if p != "I"]
        if letters:
            data = (np.cos(angle) + 0j, -1j * np.sin(angle))
            names = "".join(p for _, p in letters)
            qubits = tuple(q for q, _ in letters)
            yield FusedGate("pauli", data, qubits, gate.controls, letters=names)
        elif gate.controls:  # a phase of the controls; without controls it is a global phase
            phase = np.exp(-1j * angle)
            yield FusedGate("diagonal", (np.stack([phase, phase]),), targets[:1], gate.controls)


def _pauli_string(term: str) -> Complex:
    """Return the matrix [2**n, 2**n] of a string such as ``"XIZ"``."""
    operations = {"I": qml.I, "X": qml.X, "Y": qml.Y, "Z": qml.Z}
    matrices = [operations[letter].compute_matrix() for letter in term]
    return np.asarray(reduce(np.kron, matrices), dtype=np.complex128)
