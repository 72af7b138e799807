"""Depolarizing noise after every gate, as IonQ publishes it: density matrix or trajectories.

Rates r mean ρ → (1 - r) ρ + r I/2ᵐ on the m qubits a gate touched. One-qubit channels
commute with one-qubit gates, so a run of k gates is one gate and one channel of rate
1 - (1 - r)ᵏ. A gate on more than two qubits gets the channel of the two-qubit gates it is
priced as. The two methods give the same distribution; :func:`sample` takes the cheaper.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pennylane as qml
from numpy.typing import NDArray

from pennylane_qstore.backends import BACKENDS, NOISE_MODELS
from pennylane_qstore.emulator.simulation.fusion import Block, Complex, lower
from pennylane_qstore.emulator.simulation.statevector import (
    LARGE,
    apply,
    check_memory,
    chunks,
    evolve,
    in_order,
    operations,
    run_tape,
)
from pennylane_qstore.server.inputs.program import Program
from pennylane_qstore.server.inputs.settings import model_of

DENSITY_MAX_QUBITS = 10
"""Most qubits of a density matrix."""
_COLUMN_BYTES = 1 << 23
"""Trajectories run side by side in states of about this size."""


class NoiseConfig(NamedTuple):
    """The noise of one machine.

    Args:
        r1: depolarizing rate of a one-qubit gate.
        r2: depolarizing rate of a two-qubit gate.
        readout_error: probability that a measured bit flips (state preparation included).
    """

    r1: float
    r2: float
    readout_error: float = 0.0


def noise_config(backend: str, noise: Mapping[str, Any] | None) -> NoiseConfig | None:
    """Return the noise of a job, ``None`` for the ideal simulator.

    Args:
        backend: id of the job's backend; a QPU is simulated with the published model of its
            machine and the readout error of its characterization (1 - SPAM fidelity).
        noise: ``noise`` of the job as IonQ's JSON has it; for simulators.
    """
    known = BACKENDS[backend]
    if known.is_qpu:
        model = NOISE_MODELS[known.noise]
        return NoiseConfig(model.r1, model.r2, 1.0 - known.fidelity.spam if known.fidelity else 0.0)
    model = model_of(noise)
    return None if model.name == "ideal" else NoiseConfig(model.r1, model.r2)


def rate(block: Block, noise: NoiseConfig) -> float:
    """The rate of the channel after a block."""
    touched = len(block.targets) + len(block.controls)
    if block.pulses == 0:
        return 0.0
    if touched == 1:
        return 1 - (1 - noise.r1) ** block.pulses
    return 1 - (1 - noise.r2) ** (1 if touched == 2 else 6 * (touched - 2))


def density_probabilities(program: Program, noise: NoiseConfig) -> NDArray[np.float64]:
    """Probabilities [rows, 2**n] after the noisy circuits, by density matrix."""
    n = program.qubits
    out = np.empty((program.rows, 2**n))
    for part, rows in chunks(program, 16 * 4**n):
        state = np.zeros((2,) * (2 * n) + (part.rows,), dtype=np.complex128)
        state[(0,) * (2 * n)] = 1.0
        kets = [n - 1 - q for q in range(n)]
        bras = [2 * n - 1 - q for q in range(n)]
        for block in lower(part):
            state = apply(state, block, kets)
            state = apply(state, block, bras, conj=True)
            touched = block.targets + block.controls
            state = _depolarize(state, rate(block, noise), [(kets[q], bras[q]) for q in touched])
        square = in_order(state, bras + kets).reshape(2**n, 2**n, -1)
        out[rows] = np.einsum("iib->bi", square).real
    np.clip(out, 0.0, None, out=out)
    out /= out.sum(axis=1, keepdims=True)
    return out


def sample(
    program: Program, noise: NoiseConfig, shots: int, rng: Sequence[np.random.Generator]
) -> list[tuple[NDArray[np.uint64], NDArray[np.int64]]]:
    """Counts of noisy circuits, one generator per row.

    Returns:
        Per row the outcomes seen (bit k is qubit k) and how often.
    """
    n = program.qubits
    blocks = lower(program)
    noisy = np.array([rate(block, noise) for block in blocks])
    sizes = np.array([len(b.targets) + len(b.controls) for b in blocks], dtype=np.float64)
    hits = noisy * (1 - 4.0**-sizes)
    clean = float(np.prod(1 - hits))
    columns = 1 + shots * (1 - clean)
    if n <= DENSITY_MAX_QUBITS and 2 * 2**n <= columns:
        table = density_probabilities(program, noise)
        return [_draw(p, shots, one) for p, one in zip(table, rng, strict=True)]
    return _trajectories(program, blocks, hits, shots, rng)


def flip_bits(
    states: NDArray[np.uint64],
    weights: NDArray[np.int64],
    qubits: int,
    readout_error: float,
    rng: np.random.Generator,
) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Return the counts after every bit of every shot flipped with the same probability.

    Args:
        states: outcomes, shape [K]; bit k is qubit k.
        weights: how often each was seen, shape [K].
        qubits: number of bits read; idle qubits are read wrongly, too.
        readout_error: probability that a bit flips.
        rng: source of the flips.

    Returns:
        Outcomes, ascending, and how often each was read.
    """
    shots = np.repeat(states, weights)
    flips = rng.random((len(shots), qubits)) < readout_error
    bits = np.left_shift(np.uint64(1), np.arange(qubits, dtype=np.uint64))
    shots ^= np.where(flips, bits, np.uint64(0)).sum(axis=1, dtype=np.uint64)
    outcomes, counts = np.unique(shots, return_counts=True)
    return outcomes, counts.astype(np.int64)


