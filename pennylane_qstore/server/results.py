"""Routes of results and artifacts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from aiohttp import web

from pennylane_qstore.emulator.service.jobs import Job
from pennylane_qstore.emulator.service.service import Service
from pennylane_qstore.emulator.simulation.debiasing import HISTOGRAM, part, voted, wants_vote
from pennylane_qstore.emulator.simulation.run import Distribution
from pennylane_qstore.server.errors import not_found
from pennylane_qstore.server.inputs.settings import debiased
from pennylane_qstore.server.inputs.submission import MULTI, QASM, SINGLE
from pennylane_qstore.server.render import (
    AGGREGATE,
    ARTIFACTS,
    NATIVE_CIRCUIT,
    aggregate_pieces,
    artifact,
    probabilities_pieces,
)
from pennylane_qstore.server.responses import answer, large, streamed
from pennylane_qstore.server.service import CircuitInfo

if TYPE_CHECKING:
    from pennylane_qstore.emulator.emulator import Emulator

_STREAMED = 1 << 20
"""Results of more outcomes are sent piece by piece."""


def add_result_routes(app: web.Application, emulator: Emulator) -> None:
    """Add the routes."""
    routes = _ResultRoutes(emulator)
    base = "/v0.4/jobs/{id}"
    probabilities = base + "/results/probabilities"
    app.add_routes(
        [
            web.get(probabilities, routes.probabilities, allow_head=False),
            web.get(probabilities + "/aggregated", routes.aggregated, allow_head=False),
            web.get(base + "/results/{alias:histogram|shots}", routes.alias, allow_head=False),
            web.get(base + "/artifacts/{alias}", routes.alias, allow_head=False),
        ]
    )


class _ResultRoutes:
    """The handlers, over one emulator's service."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator
        self._service: Service = emulator.service

    async def probabilities(self, request: web.Request) -> web.StreamResponse:
        job, child = self._service.find(request.match_info["id"])
        one = self._service.distribution(job, child)
        vote = debiased(job.settings) and wants_vote(request.query)
        return await self._probabilities(request, one, job.circuits[child or 0], vote=vote)

    async def aggregated(self, request: web.Request) -> web.StreamResponse:
        job, child = self._service.find(request.match_info["id"])
        if job.type != MULTI or child is not None:
            raise not_found()
        return await self._aggregate(request, job, vote=wants_vote(request.query))

    async def alias(self, request: web.Request) -> web.StreamResponse:
        job, child = self._service.find(request.match_info["id"])
        alias = request.match_info["alias"]
        if alias.startswith(("aggregation-", "variant-")):
            return await self._mitigated(job, child, alias)
        chosen = ARTIFACTS.get(alias, alias)
        if chosen not in ARTIFACTS.values():
            raise not_found()
        parent = job.type == MULTI and child is None
        if (chosen == AGGREGATE) != parent:
            raise not_found()
        if chosen == AGGREGATE:
            return await self._aggregate(request, job, vote=False)
        if chosen == NATIVE_CIRCUIT:
            return answer(await self._native_circuit(job, child))
        one = self._service.distribution(job, child)
        if one.shots is None and ".probabilities." not in chosen:
            raise not_found()
        circuit = job.circuits[child or 0]
        if chosen == ARTIFACTS["probabilities"]:
            return await self._probabilities(request, one, circuit, vote=False)
        make = self._perhaps_less(lambda: artifact(one, chosen, circuit))
        return await large(self._service, _size(one, shots=True), make)

    async def _mitigated(self, job: Job, child: int | None, name: str) -> web.Response:
        """The histogram of a variant, or of an aggregation of all of them."""
        one = self._service.distribution(job, child)
        if not debiased(job.settings) or one.shots is None:
            raise not_found()
        circuit = job.circuits[child or 0]

        def make() -> Any:
            chosen = part(one, name)
            if chosen is None:
                raise not_found()
            return artifact(chosen, HISTOGRAM, circuit)

        return await large(self._service, _size(one, shots=True), make)

    async def _probabilities(
        self, request: web.Request, one: Distribution, circuit: CircuitInfo, *, vote: bool
    ) -> web.StreamResponse:
        if len(one.states) > _STREAMED:
            less = self._emulator.faults.content("missing_result", "results") is not None
            kept = one._replace(states=one.states[less:], weights=one.weights[less:])
            return await streamed(
                self._service, request, probabilities_pieces(kept.first(circuit.qubits))
            )

        def make() -> dict[str, float]:
            return (voted(one) if vote else one).first(circuit.qubits).probabilities()

        return await large(self._service, _size(one, shots=vote), self._perhaps_less(make))

    async def _aggregate(self, request: web.Request, job: Job, *, vote: bool) -> web.StreamResponse:
        self._service.distribution(job, 0)
        results = job.results or []
        faults = self._emulator.faults
        order = list(range(len(results)))
        if job.shuffle and job.shuffle[0] in ("aggregate", "both"):
            order = faults.rng.permutation(len(results)).tolist()
        if faults.content("missing_result", "results"):
            order.pop()
        extra = faults.content("extra_result", "results") is not None
        vote = vote and debiased(job.settings)

        def named() -> Iterator[tuple[str, Distribution]]:
            for k in order:
                yield job.child_ids[k], voted(results[k]) if vote else results[k]
            if extra:
                alien = self._service.ids.take(self._service.clock.now())[0]
                yield alien, Distribution(np.zeros(1, np.uint64), np.ones(1), None, 1, 0)

        size = sum(_size(one, shots=vote) for one in results)
        if size > _STREAMED:
            return await streamed(self._service, request, aggregate_pieces(named()))
        return await large(
            self._service, size, lambda: {name: one.probabilities() for name, one in named()}
        )

    def _perhaps_less(self, make: Callable[[], Any]) -> Callable[[], Any]:
        """What is made, without an outcome where the fault ``missing_result`` says so."""
        if not self._emulator.faults.content("missing_result", "results"):
            return make

        def less() -> Any:
            found = make()
            inner = found  # v2 has its outcomes further in
            while isinstance(inner, dict) and isinstance(next(iter(inner.values())), dict | list):
                inner = next(iter(inner.values()))
            if isinstance(inner, list):
                inner.pop()
            else:
                inner.pop(next(iter(inner)))
            return found

        return less

    async def _native_circuit(self, job: Job, child: int | None) -> Any:
        done = job.status(self._service.clock.now()) == "completed"
        plain = child is not None or job.type in (SINGLE, QASM)
        if job.request is None or not done or not plain or job.circuits[child or 0].recorded:
            raise not_found()
        return await self._service.compiled(job, child or 0)


def _size(one: Distribution, *, shots: bool) -> int:
    """Entries to handle: outcomes, or single shots."""
    return max(len(one.states), one.shots or 0) if shots else len(one.states)
