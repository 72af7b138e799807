"""Money and the account: estimates, bills, sessions, backends."""

from __future__ import annotations

import json

import pytest

from pennylane_qstore.emulator import Emulator
from pennylane_qstore.errors import (
    AuthenticationError,
    ConfigurationError,
    ConnectionFailed,
    InvalidResponse,
    QStoreError,
    ServiceError,
)

ASKED = {"qubits": 2, "shots": 500, "gates_1q": 10, "gates_2q": 4}
QUERY = (
    "/jobs/estimate?backend=qpu.forte-1&type=ionq.circuit.v1&qubits=2&shots=500"
    "&1q_gates=10&2q_gates=4&error_mitigation=false"
)


def test_estimate_submits_nothing(emulator, client):
    estimate = client.estimate("qpu.forte-1", qubits=2, shots=500, gates_1q=10, gates_2q=4)
    assert estimate.cost_usd > 0
    assert estimate.execution_s >= 0
    assert estimate.queue_s >= 0
    assert emulator.billed_jobs == 0
    assert [r.path.partition("?")[0] for r in emulator.requests] == ["/v0.4/jobs/estimate"]


def test_a_session_bounds_its_jobs(emulator, client, request_of):
    session = client.create_session("qpu.forte-1", job_limit=5, cost_limit_usd=1e6)
    assert session.active
    (result,) = client.run([request_of(2, "qpu.forte-1", session_id=session.id)])
    assert result.status == "completed"
    assert not client.end_session(session.id).active
    with pytest.raises(QStoreError):
        client.run([request_of(2, "qpu.forte-1", session_id=session.id)])


@pytest.mark.parametrize("limit", ["job_limit", "minutes", "cost_limit_usd"])
@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf"), True, "5"])
def test_a_session_without_a_real_bound_is_refused(emulator, client, limit, value):
    with pytest.raises(ConfigurationError, match=limit):
        client.create_session("qpu.forte-1", **{limit: value})
    assert emulator.requests == []


def test_a_session_takes_whole_jobs_only(emulator, client):
    with pytest.raises(ConfigurationError, match=r"job_limit=2.5 is .* a whole number, 1 or more"):
        client.create_session("qpu.forte-1", job_limit=2.5)
    assert emulator.requests == []


def test_the_account_can_be_asked(client):
    assert any(b["backend"] == "qpu.forte-1" for b in client.backends())
    assert "key_id" in client.whoami()


# ---- one canned response to one request ---------------------------------------------------


@pytest.mark.parametrize(
    ("body", "cost_usd"),
    [
        ({"estimated_total_cost": 12.5, "estimated_unit": "usd"}, 12.5),
        ({"estimated_cost": 12, "cost_unit": "usd"}, 12.0),
        ({"estimated_total_cost": 12.5, "estimated_unit": "credits"}, None),
    ],
)
def test_an_estimate_is_read_by_both_names_and_only_in_dollars(
    canned, canned_client, body, cost_usd
):
    times = {"estimated_execution_time": 1500, "current_predicted_queue_time": 250}
    canned.add("GET", QUERY, json.dumps(body | times))
    estimate = canned_client.estimate("qpu.forte-1", **ASKED)
    assert estimate == (cost_usd, 1.5, 0.25)


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"estimated_total_cost": null}', b'{"estimated_total_cost": "5"}',
             b'{"estimated_total_cost": true}', b'{"estimated_total_cost": -1}'],
)  # fmt: skip
def test_an_estimate_without_a_cost_is_refused(canned, canned_client, body):
    canned.add("GET", QUERY, body, repeat=True)
    with pytest.raises(InvalidResponse, match="estimate"):
        canned_client.estimate("qpu.forte-1", **ASKED)