def _depolarize(state: Complex, r: float, pairs: Sequence[tuple[int, int]]) -> Complex:
    if r == 0:
        return state
    diagonal = []
    for k in range(2 ** len(pairs)):
        where: list[slice] = [slice(None)] * state.ndim
        for i, (ket, bra) in enumerate(pairs):
            bit = k >> i & 1
            where[ket] = where[bra] = slice(bit, bit + 1)
        diagonal.append(tuple(where))
    mixed = sum(state[index] for index in diagonal) * (r / 2 ** len(pairs))
    state = state * (1 - r)
    for index in diagonal:
        state[index] += mixed
    return state


def _draw(
    p: NDArray[np.float64], shots: int, rng: np.random.Generator
) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    counts = rng.multinomial(shots, p / p.sum())
    seen = np.flatnonzero(counts)
    return seen.astype(np.uint64), counts[seen].astype(np.int64)


def _trajectories(
    program: Program,
    blocks: list[Block],
    hits: NDArray[np.float64],
    shots: int,
    rng: Sequence[np.random.Generator],
) -> list[tuple[NDArray[np.uint64], NDArray[np.int64]]]:
    """Shots without an error share one run of their row; every other shot is its own."""
    n = program.qubits
    if n >= LARGE:
        check_memory(n)
    rows: list[int] = []
    errors: list[NDArray[np.int64]] = []  # per column: the Pauli after each block (0: none)
    weights: list[int] = []
    choices = np.array([4 ** (len(b.targets) + len(b.controls)) - 1 for b in blocks])
    for row, one in enumerate(rng):
        struck = one.random((shots, len(blocks))) < hits
        which = np.flatnonzero(struck.any(axis=1))
        paulis = np.where(struck[which], one.integers(1, choices + 1, (len(which), len(blocks))), 0)
        if shots > len(which):
            rows.append(row)
            errors.append(np.zeros(len(blocks), dtype=np.int64))
            weights.append(shots - len(which))
        rows.extend([row] * len(which))
        errors.extend(paulis)
        weights.extend([1] * len(which))
    table = np.asarray(errors, dtype=np.int64).reshape(len(rows), len(blocks))
    outcomes: list[list[NDArray[np.uint64]]] = [[] for _ in rng]
    step = 1 if n >= LARGE else max(1, _COLUMN_BYTES // (16 * 2**n))
    device = qml.device("lightning.qubit", wires=n) if n >= LARGE else None
    for start in range(0, len(rows), step):
        part = slice(start, start + step)
        if device is not None:
            p = run_tape(device, _struck_operations(blocks, rows[start], table[start]), n)[None]
        else:
            p = _run_columns(blocks, n, np.asarray(rows[part]), table[part])
        for row, weight, distribution in zip(rows[part], weights[part], p, strict=True):
            cumulative = np.cumsum(distribution)
            u = rng[row].random(weight) * cumulative[-1]
            outcomes[row].append(np.searchsorted(cumulative, u, side="right").astype(np.uint64))
    result = []
    for seen in outcomes:
        states, counts = np.unique(np.concatenate(seen), return_counts=True)
        result.append((states, counts.astype(np.int64)))
    return result


def _run_columns(
    blocks: list[Block], n: int, rows: NDArray[np.intp], errors: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Probabilities [columns, 2**n] of the given rows with the given Paulis inserted."""
    state, axes = evolve([], n, len(rows))
    for i, block in enumerate(blocks):
        data = tuple(d[..., rows] if d.shape[-1] > 1 else d for d in block.data)
        state = apply(state, block._replace(data=data), axes)
        for k, qubit in enumerate(block.targets + block.controls):
            letters = errors[:, i] >> (2 * k) & 3  # 1 X, 2 Y, 3 Z
            flip = np.flatnonzero((letters == 1) | (letters == 2))
            sign = np.flatnonzero(letters >= 2)
            state = np.moveaxis(state, axes[qubit], 0)
            if len(flip):
                state[..., flip] = state[::-1][..., flip]
            if len(sign):
                state[1][..., sign] *= -1
            state = np.moveaxis(state, 0, axes[qubit])
    p = np.square(state.real) + np.square(state.imag)
    return in_order(p, axes).reshape(2**n, -1).T


def _struck_operations(
    blocks: list[Block], row: int, errors: NDArray[np.int64]
) -> list[qml.operation.Operator]:
    ops = []
    letters = (qml.X, qml.Y, qml.Z)
    for block, error in zip(blocks, errors.tolist(), strict=True):
        ops.extend(operations([block], row))
        for k, qubit in enumerate(block.targets + block.controls):
            letter = error >> (2 * k) & 3
            if letter:
                ops.append(letters[letter - 1](qubit))
    return ops
