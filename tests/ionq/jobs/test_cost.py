"""Bills: read back, kept, never a reason to lose results."""

from __future__ import annotations

import asyncio
import logging

import orjson
import pytest
from support.scripted_service import api_with

from pennylane_qstore.emulator import Emulator, Fault
from pennylane_qstore.ionq.http.transport import Response, Traffic
from pennylane_qstore.ionq.jobs.cost import Cost, read_cost, record_cost
from pennylane_qstore.ionq.ledger.ledger import Intent, Ledger


def test_the_cost_of_a_qpu_job_is_read_back_and_kept(client_for, request_of):
    with Emulator() as emulator:
        client = client_for(emulator.url)
        (result,) = client.run([request_of(3, "qpu.forte-1")], estimates=[12.5])
        assert result.cost_usd > 0
        (row,) = client.ledger.submissions()
        assert row.billed_usd == result.cost_usd
        assert row.estimated_usd == 12.5
        assert client.ledger.spent_usd() == result.cost_usd
        assert client.get_stats()["billed_usd"] == result.cost_usd
        assert client.cost_usd(result.job_id) == result.cost_usd


def test_a_simulator_is_not_asked_for_costs(emulator, client, request_of):
    client.run([request_of(1)])
    assert not any("cost" in r.path for r in emulator.requests)


def test_a_cost_that_cannot_be_read_does_not_lose_the_results(client_for, request_of):
    with Emulator(faults=[Fault("status", route="cost", status=500, times=None)]) as emulator:
        (result,) = client_for(emulator.url).run([request_of(2, "qpu.forte-1")])
        assert result.cost_usd is None
        assert len(result.histograms) == 2


@pytest.mark.parametrize(
    ("answer", "cost"),
    [
        ({"cost": {"unit": "usd", "value": 2.5}, "estimated_cost": None}, Cost(2.5, None)),
        ({"cost": {"unit": "usd", "value": 0}}, Cost(0.0, None)),
        ({"estimated_cost": {"unit": "usd", "value": 3}}, Cost(None, 3.0)),
        ({"cost": {"unit": "credits", "value": 2.5}}, Cost(None, None)),
        ({"cost": {"unit": "usd", "value": -1}}, Cost(None, None)),
        ({"cost": {"unit": "usd", "value": True}}, Cost(None, None)),
        ({"cost": {"unit": "usd", "value": "2.5"}}, Cost(None, None)),
        ({"cost": 2.5}, Cost(None, None)),
        ({}, Cost(None, None)),
    ],
)
def test_only_dollars_count(fake_clock, answer, cost):
    api, script = api_with(fake_clock, Response(200, orjson.dumps(answer)))
    assert asyncio.run(read_cost(api, "job-1", Traffic())) == cost
    assert script.asked == [("GET", "/jobs/job-1/cost")]


def test_a_bill_that_is_not_there_yet_is_asked_for_later(fake_clock, caplog):
    api, _ = api_with(fake_clock, Response(200, b'{"cost": null}'))
    ledger = Ledger()
    ((row, _),) = ledger.begin([Intent("s", "qpu.forte-1", 10, 1, 1, "a" * 64)])
    with caplog.at_level(logging.INFO):
        assert asyncio.run(record_cost(api, ledger, row, "job-1", Traffic())) is None
    assert "no bill yet" in caplog.text
    assert ledger.get(row.id).billed_usd is None
