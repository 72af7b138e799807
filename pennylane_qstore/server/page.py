"""The page's sources: their protocol, and that of a service's jobs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Protocol

from pennylane_qstore.run_names import runs_of
from pennylane_qstore.server.access import RequestLog
from pennylane_qstore.server.errors import BadRequest, not_found
from pennylane_qstore.server.render import job_json, timestamp
from pennylane_qstore.server.runs import PageJob
from pennylane_qstore.server.service import TERMINAL, JobService, ServiceJob

_SECONDS = 60
BARS = 32
"""Outcomes of a circuit that are shown."""


class PageSource(Protocol):
    """Jobs as the page asks for them. Called on the event loop."""

    @property
    def shows_all(self) -> bool:
        """True where runs are shown of which no job is."""

    async def summary(self) -> dict[str, Any]:
        """Look for changes, and return what is shown above the jobs.

        Returns:
            ``title`` of the page and ``label`` beside it; ``now``, in seconds since the epoch;
            ``stats``, counters of which the page shows those that it knows; ``per_second``, the
            number of requests in each of the last seconds (empty without a server).
        """

    def newest_first(self) -> Iterator[PageJob]:
        """Return the jobs, newest first."""

    async def detail(self, job_id: str, k: int) -> dict[str, Any]:
        """Return what there is to tell of a circuit of a job.

        Args:
            job_id: of the job.
            k: position of the circuit.

        Returns:
            Members as :class:`ServicePage` has them.

        Raises:
            BadRequest: 404, there is no such job or circuit.
        """

    async def cancel(self, job_ids: list[str]) -> dict[str, str]:
        """Cancel jobs that have not ended.

        Returns:
            The state of each that exists, by id.
        """


class ServicePage:
    """The jobs of a service.

    Args:
        service: the service.
        log: of its requests.
    """

    def __init__(self, service: JobService, log: RequestLog) -> None:
        self._service, self._log = service, log

    @property
    def shows_all(self) -> bool:
        """True where the caller sees the jobs of everybody."""
        return self._service.shows_all

    async def summary(self) -> dict[str, Any]:
        """Return the service's name and time, and the counters of requests and jobs."""
        service = self._service
        return {
            "title": service.title,
            "label": service.label,
            "now": service.now(),
            "stats": self._log.stats() | service.stats(),
            "per_second": self._log.per_second(_SECONDS),
        }

    def newest_first(self) -> Iterator[PageJob]:
        """Return the jobs, newest first."""
        now = self._service.now()
        return (_shown(job, now) for job in self._service.newest_first())

    async def detail(self, job_id: str, k: int) -> dict[str, Any]:
        """Return a circuit: its gates, times and likeliest outcomes.

        Args:
            job_id: of the job.
            k: position of the circuit.

        Returns:
            Numbers, times in IonQ's form, ``circuit`` and ``probabilities`` where they are known.

        Raises:
            BadRequest: 404, there is no such job or circuit.
        """
        service = self._service
        job, _ = service.find(job_id)
        if k >= len(job.circuits):
            raise not_found()
        failure, chosen, now = job.failure, job.circuits[k], service.now()
        waits = job.status(now) in ("submitted", "ready")
        shown = job_json(job, now)
        out: dict[str, Any] = {
            "qubits": chosen.qubits,
            "name": chosen.name,
            "gates": [chosen.n_1q, chosen.n_2q],
            **{key: shown[key] for key in ("submitted_at", "started_at", "completed_at")},
            "starts_at": timestamp(job.start_at) if waits else None,
            "circuit": None,
            "probabilities": None,
            "outcomes": 0,
            "outcome": job.outcome,
            "failure": None if failure is None else failure._asdict(),
        }
        with suppress(BadRequest):  # not kept any more, or a program that cannot be read
            out["circuit"] = await service.results.source(job_id, k)
        with suppress(BadRequest):  # not completed yet
            out["outcomes"], out["probabilities"] = service.results.likeliest(job_id, k, BARS)
        return out

    async def cancel(self, job_ids: list[str]) -> dict[str, str]:
        """Cancel jobs that have not ended.

        Returns:
            The state of each that exists, by id.
        """
        service = self._service
        known = service.cancel(*job_ids)
        return {job_id: service.find(job_id)[0].status(service.now()) for job_id in known}


def _shown(job: ServiceJob, now: float) -> PageJob:
    status = job.status(now)
    runs = runs_of(job.name, job.metadata)
    is_over = status in TERMINAL
    return PageJob(
        job.id, job.sequence, job.version, ", ".join(runs), runs,
        getattr(job, "user", None), job.backend, (job.noise or {}).get("model"), status, is_over,
        len(job.circuits), job.shots, job.billed_usd if is_over else None, job.cost_usd,
        job.submitted_at, job.start_at if status in ("submitted", "ready") else None,
    )  # fmt: skip
