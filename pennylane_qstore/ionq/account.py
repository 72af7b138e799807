"""Money and the account: estimates, sessions, backends, who the key belongs to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import urlencode

import orjson

from pennylane_qstore.errors import ConfigurationError, ConnectionFailed, InvalidResponse
from pennylane_qstore.ionq.api import Api, Throttled
from pennylane_qstore.ionq.retry import Lost, Unsent
from pennylane_qstore.ionq.transport import Traffic
from pennylane_qstore.ionq.wire import check_id, parse_object


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


async def estimate(
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
    """Ask for the price of a job; see ``IonQBatchClient.estimate``."""
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


async def create_session(
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
    limits = {"job_limit": job_limit, "minutes": minutes, "cost_limit_usd": cost_limit_usd}
    for name, limit in limits.items():
        if limit is not None and not limit > 0:
            raise ConfigurationError(f"{name} must be positive; got {limit!r}.")
    if job_limit is not None:
        settings["job_count_limit"] = job_limit
    if minutes is not None:
        settings["duration_limit_min"] = minutes
    if cost_limit_usd is not None:
        settings["cost_limit"] = {"unit": "usd", "value": cost_limit_usd}
    body = orjson.dumps({"backend": backend, "settings": settings})
    await api.pacer.wait()
    try:
        answer = await api.transport.request("POST", "/sessions", traffic, body=body)
    except (Unsent, Lost, Throttled) as reason:
        raise ConnectionFailed(
            f"The session could not be opened: {reason}. Sessions may be listed at the service."
        ) from None
    if not 200 <= answer.status < 300:
        raise api.error(answer, "POST /sessions")
    return _session(parse_object(answer.body, "The session"))


async def end_session(api: Api, traffic: Traffic, session_id: str) -> Session:
    """End a session."""
    return _session(await api.send("POST", f"/sessions/{check_id(session_id)}/end", traffic))


async def backends(api: Api, traffic: Traffic) -> list[dict[str, Any]]:
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


async def whoami(api: Api, traffic: Traffic) -> dict[str, Any]:
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
