"""Estimate, cost and bill come from one formula; budgets and sessions stop jobs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.emulator_wire import BELL, Wire

from pennylane_qstore.emulator import RateCard, VirtualClock
from pennylane_qstore.emulator.service.billing import RATE_CARDS

COUNTS = st.integers(0, 1000)


@settings(deadline=None)
@given(
    COUNTS, COUNTS, st.integers(1, 50), st.integers(1, 10_000), st.sampled_from(list(RATE_CARDS))
)
def test_a_price_is_never_below_its_minimum_and_grows(
    one: int, two: int, circuits: int, shots: int, backend: str
) -> None:
    card = RATE_CARDS[backend]
    price = card.price(one, two, circuits, shots)
    assert price >= card.job_cost_minimum
    assert card.price(one, two + 1, circuits, shots) >= price
    assert card.price(one, two, circuits, shots, mitigated=True) >= price


@pytest.mark.parametrize("backend", ["qpu.aria-1", "qpu.forte-1"])
def test_estimate_and_cost_agree(wire: Wire, backend: str) -> None:
    circuit = BELL * 40
    job = wire.done(wire.submit(circuit, backend=backend, shots=400))
    one, two = job["stats"]["gate_counts"]["1q"], job["stats"]["gate_counts"]["2q"]
    query = f"backend={backend}&shots=400&1q_gates={one}&2q_gates={two}&qubits=2"
    estimate = wire("GET", f"/jobs/estimate?{query}").json
    cost = wire("GET", f"/jobs/{job['id']}/cost").json
    assert cost["cost"]["value"] == cost["estimated_cost"]["value"]
    assert cost["cost"]["value"] == estimate["estimated_total_cost"]
    assert wire.emulator.stats()["billed_usd"] == cost["cost"]["value"]


def test_simulators_are_free_but_counted(wire: Wire) -> None:
    job_id = wire.done(wire.submit())["id"]
    assert wire("GET", f"/jobs/{job_id}/cost").json == {"dry_run": False}
    stats = wire.emulator.stats()
    assert (stats["billed_jobs"], stats["billed_usd"]) == (1, 0.0)


def test_a_card_of_compute_time(serve: Callable[..., Wire]) -> None:
    card = RateCard(
        "compute_second", unit_cost=2.0, seconds_1q=0.1, seconds_2q=1.0, seconds_per_shot=0.5
    )
    wire = serve(rate_cards={"qpu.forte-1": card})
    job = wire.done(wire.submit(backend="qpu.forte-1", shots=10))
    cost = wire("GET", f"/jobs/{job['id']}/cost").json["cost"]["value"]
    assert cost == pytest.approx(2.0 * 10 * (0.1 + 1.0 + 0.5))
    assert job["cost_model"] == "QCT"
    assert job["stats"]["predicted_quantum_compute_time_us"] == 16_000_000
    assert job["stats"]["billed_quantum_compute_time_us"] == 16_000_000
    dry = wire.done(wire.submit(backend="qpu.forte-1", shots=10, dry_run=True))
    assert dry["stats"]["predicted_quantum_compute_time_us"] == 16_000_000
    assert "billed_quantum_compute_time_us" not in dry["stats"]
    rates = wire("GET", "/jobs/estimate?backend=qpu.forte-1").json["rate_card"]["rates"]
    assert rates[0]["unit_cost"] == 2.0


def test_a_budget_runs_out_as_a_failed_job(serve: Callable[..., Wire]) -> None:
    wire = serve(budget_usd=60.0)
    jobs = [wire.done(wire.submit(backend="qpu.forte-1")) for _ in range(3)]
    assert [j["status"] for j in jobs] == ["completed", "completed", "failed"]
    assert jobs[2]["failure"]["code"] == "QuotaExhaustedError"
    assert wire.emulator.stats()["billed_usd"] == pytest.approx(2 * 25.79)
    assert wire.done(wire.submit())["status"] == "completed"


def test_what_never_ran_is_not_charged(serve: Callable[..., Wire]) -> None:
    clock = VirtualClock()
    wire = serve(clock=clock, profile={"queue_s": 60.0, "execution_s": 60.0})
    waiting, running = wire.submit(backend="qpu.forte-1"), wire.submit(backend="qpu.forte-1")
    wire.submit(backend="qpu.forte-1", dry_run=True)
    wire("PUT", f"/jobs/{waiting}/status/cancel")
    clock.advance(60)
    wire("PUT", f"/jobs/{running}/status/cancel")
    assert wire.emulator.stats()["billed_usd"] == 25.79
    costs = [wire("GET", f"/jobs/{job}/cost").json["cost"]["value"] for job in (waiting, running)]
    assert costs == [0.0, 25.79]
    assert wire.job(waiting)["started_at"] is None
    assert wire.job(running)["started_at"] is not None


@pytest.mark.parametrize("query", ["", "backend=odd", "backend=simulator&shots=many"])
def test_a_bad_estimate_is_400(wire: Wire, query: str) -> None:
    assert wire("GET", f"/jobs/estimate?{query}").status == 400


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


def test_only_what_runs_takes_the_machines_time(serve: Callable[..., Wire]) -> None:
    profile = {"queue_s": 10.0, "execution_s": 100.0, "concurrency": 1}
    wire = serve(clock=VirtualClock(), profile=profile)
    qpu = {"backend": "qpu.forte-1"}
    wire.submit(**qpu, dry_run=True)
    wire.submit([{"gate": "x", "target": 40}], **qpu)  # fails
    jobs = [wire.submit(**qpu) for _ in range(3)]
    waits = lambda: [wire.job(job)["predicted_wait_time_ms"] for job in jobs]  # noqa: E731
    assert waits() == [10_000, 110_000, 210_000]
    wire("PUT", "/jobs/status/cancel", {"ids": jobs[1:2]})
    assert waits() == [10_000, None, 110_000]
    wire("DELETE", f"/jobs/{jobs.pop(0)}")
    assert waits() == [None, 10_000]


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