def test_many_circuits_are_estimated_as_such(canned, canned_client):
    query = QUERY.replace("ionq.circuit.v1", "ionq.multi-circuit.v1").replace("false", "true")
    canned.add("GET", query, b'{"estimated_total_cost": 1, "estimated_unit": "usd"}')
    estimate = canned_client.estimate("qpu.forte-1", **ASKED, circuits=9, error_mitigation=True)
    assert estimate == (1.0, None, None)


def test_a_session_is_asked_for_with_its_limits(canned, canned_client):
    canned.add(
        "POST", "/sessions", status=201,
        body=b'{"id": "s-1", "backend": "qpu.forte-1", "active": true, "settings": {"a": 1}}',
    )  # fmt: skip
    session = canned_client.create_session(
        "qpu.forte-1", job_limit=3, minutes=20, cost_limit_usd=99.5
    )
    assert (session.id, session.active, session.settings) == ("s-1", True, {"a": 1})
    assert json.loads(canned.body("POST", "/sessions")) == {
        "backend": "qpu.forte-1",
        "settings": {
            "job_count_limit": 3,
            "duration_limit_min": 20,
            "cost_limit": {"unit": "usd", "value": 99.5},
        },
    }


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ({"status": 401}, AuthenticationError),
        ({"status": 422, "body": b'{"message": "no"}'}, ServiceError),
        ({"status": 503}, ServiceError),
        ({"status": 201, "body": b"<html>"}, InvalidResponse),
        ({"status": 201, "body": b'{"id": "../x"}'}, InvalidResponse),
        ({"exception": TimeoutError()}, ConnectionFailed),
    ],
)
def test_a_session_is_never_asked_for_twice(canned, canned_client, answer, kind):
    canned.add("POST", "/sessions", **answer, repeat=True)
    with pytest.raises(kind):
        canned_client.create_session("qpu.forte-1", job_limit=3)
    assert canned.sent == [("POST", "/sessions")]


def test_a_session_is_ended_even_if_the_service_is_away_for_a_moment(canned, canned_client):
    canned.add("POST", "/sessions/s-1/end", status=503)
    canned.add("POST", "/sessions/s-1/end", b'{"id": "s-1", "active": false}')
    assert not canned_client.end_session("s-1").active


def test_an_id_that_would_leave_its_path_is_not_sent(canned, canned_client):
    with pytest.raises(InvalidResponse, match="Not a job id"):
        canned_client.end_session("../jobs")
    assert canned.sent == []


@pytest.mark.parametrize("body", [b"", b"{}", b"[1]", b'[{"backend": "simulator"}, null]'])
def test_a_list_of_backends_that_is_none_is_refused(canned, canned_client, body):
    canned.add("GET", "/backends", body, repeat=True)
    with pytest.raises(InvalidResponse, match="backends"):
        canned_client.backends()


@pytest.mark.parametrize(
    ("cost", "billed_usd"),
    [
        ({"unit": "usd", "value": 7.5}, 7.5),
        ({"unit": "credits", "value": 7.5}, None),
        ({"unit": "usd", "value": "7.5"}, None),
        ({"unit": "usd", "value": -1}, None),
        (None, None),
    ],
)
def test_a_bill_counts_only_in_dollars(canned, canned_client, cost, billed_usd):
    canned.add("GET", "/jobs/job-1/cost", json.dumps({"cost": cost}))
    assert canned_client.cost_usd("job-1") == billed_usd


def test_a_bill_that_came_late_is_written_down(client_for, request_of):
    with Emulator() as emulator:
        client = client_for(emulator.url)
        (result,) = client.run([request_of(1, "qpu.forte-1")])
        (row,) = client.ledger.submissions()
        client.ledger.billed(row.id, 0.0)
        assert client.cost_usd(result.job_id) == result.cost_usd > 0
        assert client.ledger.get(row.id).billed_usd == result.cost_usd


def test_how_far_the_clocks_are_apart_is_asked_for(canned, canned_client):
    canned.add("GET", "/backends", b"[]", headers={"Date": "yesterday"})
    assert canned_client.clock_ahead_s() is None
