"""Depolarizing noise after every gate, as IonQ publishes it: density matrix or trajectories.

A rate r means ρ → (1 - r) ρ + r I/2ᵐ on the m qubits that a gate touched (IonQ's guide
"Simulation with noise models"). One-qubit channels commute with one-qubit gates, so a run of
k gates is one gate and one channel of rate 1 - (1 - r)ᵏ. A gate on more than two qubits gets
the channel of the two-qubit gates that it is priced as. The two methods give the same
distribution; :func:`sample` takes the cheaper one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pennylane_qstore.backends import BACKENDS, NOISE_MODELS
from pennylane_qstore.emulator.simulation.draws import Keys, events, outcomes, uniform
from pennylane_qstore.emulator.simulation.engines import DENSITY, choose
from pennylane_qstore.emulator.simulation.fusion import Complex, FusedGate, fuse
from pennylane_qstore.emulator.simulation.machine import MachineNoise
from pennylane_qstore.emulator.simulation.statevector import (
    CHUNK_BYTES,
    apply_gate,
    chunks,
    in_order,
)
from pennylane_qstore.emulator.simulation.trajectories import (
    OUTCOME,
    READOUT,
    sample_trajectories,
)
from pennylane_qstore.server.inputs.program import Program
from pennylane_qstore.server.inputs.settings import model_of

DENSITY_MAX_QUBITS = 10
"""Most qubits of a density matrix."""


class NoiseConfig(NamedTuple):
    """The noise of one machine.

    Args:
        r1: depolarizing rate of a one-qubit gate.
        r2: depolarizing rate of a two-qubit gate.
        readout_error: probability that a measured bit flips (state preparation included).
        machine: errors by qubit and pair, which come beside or before these.
    """

    r1: float
    r2: float
    readout_error: float = 0.0
    machine: MachineNoise | None = None


def noise_config(
    backend: str, noise: Mapping[str, Any] | None, machine: MachineNoise | None = None
) -> NoiseConfig | None:
    """Return the noise of a job, ``None`` for the ideal simulator.

    Args:
        backend: id of the job's backend; a QPU is simulated with the published model of its
            machine and the readout error of its characterization (1 - SPAM fidelity).
        noise: ``noise`` of the job as IonQ's JSON has it; for simulators.
        machine: errors by qubit and pair; the ideal simulator has none.

    Returns:
        Rates and readout error. Noise models of simulators have no readout error, as IonQ's.
    """
    known = BACKENDS[backend]
    if known.is_qpu:
        model = NOISE_MODELS[known.noise]
        spam = known.fidelity.spam if known.fidelity else 1.0
        return NoiseConfig(model.r1, model.r2, 1.0 - spam, machine)
    model = model_of(noise)
    return None if model.name == "ideal" else NoiseConfig(model.r1, model.r2, 0.0, machine)


def channel_rate(gate: FusedGate, noise: NoiseConfig, qubits: Sequence[int] = ()) -> float:
    """Return the depolarizing rate of the channel after a fused gate.

    Args:
        gate: the gate.
        noise: rates of single gates.
        qubits: the machine's qubit of each of the program's; empty: the same ones.

    Returns:
        The rate r of ρ → (1 - r) ρ + r I/2ᵐ on the m qubits that the gate touches.
    """
    touched = len(gate.qubits)
    if gate.gates == 0:
        return 0.0
    rate = noise.r1 if touched == 1 else noise.r2
    if noise.machine is not None:
        own = noise.machine.depolarizing([qubits[q] if qubits else q for q in gate.qubits])
        rate = rate if own is None else own
    if touched == 1:
        return 1 - (1 - rate) ** gate.gates
    # IonQ prices a gate on m > 2 qubits as 6 (m - 2) two-qubit gates.
    return 1 - (1 - rate) ** (1 if touched == 2 else 6 * (touched - 2))


def density_probabilities(
    fused: Sequence[FusedGate], n: int, rates: NDArray[np.float64], rows: int
) -> NDArray[np.float64]:
    """Return the probabilities after noisy circuits, by density matrix.

    Args:
        fused: the gates of all rows.
        n: number of qubits.
        rates: of the depolarizing channel after each gate, shape [gates].
        rows: number of circuits.

    Returns:
        Shape [rows, 2**n]; bit k of the index is qubit k.
    """
    out = np.empty((rows, 2**n))
    for part in chunks(rows, CHUNK_BYTES // (16 * 4**n)):
        state = np.zeros((2,) * (2 * n) + (part.stop - part.start,), dtype=np.complex128)
        state[(0,) * (2 * n)] = 1.0
        kets = [n - 1 - q for q in range(n)]
        bras = [2 * n - 1 - q for q in range(n)]
        for gate, rate in zip(fused, rates.tolist(), strict=True):
            of_part = gate.of_rows(part)
            state = apply_gate(state, of_part, kets)
            state = apply_gate(state, of_part, bras, conj=True)
            state = _depolarize(state, rate, [(kets[q], bras[q]) for q in gate.qubits])
        square = in_order(state, bras + kets).reshape(2**n, 2**n, -1)
        out[part] = np.einsum("iib->bi", square).real
    np.clip(out, 0.0, None, out=out)
    out /= out.sum(axis=1, keepdims=True)
    return out


def noisy_gates(
    program: Program, noise: NoiseConfig, qubits: Sequence[int] = ()
) -> tuple[list[FusedGate], NDArray[np.float64]]:
    """Return the fused gates of noisy circuits, coherent errors among them.

    Args:
        program: the circuits.
        noise: their noise.
        qubits: the machine's qubit of each of the program's; empty: the same ones.

    Returns:
        The gates, and the rates of the depolarizing channels after them, shape [gates].
    """
    if noise.machine is None:
        fused = fuse(program)
    else:
        places = qubits or range(program.qubits)
        fused = noise.machine.coherent(fuse(program, noise.machine.near(places)), places)
    return fused, np.array([channel_rate(gate, noise, qubits) for gate in fused])


def sample(
    program: Program,
    noise: NoiseConfig,
    keys: Keys,
    engine: str | None = None,
    qubits: Sequence[int] = (),
) -> tuple[NDArray[np.uint64], str]:
    """Draw the shots of noisy circuits, by density matrix or by trajectories.

    Args:
        program: the circuits.
        noise: rates; readout errors are left out.
        keys: of the shots' streams, shape [rows, shots].
        engine: for pure states; ``None``: whatever is fastest.
        qubits: the machine's qubit of each of the program's; empty: the same ones.

    Returns:
        Outcomes [rows, shots], bit k is qubit k; the name of the engine that ran.
    """
    n = program.qubits
    fused, rates = noisy_gates(program, noise, qubits)
    states = _states_run(fused, rates, keys.shape[1])
    if engine is None and n <= DENSITY_MAX_QUBITS and 2 * 2**n <= states:
        table = density_probabilities(fused, n, rates, program.rows)
        which = np.repeat(np.arange(program.rows), keys.shape[1])
        found = outcomes(table, which, uniform(keys.ravel(), OUTCOME))
        return found.reshape(keys.shape), DENSITY
    engine = engine or choose(fused, n, int(states * program.rows))
    return sample_trajectories(fused, n, rates, keys, engine), engine


def misread(
    found: NDArray[np.uint64], keys: Keys, qubits: int, noise: NoiseConfig
) -> NDArray[np.uint64]:
    """Misread bits of every shot.

    IonQ publishes one figure for state preparation and measurement and none for either
    direction, so zeros and ones are misread alike unless a machine's noise says otherwise, and
    independently on every qubit.

    Args:
        found: outcomes, shape [rows, shots].
        keys: of the shots' streams, shape [rows, shots].
        qubits: number of bits read; idle qubits are misread, too.
        noise: probabilities that a bit flips.

    Returns:
        The outcomes as read, shape [rows, shots].
    """
    by_value = None if noise.machine is None else noise.machine.misread_rates(qubits)
    rates = np.full((1, qubits), noise.readout_error) if by_value is None else by_value
    if not rates.any():
        return found
    shot, place = events(rates.ravel(), keys.ravel(), READOUT)
    flips = np.zeros((len(rates), keys.size), dtype=np.uint64)
    bit = np.uint64(1) << (place % qubits).astype(np.uint64)
    np.bitwise_xor.at(flips, (place // qubits, shot), bit)
    flips = flips.reshape(-1, *keys.shape)
    by_bit: NDArray[np.uint64] = flips[0] & ~found | flips[-1] & found
    return found ^ by_bit


def _states_run(fused: Sequence[FusedGate], rates: NDArray[np.float64], shots: int) -> float:
    """Return how many pure states the shots of a circuit need, on average.

    Shots with the same single error share one; the others need their own.
    """
    strings = 4.0 ** np.array([len(gate.qubits) for gate in fused])
    struck = rates * (1 - 1 / strings)
    none = float(np.prod(1 - struck))
    odds = none * struck / np.maximum(1 - struck, 1e-300)
    single = (strings - 1) * -np.expm1(-shots * odds / np.maximum(strings - 1, 1))
    return 1 + float(single.sum()) + shots * max(0.0, 1 - none - float(odds.sum()))


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
