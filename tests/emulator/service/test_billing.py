"""Estimate, cost and bill come from one formula; budgets and sessions stop jobs."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from support.emulator_wire import BELL, Wire

from pennylane_qstore.emulator import VirtualClock
from pennylane_qstore.prices import PriceModel


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
    wire = serve(prices={"qpu.forte-1": PriceModel(name="contract", usd_second=2.0)})
    job = wire.done(wire.submit(backend="qpu.forte-1", shots=10))
    cost = wire("GET", f"/jobs/{job['id']}/cost").json["cost"]["value"]
    seconds = 10 * (63e-6 + 650e-6 + 50e-6 + 150e-6)
    assert cost == pytest.approx(2.0 * seconds)
    assert job["cost_model"] == "QCT"
    assert job["stats"]["predicted_quantum_compute_time_us"] == round(seconds * 1e6)
    assert job["stats"]["billed_quantum_compute_time_us"] == round(seconds * 1e6)
    dry = wire.done(wire.submit(backend="qpu.forte-1", shots=10, dry_run=True))
    assert dry["stats"]["predicted_quantum_compute_time_us"] == round(seconds * 1e6)
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


def test_a_floor_of_every_circuit_is_billed(serve: Callable[..., Wire]) -> None:
    wire = serve(prices={"qpu.forte-1": "qpu.forte-1/circuit"})
    wire.done(wire.submit_many([BELL] * 3, backend="qpu.forte-1"))
    assert wire.emulator.stats()["billed_usd"] == pytest.approx(3 * 25.79)
