"""Depolarizing noise after every gate, as IonQ publishes it: density matrix or trajectories.

A rate r means ρ → (1 - r) ρ + r I/2ᵐ on the m qubits that a gate touched (IonQ's guide
"Simulation with noise models"). One-qubit channels commute with one-qubit gates, so a run of
k gates is one gate and one channel of rate 1 - (1 - r)ᵏ. A gate on more than two qubits gets
the channel of the two-qubit gates that it is priced as. The two methods give the same
distribution; :func:`sample` takes the cheaper one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pennylane as qml
from numpy.typing import NDArray

from pennylane_qstore.backends import BACKENDS, NOISE_MODELS
from pennylane_qstore.emulator.simulation.devices import operations, run_tape
from pennylane_qstore.emulator.simulation.fusion import Complex, FusedGate, fuse
from pennylane_qstore.emulator.simulation.statevector import (
    LARGE,
    apply_gate,
    check_memory,
    chunks,
    evolve,
    in_order,
    state_probabilities,
)
from pennylane_qstore.server.inputs.program import Program
from pennylane_qstore.server.inputs.settings import model_of

DENSITY_MAX_QUBITS = 10
"""Most qubits of a density matrix."""
_COLUMN_BYTES = 1 << 23
"""Trajectories run side by side in states of about this size."""


class Counts(NamedTuple):
    """Outcomes seen (ascending, bit k is qubit k) and how often, shape [K] each."""

    states: NDArray[np.uint64]
    weights: NDArray[np.int64]


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

    Returns:
        Rates and readout error. Noise models of simulators have no readout error, as IonQ's.
    """
    known = BACKENDS[backend]
    if known.is_qpu:
        model = NOISE_MODELS[known.noise]
        return NoiseConfig(model.r1, model.r2, 1.0 - known.fidelity.spam if known.fidelity else 0.0)
    model = model_of(noise)
    return None if model.name == "ideal" else NoiseConfig(model.r1, model.r2)


def channel_rate(gate: FusedGate, noise: NoiseConfig) -> float:
    """Return the depolarizing rate of the channel after a fused gate.

    Args:
        gate: the gate.
        noise: rates of single gates.

    Returns:
        The rate r of ρ → (1 - r) ρ + r I/2ᵐ on the m qubits that the gate touches.
    """
    touched = len(gate.qubits)
    if gate.gates == 0:
        return 0.0
    if touched == 1:
        return 1 - (1 - noise.r1) ** gate.gates
    # IonQ prices a gate on m > 2 qubits as 6 (m - 2) two-qubit gates.
    return 1 - (1 - noise.r2) ** (1 if touched == 2 else 6 * (touched - 2))


def density_probabilities(program: Program, noise: NoiseConfig) -> NDArray[np.float64]:
    """Return the probabilities after noisy circuits, by density matrix.

    Args:
        program: circuits on ``n`` qubits.
        noise: rates; readout errors are left out.

    Returns:
        Shape [rows, 2**n]; bit k of the index is qubit k.
    """
    n = program.qubits
    out = np.empty((program.rows, 2**n))
    for part, rows in chunks(program, 16 * 4**n):
        state = np.zeros((2,) * (2 * n) + (part.rows,), dtype=np.complex128)
        state[(0,) * (2 * n)] = 1.0
        kets = [n - 1 - q for q in range(n)]
        bras = [2 * n - 1 - q for q in range(n)]
        for gate in fuse(part):
            state = apply_gate(state, gate, kets)
            state = apply_gate(state, gate, bras, conj=True)
            pairs = [(kets[q], bras[q]) for q in gate.qubits]
            state = _depolarize(state, channel_rate(gate, noise), pairs)
        square = in_order(state, bras + kets).reshape(2**n, 2**n, -1)
        out[rows] = np.einsum("iib->bi", square).real
    np.clip(out, 0.0, None, out=out)
    out /= out.sum(axis=1, keepdims=True)
    return out


def sample(
    program: Program, noise: NoiseConfig, shots: int, rng: Sequence[np.random.Generator]
) -> list[Counts]:
    """Draw the shots of noisy circuits, by density matrix or by trajectories.

    Args:
        program: the circuits.
        noise: rates; readout errors are left out.
        shots: per circuit.
        rng: one generator per row.

    Returns:
        The counts of each row.
    """
    n, fused = program.qubits, fuse(program)
    rates = np.array([channel_rate(gate, noise) for gate in fused])
    sizes = np.array([len(gate.qubits) for gate in fused], dtype=np.float64)
    # A channel of rate r on m qubits is a uniform Pauli out of 4ᵐ with probability r, and one
    # of them is the identity (Nielsen and Chuang, section 8.3.4).
    error_rates = rates * (1 - 4.0**-sizes)
    states_run = 1 + shots * (1 - float(np.prod(1 - error_rates)))  # trajectories, on average
    if n <= DENSITY_MAX_QUBITS and 2 * 2**n <= states_run:
        table = density_probabilities(program, noise)
        return [_draw(p, shots, one) for p, one in zip(table, rng, strict=True)]
    return _trajectories(program, fused, error_rates, shots, rng)


def flip_bits(
    states: NDArray[np.uint64],
    weights: NDArray[np.int64],
    qubits: int,
    readout_error: float,
    rng: np.random.Generator,
) -> Counts:
    """Return the counts after every bit of every shot flipped with the same probability.

    IonQ publishes one figure for state preparation and measurement and none for either
    direction, so zeros and ones are misread alike, and independently on every qubit.

    Args:
        states: outcomes, shape [K]; bit k is qubit k.
        weights: how often each was seen, shape [K].
        qubits: number of bits read; idle qubits are misread, too.
        readout_error: probability that a bit flips.
        rng: source of the flips.

    Returns:
        The counts read.
    """
    shots = np.repeat(states, weights)
    flips = rng.random((len(shots), qubits)) < readout_error
    bits = np.left_shift(np.uint64(1), np.arange(qubits, dtype=np.uint64))
    shots ^= np.where(flips, bits, np.uint64(0)).sum(axis=1, dtype=np.uint64)
    return _count(shots)


