"""Programs in, probabilities out. Pure: no clock, no network, chance is passed in.

All rows of a program run as one state of shape (2, .., 2, rows). Measured against
broadcast ``default.qubit`` this is several times faster on what training sends (hundreds of
rows, few qubits), because nothing is dispatched per gate but two or three array operations.
From :data:`LARGE` qubits on, ``lightning.qubit`` runs row by row; ``simulator=`` selects any
other PennyLane device for everything without noise.

Noise is in :mod:`pennylane_qstore.emulator.simulation.noise`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pennylane as qml
from numpy.typing import NDArray

from pennylane_qstore.emulator.simulation.fusion import (
    OPERATIONS,
    Block,
    Complex,
    lower,
)
from pennylane_qstore.native.gates import NATIVE_GATES
from pennylane_qstore.server.inputs.program import Gate, Program

LARGE = 13
"""Qubits from which lightning.qubit simulates row by row."""
_CHUNK_BYTES = 1 << 19
"""Rows are run in chunks whose state is about this large (it should stay in the cache)."""


def used_qubits(program: Program) -> tuple[int, ...]:
    """The qubits that any gate touches, ascending."""
    return tuple(sorted({q for gate in program.gates for q in gate.targets + gate.controls}))


def compact(program: Program) -> tuple[Program, tuple[int, ...]]:
    """The program on its used qubits only, and those qubits (idle ones are surely 0)."""
    used = used_qubits(program)
    if used == tuple(range(program.qubits)):
        return program, used
    to = {qubit: k for k, qubit in enumerate(used)}
    gates = tuple(
        gate._replace(
            targets=tuple(to[q] for q in gate.targets), controls=tuple(to[q] for q in gate.controls)
        )
        for gate in program.gates
    )
    return replace(program, qubits=len(used), gates=gates), used


def spread(states: NDArray[np.uint64], used: Sequence[int]) -> NDArray[np.uint64]:
    """Outcomes of the compact program as outcomes of the whole one: bit k to bit used[k]."""
    if tuple(used) == tuple(range(len(used))):
        return states
    out = np.zeros_like(states)
    for k, qubit in enumerate(used):
        out |= ((states >> np.uint64(k)) & np.uint64(1)) << np.uint64(qubit)
    return out


def probabilities(program: Program, *, simulator: str | None = None) -> NDArray[np.float64]:
    """Exact probabilities.

    Args:
        program: circuits on ``n`` qubits.
        simulator: a PennyLane device to run them on instead.

    Returns:
        Shape [rows, 2**n]; bit k of the index is qubit k.
    """
    n = program.qubits
    if not program.gates or n == 0:
        out = np.zeros((program.rows, 2**n))
        out[:, 0] = 1.0
        return out
    if n >= LARGE:
        check_memory(n)
    if simulator is not None:
        return _on_device(program, simulator)
    if n >= LARGE:
        return _on_lightning(program)
    out = np.empty((program.rows, 2**n))
    for part, rows in chunks(program, 16 * 2**n):
        state, axes = evolve(lower(part), n, part.rows)
        weights = np.square(state.real) + np.square(state.imag)
        out[rows] = in_order(weights, axes).reshape(2**n, -1).T
    return out


def check_memory(n: int) -> None:
    """Fail before the machine does: a state and its probabilities twice, 32 bytes each.

    Raises:
        MemoryError: a state of so many qubits does not fit.
    """
    have, need = _free_memory(), 32 * 2**n
    if have is not None and need > have:
        raise MemoryError(
            f"{n} qubits need {need / 2**30:.1f} GiB of memory, {have / 2**30:.1f} GiB are free."
        )


def chunks(program: Program, row_bytes: int) -> Iterator[tuple[Program, slice]]:
    """The program in parts of so many rows that a state stays small."""
    step = max(1, _CHUNK_BYTES // row_bytes)
    for start in range(0, program.rows, step):
        rows = slice(start, start + step)
        yield program.part(rows), rows


def evolve(blocks: Sequence[Block], n: int, rows: int) -> tuple[Complex, list[int]]:
    """Run the blocks on |0..0⟩.

    Returns:
        The state (2, .., 2, rows) and, per qubit, its axis.
    """
    state = np.zeros((2,) * n + (rows,), dtype=np.complex128)
    state[(0,) * n] = 1.0
    axes = [n - 1 - qubit for qubit in range(n)]
    for block in blocks:
        state = apply(state, block, axes)
    return state, axes


def in_order(array: NDArray[Any], axes: Sequence[int]) -> NDArray[Any]:
    """The array with qubit k on axis n - 1 - k, so that flat index bit k is qubit k."""
    return array.transpose([*axes[::-1], array.ndim - 1])


def apply(state: Complex, block: Block, axes: list[int], *, conj: bool = False) -> Complex:
    """Apply one block; ``axes[q]`` is the axis of qubit q (a swap only changes ``axes``)."""
    if block.kind == "swap" and not block.controls:
        a, b = block.targets
        axes[a], axes[b] = axes[b], axes[a]
        return state
    data = tuple(d.conj() for d in block.data) if conj else block.data
    if conj and block.letters.count("Y") % 2:  # Y is imaginary
        data = (data[0], -data[1])
    if not block.controls:
        return _act(state, block, data, [axes[q] for q in block.targets])
    where: list[slice] = [slice(None)] * state.ndim
    for qubit in block.controls:
        where[axes[qubit]] = slice(1, 2)
    index = tuple(where)
    state[index] = _act(state[index], block, data, [axes[q] for q in block.targets])
    return state


def _act(state: Complex, block: Block, data: tuple[Complex, ...], axes: list[int]) -> Complex:
    if block.kind == "one":
        (matrix,) = data
        zero, one = _half(state, axes[0], 0), _half(state, axes[0], 1)
        left = _along(matrix[:, 0], axes, state.ndim)
        right = _along(matrix[:, 1], axes, state.ndim)
        return left * zero + right * one
    if block.kind == "diagonal":
        return _along(data[0], axes, state.ndim) * state
    if block.kind == "cross":
        through, across = data
        flipped = _flip(_flip(state, axes[0]), axes[1])
        return (
            _along(through, axes, state.ndim) * state + _along(across, axes, state.ndim) * flipped
        )
    if block.kind == "swap":
        return state.swapaxes(*axes)
    if block.kind == "pauli":
        cosine, sine = data
        return cosine * state + sine * _pauli(state, block.letters, axes)
    return _dense(state, data[0], axes)


def _pauli(state: Complex, letters: str, axes: list[int]) -> Complex:
    """A string of Paulis, one letter per axis."""
    for letter, axis in zip(letters, axes, strict=True):
        if letter != "Z":
            state = _flip(state, axis)
        if letter != "X":
            factor = np.array([-1j, 1j] if letter == "Y" else [1.0 + 0j, -1])[:, None]
            state = _along(factor, [axis], state.ndim) * state
    return state


def _dense(state: Complex, matrix: Complex, axes: list[int]) -> Complex:
    """A [d, d, B] matrix on k axes."""
    k = len(axes)
    dim, rows = len(matrix), state.shape[-1]
    front = np.moveaxis(state, axes, range(k))
    flat = front.reshape(dim, -1, rows).transpose(2, 0, 1)
    out = np.matmul(matrix.transpose(2, 0, 1), flat).transpose(1, 2, 0).reshape(front.shape)
    return np.moveaxis(out, range(k), axes)


def _half(state: Complex, axis: int, value: int) -> Complex:
    where: list[slice] = [slice(None)] * state.ndim
    where[axis] = slice(value, value + 1)
    return state[tuple(where)]


def _flip(state: Complex, axis: int) -> Complex:
    where: list[slice] = [slice(None)] * state.ndim
    where[axis] = slice(None, None, -1)
    return state[tuple(where)]


def _along(factor: Complex, axes: Sequence[int], ndim: int) -> Complex:
    """A [2, .., 2, B] array, one axis per target, shaped to broadcast over the state."""
    order = np.argsort(axes)
    shape = [1] * ndim
    for axis in axes:
        shape[axis] = 2
    shape[-1] = factor.shape[-1]
    return factor.transpose([*order.tolist(), len(axes)]).reshape(shape)


def operations(blocks: Sequence[Block], row: int) -> list[Any]:
    """The blocks of one row as PennyLane operations."""
    ops: list[Any] = []
    for block in blocks:
        pick = [d[..., row if d.shape[-1] > 1 else 0] for d in block.data]
        if block.kind == "swap":
            op = qml.SWAP(block.targets)
        elif block.kind == "pauli":
            angle = np.arctan2(-pick[1].imag, pick[0].real)
            op = qml.PauliRot(2 * angle, block.letters, wires=block.targets)
        elif block.kind == "diagonal":
            op = qml.DiagonalQubitUnitary(pick[0].ravel(), wires=block.targets)
        elif block.kind == "cross":
            matrix = np.diag(pick[0].ravel()) + np.diag(pick[1].ravel())[:, ::-1]
            op = qml.QubitUnitary(matrix, wires=block.targets)
        else:
            op = qml.QubitUnitary(pick[0], wires=block.targets)
        ops.append(qml.ctrl(op, block.controls) if block.controls else op)
    return ops


def _on_lightning(program: Program) -> NDArray[np.float64]:
    n = program.qubits
    device = qml.device("lightning.qubit", wires=n)
    blocks = lower(program)
    out = np.empty((program.rows, 2**n))
    for row in range(program.rows):
        out[row] = run_tape(device, operations(blocks, row), n)
    return out


def run_tape(device: Any, ops: list[Any], n: int) -> NDArray[np.float64]:
    """Probabilities [2**n] (bit k of the index is qubit k) of operations on a device."""
    wires = {qubit: n - 1 - qubit for qubit in range(n)}  # PennyLane's first wire is the top bit
    tape = qml.tape.QuantumScript([op.map_wires(wires) for op in ops], [qml.probs(wires=range(n))])
    config = device.setup_execution_config(circuit=tape)
    batch, restore = device.preprocess_transforms(config)([tape])
    (result,) = restore(device.execute(batch, config))
    return np.asarray(result, dtype=np.float64)


def _on_device(program: Program, simulator: str) -> NDArray[np.float64]:
    """All rows on a PennyLane device chosen by name."""
    n = program.qubits
    device = qml.device(simulator, wires=n)
    return np.stack(
        [run_tape(device, list(gates_of(program, row)), n) for row in range(program.rows)]
    )


def gates_of(program: Program, row: int) -> Iterator[Any]:
    """The gates of one row as PennyLane operations, unfused (an independent path)."""
    slot = 0
    for gate in program.gates:
        numbers = [float(v) for v in program.params[row, slot : slot + gate.slots]]
        slot += gate.slots
        if gate.name == "pauliexp":
            yield from operations(_one_gate(program, gate, row, slot - gate.slots), 0)
            continue
        table = NATIVE_GATES if program.gateset == "native" else OPERATIONS
        op = table[gate.name](*numbers, wires=gate.targets)
        yield qml.ctrl(op, gate.controls) if gate.controls else op


def _one_gate(program: Program, gate: Gate, row: int, slot: int) -> list[Block]:
    alone = program.part(slice(row, row + 1))
    params = alone.params[:, slot : slot + gate.slots]
    return lower(replace(alone, gates=(gate,), params=params))


def _free_memory() -> int | None:
    """Bytes that can be had, ``None`` where the system does not tell."""
    try:
        with open("/proc/meminfo", encoding="ascii") as table:
            for line in table:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) * 1024
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (OSError, ValueError, AttributeError):
        return None
