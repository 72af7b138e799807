"""The retry loop of reads, and lists that do not end, against answers from a script."""

from __future__ import annotations

import asyncio

import orjson
import pytest
from support.scripted_service import api_with

from pennylane_qstore.errors import (
    AuthenticationError,
    ConnectionFailed,
    InvalidResponse,
    ServiceError,
)
from pennylane_qstore.ionq.http.retry import NotSent, ResponseLost, RetryPolicy
from pennylane_qstore.ionq.http.transport import Response, Traffic

OK = Response(200, b'{"id": "a", "status": "ready"}')


def read_job(api, **options):
    return asyncio.run(api.job("a", Traffic(), **options))


@pytest.mark.parametrize("status", [408, 409, 500, 502, 503, 504, 520, 524])
def test_reads_repeat_after_transient_answers(fake_clock, status):
    api, script = api_with(fake_clock, Response(status, b"x"), Response(status, b"x"), OK)
    assert read_job(api).status == "ready"
    assert len(script.asked) == 3
    assert len(fake_clock.sleeps) == 2


@pytest.mark.parametrize(
    "failure", [NotSent("refused"), ResponseLost("cut"), Response(200, b"<html>")]
)
def test_reads_repeat_after_lost_answers(fake_clock, failure):
    api, _ = api_with(fake_clock, failure, OK)
    assert read_job(api).status == "ready"


def test_reads_end_after_the_last_attempt(fake_clock):
    api, script = api_with(fake_clock, Response(503, b"x"))
    with pytest.raises(ServiceError, match="503"):
        read_job(api)
    assert len(script.asked) == 3


def test_patient_reads_try_as_long_as_the_outage_may_last(fake_clock):
    api, script = api_with(fake_clock, NotSent("refused"))
    with pytest.raises(ConnectionFailed, match="refused"):
        read_job(api, patient=True)
    assert fake_clock.ahead >= 60
    assert len(script.asked) > 3


def test_patient_reads_give_up_on_bodies_that_stay_invalid(fake_clock):
    api, script = api_with(fake_clock, Response(200, b"nonsense"))
    with pytest.raises(InvalidResponse):
        read_job(api, patient=True)
    assert len(script.asked) == 3


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, ServiceError),
        (401, AuthenticationError),
        (403, AuthenticationError),
        (410, ServiceError),
    ],
)
def test_refusals_are_not_repeated(fake_clock, status, kind):
    api, script = api_with(fake_clock, Response(status, b'{"message": "no canary here."}'))
    with pytest.raises(kind, match=r"no \*\*\* here") as refused:
        read_job(api)
    assert len(script.asked) == 1
    assert "canary" not in repr(refused.value.details)


@pytest.mark.parametrize("start", range(190, 202))
@pytest.mark.parametrize("form", ["{}", '{{"message": "{}"}}', "{{}}"])
def test_a_key_is_hidden_before_a_message_is_cut(fake_clock, start, form):
    for more in (0, 300, 1800):  # the three lengths at which something is cut
        body = form.format("x" * (start + more) + "canary").encode()
        api, _ = api_with(fake_clock, Response(400, body))
        with pytest.raises(ServiceError) as refused:
            read_job(api)
        assert "xc" not in f"{refused.value} {refused.value.details}"


@pytest.mark.parametrize(
    "date",
    [
        "Mon, 01 Jan 99999999999999999999 00:00:00 GMT",
        "Mon, 01 Jan 2024 00:00:00 +9999999999999999999999",
        "yesterday",
        "",
    ],
)
def test_a_date_that_is_none_tells_nothing(fake_clock, date):
    api, script = api_with(fake_clock, OK)
    script.last_date = date, 0.0
    assert api.clock_ahead_s() is None
    assert api.retry_after_s(Response(429, b"", date)) is None


def test_redirects_are_refused(fake_clock):
    api, script = api_with(fake_clock, Response(307, b""))
    with pytest.raises(ServiceError, match="Redirects are not followed"):
        read_job(api)
    assert len(script.asked) == 1


def test_certificate_errors_are_not_repeated(fake_clock):
    api, script = api_with(fake_clock, NotSent("certificate", permanent=True))
    with pytest.raises(ConnectionFailed, match="certificate"):
        read_job(api, patient=True)
    assert len(script.asked) == 1


@pytest.mark.parametrize(
    ("header", "at_least", "at_most"),
    [("7", 7, 7.01), ("nan", 0, 2), ("-3", 0, 2), ("999999", 300, 300.01)],
)
def test_429_waits_as_it_is_told(fake_clock, header, at_least, at_most):
    api, _ = api_with(fake_clock, Response(429, b"x", header), OK)
    assert read_job(api).status == "ready"
    assert at_least - 0.01 <= fake_clock.ahead <= at_most


def test_429_has_its_own_number_of_attempts(fake_clock):
    api, script = api_with(fake_clock, Response(429, b"x", "1"))
    with pytest.raises(ServiceError, match="429"):
        read_job(api)
    assert len(script.asked) == 5


def test_an_empty_quota_fails_fast(fake_clock):
    policy = RetryPolicy(attempts=100, quota=30, retry_cost=14)
    api, script = api_with(fake_clock, Response(503, b"x"), policy=policy)
    with pytest.raises(ServiceError):
        read_job(api)
    assert len(script.asked) == 3  # two retries are paid for by 30 tokens
    with pytest.raises(ServiceError):
        read_job(api)
    assert len(script.asked) == 4


def test_a_job_that_is_another_is_refused(fake_clock):
    api, _ = api_with(fake_clock, Response(200, b'{"id": "b", "status": "ready"}'))
    with pytest.raises(InvalidResponse, match="told of b"):
        read_job(api)


def test_a_list_that_goes_in_circles_ends(fake_clock):
    api, script = api_with(fake_clock, Response(200, b'{"jobs": [], "next": "same"}'))

    async def all_of_it():
        return [page async for page in api.pages("limit=25", Traffic())]

    with pytest.raises(InvalidResponse, match="circles"):
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
