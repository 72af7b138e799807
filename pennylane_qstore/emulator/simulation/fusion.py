"""Programs lowered to blocks: few, large array operations over all rows at once.

Runs of one-qubit gates are multiplied together before they touch a state; two-qubit gates
that only mix |00⟩ with |11⟩ and |01⟩ with |10⟩ (MS, XX, YY) keep that form, and diagonal
ones stay diagonal. Matrices come from :mod:`pennylane_qstore.native.gates` and from
PennyLane's operations; they carry the rows on their **last** axis, where the loops of NumPy
are contiguous.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache, reduce
from typing import Any, NamedTuple

import numpy as np
import pennylane as qml
from numpy.typing import NDArray
from scipy.linalg import expm

from pennylane_qstore.native.gates import NATIVE_GATES, QIS_GATES
from pennylane_qstore.server.inputs.program import COPY, Gate, Program, commute

Complex = NDArray[np.complex128]

OPERATIONS: Mapping[str, Any] = {**QIS_GATES, "p": qml.PhaseShift, COPY: qml.X}
"""PennyLane's operations of QIS gates, with the server's own names."""
_DIAGONAL = frozenset({"z", "s", "si", "t", "ti", "rz", "p", "zz"})
_CROSS = frozenset({"ms", "xx", "yy"})
_PAULIS = {
    "I": np.eye(2, dtype=np.complex128),
    "X": np.array([[0, 1], [1, 0]], dtype=np.complex128),
    "Y": np.array([[0, -1j], [1j, 0]]),
    "Z": np.diag([1.0 + 0j, -1]),
}


class Block(NamedTuple):
    """One operation on a state.

    Args:
        kind: ``"one"`` (matrix [2, 2, B]), ``"diagonal"`` ([2, .., 2, B], one axis per
            target), ``"cross"`` (a pair of [2, 2, B]: the diagonal and the antidiagonal),
            ``"swap"`` (no matrix), ``"dense"`` ([d, d, B]) or ``"pauli"`` (cos and -i sin of
            the angle, [B] each, for exp(-i angle P)). B is the rows or 1.
        data: the array(s).
        targets: qubits; the first is the left tensor factor.
        controls: qubits that must be 1.
        pulses: how many gates the block stands for (for noise; 0: none).
        letters: of ``"pauli"``: X, Y or Z for each target.
    """

    kind: str
    data: tuple[Complex, ...]
    targets: tuple[int, ...]
    controls: tuple[int, ...] = ()
    pulses: int = 1
    letters: str = ""


def lower(program: Program) -> list[Block]:
    """The blocks of a program, in order."""
    matrices = _matrices(program)
    blocks: list[Block] = []
    runs: list[list[Complex]] = []
    slots: list[tuple[int, int]] = []  # (position in blocks, run) to fill in
    pending: dict[int, int] = {}
    diagonal_run: list[bool] = []
    for gate, matrix in zip(program.gates, matrices, strict=True):
        if len(gate.targets) == 1 and not gate.controls and matrix is not None and not gate.terms:
            (qubit,) = gate.targets
            if qubit not in pending:
                pending[qubit] = len(runs)
                slots.append((len(blocks), len(runs)))
                blocks.append(Block("one", (), gate.targets))
                runs.append([])
                diagonal_run.append(True)
            runs[pending[qubit]].append(matrix)
            diagonal_run[pending[qubit]] &= gate.name in _DIAGONAL
            continue
        for qubit in gate.targets + gate.controls:
            pending.pop(qubit, None)
        blocks.extend(_block(gate, matrix, program.params, _slot(program, gate)))
    for (position, run), product in zip(slots, _products(runs), strict=True):
        targets, pulses = blocks[position].targets, len(runs[run])
        if diagonal_run[run]:
            diagonal = product[[0, 1], [0, 1]]
            blocks[position] = Block("diagonal", (diagonal,), targets, (), pulses)
        else:
            blocks[position] = Block("one", (product,), targets, (), pulses)
    return blocks


def _slot(program: Program, gate: Gate) -> int:
    """Where the numbers of a ``pauliexp`` start (others bring their matrix along)."""
    if not gate.terms:
        return 0
    slot = 0
    for other in program.gates:
        if other is gate:
            break
        slot += other.slots
    return slot


def _matrices(program: Program) -> list[Complex | None]:
    """A matrix [d, d, B] per gate; all gates of one name are computed in one call."""
    table: Mapping[str, Any] = OPERATIONS if program.gateset == "qis" else NATIVE_GATES
    places: dict[str, list[tuple[int, int]]] = {}
    found: list[Complex | None] = [None] * len(program.gates)
    slot = 0
    for i, gate in enumerate(program.gates):
        if gate.slots and not gate.terms:
            places.setdefault(gate.name, []).append((i, slot))
        elif gate.name in table and gate.name != "swap":
            found[i] = _fixed(gate.name)
        slot += gate.slots
    columns = program.params.T
    for name, gates in places.items():
        slots = program.gates[gates[0][0]].slots
        starts = np.array([start for _, start in gates])
        arguments = [columns[starts + k].ravel() for k in range(slots)]
        matrix = np.asarray(table[name].compute_matrix(*arguments), dtype=np.complex128)
        dim = matrix.shape[-1]
        matrix = np.ascontiguousarray(
            matrix.reshape(len(gates), program.rows, dim, dim).transpose(0, 2, 3, 1)
        )
        for (i, _), one in zip(gates, matrix, strict=True):
            found[i] = one
    return found


@cache
def _fixed(name: str) -> Complex:
    return np.asarray(qml.matrix(OPERATIONS[name](wires=0)), dtype=np.complex128)[:, :, None]


def _products(runs: list[list[Complex]]) -> list[Complex]:
    """Each run multiplied out (the last gate leftmost), all runs at once, step by step."""
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


def _block(
    gate: Gate, matrix: Complex | None, params: NDArray[np.float64], slot: int
) -> Iterator[Block]:
    if gate.name == "pauliexp":
        yield from _pauliexp(gate, params[:, slot : slot + gate.slots])
    elif gate.name == "swap":
        yield Block("swap", (), gate.targets, gate.controls)
    elif matrix is None:
        raise ValueError(f"No matrix for gate {gate.name!r}.")
    elif gate.name in _DIAGONAL:
        size = len(matrix)
        diagonal = matrix[range(size), range(size)]
        shape = (2,) * len(gate.targets) + (diagonal.shape[-1],)
        yield Block("diagonal", (diagonal.reshape(shape),), gate.targets, gate.controls)
    elif gate.name in _CROSS:
        index = np.arange(4)
        shape = (2, 2, matrix.shape[-1])
        through = matrix[index, index].reshape(shape)
        across = matrix[index, 3 - index].reshape(shape)
        yield Block("cross", (through, across), gate.targets, gate.controls)
    elif len(matrix) == 2:
        pulses = 0 if gate.name == COPY else 1
        yield Block("one", (matrix,), gate.targets, gate.controls, pulses)
    else:
        yield Block("dense", (matrix,), gate.targets, gate.controls)


def _pauliexp(gate: Gate, angles: NDArray[np.float64]) -> Iterator[Block]:
    """exp(-i Σ angleₖ Pₖ), angles [rows, terms]. The last letter acts on ``targets[0]``."""
    targets = gate.targets[::-1]  # the first letter acts on the last target
    if commute(gate.terms):
        for term, angle in zip(gate.terms, angles.T, strict=True):
            if set(term) == {"I"} and not gate.controls:
                continue  # a global phase
            letters = [(q, p) for q, p in zip(targets, term, strict=True) if p != "I"]
            if letters:
                data = (np.cos(angle) + 0j, -1j * np.sin(angle))
                names = "".join(p for _, p in letters)
                yield Block("pauli", data, tuple(q for q, _ in letters), gate.controls, 1, names)
            else:  # a phase of the controls
                phase = np.exp(-1j * angle)
                yield Block("diagonal", (np.stack([phase, phase]),), targets[:1], gate.controls)
        return
    paulis = np.stack([reduce(np.kron, [_PAULIS[p] for p in term]) for term in gate.terms])
    generators = np.tensordot(angles, paulis, axes=1)
    matrix = np.stack([expm(-1j * g) for g in generators], axis=-1)
    yield Block("dense", (matrix,), targets, gate.controls)
