"""Results of jobs in IonQ's formats."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from pennylane_qstore.emulator.faults import Faults
from pennylane_qstore.emulator.service.clock import Clock
from pennylane_qstore.emulator.service.jobs import StoredJob
from pennylane_qstore.emulator.service.records import Records
from pennylane_qstore.emulator.service.requests import compile_circuit, request_of
from pennylane_qstore.emulator.service.simulations import Simulations
from pennylane_qstore.emulator.simulation.debiasing import (
    HISTOGRAM,
    debiased_part,
    plurality_vote,
)
from pennylane_qstore.emulator.simulation.run import Distribution
from pennylane_qstore.fixed_decimals import write_rows
from pennylane_qstore.server.errors import not_found
from pennylane_qstore.server.inputs.copies import circuit_source
from pennylane_qstore.server.inputs.settings import debiased
from pennylane_qstore.server.inputs.submission import Submission
from pennylane_qstore.server.render import AGGREGATE, NATIVE_CIRCUIT, PROBABILITIES
from pennylane_qstore.server.service import Body, CircuitInfo

_INLINE_ENTRIES = 20_000
"""Results of up to so many entries (some milliseconds) are written on the event loop."""
_ALIKE_ENTRIES = 1 << 10
"""Results of so many entries are worth a look whether the circuits' texts are alike."""
_STREAMED = 1 << 20
"""Results of more outcomes are written piece by piece."""
_PIECE = 1 << 16
_Piece = bytes | memoryview


class ResultWriter:
    """Writes results, large ones off the event loop, with the faults that apply to them.

    Args:
        records: the jobs.
        simulations: makes calls on worker threads.
        clock: source of time.
        faults: the plan of faults.
        new_id: gives the id of a circuit that is in no job.
        read: reads the body of a request.
    """

    def __init__(
        self,
        records: Records,
        simulations: Simulations,
        clock: Clock,
        faults: Faults,
        new_id: Callable[[], str],
        read: Callable[[bytes], Submission],
    ) -> None:
        self._records, self._off_loop = records, simulations.off_loop
        self._clock, self._faults = clock, faults
        self._new_id, self._read = new_id, read

    async def write(self, job_id: str, artifact: str, *, vote: bool) -> Body:
        """Write a result.

        Args:
            job_id: id of a job or of a child.
            artifact: identifier of the format, or id of a variant or an aggregation.
            vote: whether the variants of a debiased job vote.

        Returns:
            The JSON.

        Raises:
            BadRequest: 404, there is no such result (yet).
        """
        job, child = self._records.find(job_id)
        now = self._clock.now()
        mitigated = debiased(job.settings)
        if artifact == NATIVE_CIRCUIT:
            if job.status(now) != "completed" or not job.compilable(child):
                raise not_found()
            body = request_of(job)
            return await self._off_loop(
                lambda: orjson.dumps(compile_circuit(self._read(body), child or 0))
            )
        if artifact == AGGREGATE:
            job.distribution(0, now)
            return await self._aggregate(job, job.results or [], vote=vote and mitigated)
        result, circuit = job.distribution(child, now), job.circuits[child or 0]
        of_variants = artifact.startswith(("aggregation-", "variant-"))
        counts_only = ".probabilities." not in artifact
        if (counts_only and result.shots is None) or (of_variants and not mitigated):
            raise not_found()
        if not of_variants and self._faults.content("missing_result", "results"):
            result = _with_less(result, artifact)

        def pieces() -> Iterator[bytes]:
            if artifact == PROBABILITIES:
                chosen = plurality_vote(result) if vote and mitigated else result
                yield from probabilities_pieces(chosen.first(circuit.qubits))
            elif of_variants:
                part = debiased_part(result, artifact)
                yield orjson.dumps(artifact_json(part, HISTOGRAM, circuit))
            else:
                yield orjson.dumps(artifact_json(result, artifact, circuit))

        counted = vote or artifact != PROBABILITIES
        return await self._send(_shots(result) if counted else len(result.states), pieces)

    async def source(self, job_id: str, k: int) -> list[dict[str, Any]]:
        """Return the gates of a circuit as they were sent.

        Args:
            job_id: id of the job.
            k: position of the circuit.

        Returns:
            The gates in IonQ's JSON.

        Raises:
            BadRequest: 404, they are not kept any more.
        """
        body = request_of(self._records.find(job_id)[0])
        return await self._off_loop(lambda: circuit_source(body, k))

    def likeliest(self, job_id: str, k: int, count: int) -> tuple[int, dict[str, float]]:
        """Return the likeliest outcomes of a circuit.

        Args:
            job_id: id of the job.
            k: position of the circuit.
            count: most outcomes to return.

        Returns:
            The number of all outcomes, and the probabilities of the likeliest ones.

        Raises:
            BadRequest: 404, the job is not completed.
        """
        job, _ = self._records.find(job_id)
        result = job.distribution(k, self._clock.now()).first(job.circuits[k].qubits)
        return len(result.states), result.likeliest(count).probabilities()

    async def _aggregate(self, job: StoredJob, results: list[Distribution], *, vote: bool) -> Body:
        """Write ``ionq.result.probabilities-aggregate.json.v1``: all circuits by child id."""
        order = list(range(len(results)))
        if job.shuffle and job.shuffle[0] in ("aggregate", "both"):
            order = self._faults.rng.permutation(len(results)).tolist()
        if self._faults.content("missing_result", "results"):
            order.pop()
        extra = self._faults.content("extra_result", "results") is not None

        def named() -> Iterator[tuple[str, Distribution]]:
            for k in order:
                yield job.child_ids[k], plurality_vote(results[k]) if vote else results[k]
            if extra:
                yield self._new_id(), Distribution(np.zeros(1, np.uint64), np.ones(1), None, 1, 0)

        size = sum(_shots(one) if vote else len(one.states) for one in results)
        return await self._send(size, lambda: aggregate_pieces([*named()]))

    async def _send(self, size: int, pieces: Callable[[], Iterator[_Piece]]) -> Body:
        if size > _STREAMED:
            return self._streamed(pieces())
        if size > _INLINE_ENTRIES:
            return await self._off_loop(lambda: b"".join(pieces()))
        return b"".join(pieces())

    async def _streamed(self, pieces: Iterator[_Piece]) -> AsyncIterator[bytes]:
        while piece := await self._off_loop(lambda: bytes(next(pieces, b""))):
            yield piece


