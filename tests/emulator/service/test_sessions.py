"""Sessions: their life, their limits, and how a request opens one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from support.emulator_wire import BELL, Wire

from pennylane_qstore.emulator import VirtualClock
from pennylane_qstore.emulator.service.sessions import ServiceSession, read_session
from pennylane_qstore.server.errors import BadRequest

START = 1_790_000_000.0


def session(wire: Wire, **limits: Any) -> str:
    answer = wire("POST", "/sessions", {"backend": "qpu.forte-1", "settings": limits})
    assert answer.status == 201, answer.body
    return str(answer.json["id"])


def submit(wire: Wire, session_id: str, backend: str = "qpu.forte-1") -> int:
    body = {
        "type": "ionq.circuit.v1",
        "backend": backend,
        "session_id": session_id,
        "input": {"gateset": "qis", "circuit": BELL},
    }
    return wire("POST", "/jobs", body).status


def test_sessions_enforce_their_limits(serve: Callable[..., Wire]) -> None:
    clock = VirtualClock()
    wire = serve(clock=clock)
    counted = session(wire, job_count_limit=2)
    assert [submit(wire, counted) for _ in range(3)] == [201, 201, 400]
    costly = session(wire, cost_limit={"unit": "usd", "value": 30})
    assert [submit(wire, costly) for _ in range(2)] == [201, 400]
    timed = session(wire, duration_limit_min=10)
    assert submit(wire, timed) == 201
    assert submit(wire, timed, "simulator") == 400
    clock.advance(600)
    assert submit(wire, timed) == 400
    assert wire("GET", f"/sessions/{timed}").json["status"] == "ended"
    assert submit(wire, "nonsense") == 404


def test_what_is_not_charged_leaves_a_sessions_limit_alone(serve: Callable[..., Wire]) -> None:
    wire = serve(clock=VirtualClock(), profile={"queue_s": 60.0})
    costly = session(wire, cost_limit={"unit": "usd", "value": 30})
    qpu = {"backend": "qpu.forte-1", "session_id": costly}
    wire("PUT", f"/jobs/{wire.submit(**qpu)}/status/cancel")
    wire.submit([{"gate": "x", "target": 40}], **qpu)  # fails
    wire.submit(**qpu)
    wire.submit(**qpu, dry_run=True)
    assert submit(wire, costly) == 400


def test_a_session_from_created_to_ended(serve: Callable[..., Wire]) -> None:
    clock = VirtualClock()
    wire = serve(clock=clock, profile={"queue_s": 60.0})
    opened = session(wire)
    seen = wire("GET", f"/sessions/{opened}").json
    assert (seen["status"], seen["active"], seen["started_at"]) == ("created", True, None)
    job_id = wire.submit(backend="qpu.forte-1", session_id=opened)
    assert wire("GET", f"/sessions/{opened}").json["status"] == "started"
    assert [j["id"] for j in wire("GET", f"/jobs?session_id={opened}").json["jobs"]] == [job_id]
    assert wire("POST", f"/sessions/{opened}/end").json["status"] == "ended"
    assert wire.job(job_id)["status"] == "canceled"
    ended = wire("POST", f"/sessions/{opened}/end").json
    assert ended["active"] is False
    found = wire("GET", "/sessions?active=true").json["sessions"]
    assert found == []
    assert len(wire("GET", "/sessions?active=false").json["sessions"]) == 1


@pytest.mark.parametrize(
    "body",
    [
        [],
        {},
        {"backend": "qpu.aria-2"},
        {"backend": "qpu.forte-1", "settings": []},
        {"backend": "qpu.forte-1", "settings": {"job_count_limit": 0}},
        {"backend": "qpu.forte-1", "settings": {"duration_limit_min": True}},
        {"backend": "qpu.forte-1", "settings": {"cost_limit": 3}},
        {"backend": "qpu.forte-1", "settings": {"cost_limit": {"unit": "eur", "value": 3}}},
    ],
)
def test_a_bad_session_is_400(wire: Wire, body: Any) -> None:
    assert wire("POST", "/sessions", body).status == 400


def test_a_session_lives_a_day_unless_it_is_limited() -> None:
    session = ServiceSession("s", "qpu.forte-1", START)
    assert session.status(START + 86_399) == "created"
    assert session.status(START + 86_400) == "ended"
    short = ServiceSession("s", "qpu.forte-1", START, duration_limit_min=0.5)
    assert short.status(START + 30) == "ended"


def test_the_first_job_starts_a_session_and_all_are_counted() -> None:
    session = ServiceSession("s", "qpu.forte-1", START, job_count_limit=2, cost_limit_usd=50.0)
    session.admit("qpu.forte-1", 25.0, START)
    session.join("one", 25.0, START + 1)
    session.join("two", 20.0, START + 2)
    assert (session.status(START + 3), session.started_at) == ("started", START + 1)
    assert (session.jobs, session.spent_usd) == (["one", "two"], 45.0)


@pytest.mark.parametrize(
    ("limits", "backend", "after", "message"),
    [
        ({}, "simulator", 0, "is for qpu.forte-1, not simulator"),
        ({"job_count_limit": 1}, "qpu.forte-1", 0, "limit of 1 jobs"),
        ({"cost_limit_usd": 30.0}, "qpu.forte-1", 0, "4.00 usd left .* costs 26.00 usd"),
        ({"duration_limit_min": 1}, "qpu.forte-1", 60, "has ended"),
    ],
)
def test_a_session_says_why_it_refuses(
    limits: dict[str, Any], backend: str, after: float, message: str
) -> None:
    session = ServiceSession("s", "qpu.forte-1", START, **limits)
    session.join("one", 26.0, START)
    with pytest.raises(BadRequest, match=message) as refused:
        session.admit(backend, 26.0, START + after)
    assert refused.value.keys == ("session_id",)


def test_a_request_with_limits_becomes_a_session_that_shows_them() -> None:
    settings = {
        "job_count_limit": 3,
        "duration_limit_min": 15,
        "cost_limit": {"unit": "usd", "value": 99.5},
    }
    session = read_session({"backend": "qpu.forte-1", "settings": settings}, "s", START)
    shown = session.as_json(START)
    assert shown["settings"].pop("expires_at") == "2026-09-21T14:28:20.000Z"
    assert shown["settings"] == settings
    assert (shown["status"], shown["active"], shown["ended_at"]) == ("created", True, None)
    ended = session.as_json(START + 900)
    assert (ended["status"], ended["ended_at"], ended["ender_id"]) == (
        "ended", "2026-09-21T14:28:20.000Z", None
    )  # fmt: skip
