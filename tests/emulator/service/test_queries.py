"""Questions to the service: estimates, likeliest outcomes, sources, what is not there."""

from __future__ import annotations

import orjson
import pytest
from support.emulated_service import submit, with_service
from support.emulator_wire import BELL

from pennylane_qstore.emulator import Fault, Faults
from pennylane_qstore.emulator.service.queries import request_of
from pennylane_qstore.emulator.service.service import EmulatedService
from pennylane_qstore.server.errors import BadRequest
from pennylane_qstore.server.render import NATIVE_CIRCUIT, PROBABILITIES


def test_an_estimate_is_what_a_job_then_costs_and_takes() -> None:
    async def use(service: EmulatedService) -> None:
        estimate = service.estimate("qpu.forte-1", 40, 40, 1, 1000, mitigated=True)
        job = await submit(service, BELL * 40, backend="qpu.forte-1", shots=1000)
        assert job.cost_usd == estimate.cost_usd
        assert job.compute_us == round(estimate.compute_s * 1e6)
        assert (estimate.queue_s, estimate.execution_s) == (service.queue_s(), 5.0)

    with_service(use, {"queue_s": 3.0, "execution_s": 5.0})


def test_a_result_is_there_when_the_job_is_completed() -> None:
    async def use(service: EmulatedService) -> None:
        job = await submit(service)
        await service.refresh(job.id)
        body = await service.result(job.id, PROBABILITIES, vote=False)
        assert isinstance(body, bytes)
        assert orjson.loads(body) == pytest.approx({"0": 0.5, "3": 0.5})
        count, best = service.likeliest(job.id, 0, 1)
        assert (count, len(best)) == (2, 1)
        assert await service.source(job.id, 0) == BELL
        compiled = await service.result(job.id, NATIVE_CIRCUIT, vote=False)
        assert isinstance(compiled, bytes)
        assert b"gpi2" in compiled
        job.request = None
        with pytest.raises(BadRequest):
            request_of(job)
        with pytest.raises(BadRequest):
            await service.result(job.id, NATIVE_CIRCUIT, vote=False)

    with_service(use)


def test_an_early_question_for_a_result_is_404() -> None:
    async def use(service: EmulatedService) -> None:
        job = await submit(service)
        with pytest.raises(BadRequest) as early:
            await service.result(job.id, PROBABILITIES, vote=False)
        assert early.value.status == 404

    with_service(use, {"execution_s": 9.0})


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
