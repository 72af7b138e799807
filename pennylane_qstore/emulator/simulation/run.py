"""A job's programs in, one distribution per circuit out. Pure; runs off the event loop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pennylane_qstore.emulator.simulation.noise import Rates, sample
from pennylane_qstore.emulator.simulation.statevector import compact, probabilities, spread
from pennylane_qstore.server.inputs.circuits import Program

_NOTHING = 1e-14
"""Probabilities up to this are rounding, not outcomes: IonQ leaves zeros out."""
_DENSE_QUBITS = 13
"""Up to so many qubits all rows are simulated before they are made sparse."""


class Distribution(NamedTuple):
    """What one circuit gave.

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
        """IonQ's ``ionq.result.probabilities.json.v1``."""
        weights = self.weights if self.shots is None else self.weights / self.shots
        return dict(zip(map(str, self.states.tolist()), weights.tolist(), strict=True))

    def first(self, qubits: int) -> Distribution:
        """What the first qubits gave, whatever the others did."""
        if qubits >= self.qubits:
            return self
        states, where = np.unique(self.states & _mask(qubits), return_inverse=True)
        summed = np.bincount(where, self.weights)
        weights = summed if self.shots is None else summed.astype(np.int64)
        return self._replace(states=states, weights=weights, qubits=qubits)

    def likeliest(self, count: int) -> Distribution:
        """The outcomes with the largest probabilities, at most so many."""
        if count >= len(self.states):
            return self
        places = np.sort(np.argpartition(self.weights, -count)[-count:])
        return self._replace(states=self.states[places], weights=self.weights[places])

    def ordered_shots(self, qubits: int | None = None) -> NDArray[np.uint64]:
        """The single outcomes (of the first qubits) in the order measured; only with shots."""
        single = np.repeat(self.states, self.weights.astype(np.int64))
        ordered = np.random.default_rng([self.seed, 1]).permutation(single)
        return ordered if qubits is None else ordered & _mask(qubits)


@dataclass(frozen=True, slots=True)
class Physics:
    """What stands between a circuit and its result.

    Args:
        rates: depolarizing rates, ``None`` for the ideal simulator.
        readout_error: probability that a measured bit flips (preparation included).
        shots: number of shots (ignored without noise).
        simulator: PennyLane device for ideal circuits, ``None`` for the built-in choice.
    """

    rates: Rates | None = None
    readout_error: float = 0.0
    shots: int = 100
    simulator: str | None = None


def run(programs: Sequence[Program], physics: Physics, seed: int) -> list[Distribution]:
    """Simulate all circuits of a job.

    Args:
        programs: as read by :func:`~pennylane_qstore.server.inputs.circuits.read_circuits`.
        physics: noise, shots.
        seed: of the job; circuit i draws from ``SeedSequence([seed, i])`` whatever else is in
            the job.

    Returns:
        In the order of the programs and their rows (``Program.index`` says which circuit of
        the job each one is).
    """
    out: dict[int, Distribution] = {}
    for program in programs:
        small, used = compact(program)
        if physics.rates is None:
            _exact(program, small, used, physics.simulator, out)
        else:
            _sampled(program, small, used, physics, seed, out)
    return [out[i] for program in programs for i in program.index.tolist()]


def _exact(
    program: Program,
    small: Program,
    used: tuple[int, ...],
    simulator: str | None,
    out: dict[int, Distribution],
) -> None:
    step = small.rows if small.qubits <= _DENSE_QUBITS else 1
    for start in range(0, small.rows, step):
        part = small.part(slice(start, start + step))
        table = probabilities(part, simulator=simulator)
        every = spread(np.arange(2**small.qubits, dtype=np.uint64), used)
        full = bool((table > _NOTHING).all())
        for index, p in zip(part.index.tolist(), table, strict=True):
            if full:
                out[index] = Distribution(every, p, None, program.qubits, 0)
            else:
                seen = np.flatnonzero(p > _NOTHING)
                out[index] = Distribution(every[seen], p[seen], None, program.qubits, 0)


def _sampled(
    program: Program,
    small: Program,
    used: tuple[int, ...],
    physics: Physics,
    seed: int,
    out: dict[int, Distribution],
) -> None:
    generators = [np.random.default_rng([seed, i]) for i in program.index.tolist()]
    shots = physics.shots
    if physics.rates is None or not small.gates:
        drawn = [(np.zeros(1, np.uint64), np.array([shots]))] * small.rows
    else:
        drawn = sample(small, physics.rates, shots, generators)
    for index, rng, (states, counts) in zip(program.index.tolist(), generators, drawn, strict=True):
        seen, weights = spread(states, used), counts
        if physics.readout_error:
            single = np.repeat(seen, weights)
            flips = rng.random((shots, program.qubits)) < physics.readout_error
            bits = np.left_shift(np.uint64(1), np.arange(program.qubits, dtype=np.uint64))
            single ^= np.where(flips, bits, np.uint64(0)).sum(axis=1, dtype=np.uint64)
            seen, weights = np.unique(single, return_counts=True)
        out[index] = Distribution(
            seen, weights, shots, program.qubits, (seed * 5003 + index) % 2**63
        )


def _mask(qubits: int) -> np.uint64:
    return np.uint64((1 << qubits) - 1)
