"""Results of jobs in IonQ's formats."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from functools import partial
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from pennylane_qstore.emulator.faults import Faults
from pennylane_qstore.emulator.service.jobs import StoredJob
from pennylane_qstore.emulator.simulation.debiasing import (
    HISTOGRAM,
    debiased_part,
    plurality_vote,
)
from pennylane_qstore.emulator.simulation.run import Distribution
from pennylane_qstore.server.errors import not_found
from pennylane_qstore.server.inputs.settings import debiased
from pennylane_qstore.server.render import PROBABILITIES
from pennylane_qstore.server.service import Body, CircuitInfo

_INLINE_ENTRIES = 20_000
"""Results of up to so many entries (some milliseconds) are written on the event loop."""
_STREAMED = 1 << 20
"""Results of more outcomes are written piece by piece."""
_PIECE = 1 << 16


class ResultWriter:
    """Writes results, large ones off the event loop, with the faults that apply to them.

    Args:
        faults: the plan of faults.
        new_id: gives the id of a circuit that is in no job.
        off_loop: makes a call on a worker thread.
    """

    def __init__(
        self,
        faults: Faults,
        new_id: Callable[[], str],
        off_loop: Callable[[Callable[[], Any]], Awaitable[Any]],
    ) -> None:
        self._faults = faults
        self._new_id = new_id
        self._off_loop = off_loop

    async def write(
        self,
        job: StoredJob,
        result: Distribution,
        circuit: CircuitInfo,
        artifact: str,
        *,
        vote: bool,
    ) -> Body:
        """Write the result of one circuit.

        Args:
            job: the circuit's job.
            result: the circuit's result.
            circuit: the circuit.
            artifact: identifier of the format, or id of a variant or an aggregation.
            vote: whether the variants of a debiased job vote.

        Returns:
            The JSON.

        Raises:
            BadRequest: 404, there is no such artifact of the result.
        """
        if artifact.startswith(("aggregation-", "variant-")):
            if not debiased(job.settings) or result.shots is None:
                raise not_found()
            return await self._whole(_shots(result), partial(_part_json, result, artifact, circuit))
        if artifact == PROBABILITIES:
            return await self._probabilities(result, circuit, vote=vote and debiased(job.settings))
        if result.shots is None and ".probabilities." not in artifact:
            raise not_found()
        make = self._perhaps_less(lambda: artifact_json(result, artifact, circuit))
        return await self._whole(_shots(result), make)

    async def write_aggregate(
        self, job: StoredJob, results: list[Distribution], *, vote: bool
    ) -> Body:
        """Write ``ionq.result.probabilities-aggregate.json.v1``: all circuits by child id.

        Args:
            job: the multi-circuit job.
            results: the results of its circuits.
            vote: whether the variants of a debiased job vote.

        Returns:
            The JSON.
        """
        order = list(range(len(results)))
        if job.shuffle and job.shuffle[0] in ("aggregate", "both"):
            order = self._faults.rng.permutation(len(results)).tolist()
        if self._faults.content("missing_result", "results"):
            order.pop()
        extra = self._faults.content("extra_result", "results") is not None
        vote = vote and debiased(job.settings)

        def named() -> Iterator[tuple[str, Distribution]]:
            for k in order:
                yield job.child_ids[k], plurality_vote(results[k]) if vote else results[k]
            if extra:
                yield self._new_id(), Distribution(np.zeros(1, np.uint64), np.ones(1), None, 1, 0)

        size = sum(_shots(one) if vote else len(one.states) for one in results)
        if size > _STREAMED:
            return self._streamed(aggregate_pieces(named()))
        return await self._whole(size, lambda: {name: one.probabilities() for name, one in named()})

    async def _probabilities(
        self, result: Distribution, circuit: CircuitInfo, *, vote: bool
    ) -> Body:
        if len(result.states) > _STREAMED:
            less = self._faults.content("missing_result", "results") is not None
            kept = result._replace(states=result.states[less:], weights=result.weights[less:])
            return self._streamed(probabilities_pieces(kept.first(circuit.qubits)))

        def make() -> dict[str, float]:
            return (
                (plurality_vote(result) if vote else result).first(circuit.qubits).probabilities()
            )

        size = _shots(result) if vote else len(result.states)
        return await self._whole(size, self._perhaps_less(make))

    async def _whole(self, size: int, make: Callable[[], Any]) -> bytes:
        if size <= _INLINE_ENTRIES:
            return orjson.dumps(make())
        return bytes(await self._off_loop(lambda: orjson.dumps(make())))

    async def _streamed(self, pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
        while piece := await self._off_loop(lambda: next(pieces, b"")):
            yield piece

    def _perhaps_less(self, make: Callable[[], Any]) -> Callable[[], Any]:
        """Leave an outcome out where the fault ``missing_result`` applies."""
        if not self._faults.content("missing_result", "results"):
            return make

        def less() -> Any:
            data = make()
            inner = data  # v2 has its outcomes further in
            while isinstance(inner, dict) and isinstance(next(iter(inner.values())), dict | list):
                inner = next(iter(inner.values()))
            inner.pop() if isinstance(inner, list) else inner.pop(next(iter(inner)))
            return data

        return less


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


def _part_json(result: Distribution, name: str, circuit: CircuitInfo) -> Any:
    chosen = debiased_part(result, name)
    if chosen is None:
        raise not_found()
    return artifact_json(chosen, HISTOGRAM, circuit)


def probabilities_pieces(result: Distribution) -> Iterator[bytes]:
    """Write ``ionq.result.probabilities.json.v1`` in pieces."""
    lead = b"{"
    for start in range(0, len(result.states), _PIECE):
        rows = slice(start, start + _PIECE)
        some = result._replace(states=result.states[rows], weights=result.weights[rows])
        yield lead + orjson.dumps(some.probabilities())[1:-1]
        lead = b","
    yield b"}"


def aggregate_pieces(named: Iterable[tuple[str, Distribution]]) -> Iterator[bytes]:
    """Write ``ionq.result.probabilities-aggregate.json.v1`` in pieces."""
    lead = b"{"
    for name, one in named:
        yield lead + orjson.dumps(name) + b":"
        yield from probabilities_pieces(one)
        lead = b","
    yield b"}"


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
