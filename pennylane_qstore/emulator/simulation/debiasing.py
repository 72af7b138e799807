"""Debiasing: a job's shots divided over variants of its circuit, and their aggregation.

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
from pennylane_qstore.server.errors import not_found
from pennylane_qstore.server.render import ARTIFACTS, descriptor

HISTOGRAM = ARTIFACTS["histogram-v2"]
"""The format of a variant's and of an aggregation's result."""
_MOST_VARIANTS = 20
_LEAST_SHOTS = 25
_VARIANT = re.compile(r"variant-(\d{1,2})")


def plurality_vote(result: Distribution) -> Distribution:
    """Return the counts after a vote: the variants' first shots, then their second ones, and so on.

    An outcome that has most votes of a column gets all of them; where two have as many, they
    stay. IonQ describes the component-wise plurality vote (arXiv:2301.07233); how ties are
    broken is not published.
    """
    states = result.ordered_shots()
    column = np.concatenate([np.arange(stop - start) for start, stop in _stretches(result)])
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
    return result._replace(states=seen[weights > 0], weights=weights[weights > 0])


def debiased_part(result: Distribution, name: str) -> Distribution:
    """Return the part of a debiased result that an artifact's id names.

    Args:
        result: counts of all shots.
        name: id of the artifact.

    Returns:
        An aggregation or a variant.

    Raises:
        BadRequest: 404, the id names neither.
    """
    if name == "aggregation-average":
        return result
    if name == "aggregation-voting":
        return plurality_vote(result)
    match = _VARIANT.fullmatch(name)
    stretches = _stretches(result)
    if match is None or int(match[1]) >= len(stretches):
        raise not_found()
    start, stop = stretches[int(match[1])]
    states, counts = np.unique(result.ordered_shots()[start:stop], return_counts=True)
    return result._replace(states=states, weights=counts.astype(np.int64), shots=stop - start)


def output_json(result: Distribution, qubits: int, device_qubits: int) -> dict[str, Any]:
    """Return ``output.error_mitigation`` of a debiased circuit.

    Args:
        result: counts of all shots.
        qubits: number of qubits of the circuit.
        device_qubits: number of qubits of the machine.

    Returns:
        IonQ's JSON.
    """
    return {
        "debiasing": {
            "variants": [
                {
                    "variant_id": f"variant-{k}",
                    "qubit_map": _map(result.seed, k, qubits, device_qubits).tolist(),
                    "shots": stop - start,
                    "results": {HISTOGRAM: descriptor(f"variant-{k}", HISTOGRAM)},
                }
                for k, (start, stop) in enumerate(_stretches(result))
            ],
            "aggregation_method": "average",
        },
        "aggregations": {
            method: descriptor(f"aggregation-{method}", HISTOGRAM)
            for method in ("average", "voting")
        },
    }


def _stretches(result: Distribution) -> list[tuple[int, int]]:
    """Return the first shot of every variant, and the one behind its last."""
    shots = result.shots or 0
    count = max(1, min(_MOST_VARIANTS, shots // _LEAST_SHOTS))
    bounds = [shots * k // count for k in range(count + 1)]
    return list(itertools.pairwise(bounds))


def _map(seed: int, variant: int, qubits: int, device_qubits: int) -> NDArray[np.int64]:
    return np.random.default_rng([seed, 2, variant]).permutation(device_qubits)[:qubits]
