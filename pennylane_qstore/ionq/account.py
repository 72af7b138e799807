"""Money and the account: estimates, sessions, backends, who the key belongs to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import urlencode

import orjson

from pennylane_qstore.errors import ConnectionFailed, InvalidResponse
from pennylane_qstore.ionq.base_client import Connected
from pennylane_qstore.ionq.http.api import Api, Throttled
from pennylane_qstore.ionq.http.retry import NotSent, ResponseLost
from pennylane_qstore.ionq.http.transport import Traffic
from pennylane_qstore.ionq.jobs.cost import read_cost
from pennylane_qstore.ionq.messages.responses import (
    check_id,
    parse_object,
)
from pennylane_qstore.validation import check_count, check_number


class Estimate(NamedTuple):
    """What a job would cost and take.

    Attributes:
        cost_usd: in US dollars; ``None`` if the service names another unit.
        execution_s: on the machine, in seconds.
        queue_s: before it, as predicted now, in seconds.
    """

    cost_usd: float | None
    execution_s: float | None
    queue_s: float | None


@dataclass(frozen=True, slots=True)
class Session:
    """A session at the service.

    Attributes:
        id: for ``JobRequest.session_id``.
        backend: the one it is for.
        active: whether it takes jobs.
        settings: limits, as the service states them.
    """

    id: str
    backend: str
    active: bool
    settings: Mapping[str, Any] = field(default_factory=dict)


class AccountCalls(Connected):
    """The client's calls about money and the account."""

    def estimate(
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
        """What a job would cost and how long it would take; nothing is submitted.

        Args:
            backend: IonQ's backend id.
            qubits: of each circuit.
            shots: of each circuit.
            gates_1q: one-qubit gates, summed over the circuits.
            gates_2q: two-qubit gates, summed over the circuits.
            circuits: how many.
            error_mitigation: whether it is debiased.
        """
        return self.call(
            _estimate(
                self._api(),
                self._traffic,
                backend,
                qubits=qubits,
                shots=shots,
                gates_1q=gates_1q,
                gates_2q=gates_2q,
                circuits=circuits,
                error_mitigation=error_mitigation,
            )
        )

    def cost_usd(self, job_id: str) -> float | None:
        """What a job cost, in US dollars; ``None`` while that is not known."""
        cost = self.call(read_cost(self._api(), job_id, self._traffic)).billed_usd
        row = self.ledger.find(job_id)
        if row is not None and cost is not None and cost != row.billed_usd:
            self.ledger.billed(row.id, cost)
        return cost

    def create_session(
        self,
        backend: str,
        *,
        job_limit: int | None = None,
        minutes: float | None = None,
        cost_limit_usd: float | None = None,
    ) -> Session:
        """Open a session, in which the service itself bounds jobs, time and cost.

        Args:
            backend: IonQ's backend id.
            job_limit: jobs at most.
            minutes: longest duration, in minutes.
            cost_limit_usd: highest cost, in US dollars.

        Raises:
            ConfigurationError: a limit that is not positive and finite. Nothing was sent.
            ServiceError, AuthenticationError: refused.
            ConnectionFailed: no answer; a session may have been opened.
            InvalidResponse: the answer names no session.
        """
        return self.call(
            _create_session(
                self._api(),
                self._traffic,
                backend,
                job_limit=job_limit,
                minutes=minutes,
                cost_limit_usd=cost_limit_usd,
            )
        )

    def end_session(self, session_id: str) -> Session:
        """End a session; its jobs that have not started are the service's to drop."""
        return self.call(_end_session(self._api(), self._traffic, session_id))

    def backends(self) -> list[dict[str, Any]]:
        """What the service says of its backends."""
        return self.call(_backends(self._api(), self._traffic))

    def clock_ahead_s(self) -> float | None:
        """By how much this machine's clock is ahead of the service's, in seconds."""
        api = self._api()
        self.call(_backends(api, self._traffic))
        return api.clock_ahead_s()

    def whoami(self) -> dict[str, Any]:
        """Which key this is; the cheapest way to learn whether it is accepted."""
        return self.call(_whoami(self._api(), self._traffic))


async def _estimate(
    api: Api,
    traffic: Traffic,
    backend: str,
    *,
    qubits: int,
    shots: int,
    gates_1q: int,
    gates_2q: int,
    circuits: int,
    error_mitigation: bool,
) -> Estimate:
    """Ask for the price of a job; see ``IonQClient.estimate``."""
    query = urlencode(
        {
            "backend": backend,
            "type": "ionq.circuit.v1" if circuits == 1 else "ionq.multi-circuit.v1",
            "qubits": int(qubits),
            "shots": int(shots),
            "1q_gates": int(gates_1q),
            "2q_gates": int(gates_2q),
            "error_mitigation": "true" if error_mitigation else "false",
        }
    )
    answer = await api.read(
        f"/jobs/estimate?{query}", lambda data: parse_object(data, "The estimate"), traffic
    )
    # Until the middle of 2026 the service used the second name of each pair.
    cost = _number(answer, "estimated_total_cost", "estimated_cost")
    if cost is None:
        raise InvalidResponse("The estimate names no cost.")
    unit = answer.get("estimated_unit", answer.get("cost_unit"))
    execution_ms = _number(answer, "estimated_execution_time")
    queue_ms = _number(answer, "current_predicted_queue_time")
    return Estimate(
        cost if unit == "usd" else None,
        None if execution_ms is None else execution_ms / 1e3,
        None if queue_ms is None else queue_ms / 1e3,
    )


async def _create_session(
    api: Api,
    traffic: Traffic,
    backend: str,
    *,
    job_limit: int | None,
    minutes: float | None,
    cost_limit_usd: float | None,
) -> Session:
    """Open a session, with one POST that is not repeated."""
    settings: dict[str, Any] = {}
    for name, limit in {"minutes": minutes, "cost_limit_usd": cost_limit_usd}.items():
        check_number(name, limit, above=0, optional=True)
    if job_limit is not None:
        settings["job_count_limit"] = check_count("job_limit", job_limit)
    if minutes is not None:
        settings["duration_limit_min"] = minutes
    if cost_limit_usd is not None:
        settings["cost_limit"] = {"unit": "usd", "value": cost_limit_usd}
    body = orjson.dumps({"backend": backend, "settings": settings})
    await api.pacer.wait()
    try:
        answer = await api.transport.request("POST", "/sessions", traffic, body=body)
    except (NotSent, ResponseLost, Throttled) as reason:
        raise ConnectionFailed(
            f"The session could not be opened: {reason}. Sessions may be listed at the service."
        ) from None
    if not 200 <= answer.status < 300:
        raise api.error(answer, "POST /sessions")
    return _session(parse_object(answer.body, "The session"))


async def _end_session(api: Api, traffic: Traffic, session_id: str) -> Session:
    """End a session."""
    return _session(await api.send("POST", f"/sessions/{check_id(session_id)}/end", traffic))


async def _backends(api: Api, traffic: Traffic) -> list[dict[str, Any]]:
    """The service's list of backends."""

    def decode(data: bytes) -> list[dict[str, Any]]:
        try:
            value = orjson.loads(data)
        except orjson.JSONDecodeError:
            raise InvalidResponse("The list of backends is not JSON.") from None
        if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
            raise InvalidResponse("The list of backends is no array of objects.")
        return value

    return await api.read("/backends", decode, traffic)


async def _whoami(api: Api, traffic: Traffic) -> dict[str, Any]:
    """What the service knows of the key."""
    return await api.read("/whoami", lambda data: parse_object(data, "whoami"), traffic)


def _session(value: dict[str, Any]) -> Session:
    settings = value.get("settings")
    return Session(
        check_id(value.get("id")),
        str(value.get("backend", "")),
        bool(value.get("active", False)),
        settings if isinstance(settings, dict) else {},
    )


def _number(value: dict[str, Any], *names: str) -> float | None:
    for name in names:
        number = value.get(name)
        if isinstance(number, (int, float)) and not isinstance(number, bool):
            return float(number)
    return None
