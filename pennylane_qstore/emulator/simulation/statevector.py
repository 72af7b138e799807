"""Exact probabilities of programs. Pure: no clock, no network, no random numbers.

Here all rows of a program run as one state of shape (2, .., 2, rows): nothing is dispatched per
gate but two or three array operations. :mod:`.engines` says when the compiled :mod:`.rows` or
``lightning.qubit`` run instead.

Noise is in :mod:`pennylane_qstore.emulator.simulation.noise`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pennylane_qstore.emulator.simulation.devices import on_device
from pennylane_qstore.emulator.simulation.engines import LARGE, NUMPY, ROWS, choose
from pennylane_qstore.emulator.simulation.fusion import Complex, FusedGate, fuse
from pennylane_qstore.emulator.simulation.rows import run_program
from pennylane_qstore.server.inputs.program import Program

ROWS_TOGETHER = 1 << 11
"""Gates of at most so many rows are fused at once: each has its coefficients for every row."""
CHUNK_BYTES = 1 << 19
"""Rows are run in chunks whose state is about this large (it should stay in the cache)."""


def compact(program: Program) -> tuple[Program, tuple[int, ...]]:
    """Restrict a program to the qubits that gates touch; idle ones are surely 0.

    Returns:
        The program and, per qubit of it, the qubit of the whole one; ascending.
    """
    used = tuple(sorted({q for gate in program.gates for q in gate.targets + gate.controls}))
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
    """Return outcomes of a compact program as outcomes of the whole one.

    Args:
        states: outcomes, shape [K]; bit k is the kth used qubit.
        used: the used qubits, ascending.

    Returns:
        Shape [K]; bit ``used[k]`` is bit k of the compact outcome.
    """
    if tuple(used) == tuple(range(len(used))):
        return states
    out = np.zeros_like(states)
    for k, qubit in enumerate(used):
        out |= ((states >> np.uint64(k)) & np.uint64(1)) << np.uint64(qubit)
    return out


def probabilities(program: Program, *, simulator: str | None = None) -> NDArray[np.float64]:
    """Return exact probabilities.

    Args:
        program: circuits on ``n`` qubits.
        simulator: an engine or a PennyLane device to run them on; ``None``: the fastest.

    Returns:
        Shape [rows, 2**n]; bit k of the index is qubit k.

    Raises:
        MemoryError: a state of so many qubits does not fit.
    """
    n = program.qubits
    if not program.gates or n == 0:
        out = np.zeros((program.rows, 2**n))
        out[:, 0] = 1.0
        return out
    if n >= LARGE:
        check_memory(n)
    engine = simulator or choose(program.gates, n, program.rows)
    if engine not in (ROWS, NUMPY):
        return on_device(program, engine)
    out = np.empty((program.rows, 2**n))
    most = ROWS_TOGETHER if engine == ROWS else CHUNK_BYTES // (16 * 2**n)
    for rows in chunks(program.rows, most):
        part = program.part(rows)
        if engine == ROWS:
            out[rows] = run_program(part)
        else:
            out[rows] = state_probabilities(*evolve(fuse(part), n, part.rows))
    return out


def check_memory(n: int) -> None:
    """Refuse a simulation that does not fit into memory: 32 bytes per amplitude.

    They are 16 of the state, and 8 of each of two copies of its probabilities.

    Raises:
        MemoryError: a state of so many qubits does not fit.
    """
    have, need = _free_memory(), 32 * 2**n
    if have is not None and need > have:
        raise MemoryError(
            f"{n} qubits need {need / 2**30:.1f} GiB of memory, {have / 2**30:.1f} GiB are free."
        )


def chunks(rows: int, most: int) -> Iterator[slice]:
    """Divide rows into stretches that are run together.

    Args:
        rows: how many.
        most: rows of a stretch; at least one is taken.

    Yields:
        The stretches, in order.
    """
    step = max(1, most)
    for start in range(0, rows, step):
        yield slice(start, min(start + step, rows))


def evolve(fused: Sequence[FusedGate], n: int, rows: int) -> tuple[Complex, list[int]]:
    """Run gates on |0..0⟩.

    Args:
        fused: the gates.
        n: number of qubits.
        rows: number of circuits.

    Returns:
        The state (2, .., 2, rows) and, per qubit, its axis.
    """
    state = np.zeros((2,) * n + (rows,), dtype=np.complex128)
    state[(0,) * n] = 1.0
    axes = [n - 1 - qubit for qubit in range(n)]
    for gate in fused:
        state = apply_gate(state, gate, axes)
    return state, axes


def in_order(array: NDArray[Any], axes: Sequence[int]) -> NDArray[Any]:
    """Return the array with qubit k on axis n - 1 - k, so that flat index bit k is qubit k.

    Args:
        array: shape (2, .., 2, rows).
        axes: per qubit, its axis.

    Returns:
        Shape (2, .., 2, rows).
    """
    return array.transpose([*axes[::-1], array.ndim - 1])


def state_probabilities(state: Complex, axes: Sequence[int]) -> NDArray[np.float64]:
    """Return the probabilities [rows, 2**n] of a state (2, .., 2, rows).

    Args:
        state: the state.
        axes: per qubit, its axis.

    Returns:
        Shape [rows, 2**n]; bit k of the index is qubit k.
    """
    weights = np.square(state.real) + np.square(state.imag)
    return in_order(weights, axes).reshape(2 ** len(axes), -1).T


def apply_gate(state: Complex, gate: FusedGate, axes: list[int], *, conj: bool = False) -> Complex:
    """Apply one fused gate.

    Args:
        state: shape (2, .., 2, rows); may be changed in place.
        gate: the gate.
        axes: per qubit, its axis; a swap without controls changes nothing but these.
        conj: apply the complex conjugate (the bra side of a density matrix).

    Returns:
        The state after the gate.
    """
    if gate.kind == "swap" and not gate.controls:
        a, b = gate.targets
        axes[a], axes[b] = axes[b], axes[a]
        return state
    data = tuple(d.conj() for d in gate.data) if conj else gate.data
    if conj and gate.letters.count("Y") % 2:  # Y is imaginary
        data = (data[0], -data[1])
    targets = [axes[q] for q in gate.targets]
    if not gate.controls:
        return _act(state, gate, data, targets)
    where: list[slice] = [slice(None)] * state.ndim
    for qubit in gate.controls:
        where[axes[qubit]] = slice(1, 2)
    index = tuple(where)
    state[index] = _act(state[index], gate, data, targets)
    return state


def _act(state: Complex, gate: FusedGate, data: tuple[Complex, ...], axes: list[int]) -> Complex:
    ndim = state.ndim
    match gate.kind:
        case "1q":
            (matrix,) = data
            zero, one = _half(state, axes[0], 0), _half(state, axes[0], 1)
            return _along(matrix[:, 0], axes, ndim) * zero + _along(matrix[:, 1], axes, ndim) * one
        case "diagonal":
            return _along(data[0], axes, ndim) * state
        case "cross":
            through, across = data
            flipped = _flip(_flip(state, axes[0]), axes[1])
            return _along(through, axes, ndim) * state + _along(across, axes, ndim) * flipped
        case "swap":
            return state.swapaxes(*axes)
        case "pauli":
            cosine, sine = data
            return cosine * state + sine * _pauli(state, gate.letters, axes)
        case _:
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


def _free_memory() -> int | None:
    """Return the bytes that are available, ``None`` where the system does not tell."""
    try:
        with open("/proc/meminfo", encoding="ascii") as table:
            for line in table:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) * 1024
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (OSError, ValueError, AttributeError):
        return None
