"""Random numbers that each shot has of its own, by counter: SplitMix64.

A number depends on the seed, the circuit, the shot and its place in the stream, and on nothing
else: however a job is divided over chunks, threads and processes, its shots are the same
(Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Keys = NDArray[np.uint64]
Places = NDArray[np.intp]
_STEP = np.uint64(0x9E3779B97F4A7C15)
_SURE = 1 - 2.0**-53
"""The largest rate below one, so that its hazard is finite."""


def shot_keys(seed: int, circuits: NDArray[np.intp], shots: int) -> Keys:
    """Return the key of every shot's stream.

    Args:
        seed: of the job.
        circuits: positions of the circuits in the job, shape [rows].
        shots: per circuit.

    Returns:
        Shape [rows, shots].
    """
    job = np.random.SeedSequence(seed).generate_state(1, np.uint64)
    rows = _mix(job + _STEP * circuits.astype(np.uint64))
    return _mix(rows[:, None] + _STEP * np.arange(shots, dtype=np.uint64))


def bits(keys: Keys, counter: int | Places) -> NDArray[np.uint64]:
    """Return 64 random bits of each stream.

    Args:
        keys: of the streams, shape [K].
        counter: place in every stream, or [K] one in each.

    Returns:
        Shape [K].
    """
    return _mix(keys + _STEP * np.asarray(counter, dtype=np.uint64))


def uniform(keys: Keys, counter: int) -> NDArray[np.float64]:
    """Return a number of each stream, uniform in [0, 1).

    Args:
        keys: of the streams, shape [K].
        counter: place in the streams.

    Returns:
        Shape [K].
    """
    return (bits(keys, counter) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def events(rates: NDArray[np.float64], keys: Keys, counter: int) -> tuple[Places, Places]:
    """Draw which of many independent events happen in each shot, in time of those that do.

    Event k is the first point of a Poisson process in a stretch as long as its hazard,
    -log(1 - rate); the next point after one event is exponentially far.

    Args:
        rates: probability of each event, shape [events].
        keys: of the shots' streams, shape [K].
        counter: place in the streams from which numbers are taken.

    Returns:
        Shot and event of everything that happened, by shot, then by event.
    """
    hazard = np.cumsum(-np.log1p(-np.minimum(rates, _SURE)))
    shot, at = np.arange(len(keys)), np.zeros(len(keys))
    found: list[tuple[Places, Places]] = []
    while len(shot):
        at -= np.log1p(-uniform(keys[shot], counter))
        shot, at = shot[at < hazard[-1]], at[at < hazard[-1]]
        place = np.searchsorted(hazard, at, side="right")
        found.append((shot, place))
        at, counter = hazard[place], counter + 1
    shots, places = (np.concatenate(parts) for parts in zip(*found, strict=True))
    order = np.argsort(shots, kind="stable")
    return shots[order], places[order]


def outcomes(
    table: NDArray[np.float64], which: Places, u: NDArray[np.float64]
) -> NDArray[np.uint64]:
    """Draw outcomes of distributions by inversion.

    Args:
        table: distributions, shape [D, outcomes]; need not add up to exactly one.
        which: the distribution of each draw, shape [K].
        u: a uniform number for each draw, shape [K].

    Returns:
        Shape [K].
    """
    cumulative = np.cumsum(table, axis=1)
    cumulative /= cumulative[:, -1:]
    last = table.shape[1] - 1
    # one ascending list of all distributions, each in a unit interval of its own
    cumulative += np.arange(len(table))[:, None]
    found = np.searchsorted(cumulative.ravel(), u + which, side="right") - which * (last + 1)
    drawn: NDArray[np.uint64] = np.minimum(found, last).astype(np.uint64)
    return drawn


def _mix(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
