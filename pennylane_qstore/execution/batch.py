"""A batch of tapes to few jobs and back.

Tapes of one structure are stacked and bound at once; all circuits of a batch that share their
shots travel in one job, or in as few as the service's limits allow.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from pennylane.tape import QuantumScript

from pennylane_qstore.backends import MAX_BODY_BYTES, MAX_CIRCUITS, MAX_GATES, MAX_SHOTS
from pennylane_qstore.errors import QStoreError
from pennylane_qstore.execution.circuits import (
    Circuits,
    Prepared,
    Target,
    Work,
    build,
    prepare,
    works_of,
)
from pennylane_qstore.execution.outcomes import Shots, agree, gathered
from pennylane_qstore.execution.partial_results import About, arrived, by_position, one_by_one
from pennylane_qstore.execution.stats import Stats
from pennylane_qstore.ionq.messages.job_request import Histogram, JobRequest
from pennylane_qstore.measurement.results import NotSupported, results
from pennylane_qstore.native.cache import SmartCircuitCache

_ENVELOPE_BYTES = 20_000
"""Room left in a body for everything but the circuits."""


class Packing(NamedTuple):
    """How circuits are put into jobs.

    Args:
        batch: False sends one circuit per job, one after another.
        size: told how many circuits there are, most of them per job; None for as many as
            allowed.
        observe: told results, requests and seconds of every batch.
        name, metadata, settings, session_id, aggregation: go with every job.
    """

    batch: bool = True
    size: Callable[[int], int | None] = lambda circuits: None
    observe: Callable[[Sequence[Any], Sequence[JobRequest], float], None] | None = None
    name: str | None = None
    metadata: Mapping[str, str] | None = None
    settings: Mapping[str, Any] | None = None
    session_id: str | None = None
    aggregation: str | None = None


class Jobs(Protocol):
    """Sends job requests and returns their results, in order."""

    def __call__(self, requests: Sequence[JobRequest]) -> Sequence[Any]: ...


class Reader(Protocol):
    """Reads the shots of some circuits of a job in the order taken; None where there are none.

    The second thing returned is how many requests that took.
    """

    def __call__(
        self, job: Any, request: JobRequest, wanted: Sequence[int]
    ) -> tuple[Sequence[Shots | None], int]: ...


def execute(
    tapes: Sequence[QuantumScript],
    *,
    order: Sequence[Any] | None,
    target: Target,
    packing: Packing,
    cache: SmartCircuitCache,
    send: Jobs,
    rng: np.random.Generator,
    noise_seed: Callable[[], int | None],
    stats: Stats,
    read: Reader | None = None,
) -> tuple[Any, ...]:
    """Execute a batch.

    Args:
        tapes: any tapes; broadcast ones are rows of one structure.
        order: the device's wires, or None.
        target: what to compile for.
        packing: how circuits are put into jobs.
        cache: of templates.
        send: sends the jobs.
        rng: samples exact probabilities, shuffles samples.
        noise_seed: seed of a job's noise, or None.
        stats: what is measured is added here.
        read: reads the single shots of circuits whose samples are asked for; None leaves
            samples in random order.

    Returns:
        One result per tape, in PennyLane's order and shape.
    """
    cache = cache.of_batch()
    with stats.timer("structure"):
        prepared = []
        for i, tape in enumerate(tapes):
            with About(i):
                prepared.append(prepare(tape, order, cache))
                _refuse(prepared[i], tape, target)
        works = works_of(prepared)
    circuits = build(works, prepared, target, cache, stats)
    chunks, requests = _jobs(works, tapes, circuits, target, packing, noise_seed)
    count = len(circuits.encoded)
    try:
        jobs = _run(chunks, requests, works, packing, send, stats)
    except QStoreError as error:
        there = by_position(chunks, arrived(error, len(chunks)), count)
        found = _results(works, prepared, tapes, there, {}, target, rng)
        failed = [i for i, result in enumerate(found) if result is None]
        error.details.update(tape_results=found, failed_tapes=failed)
        raise
    histograms = by_position(chunks, jobs, count)
    shots: dict[int, Shots] = {}
    if read is not None and not target.exact:
        wanted = _sampled(works, prepared)
        shots = _ordered(wanted, chunks, requests, jobs, histograms, read, stats)
    with stats.timer("results"):
        return _results(works, prepared, tapes, histograms, shots, target, rng)


def _results(
    works: Sequence[Work],
    prepared: Sequence[Prepared],
    tapes: Sequence[QuantumScript],
    histograms: Sequence[Any],
    shots: Mapping[int, Shots],
    target: Target,
    rng: np.random.Generator,
) -> tuple[Any, ...]:
    """Each tape's results; None where a histogram is missing."""
    out: list[Any] = []
    # Tape by tape, drawing and shuffling in turn: a batch equals its tapes one by one.
    for i, group in itertools.groupby(works, key=lambda work: work.tape):
        plan = prepared[i].plan
        parts = list(group)
        if any(histograms[p] is None for w in parts for p in range(w.first, w.first + w.rows)):
            out.append(None)
            continue
        found = [
            gathered(
                plan,
                work.basis.wires,
                work.results(histograms, shots),
                shots=tapes[i].shots.total_shots,
                exact=target.exact,
                rng=rng,
            )
            for work in parts
        ]
        out.append(results(plan, found, tapes[i], batched=prepared[i].batched))
    return tuple(out)


