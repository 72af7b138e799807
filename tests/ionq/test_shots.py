"""Single shots: parsed strictly, asked for circuit by circuit."""

from __future__ import annotations

import json

import pytest

from pennylane_qstore.errors import InvalidResponse, ServiceError
from pennylane_qstore.ionq.shots import parse_shots, read_shots


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b"[]", b'["-1"]', b'["8"]', b'["x"]', b"[1.5]", b"[null]", b'["\xc2\xb2"]',
     b'["184467440737095516160"]'],
)  # fmt: skip
def test_shots_that_are_none_are_refused(body):
    with pytest.raises(InvalidResponse):
        parse_shots(body, 3)
    assert parse_shots(b'["7", "0"]', 3).tolist() == [7, 0]


def test_shots_of_a_single_circuit_are_one_request(canned, canned_client):
    canned.add("GET", "/jobs/job-1/results/shots", b'["2", "0", "3"]')
    (shots,) = read_shots(canned_client, "job-1", [0], circuits=1, qubits=2)
    assert shots.tolist() == [2, 0, 3]
    assert len(canned.sent) == 1


def test_circuits_are_told_apart_by_their_names(canned, canned_client):
    children = [
        {"id": f"child-{n}", "status": "completed", "name": f"c{n}", "parent_job_id": "job-1"}
        for n in (2, 0, 1)
    ]
    canned.add("GET", "/jobs?limit=25&parent_job_id=job-1", json.dumps({"jobs": children}))
    canned.add("GET", "/jobs/child-2/results/shots", b'["1"]')
    canned.add("GET", "/jobs/child-0/results/shots", b'["0"]')
    third, first = read_shots(canned_client, "job-1", [2, 0], circuits=3, qubits=1)
    assert (third.tolist(), first.tolist()) == ([1], [0])
    assert len(canned.sent) == 3


def test_a_service_without_single_shots_has_none(canned, canned_client):
    canned.add("GET", "/jobs/job-1/results/shots", status=404)
    assert read_shots(canned_client, "job-1", [0], circuits=1, qubits=2) == [None]


def test_a_service_that_refuses_shots_is_an_error(canned, canned_client):
    canned.add("GET", "/jobs/job-1/results/shots", status=403)
    with pytest.raises(ServiceError, match="403"):
        read_shots(canned_client, "job-1", [0], circuits=1, qubits=2)
