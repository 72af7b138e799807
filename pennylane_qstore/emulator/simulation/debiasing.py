"""Debiasing: a job's shots shared out over variants of its circuit, and how they are put together.

On the machine a variant is the same circuit on other ions, compiled another way. The emulator's
noise is the same on every qubit, so here a variant is a stretch of the shots and a map of
qubits: averaging gives the plain histogram, voting ("sharpening") really sharpens it.
"""

from __future__ import annotations

import itertools
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pennylane_qstore.emulator.simulation.run import Distribution
from pennylane_qstore.server.render import ARTIFACTS, descriptor

HISTOGRAM = ARTIFACTS["histogram-v2"]
"""The format of a variant's and of an aggregation's result."""
_MOST_VARIANTS = 20
_LEAST_SHOTS = 25
_VARIANT = re.compile(r"variant-(\d{1,2})")


def voted(one: Distribution) -> Distribution:
    """Counts after a vote: the variants' first shots vote, then their second ones, and so on.

    Where one outcome has most votes, it gets all of them; where none has, they stay.
    """
    states = one.ordered_shots()
    column = np.concatenate([np.arange(stop - start) for start, stop in _stretches(one)])
    order = np.lexsort((states, column))
    states, column = states[order], column[order]
    first = np.flatnonzero(
        np.r_[True, (states[1:] != states[:-1]) | (column[1:] != column[:-1])]
    )  # of each outcome within its column
    counts = np.diff(np.r_[first, len(states)])
    begins = np.flatnonzero(np.r_[True, np.diff(column[first]) > 0])  # of each column
    most = np.maximum.reduceat(counts, begins)[column[first]]
    clear = np.add.reduceat(counts == most, begins)[column[first]] == 1
    ballots = np.add.reduceat(counts, begins)[column[first]]
    counts = np.where(clear, np.where(counts == most, ballots, 0), counts)
    seen, where = np.unique(states[first], return_inverse=True)
    weights = np.bincount(where, counts).astype(np.int64)
    return one._replace(states=seen[weights > 0], weights=weights[weights > 0])


def part(one: Distribution, name: str) -> Distribution | None:
    """What an artifact's id names: an aggregation or a variant; ``None`` if it names neither."""
    if name == "aggregation-average":
        return one
    if name == "aggregation-voting":
        return voted(one)
    found = _VARIANT.fullmatch(name)
    stretches = _stretches(one)
    if found is None or int(found[1]) >= len(stretches):
        return None
    start, stop = stretches[int(found[1])]
    states, counts = np.unique(one.ordered_shots()[start:stop], return_counts=True)
    return one._replace(states=states, weights=counts.astype(np.int64), shots=stop - start)


def output_json(one: Distribution, qubits: int, device_qubits: int) -> dict[str, Any]:
    """``output.error_mitigation`` of a debiased circuit."""
    return {
        "debiasing": {
            "variants": [
                {
                    "variant_id": f"variant-{k}",
                    "qubit_map": _map(one.seed, k, qubits, device_qubits).tolist(),
                    "shots": stop - start,
                    "results": {HISTOGRAM: descriptor(f"variant-{k}", HISTOGRAM)},
                }
                for k, (start, stop) in enumerate(_stretches(one))
            ],
            "aggregation_method": "average",
        },
        "aggregations": {
            method: descriptor(f"aggregation-{method}", HISTOGRAM)
            for method in ("average", "voting")
        },
    }


def _stretches(one: Distribution) -> list[tuple[int, int]]:
    """First and last shot of every variant."""
    shots = one.shots or 0
    count = max(1, min(_MOST_VARIANTS, shots // _LEAST_SHOTS))
    bounds = [shots * k // count for k in range(count + 1)]
    return list(itertools.pairwise(bounds))


def _map(seed: int, variant: int, qubits: int, device_qubits: int) -> NDArray[np.int64]:
    return np.random.default_rng([seed, 2, variant]).permutation(device_qubits)[:qubits]
