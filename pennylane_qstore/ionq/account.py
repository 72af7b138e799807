"""The client's calls about money and the account: estimates, bills, sessions, backends."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from pennylane_qstore.backends import Backend
from pennylane_qstore.characterization import Characterization
from pennylane_qstore.errors import ConnectionFailed, QStoreError
from pennylane_qstore.ionq.base_client import BaseClient, blocking
from pennylane_qstore.ionq.http.retry import NotSent, ResponseLost
from pennylane_qstore.ionq.jobs.cost import Estimate, read_cost, read_estimate
from pennylane_qstore.ionq.machines import read_backends, read_characterization, read_machine
from pennylane_qstore.ionq.messages.responses import check_id, parse_object
from pennylane_qstore.prices import JobSize
from pennylane_qstore.validation import check_count, check_number

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class IonQSession:
    """A session at the service, in which it bounds jobs, time and cost itself.

    Attributes:
        id: for ``JobRequest.session_id``.
        backend: IonQ's id of the backend that it is for.
        active: True while it takes jobs.
        settings: its limits, as the service states them.
    """

    id: str
    backend: str
    active: bool
    settings: Mapping[str, Any] = field(default_factory=dict)


class AccountCalls(BaseClient):
    """The client's calls about money and the account."""

    @blocking
    async def estimate(
        self,
        backend: str,
        *,
        qubits: int,
        shots: int,
        gates_1q: int,
        gates_2q: int,
        circuits: int = 1,
        error_mitigation: bool = False,
    ) -> Estimate:
        """Ask for the price and duration of a job; nothing is submitted.

        Args:
            backend: IonQ's backend id.
            qubits: of each circuit.
            shots: of each circuit.
            gates_1q: one-qubit gates, summed over the circuits.
            gates_2q: two-qubit gates, summed over the circuits.
            circuits: number of circuits.
            error_mitigation: True for a debiased job.

        Returns:
            The service's estimate.

        Raises:
            InvalidResponse: the service names no cost.
            ServiceError, AuthenticationError, ConnectionFailed: refused, or no response.
        """
        size = JobSize(gates_1q, gates_2q, circuits, shots, error_mitigation)
        return await read_estimate(self._api(), backend, size, int(qubits), self._traffic)

    @blocking
    async def cost_usd(self, job_id: str) -> float | None:
        """Return the bill of a job, in US dollars; ``None`` while it is not known."""
        billed_usd = (await read_cost(self._api(), job_id, self._traffic)).billed_usd
        row = await self.ledger.off_loop(self.ledger.find, job_id)
        if row is not None and billed_usd is not None and billed_usd != row.billed_usd:
            await self.ledger.off_loop(self.ledger.billed, row.id, billed_usd)
        return billed_usd

    @blocking
    async def create_session(
        self,
        backend: str,
        *,
        job_limit: int | None = None,
        minutes: float | None = None,
        cost_limit_usd: float | None = None,
    ) -> IonQSession:
        """Open a session, in which the service itself bounds jobs, time and cost.

        Args:
            backend: IonQ's backend id.
            job_limit: jobs at most.
            minutes: longest duration, in minutes.
            cost_limit_usd: highest cost, in US dollars.

        Returns:
            The session; its id is for ``JobRequest.session_id``.

        Raises:
            ConfigurationError: a limit that is not positive and finite. Nothing was sent.
            ServiceError, AuthenticationError: refused.
            ConnectionFailed: no response; a session may have been opened.
            InvalidResponse: the response names no session.
        """
        for name, limit in {"minutes": minutes, "cost_limit_usd": cost_limit_usd}.items():
            check_number(name, limit, above=0, optional=True)
        settings: dict[str, Any] = {}
        if job_limit is not None:
            settings["job_count_limit"] = check_count("job_limit", job_limit)
        if minutes is not None:
            settings["duration_limit_min"] = minutes
        if cost_limit_usd is not None:
            settings["cost_limit"] = {"unit": "usd", "value": cost_limit_usd}
        body = orjson.dumps({"backend": backend, "settings": settings})
        api = self._api()
        await api.pacer.wait()
        try:
            # Sent once: a second session would be a second budget.
            response = await api.transport.request("POST", "/sessions", self._traffic, body=body)
        except (NotSent, ResponseLost) as reason:
            raise ConnectionFailed(
                f"The session could not be opened: {reason}. It may exist all the same: "
                "look at the service's list of sessions before opening another."
            ) from None
        if not 200 <= response.status < 300:
            raise api.error(response, "POST /sessions")
        return _session(parse_object(response.body, "The session"))

    @blocking
    async def end_session(self, session_id: str) -> IonQSession:
        """End a session; its jobs that have not started are the service's to drop."""
        path = f"/sessions/{check_id(session_id)}/end"
        session = await self._api().read_object(path, "The session", self._traffic, method="POST")
        return _session(session)

    @blocking
    async def backends(self) -> list[dict[str, Any]]:
        """Return the service's list of backends."""
        return await read_backends(self._api(), self._traffic)

    @blocking
    async def characterization(self, backend: str) -> Characterization:
        """Return how the service last measured a machine.

        Args:
            backend: IonQ's backend id.

        Returns:
            Fidelities, durations and their date; None for what the service does not tell.

        Raises:
            ServiceError: the service does not know the backend (404).
            ConnectionFailed, InvalidResponse: no response, or none that can be read.
        """
        return await read_characterization(self._api(), backend, self._traffic)

    @blocking
    async def machine(self, backend: str) -> Backend | None:
        """Return a machine's record as the service describes it; None if it lists none such.

        Args:
            backend: IonQ's backend id.

        Returns:
            Qubits, gates and error mitigation; without prices and published figures.

        Raises:
            InvalidResponse: the description cannot be read, or names no gates to send.
            ServiceError, ConnectionFailed: refused, or no response.
        """
        return await read_machine(self._api(), backend, self._traffic)

    def average_queue_s(self, backend: str) -> float | None:
        """Return the service's own figure of the wait for a backend, in seconds, or None."""
        try:
            entries = self.backends()
        except QStoreError as error:  # without it, the queue is not known yet: no reason to stop
            logger.info("The backend's queue time could not be read: %s", error)
            return None
        entry = next((entry for entry in entries if entry.get("backend") == backend), {})
        wait_ms = entry.get("average_queue_time", 0)
        return wait_ms / 1e3 if isinstance(wait_ms, int | float) else None

    @blocking
    async def clock_ahead_s(self) -> float | None:
        """Return how far this machine's clock is ahead of the service's, in seconds."""
        api = self._api()
        await read_backends(api, self._traffic)
        return api.clock_ahead_s()

    @blocking
    async def whoami(self) -> dict[str, Any]:
        """Return the account of the key; the cheapest way to see whether it is accepted."""
        return await self._api().read_object("/whoami", "whoami", self._traffic)


def _session(value: dict[str, Any]) -> IonQSession:
    settings = value.get("settings")
    return IonQSession(
        check_id(value.get("id")),
        str(value.get("backend", "")),
        bool(value.get("active", False)),
        settings if isinstance(settings, dict) else {},
    )
