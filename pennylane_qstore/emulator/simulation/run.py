"""Simulation of a job: one distribution per circuit. Pure; runs off the event loop."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pennylane_qstore.emulator.simulation.noise import Counts, NoiseConfig, flip_bits, sample
from pennylane_qstore.emulator.simulation.statevector import compact, probabilities, spread
from pennylane_qstore.server.inputs.program import Program

_NOTHING = 1e-14
"""Probabilities up to this are rounding, not outcomes: IonQ leaves zeros out."""
_DENSE_QUBITS = 13
"""Up to so many qubits all rows are simulated before they are made sparse."""


class Distribution(NamedTuple):
    """The outcomes of one circuit.

    Args:
        states: outcomes, shape [K]; bit k is qubit k. Ascending.
        weights: probabilities (``shots`` is ``None``) or counts, shape [K].
        shots: how many, or ``None`` where the probabilities are exact.
        qubits: number of qubits measured, on the way and at the end.
        seed: decides the order of the single shots.
    """

    states: NDArray[np.uint64]
    weights: NDArray[np.float64] | NDArray[np.int64]
    shots: int | None
    qubits: int
    seed: int

    def probabilities(self) -> dict[str, float]:
        """Return the shares by outcome, as ``ionq.result.probabilities.json.v1`` has them."""
        weights = self.weights if self.shots is None else self.weights / self.shots
        return dict(zip(map(str, self.states.tolist()), weights.tolist(), strict=True))

    def first(self, qubits: int) -> Distribution:
        """Return the marginal distribution of the first qubits."""
        if qubits >= self.qubits:
            return self
        states, where = np.unique(self.states & _mask(qubits), return_inverse=True)
        summed = np.bincount(where, self.weights)
        weights = summed if self.shots is None else summed.astype(np.int64)
        return self._replace(states=states, weights=weights, qubits=qubits)

    def likeliest(self, count: int) -> Distribution:
        """Return the outcomes with the largest probabilities, at most so many."""
        if count >= len(self.states):
            return self
        places = np.sort(np.argpartition(self.weights, -count)[-count:])
        return self._replace(states=self.states[places], weights=self.weights[places])

    def ordered_shots(self, qubits: int | None = None) -> NDArray[np.uint64]:
        """Return single outcomes (of the first qubits) in the order measured; needs shots."""
        single = np.repeat(self.states, self.weights.astype(np.int64))
        ordered = np.random.default_rng([self.seed, 1]).permutation(single)
        return ordered if qubits is None else ordered & _mask(qubits)


@dataclass(frozen=True, slots=True)
class SimulationOptions:
    """Options of the simulation of a job.

    Args:
        noise: ``None`` for exact probabilities.
        shots: number of shots (ignored without noise).
        simulator: PennyLane device for ideal circuits, ``None`` for the built-in choice.
    """

    noise: NoiseConfig | None = None
    shots: int = 100
    simulator: str | None = None


def run(programs: Sequence[Program], options: SimulationOptions, seed: int) -> list[Distribution]:
    """Simulate all circuits of a job.

    Args:
        programs: as read by :func:`~pennylane_qstore.server.inputs.circuits.read_circuits`.
        options: noise, shots, simulator.
        seed: of the job; circuit i draws from ``SeedSequence([seed, i])`` whatever else is in
            the job.

    Returns:
        In the order of the programs and their rows (``Program.index`` says which circuit of
        the job each one is).
    """
    results: dict[int, Distribution] = {}
    for program in programs:
        if options.noise is None:
            results.update(_exact(program, options.simulator))
        else:
            results.update(_sampled(program, options.noise, options.shots, seed))
    return [results[i] for program in programs for i in program.index.tolist()]


def _exact(program: Program, simulator: str | None) -> Iterator[tuple[int, Distribution]]:
    """Yield each circuit's index in the job and its exact distribution."""
    small, used = compact(program)
    step = small.rows if small.qubits <= _DENSE_QUBITS else 1
    for start in range(0, small.rows, step):
        part = small.part(slice(start, start + step))
        table = probabilities(part, simulator=simulator)
        every = spread(np.arange(2**small.qubits, dtype=np.uint64), used)
        full = bool((table > _NOTHING).all())
        for index, p in zip(part.index.tolist(), table, strict=True):
            states, weights = every, p
            if not full:
                seen = np.flatnonzero(p > _NOTHING)
                states, weights = every[seen], p[seen]
            yield index, Distribution(states, weights, None, program.qubits, 0)


def _sampled(
    program: Program, noise: NoiseConfig, shots: int, seed: int
) -> Iterator[tuple[int, Distribution]]:
    """Yield each circuit's index in the job and the counts of its noisy shots."""
    small, used = compact(program)
    indices = program.index.tolist()
    generators = [np.random.default_rng([seed, i]) for i in indices]
    counts = [Counts(np.zeros(1, np.uint64), np.array([shots]))] * small.rows
    if small.gates:
        counts = sample(small, noise, shots, generators)
    for index, rng, (states, weights) in zip(indices, generators, counts, strict=True):
        outcomes = spread(states, used)
        if noise.readout_error:
            outcomes, weights = flip_bits(
                outcomes, weights, program.qubits, noise.readout_error, rng
            )
        # The order of single shots has a seed of its own: it is drawn when it is asked for.
        shot_seed = (seed * 5003 + index) % 2**63
        yield index, Distribution(outcomes, weights, shots, program.qubits, shot_seed)


def _mask(qubits: int) -> np.uint64:
    return np.uint64((1 << qubits) - 1)
