"""Simulation of a job: one distribution per circuit. Pure; runs off the event loop."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pennylane_qstore.emulator.simulation.draws import shot_keys
from pennylane_qstore.emulator.simulation.engines import ENGINES, choose
from pennylane_qstore.emulator.simulation.noise import NoiseConfig, misread, sample
from pennylane_qstore.emulator.simulation.statevector import (
    ROWS_TOGETHER,
    chunks,
    compact,
    probabilities,
    spread,
)
from pennylane_qstore.fixed_decimals import rounded
from pennylane_qstore.server.inputs.program import Program

_NOTHING = 1e-14
"""Probabilities up to this are rounding, not outcomes: IonQ leaves zeros out."""
_TABLE_BYTES = 1 << 25
"""Rows whose probabilities take so much are simulated together, then made sparse."""
_SHOTS_TOGETHER = 1 << 18
"""Rows of about so many shots are drawn at once."""


class Distribution(NamedTuple):
    """The outcomes of one circuit.

    Args:
        states: outcomes, shape [K]; bit k is qubit k. Ascending.
        weights: probabilities (``shots`` is ``None``) or counts, shape [K].
        shots: how many, or ``None`` where the probabilities are exact.
        qubits: number of qubits measured, on the way and at the end.
        seed: decides the order of the single shots.
        engine: name of the engine that simulated it, where it is known.
    """

    states: NDArray[np.uint64]
    weights: NDArray[np.float64] | NDArray[np.int64]
    shots: int | None
    qubits: int
    seed: int
    engine: str = ""

    @property
    def keys(self) -> list[str]:
        """The outcomes as text, in their order; not to be changed."""
        return _names(self.states.tobytes())

    def probabilities(self) -> dict[str, float]:
        """Return the shares by outcome, as ``ionq.result.probabilities.json.v1`` has them."""
        weights = rounded(self.weights) if self.shots is None else self.weights / self.shots
        return dict(zip(self.keys, weights.tolist(), strict=True))

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
        simulator: engine, or PennyLane device for ideal circuits; ``None``: the fastest.
    """

    noise: NoiseConfig | None = None
    shots: int = 100
    simulator: str | None = None


def run(programs: Sequence[Program], options: SimulationOptions, seed: int) -> list[Distribution]:
    """Simulate all circuits of a job.

    Args:
        programs: as read by :func:`~pennylane_qstore.server.inputs.circuits.read_circuits`.
        options: noise, shots, simulator.
        seed: of the job; each shot of circuit i draws from a stream of its own, whatever
            else is in the job.

    Returns:
        In the order of the programs and their rows (``Program.index`` says which circuit of
        the job each one is).
    """
    results: list[Distribution] = []
    for program in programs:
        if options.noise is None:
            results += _exact(program, options.simulator)
        else:
            results += _sampled(program, options.noise, options, seed)
    return results


def _exact(program: Program, simulator: str | None) -> Iterator[Distribution]:
    """Yield the exact distribution of each row."""
    small, used = compact(program)
    for rows in chunks(small.rows, _TABLE_BYTES // (8 * 2**small.qubits)):
        part = small.part(rows)
        engine = simulator or choose(part.gates, part.qubits, part.rows)
        table = probabilities(part, simulator=engine)
        every = spread(np.arange(2**small.qubits, dtype=np.uint64), used)
        seen = table > _NOTHING
        if (seen == seen[0]).all():  # one array of outcomes for all rows
            if not seen[0].all():
                every, table = every[seen[0]], table[:, seen[0]]
            results = ((every, p) for p in table)
        else:
            results = ((every[kept], p[kept]) for kept, p in zip(seen, table, strict=True))
        for states, weights in results:
            yield Distribution(states, weights, None, program.qubits, 0, engine)


def _sampled(
    program: Program, noise: NoiseConfig, options: SimulationOptions, seed: int
) -> Iterator[Distribution]:
    """Yield the counts of each row's noisy shots."""
    small, used = compact(program)
    shots, engine = options.shots, options.simulator if options.simulator in ENGINES else None
    for rows in chunks(small.rows, min(ROWS_TOGETHER, _SHOTS_TOGETHER // shots)):
        part = small.part(rows)
        keys = shot_keys(seed, part.index, shots)
        found, ran = np.zeros(keys.shape, dtype=np.uint64), ""
        if part.gates:
            found, ran = sample(part, noise, keys, engine, used)
            found = spread(found, used)
        found = misread(found, keys, program.qubits, noise)
        found.sort(axis=1)
        first = np.ones(found.shape, dtype=bool)
        first[:, 1:] = found[:, 1:] != found[:, :-1]
        states = found[first]
        weights = np.diff(np.flatnonzero(first), append=found.size)
        ends = np.cumsum(first.sum(axis=1)).tolist()
        for index, begin, end in zip(part.index.tolist(), [0, *ends], ends, strict=False):
            # The order of single shots has a seed of its own: it is drawn when it is asked for.
            shot_seed = (seed * 5003 + index) % 2**63
            here = slice(begin, end)
            yield Distribution(states[here], weights[here], shots, program.qubits, shot_seed, ran)


@lru_cache(maxsize=8)
def _names(states: bytes) -> list[str]:
    """Return the keys of outcomes [K] uint64: the circuits of a job have mostly the same ones."""
    return list(map(str, np.frombuffer(states, dtype=np.uint64).tolist()))


def _mask(qubits: int) -> np.uint64:
    return np.uint64((1 << qubits) - 1)