def _refuse(prepared: Prepared, tape: QuantumScript, target: Target) -> None:
    """What must not reach the service."""
    most = target.backend.qubits
    if len(prepared.wires) > most and len(tape.wires) > most:
        raise NotSupported(
            f"A circuit on {len(tape.wires)} wires is not supported on qstore.ionq with "
            f"{target.described}: it has {most} qubits."
        )
    if prepared.plan.fill and tape.shots and not target.exact:
        raise NotSupported(
            "postselect_mode='fill-shots' is not supported on qstore.ionq with a backend that "
            "samples: what is not selected has been measured already. Use 'hw-like', which keeps "
            "the shots that were selected."
        )


def requests_of(
    tapes: Sequence[QuantumScript],
    *,
    order: Sequence[Any] | None,
    target: Target,
    packing: Packing,
    cache: SmartCircuitCache,
) -> list[JobRequest]:
    """The jobs that executing these tapes would send."""
    cache = cache.of_batch()
    prepared = [prepare(tape, order, cache) for tape in tapes]
    works = works_of(prepared)
    circuits = build(works, prepared, target, cache, Stats())
    return _jobs(works, tapes, circuits, target, packing, lambda: None)[1]


# --- jobs ----------------------------------------------------------------------------------


def _jobs(
    works: Sequence[Work],
    tapes: Sequence[QuantumScript],
    circuits: Circuits,
    target: Target,
    packing: Packing,
    noise_seed: Callable[[], int | None],
) -> tuple[list[list[int]], list[JobRequest]]:
    """Requests, and the positions of each one's circuits."""
    by_shots: dict[int, list[int]] = {}
    for work in works:
        shots = tapes[work.tape].shots.total_shots or 1
        rows = work.rows
        # An ideal simulator ignores shots: everything may share one job.
        by_shots.setdefault(0 if target.exact else shots, []).extend(
            range(work.first, work.first + rows)
        )
    most = max((tapes[w.tape].shots.total_shots or 1 for w in works), default=1)
    chunks: list[list[int]] = []
    requests: list[JobRequest] = []
    for shots, positions in by_shots.items():
        for chunk in _chunks(positions, circuits, packing):
            seed = noise_seed() if target.noise else None
            chunks.append(chunk)
            requests.append(
                JobRequest(
                    backend=target.backend.name,
                    gateset=target.gateset,
                    qubits=circuits.qubits,
                    circuits=tuple(circuits.encoded[i] for i in chunk),
                    gate_counts=sum(circuits.gates[i] for i in chunk),
                    shots=shots or min(most, MAX_SHOTS),
                    name=packing.name,
                    metadata=packing.metadata,
                    noise={"model": target.noise, "seed": seed} if target.noise else None,
                    settings=packing.settings,
                    session_id=packing.session_id,
                    aggregation=packing.aggregation,
                )
            )
    return chunks, requests


