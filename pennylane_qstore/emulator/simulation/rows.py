"""The row engine: circuits of one structure side by side in SIMD blocks, over all cores.

One kernel, compiled once and cached by Numba, runs all circuits: gates are data. Without Numba
(the extra ``fast``), :mod:`.statevector` does the same.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import reduce
from threading import Thread
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pennylane_qstore import compiled
from pennylane_qstore.emulator.simulation.fusion import Complex, FusedGate, fuse
from pennylane_qstore.emulator.simulation.row_plan import row_plan
from pennylane_qstore.server.inputs.program import Gate, Program

MOST_TARGETS = 4
"""Gates on more qubits have too many coefficients; the NumPy engine runs them."""
_THREADED = 1 << 21
"""Amplitudes times gates from which on threads are worth their start, 0.1 ms each."""
_SWAP = np.eye(4, dtype=np.complex128)[[0, 2, 1, 3], :, None]


class Errors(NamedTuple):
    """Pauli errors in states that run side by side, by state and then by gate.

    Args:
        column: the state of each error, shape [E].
        place: the gate that it comes after, shape [E].
        flips: the qubits that it flips, as a mask, shape [E].
        signs: the qubits whose ones it gives a sign, as a mask, shape [E].
    """

    column: NDArray[np.int64]
    place: NDArray[np.int64]
    flips: NDArray[np.int64]
    signs: NDArray[np.int64]


_NONE = Errors(*(np.zeros(0, dtype=np.int64),) * 4)


def load() -> ModuleType | None:
    """Return the compiled kernel's module, ``None`` where Numba is not installed."""
    return compiled.load("emulator.simulation.kernel")


def runs(gates: Sequence[Gate] | Sequence[FusedGate]) -> bool:
    """Return True where the row engine has a form for all gates."""
    return all(len(gate.targets) <= MOST_TARGETS for gate in gates)


def run_rows(
    fused: Sequence[FusedGate], n: int, rows: NDArray[np.int64], errors: Errors = _NONE
) -> NDArray[np.float64]:
    """Run circuits side by side.

    Args:
        fused: the gates of all rows.
        n: number of qubits.
        rows: the row that each circuit is of, shape [K].
        errors: Pauli errors in the circuits.

    Returns:
        Probabilities [K, 2**n]; bit k of the index is qubit k.

    Raises:
        ImportError: Numba is not installed.
    """
    kernel = load()
    if kernel is None:
        raise ImportError("The row engine needs Numba: pip install pennylane-qstore[fast]")
    width, rows = kernel.WIDTH, np.ascontiguousarray(rows, dtype=np.int64)
    gates, targets, coefficients = _encode(fused, kernel, int(rows.max(initial=0)) + 1)
    blocks = -(-len(rows) // width)
    block = errors.column // width
    order = np.lexsort((errors.place, block))
    lanes = errors.column - block * width
    strikes = np.stack([lanes, errors.place, errors.flips, errors.signs], axis=1)[order]
    starts = np.searchsorted(block[order], np.arange(blocks + 1))
    out = np.empty((len(rows), 2**n))
    arguments = gates, targets, coefficients, rows, strikes, starts, out
    _in_parts(kernel.run_blocks, n, blocks, len(rows) * 2**n * len(fused), arguments)
    return out


def run_program(program: Program) -> NDArray[np.float64]:
    """Run all circuits of a program.

    Args:
        program: with at least one gate; :func:`runs` says whether there is a form for all.

    Returns:
        Probabilities [rows, 2**n]; bit k of the index is qubit k.

    Raises:
        ImportError: Numba is not installed.
    """
    n, kernel = program.qubits, load()
    if kernel is None or (plan := row_plan(program.gateset, program.gates, kernel)) is None:
        return run_rows(fuse(program), n, np.arange(program.rows))
    angles = plan.angles(program, kernel.WIDTH)
    out = np.empty((program.rows, 2**n))
    arguments = plan.gates, plan.targets, plan.entries, angles, out
    work = program.rows * 2**n * len(program.gates)
    _in_parts(kernel.run_angles, n, angles.shape[1] // kernel.WIDTH, work, arguments)
    return out


def _in_parts(
    run: Callable[..., None], n: int, blocks: int, work: int, arguments: tuple[Any, ...]
) -> None:
    """Run blocks of circuits, on all cores where there is work for them."""
    parts = min(blocks, os.cpu_count() or 1) if work >= _THREADED else 1
    bounds = [blocks * k // parts for k in range(parts + 1)]
    # threads of this call: those of a pool would be lost in a process that is forked
    threads = [
        Thread(target=run, args=(n, *bounds[k : k + 2], *arguments)) for k in range(1, parts)
    ]
    for thread in threads:
        thread.start()
    run(n, *bounds[:2], *arguments)
    for thread in threads:
        thread.join()


def _encode(
    fused: Sequence[FusedGate], kernel: ModuleType, rows: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Return gates, targets and coefficients as the kernel reads them, for so many rows.

    The kernel does not check its bounds: gates without parameters have one row, the kernel as many
    as there are, and circuits that are run may be of some rows only.
    """
    gates: list[tuple[int, ...]] = []
    targets: list[int] = []
    tables: list[Complex] = []
    begin = offset = 0
    for gate in fused:
        flip, table = _table(gate)
        kind = kernel.PAIR if flip else kernel.DIAGONAL
        if gate.kind in ("swap", "dense"):
            kind = kernel.DENSE
        controls = sum(1 << qubit for qubit in gate.controls)
        gates.append((kind, controls, flip, begin, len(gate.targets), offset))
        targets.extend(gate.targets)
        tables.append(table)
        rows = max(rows, table.shape[-1])
        begin, offset = begin + len(gate.targets), offset + len(table)
    coefficients = np.empty((2, offset, rows))
    for (*_, offset), table in zip(gates, tables, strict=True):
        coefficients[0, offset : offset + len(table)] = table.real
        coefficients[1, offset : offset + len(table)] = table.imag
    return np.array(gates, np.int64), np.array(targets, np.int64), coefficients


def _table(gate: FusedGate) -> tuple[int, Complex]:
    """Return the mask of the bits that a gate flips, and its coefficients [C, rows or 1]."""
    bits = [1 << qubit for qubit in gate.targets]
    match gate.kind:
        case "1q":
            (matrix,) = gate.data
            return bits[0], np.concatenate([matrix[[0, 1], [0, 1]], matrix[[0, 1], [1, 0]]])
        case "diagonal":
            return 0, gate.data[0].reshape(2 ** len(bits), -1)
        case "cross":
            return sum(bits), np.concatenate([data.reshape(4, -1) for data in gate.data])
        case "swap":
            return 0, _SWAP.reshape(16, 1)
        case "pauli":
            return _pauli(gate, bits)
        case _:
            return 0, gate.data[0].reshape(4 ** len(bits), -1)


def _pauli(gate: FusedGate, bits: list[int]) -> tuple[int, Complex]:
    cosine, sine = gate.data
    factors = {"X": [1, 1], "Y": [-1j, 1j], "Z": [1, -1]}
    signs = reduce(np.kron, [np.array(factors[letter]) for letter in gate.letters])
    through, across = np.broadcast_to(cosine, (len(signs), len(cosine))), signs[:, None] * sine
    flip = sum(bit for bit, letter in zip(bits, gate.letters, strict=True) if letter != "Z")
    return flip, np.concatenate([through, across]) if flip else through + across
