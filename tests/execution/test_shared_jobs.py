"""Jobs of several runs, divided among them: each gets its own circuits, errors and costs."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from pennylane_qstore.errors import JobFailed
from pennylane_qstore.execution.job_call import JobCall
from pennylane_qstore.execution.options import Options
from pennylane_qstore.execution.run_scope import RunScope
from pennylane_qstore.execution.shared_jobs import _divide
from pennylane_qstore.execution.shared_parts import Part
from pennylane_qstore.ionq.jobs.request_runner import JobResult
from pennylane_qstore.ionq.messages.histograms import Histogram
from pennylane_qstore.ionq.messages.job_request import JobRequest

ONE = Histogram(np.array([0], dtype=np.uint64), np.array([1.0]))


def parts(*circuits, **options):
    sender = SimpleNamespace(options=Options.of(options), scope=RunScope())
    request = JobRequest("simulator", "native", 1, (b"[]",), 0, 1)
    requests = [request.joined([request] * many) for many in circuits]
    return [Part(JobCall(sender, [one], None), 0) for one in requests]


def result(histograms, usd):
    return JobResult(
        "job", histograms, 0.1, 0.2, 0.3, 0.4, 5, 6, sum(usd), "completed", ("job",), False, usd
    )


def test_each_part_has_its_circuits_and_requests_count_once():
    job = parts(2, 3)
    _divide(job, result([ONE] * 5, (1.0, 2.0)), None)
    first, second = (part.call.result()[0] for part in job)
    assert (len(first.histograms), first.cost_usd, first.place) == (2, 1.0, (0, 5))
    assert (len(second.histograms), second.cost_usd, second.place) == (3, 2.0, (2, 5))
    assert (first.requests, second.requests, first.polls + second.polls) == (6, 0, 5)


def test_a_circuit_that_failed_concerns_its_own_run():
    job = parts(2, 3)
    error = JobFailed("no", job_ids=["job"], circuits=(3,), failures={3: "why"})
    _divide(job, result([ONE, ONE, ONE, None, ONE], (1.0, 2.0)), error)
    assert len(job[0].call.result()[0].histograms) == 2
    with pytest.raises(JobFailed) as caught:
        job[1].call.result()
    (mine,) = caught.value.details["errors"]
    assert mine.details["circuits"] == (1,)
    assert mine.details["failures"] == {1: "why"}
    assert caught.value.details["results"][0].histograms == [ONE, None, ONE]
    assert error.details["circuits"] == (3,)