def _count(outcomes: NDArray[np.uint64]) -> Counts:
    states, weights = np.unique(outcomes, return_counts=True)
    return Counts(states, weights.astype(np.int64))


def _depolarize(state: Complex, rate: float, pairs: Sequence[tuple[int, int]]) -> Complex:
    """Apply ρ → (1 - r) ρ + r tr(ρ) ⊗ I/2ᵐ to qubits, given their (ket, bra) axes."""
    if rate == 0:
        return state
    diagonal = []
    for k in range(2 ** len(pairs)):
        where: list[slice] = [slice(None)] * state.ndim
        for i, (ket, bra) in enumerate(pairs):
            bit = k >> i & 1
            where[ket] = where[bra] = slice(bit, bit + 1)
        diagonal.append(tuple(where))
    mixed = sum(state[index] for index in diagonal) * (rate / 2 ** len(pairs))
    state = state * (1 - rate)
    for index in diagonal:
        state[index] += mixed
    return state


def _draw(p: NDArray[np.float64], shots: int, rng: np.random.Generator) -> Counts:
    counts = rng.multinomial(shots, p / p.sum())
    seen = np.flatnonzero(counts)
    return Counts(seen.astype(np.uint64), counts[seen].astype(np.int64))


def _trajectories(
    program: Program,
    fused: list[FusedGate],
    error_rates: NDArray[np.float64],
    shots: int,
    rng: Sequence[np.random.Generator],
) -> list[Counts]:
    """Run a pure state per shot that an error struck, and one per row for all other shots."""
    n = program.qubits
    if n >= LARGE:
        check_memory(n)
    columns = [
        column
        for row, generator in enumerate(rng)
        for column in _draw_errors(row, fused, error_rates, shots, generator)
    ]
    outcomes: list[list[NDArray[np.uint64]]] = [[] for _ in rng]
    step = 1 if n >= LARGE else max(1, _COLUMN_BYTES // (16 * 2**n))
    device = qml.device("lightning.qubit", wires=n) if n >= LARGE else None
    for start in range(0, len(columns), step):
        together = columns[start : start + step]
        if device is None:
            table = _run_columns(fused, n, together)
        else:
            table = run_tape(device, _struck_operations(fused, columns[start]), n)[None]
        for column, distribution in zip(together, table, strict=True):
            cumulative = np.cumsum(distribution)
            u = rng[column.row].random(column.shots) * cumulative[-1]
            drawn = np.searchsorted(cumulative, u, side="right").astype(np.uint64)
            outcomes[column.row].append(drawn)
    return [_count(np.concatenate(drawn)) for drawn in outcomes]


class _Column(NamedTuple):
    """A pure state to run.

    ``errors`` [gates] holds the Pauli string after each gate, two bits per qubit of the gate:
    0 I, 1 X, 2 Y, 3 Z.
    """

    row: int
    shots: int
    errors: NDArray[np.int64]


def _draw_errors(
    row: int,
    fused: list[FusedGate],
    error_rates: NDArray[np.float64],
    shots: int,
    rng: np.random.Generator,
) -> Iterator[_Column]:
    """Yield the columns of a row: one for all shots without an error, one for each other shot."""
    strings = np.array([4 ** len(gate.qubits) - 1 for gate in fused])  # all but the identity
    struck = rng.random((shots, len(fused))) < error_rates
    which = np.flatnonzero(struck.any(axis=1))
    paulis = rng.integers(1, strings + 1, (len(which), len(fused)))
    if shots > len(which):
        yield _Column(row, shots - len(which), np.zeros(len(fused), dtype=np.int64))
    for errors in np.where(struck[which], paulis, 0):
        yield _Column(row, 1, errors)


def _run_columns(fused: list[FusedGate], n: int, columns: list[_Column]) -> NDArray[np.float64]:
    """Return probabilities [columns, 2**n] of rows with Pauli errors inserted."""
    rows = np.array([column.row for column in columns])
    errors = np.array([column.errors for column in columns])
    state, axes = evolve([], n, len(columns))
    for i, gate in enumerate(fused):
        data = tuple(d[..., rows] if d.shape[-1] > 1 else d for d in gate.data)
        state = apply_gate(state, gate._replace(data=data), axes)
        for k, qubit in enumerate(gate.qubits):
            letters = errors[:, i] >> (2 * k) & 3
            flip = np.flatnonzero((letters == 1) | (letters == 2))
            sign = np.flatnonzero(letters >= 2)  # Y = iXZ; the phase i is global
            state = np.moveaxis(state, axes[qubit], 0)
            if len(flip):
                state[..., flip] = state[::-1][..., flip]
            if len(sign):
                state[1][..., sign] *= -1
            state = np.moveaxis(state, 0, axes[qubit])
    return state_probabilities(state, axes)


def _struck_operations(fused: list[FusedGate], column: _Column) -> list[qml.operation.Operator]:
    ops = []
    letters = (qml.X, qml.Y, qml.Z)
    for gate, error in zip(fused, column.errors.tolist(), strict=True):
        ops.extend(operations([gate], column.row))
        for k, qubit in enumerate(gate.qubits):
            letter = error >> (2 * k) & 3
            if letter:
                ops.append(letters[letter - 1](qubit))
    return ops
