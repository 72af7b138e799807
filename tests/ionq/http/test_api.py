"""IonQ's endpoints: what each response to a POST means, job states, lists that do not end."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import aiohttp
import orjson
import pytest
from support.scripted_service import api_with

from pennylane_qstore.errors import (
    AuthenticationError,
    InvalidResponse,
    ServiceError,
)
from pennylane_qstore.ionq.http.requester import Transient
from pennylane_qstore.ionq.http.retry import NotSent, ResponseLost
from pennylane_qstore.ionq.http.transport import Response, Traffic


def read_job(api, **options):
    return asyncio.run(api.job("a", Traffic(), **options))


def test_a_job_that_is_another_is_refused(fake_clock):
    api, _ = api_with(fake_clock, Response(200, b'{"id": "b", "status": "ready"}'))
    with pytest.raises(InvalidResponse, match="told of b"):
        read_job(api)


def test_a_list_that_goes_in_circles_ends(fake_clock):
    api, script = api_with(fake_clock, Response(200, b'{"jobs": [], "next": "same"}'))

    async def all_of_it():
        return [page async for page in api.pages("limit=25", Traffic())]

    with pytest.raises(InvalidResponse, match="cursor for the second time"):
        asyncio.run(all_of_it())
    assert len(script.asked) == 2


def test_a_list_that_does_not_end_ends(fake_clock):
    numbers = iter(range(10**6))

    def page(_path):
        return Response(200, orjson.dumps({"jobs": [], "next": str(next(numbers))}))

    api, script = api_with(fake_clock, page)

    async def all_of_it():
        return [page async for page in api.pages("limit=25", Traffic())]

    with pytest.raises(InvalidResponse, match="more than 400 pages"):
        asyncio.run(all_of_it())
    assert len(script.asked) == 400


def test_a_cursor_is_quoted(fake_clock):
    api, script = api_with(
        fake_clock,
        Response(200, b'{"jobs": [], "next": "a&target=x/../y"}'),
        Response(200, b'{"jobs": [], "next": null}'),
    )

    async def all_of_it():
        return [page async for page in api.pages("limit=25", Traffic())]

    asyncio.run(all_of_it())
    assert script.asked[1][1] == "/jobs?limit=25&next=a%26target%3Dx%2F..%2Fy"


def test_a_list_of_jobs_is_read_until_they_are_found(fake_clock):
    found = {"jobs": [{"id": "a", "status": "ready"}], "next": "more"}
    api, script = api_with(fake_clock, Response(200, orjson.dumps(found)))
    assert set(asyncio.run(api.jobs(["a"], Traffic()))) == {"a"}
    assert len(script.asked) == 1


# ---- one canned response to one request ---------------------------------------------------


def create(api):
    return api.create(b'{"backend": "simulator"}', Traffic())


def test_an_accepted_job_has_its_id(canned):
    canned.add("POST", "/jobs", b'{"id": "job-1", "status": "submitted"}', status=201)
    assert canned.ask(create) == "job-1"
    assert canned.sent == [("POST", "/jobs")]
    assert canned.body("POST", "/jobs") == b'{"backend": "simulator"}'


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"[]", b'"job-1"', b"{}", b'{"id": 7}', b'{"id": "../x"}', b'{"id": "job-1"'],
)
def test_an_accepted_job_without_a_readable_id_is_lost_and_not_sent_again(canned, body):
    canned.add("POST", "/jobs", body, status=201, repeat=True)
    with pytest.raises(ResponseLost):
        canned.ask(create)
    assert len(canned.sent) == 1


@pytest.mark.parametrize(
    "status", [301, 302, 307, 308, 408, 409, 500, 502, 503, 504, *range(520, 530)]
)
def test_a_post_whose_outcome_is_open_is_lost_and_not_sent_again(canned, status):
    canned.add("POST", "/jobs", b'{"message": "oh"}', status=status, repeat=True)
    with pytest.raises(ResponseLost, match=str(status)):
        canned.ask(create)
    assert len(canned.sent) == 1


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, ServiceError), (401, AuthenticationError), (402, ServiceError),
        (403, AuthenticationError), (404, ServiceError), (405, ServiceError),
        (413, ServiceError), (415, ServiceError), (422, ServiceError),
    ],
)  # fmt: skip
def test_a_refused_post_says_why_and_by_which_request(canned, status, kind):
    canned.add(
        "POST", "/jobs", b'{"message": "Too many qubits."}', status=status,
        headers={"x-request-id": "r-1"},
    )  # fmt: skip
    with pytest.raises(
        kind, match=rf"status {status}: Too many qubits\..*\(request id r-1\)"
    ) as no:
        canned.ask(create)
    assert no.value.details["status"] == status
    assert no.value.details["request_id"] == "r-1"
    assert len(canned.sent) == 1


@pytest.mark.parametrize(
    ("header", "hint_s"),
    [("7", 7.0), ("2.5", 2.5), ("1e9", 300.0), ("-1", None), ("soon", None), (None, None)],
)
def test_a_throttled_post_tells_the_pause_that_the_service_asks_for(canned, header, hint_s):
    headers = {} if header is None else {"Retry-After": header}
    canned.add("POST", "/jobs", status=429, headers=headers)
    with pytest.raises(Transient) as busy:
        canned.ask(create)
    assert busy.value.hint_s == hint_s
    assert isinstance(busy.value.error, ServiceError)


def test_the_pause_may_be_a_date(canned, fake_clock):
    date = format_datetime(datetime.fromtimestamp(fake_clock.began + 20, UTC), usegmt=True)
    canned.add("POST", "/jobs", status=429, headers={"Retry-After": date})
    with pytest.raises(Transient) as busy:
        canned.ask(create)
    assert busy.value.hint_s == pytest.approx(20, abs=1.01)  # a date has whole seconds


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (aiohttp.ConnectionTimeoutError("connect"), NotSent),
        (aiohttp.ServerDisconnectedError(), ResponseLost),
        (aiohttp.ClientPayloadError("cut"), ResponseLost),
        (aiohttp.SocketTimeoutError("read"), ResponseLost),
        (TimeoutError(), ResponseLost),
        (ConnectionResetError(), ResponseLost),
    ],
)
def test_a_post_that_breaks_off_is_lost_unless_nothing_was_sent(canned, failure, kind):
    canned.add("POST", "/jobs", exception=failure, repeat=True)
    with pytest.raises(kind):
        canned.ask(create)
    assert len(canned.sent) == 1


def test_a_job_that_the_service_does_not_know_is_deleted(canned):
    canned.add("GET", "/jobs/job-1", b'{"message": "no such job"}', status=404)
    assert canned.ask(lambda api: api.job("job-1", Traffic())).status == "deleted"


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b'{"id": "job-1"}', b'{"id": "job-1", "status": 3}', b'{"status": ""}'],
)
def test_a_job_state_that_is_none_is_asked_for_again_and_refused(canned, body):
    canned.add("GET", "/jobs/job-1", body, repeat=True)
    with pytest.raises(InvalidResponse):
        canned.ask(lambda api: api.job("job-1", Traffic()))
    assert len(canned.sent) == 3


def test_one_job_and_many_are_cancelled_in_one_request_each(canned):
    canned.add("PUT", "/jobs/a/status/cancel", b"{}")
    canned.add("PUT", "/jobs/status/cancel", b"{}")

    async def cancel(api):
        await api.cancel(["a"], Traffic())
        await api.cancel(["a", "b"], Traffic())
        await api.cancel([], Traffic())

    canned.ask(cancel)
    assert sorted(canned.sent) == [("PUT", "/jobs/a/status/cancel"), ("PUT", "/jobs/status/cancel")]
    assert canned.body("PUT", "/jobs/status/cancel") == b'{"ids":["a","b"]}'


def test_the_clocks_are_compared_by_the_services_date(canned):
    behind = format_datetime(datetime.now(UTC) - timedelta(seconds=90), usegmt=True)
    canned.add("GET", "/jobs/a", b'{"id": "a", "status": "ready"}', headers={"Date": behind})

    async def ahead_s(api):
        assert api.clock_ahead_s() is None
        await api.job("a", Traffic())
        return api.clock_ahead_s()

    assert canned.ask(ahead_s) == pytest.approx(90, abs=5)