def _run(
    chunks: Sequence[Sequence[int]],
    requests: Sequence[JobRequest],
    works: Sequence[Work],
    packing: Packing,
    send: Jobs,
    stats: Stats,
) -> Sequence[Any]:
    """Send every job; their results."""
    start = time.perf_counter()
    try:
        together = packing.batch and requests
        jobs = send(requests) if together else one_by_one(requests, send)
    except QStoreError as error:
        came = [(j, r) for j, r in zip(arrived(error, len(requests)), requests, strict=True) if j]
        if came:  # what was paid is counted, whatever became of the rest
            seconds = time.perf_counter() - start
            stats.record_jobs([j for j, _ in came], [r for _, r in came], [], seconds)
        raise
    by_tape = [0] * (1 + max((work.tape for work in works), default=-1))
    for work in works:
        by_tape[work.tape] += work.rows
    seconds = time.perf_counter() - start
    chunk_of = {position: i for i, chunk in enumerate(chunks) for position in chunk}
    first = {work.tape: work.first for work in reversed(works)}
    stats.record_jobs(
        jobs,
        requests,
        by_tape,
        seconds,
        sequential=not packing.batch,
        job_of_tape=[chunk_of[first[tape]] for tape in sorted(first) if first[tape] in chunk_of],
    )
    if packing.observe is not None:
        packing.observe(jobs, requests, seconds)
    return jobs


def _sampled(works: Sequence[Work], prepared: Sequence[Prepared]) -> set[int]:
    """Positions of circuits whose shots are asked for one by one, in their order."""
    wanted: set[int] = set()
    for work in works:
        plan = prepared[work.tape].plan
        if any(recipe.is_ordered and plan.bases[recipe.basis] is work.basis
               for recipe in plan.recipes):  # fmt: skip
            wanted.update(range(work.first, work.first + work.rows))
    return wanted


def _ordered(
    wanted: set[int],
    chunks: Sequence[Sequence[int]],
    requests: Sequence[JobRequest],
    jobs: Sequence[Any],
    histograms: Sequence[Histogram],
    read: Reader,
    stats: Stats,
) -> dict[int, Shots]:
    """Shots by position, where the service gives those that the histogram was made of."""
    found: dict[int, Shots] = {}
    for chunk, request, job in zip(chunks, requests, jobs, strict=True):
        which = [k for k, position in enumerate(chunk) if position in wanted]
        if not which:
            continue
        taken, count = read(job, request, which)
        stats.record_requests(count)
        for k, shots in zip(which, taken, strict=True):
            if shots is not None and agree(shots, histograms[chunk[k]], request.shots):
                found[chunk[k]] = shots
    return found


def _chunks(positions: Sequence[int], circuits: Circuits, packing: Packing) -> list[list[int]]:
    """Positions cut so that each job stays within the service's limits."""
    most = min(packing.size(len(positions)) or MAX_CIRCUITS, MAX_CIRCUITS) if packing.batch else 1
    chunks: list[list[int]] = []
    gates = size = 0
    for i in positions:
        g, b = circuits.gates[i], len(circuits.encoded[i]) + 40
        full = chunks and (
            len(chunks[-1]) >= most
            or gates + g > MAX_GATES
            or size + b > MAX_BODY_BYTES - _ENVELOPE_BYTES
        )
        if full or not chunks:
            chunks.append([])
            gates = size = 0
        chunks[-1].append(i)
        gates, size = gates + g, size + b
    return chunks


__all__ = ["Packing", "Target", "execute", "prepare"]
