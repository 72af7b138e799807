"""Jobs of several runs as parts of common ones: which go together, and which go together again."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

from support.ledgers import intent

from pennylane_qstore.backends import MAX_CIRCUITS
from pennylane_qstore.execution.job_call import JobCall
from pennylane_qstore.execution.options import Options
from pennylane_qstore.execution.run_scope import RunScope
from pennylane_qstore.execution.shared_parts import Part, key_of, packed, ranges, shares_of
from pennylane_qstore.ionq.ledger.ledger import JobKey, Ledger
from pennylane_qstore.ionq.ledger.rows import Share
from pennylane_qstore.ionq.messages.job_request import JobRequest


def parts(*circuits, **options):
    sender = SimpleNamespace(options=Options.of(options), scope=RunScope(), accounts=())
    request = JobRequest("simulator", "native", 1, (b"[]",), 0, 1)
    requests = [request.joined([request] * many) for many in circuits]
    return [Part(JobCall(sender, [one], None), 0) for one in requests]


def test_a_common_job_takes_no_more_circuits_than_the_service_whatever_a_device_allows():
    most = MAX_CIRCUITS // 2
    for allowed in (None, 3 * MAX_CIRCUITS):
        jobs = packed(parts(most, most, most, max_circuits_per_job=allowed), joins=True)
        assert list(map(len, jobs)) == [2, 1]
    assert len(packed(parts(2, 2, max_circuits_per_job=3), joins=True)) == 2


def test_only_who_has_circuits_in_a_repeated_part_pays_for_it():
    shares = [Share(None, "a", 0, 2, 0.5), Share(None, "b", 2, 5, 0.5)]
    assert [share.fraction_of(None) for share in shares] == [0.5, 0.5]
    assert [share.fraction_of((3, 4)) for share in shares] == [0.0, 1.0]
    assert [share.fraction_of((1, 2, 3, 4)) for share in shares] == [0.25, 0.75]


def known(*circuits):
    """Parts of a job that a ledger has, in the order of its circuits."""
    job, ledger = parts(*circuits), Ledger()
    keys = [JobKey(f"run-{i}", 0, 0) for i in range(len(job))]
    shares = [replace(s, key=k) for s, k in zip(shares_of(job, ()), keys, strict=True)]
    shared = intent(JobKey("shared-1", 0, 0), shares=tuple(shares))
    ledger.begin([replace(shared, circuits=sum(circuits))])
    for part, key in zip(job, keys, strict=True):
        part.call.keys, part.call.sender.client = [key], SimpleNamespace(ledger=ledger)
    return [Part.of(part.call, 0) for part in job], ledger


def test_a_job_that_the_ledger_knows_is_the_same_again_in_whatever_order_it_is_asked_for():
    job, _ = known(2, 3, 1)
    for joins in (True, False):
        assert packed(job[::-1], joins=joins) == [job]
    assert key_of(job) == JobKey("shared-1", 0, 0)
    assert [(start, stop) for _, start, stop in ranges(job)] == [(0, 2), (2, 5), (5, 6)]


def test_a_part_of_it_or_another_program_goes_alone():
    job, ledger = known(2, 3, 1)
    assert packed(job[:2], joins=True) == [[job[0]], [job[1]]]
    assert key_of([job[0]]) == JobKey("run-0", 0, 0)
    other = JobRequest("simulator", "native", 2, (b"[]",), 0, 1)
    job[2].call.requests = [other]
    assert len(packed(job, joins=True)) == 3
    job, ledger = known(1, 1)
    ledger.begin([replace(intent(JobKey("run-1", 0, 0)), attempt=1)])  # it was sent alone since
    again = [Part.of(part.call, 0) for part in job]
    assert len(packed(again, joins=True)) == 2
