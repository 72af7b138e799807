"""The outcome of a batch's jobs: results, or one error that carries all there is."""

from __future__ import annotations

import pytest

from pennylane_qstore.errors import JobFailed, JobTimeout
from pennylane_qstore.execution.job_call import JobCall


def test_results_come_in_order():
    call = JobCall(None, ["a", "b"], None)
    call.results = ["first", "second"]
    assert call.result() == ["first", "second"]


def test_one_error_carries_results_and_errors_of_all_jobs():
    call = JobCall(None, ["a", "b", "c"], None)
    first, second = JobFailed("no", job_ids=["1"], code="x"), JobTimeout("late", job_ids=["2"])
    call.results[1], call.errors[0], call.errors[2] = "there", first, second
    with pytest.raises(JobFailed, match="no") as caught:
        call.result()
    assert caught.value is not first
    assert caught.value.job_ids == ("1", "2")
    assert caught.value.details["errors"] == [first, None, second]
    assert caught.value.details["results"] == [None, "there", None]
    assert caught.value.details["failed"] == [0, 2]
    assert caught.value.details["code"] == "x"
