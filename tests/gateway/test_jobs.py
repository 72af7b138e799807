"""Jobs as they are kept: stored and read again, and the run that they belong to."""

from __future__ import annotations

import orjson
from support.gateways import make_job

from pennylane_qstore.gateway.jobs import CHANGING, job_from, record_of
from pennylane_qstore.server.service import Failure


def test_a_job_is_read_as_it_was_stored() -> None:
    job = make_job(state="failed", failure=Failure("A", "b"), group=3, over_at=9.0, child_ids=["c"])
    stored = orjson.dumps(record_of(job), default=list)
    changing = orjson.dumps({name: getattr(job, name) for name in CHANGING}, default=list)
    again = job_from(orjson.loads(stored), orjson.loads(changing))
    assert record_of(again) == record_of(job)
    assert [getattr(again, name) for name in CHANGING] == [getattr(job, name) for name in CHANGING]


def test_results_are_sampled_on_computers_and_with_noise() -> None:
    assert make_job().sampled is None
    assert make_job(state="completed").sampled
    assert make_job(state="completed", backend="simulator").sampled is False
    assert make_job(state="completed", backend="simulator", noise={"model": "aria-1"}).sampled
    assert make_job(state="completed", dry_run=True).sampled is None


def test_durations_are_those_seen() -> None:
    assert make_job(began_at=2.0, over_at=5.0).duration_s == 3.0
    assert make_job(over_at=5.0).duration_s == 0.0
    assert (make_job().ended_at(), make_job(began_at=2.0).started_at(0.0)) == (0.0, 2.0)