def artifact_json(result: Distribution, artifact_format: str, circuit: CircuitInfo) -> Any:
    """Return a result in one of IonQ's formats.

    Args:
        result: the result of a circuit.
        artifact_format: identifier of the format, ``ionq.result.KIND.json.VERSION``.
        circuit: the circuit.

    Returns:
        What is written as JSON.
    """
    kind, _, version = artifact_format.removeprefix("ionq.result.").partition(".json.")
    if version == "v1":
        final = result.first(circuit.qubits)
        if kind == "probabilities":
            return final.probabilities()
        if kind == "histogram":
            return dict(zip(map(str, final.states.tolist()), final.weights.tolist(), strict=True))
        return list(map(str, result.ordered_shots(circuit.qubits).tolist()))
    places: dict[str, list[int]] = {"output_all": list(range(circuit.qubits))}
    for name, qubits in (circuit.registers or {}).items():
        # exact probabilities are those at the end: registers filled on the way are not in them
        if result.shots is not None or not circuit.recorded:
            places[name] = [result.qubits if q is None else q for q in qubits]
    bits = _bits(result.ordered_shots() if kind == "shots" else result.states, result.qubits)
    if kind == "shots":
        return {
            "shots": [
                {"registers": {name: row[qubits].tolist() for name, qubits in places.items()}}
                for row in bits
            ]
        }
    counted = kind == "histogram" or result.shots is None
    weights = result.weights if counted else result.weights / (result.shots or 1)
    registers = {name: _marginal(bits[:, qubits], weights) for name, qubits in places.items()}
    return {kind: {"registers": registers}}


def probabilities_pieces(result: Distribution) -> Iterator[bytes]:
    """Write ``ionq.result.probabilities.json.v1`` in pieces."""
    lead = b"{"
    for start in range(0, len(result.states), _PIECE):
        rows = slice(start, start + _PIECE)
        some = result._replace(states=result.states[rows], weights=result.weights[rows])
        yield lead + orjson.dumps(some.probabilities())[1:-1]
        lead = b","
    yield b"}"


def aggregate_pieces(named: Sequence[tuple[str, Distribution]]) -> Iterator[_Piece]:
    """Write ``ionq.result.probabilities-aggregate.json.v1`` in pieces."""
    size = sum(len(one.states) for _, one in named)
    if size >= _ALIKE_ENTRIES and _alike(named):
        yield from _alike_pieces(named)
        return
    if size <= _INLINE_ENTRIES:  # at once is faster for small circuits
        yield orjson.dumps({name: one.probabilities() for name, one in named})
        return
    lead = b"{"
    for name, one in named:
        yield lead + orjson.dumps(name) + b":"
        yield from probabilities_pieces(one)
        lead = b","
    yield b"}"


def _alike(named: Sequence[tuple[str, Distribution]]) -> bool:
    """Return whether all results are exact and have the same outcomes."""
    first = named[0][1].states
    return all(
        one.shots is None and (one.states is first or np.array_equal(one.states, first))
        for _, one in named
    )


def _alike_pieces(named: Sequence[tuple[str, Distribution]]) -> Iterator[_Piece]:
    keys = named[0][1].keys
    step, lead = max(1, _PIECE // len(keys)), b"{"
    for start in range(0, len(named), step):
        names, some = zip(*named[start : start + step], strict=True)
        yield lead
        yield write_rows(names, keys, np.array([one.weights for one in some]))
        lead = b","
    yield b"}"


def _with_less(result: Distribution, artifact: str) -> Distribution:
    """Return a result without its first outcome; with one shot less, where shots are asked for."""
    if ".shots." not in artifact:
        return result._replace(states=result.states[1:], weights=result.weights[1:])
    weights = result.weights.copy()
    weights[0] -= 1
    return result._replace(weights=weights)


def _shots(result: Distribution) -> int:
    """Return the number of entries to handle where single shots are looked at."""
    return max(len(result.states), result.shots or 0)


def _bits(states: NDArray[np.uint64], qubits: int) -> NDArray[np.uint8]:
    """Return bits [K, qubits + 1], qubit 0 first; the last is 0, for places nothing fills."""
    places = np.arange(qubits + 1, dtype=np.uint64)
    return ((states[:, None] >> places) & np.uint64(1)).astype(np.uint8)


def _marginal(bits: NDArray[np.uint8], weights: NDArray[Any]) -> dict[str, float]:
    out: dict[str, float] = {}
    for row, weight in zip(bits.tolist(), weights.tolist(), strict=True):
        key = "".join(map(str, row))
        out[key] = out.get(key, 0) + weight
    return out
