"""Jobs from submission to their end: statuses by the clock, charges, queues, ids, faults."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest
from support.emulated_service import advance, make_service, started, submit, with_service
from support.emulator_wire import BELL, multi

from pennylane_qstore.emulator import Fault, Faults
from pennylane_qstore.emulator.service.service import EmulatedService
from pennylane_qstore.prices import JobSize
from pennylane_qstore.server.errors import BadRequest
from pennylane_qstore.server.service import ServiceBehaviour

QPU = {"backend": "qpu.forte-1"}
JITTERY = {"queue_s": 3.0, "execution_s": 1.0, "jitter": 0.25}


def test_a_job_passes_from_status_to_status_as_time_goes_by() -> None:
    async def use(service: EmulatedService) -> list[str]:
        job = await submit(service)
        statuses = []
        for seconds in (0, 2, 3, 5):
            advance(service, seconds)
            await service.refresh(job.id)
            statuses.append(job.status(service.now()))
        return statuses

    profile = {"verify_s": 2.0, "queue_s": 3.0, "execution_s": 5.0}
    assert with_service(use, profile) == ["submitted", "ready", "started", "completed"]


def test_a_charge_is_made_once_and_taken_back_if_the_job_never_ran() -> None:
    async def use(service: EmulatedService) -> None:
        first, second = [await submit(service, **QPU) for _ in range(2)]
        assert service.stats()["billed_usd"] == pytest.approx(2 * first.cost_usd)
        assert service.cancel(first.id, first.id, "nonsense") == [first.id]
        assert service.stats()["billed_usd"] == pytest.approx(second.billed_usd)
        assert (first.cost_usd, first.billed_usd) == (25.79, 0.0)
        advance(service, 60)
        service.cancel(second.id)
        assert (second.status(service.now()), second.billed_usd) == ("canceled", 25.79)
        assert service.bill.jobs == 2

    with_service(use, {"queue_s": 30.0, "execution_s": 60.0})


def test_the_budget_is_what_runs_out_first() -> None:
    async def use(service: EmulatedService) -> None:
        jobs = [await submit(service, **QPU) for _ in range(2)]
        assert [job.failure and job.failure.code for job in jobs] == [None, "QuotaExhaustedError"]
        assert jobs[1].billed_usd == 0.0
        assert "25.79 usd, 4.21 usd are left" in str(jobs[1].failure)
        free = await submit(service)
        assert free.failure is None

    with_service(use, budget_usd=30.0)


def test_dry_runs_complete_without_results_or_charge() -> None:
    async def use(service: EmulatedService) -> None:
        job = await submit(service, dry_run=True, **QPU)
        assert (job.status(service.now()), job.results) == ("completed", None)
        assert (job.cost_usd, job.billed_usd, service.bill.jobs) == (25.79, 0.0, 0)

    with_service(use)


def test_jobs_wait_for_a_place_and_move_up() -> None:
    async def use(service: EmulatedService) -> None:
        jobs = [await submit(service, **QPU) for _ in range(3)]
        starts = [job.start_at - service.now() for job in jobs]
        assert starts == [10.0, 110.0, 210.0]
        version = jobs[2].version
        service.cancel(jobs[1].id)
        assert jobs[2].start_at - service.now() == 110.0
        assert jobs[2].version > version
        other = await submit(service)
        assert other.start_at - service.now() == 10.0

    with_service(use, {"queue_s": 10.0, "execution_s": 100.0, "concurrency": 1})


def test_the_same_seed_gives_the_same_ids_times_and_shots() -> None:
    async def use(service: EmulatedService) -> Any:
        jobs = [await submit(service, noise={"model": "aria-1"}, shots=50) for _ in range(2)]
        for job in jobs:
            advance(service, 10_000)
            await service.refresh(job.id)
        return [
            (job.id, job.start_at, job.end_at, (job.results or [])[0].probabilities())
            for job in jobs
        ]

    first, again = (with_service(use, JITTERY, seed=5) for _ in range(2))
    assert first == again
    assert with_service(use, JITTERY, seed=6) != first


def test_a_seed_of_the_noise_decides_whatever_the_service_drew() -> None:
    async def use(service: EmulatedService) -> int:
        return (await submit(service, noise={"model": "aria-1", "seed": -1})).seed

    assert [with_service(use, seed=seed) for seed in (1, 2)] == [2**32 - 1] * 2


def test_children_have_ids_of_their_own_in_order() -> None:
    async def use(service: EmulatedService) -> None:
        gates = [{"gate": "x", "target": 0}]
        parent = await service.submit(orjson.dumps(multi([gates] * 3)))
        assert parent.multi
        assert [parent.id, *parent.child_ids] == sorted({parent.id, *parent.child_ids})
        assert service.find(parent.child_ids[1]) == (parent, 1)
        single = await submit(service)
        assert single.child_ids == []

    with_service(use)


def test_faults_of_the_content_apply_when_a_job_is_accepted() -> None:
    faults = Faults([Fault("fail", "submit", code="Odd", message="as planned"),
                     Fault("list_lag", "submit", delay_s=7.0)], seed=1)  # fmt: skip

    async def use(service: EmulatedService) -> None:
        job = await submit(service, **QPU)
        assert job.failure == ("Odd", "as planned")
        assert job.billed_usd == 0.0
        assert job.hidden_until == service.now() + 7.0
        fine = await submit(service, **QPU)
        assert (fine.failure, fine.hidden_until) == (None, 0.0)

    with_service(use, faults=faults)


def test_a_clone_is_the_job_again_with_changes() -> None:
    async def use(service: EmulatedService) -> None:
        parent = await service.submit(orjson.dumps(multi([[{"gate": "x", "target": 0}]] * 2)))
        clone = await service.clone(parent.id, {"name": "again", "odd": 1})
        assert (clone.name, clone.type, len(clone.circuits)) == ("again", parent.type, 2)
        child = await service.clone(parent.child_ids[1], None)
        assert (child.type, len(child.circuits)) == ("ionq.circuit.v1", 1)
        for job_id, changes, status in (("nonsense", None, 404), (parent.id, [], 400)):
            with pytest.raises(BadRequest) as refused:
                await service.clone(job_id, changes)
            assert refused.value.status == status

    with_service(use)


def test_a_deleted_job_is_gone_and_stays_charged() -> None:
    async def use(service: EmulatedService) -> None:
        job = await submit(service, **QPU)
        advance(service, 1)
        assert service.delete(job.id, "nonsense") == [job.id]
        with pytest.raises(BadRequest):
            service.find(job.id)
        assert service.stats()["billed_usd"] == 25.79
        assert list(service.newest_first()) == []

    with_service(use, {"execution_s": 60.0})


@pytest.mark.parametrize(("flips", "status"), [(False, "completed"), (True, "canceled")])
def test_completed_jobs_are_cancelled_where_the_service_would(flips: bool, status: str) -> None:
    async def use(service: EmulatedService) -> str:
        job = await submit(service)
        await service.refresh(job.id)
        service.cancel(job.id)
        return job.status(service.now())

    assert with_service(use, behaviour=ServiceBehaviour(cancel_completed=flips)) == status


def test_a_simulation_that_fails_fails_the_job_and_costs_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def use(service: EmulatedService) -> None:
        def fail(*_: Any) -> None:
            raise MemoryError("30 qubits")

        monkeypatch.setattr(service._simulations.pool, "run", fail)
        job = await submit(service, **QPU)
        await service.refresh(job.id)
        assert job.failure == ("SimulationError", "MemoryError: 30 qubits")
        assert (job.status(service.now()), service.stats()["billed_usd"]) == ("failed", 0.0)

    with_service(use)


def test_a_session_ends_with_its_waiting_jobs() -> None:
    async def use(service: EmulatedService) -> None:
        session = service.open_session({"backend": "qpu.forte-1"})["id"]
        running = await submit(service, session_id=session, **QPU)
        advance(service, 60)
        waiting = await submit(service, session_id=session, **QPU)
        ended = service.end_session(session)
        assert (ended["status"], ended["active"]) == ("ended", False)
        now = service.now()
        assert [job.status(now) for job in (running, waiting)] == ["started", "canceled"]
        with pytest.raises(BadRequest, match="has ended"):
            await submit(service, session_id=session, **QPU)
        with pytest.raises(BadRequest) as unknown:
            await submit(service, session_id="nonsense", **QPU)
        assert unknown.value.status == 404

    with_service(use, {"queue_s": 30.0, "execution_s": 600.0})


def test_a_request_takes_its_time_before_the_job_is_accepted() -> None:
    async def use(service: EmulatedService) -> None:
        task = asyncio.ensure_future(submit(service))
        await asyncio.sleep(0)
        assert len(service.records) == 0
        advance(service, 2.0)
        job = await asyncio.wait_for(task, 10)
        assert job.submitted_at == service.now()

    with_service(use, {"request_s": 2.0})


def test_a_service_that_is_started_again_simulates_what_it_had_not() -> None:
    async def run() -> None:
        service = make_service({"queue_s": 60.0})
        async with started(service):
            job = await submit(service)
            await service.refresh(job.id)
        job.results = None  # as if it had been stopped in the middle
        async with started(service):
            advance(service, 60)
            await service.refresh(job.id)
            assert job.status(service.now()) == "completed"

    asyncio.run(run())


def test_an_estimate_is_what_a_job_then_costs_and_takes() -> None:
    async def use(service: EmulatedService) -> None:
        estimate = service.estimate("qpu.forte-1", JobSize(40, 40, 1, 1000, mitigated=True))
        job = await submit(service, BELL * 40, backend="qpu.forte-1", shots=1000)
        assert job.cost_usd == estimate.cost_usd
        assert job.compute_us == round(estimate.compute_s * 1e6)
        assert (estimate.queue_s, estimate.execution_s) == (service.queue_s(), 5.0)

    with_service(use, {"queue_s": 3.0, "execution_s": 5.0})


def test_lists_show_children_while_a_fault_says_so() -> None:
    async def use(service: EmulatedService) -> list[bool]:
        return [service.lists_children() for _ in range(2)]

    faults = Faults([Fault("list_children", "list")], seed=1)
    assert with_service(use, faults=faults) == [True, False]
    assert with_service(use) == [False, False]


def test_sessions_are_shown_and_listed() -> None:
    async def use(service: EmulatedService) -> None:
        opened = service.open_session({"backend": "simulator"})
        assert service.show_session(opened["id"]) == opened
        assert service.list_sessions() == [opened]
        with pytest.raises(BadRequest):
            service.show_session("nonsense")

    with_service(use)
