"""The retry loop: which failures are tried again, how often, after which delay."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from email.utils import format_datetime

import aiohttp
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
    assert api.transient(Response(429, b"", date), "GET").hint_s is None


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


# ---- one canned response to one request ---------------------------------------------------

READY = b'{"id": "a", "status": "ready"}'


def read(api):
    return api.job("a", Traffic())


@pytest.mark.parametrize("seconds", ["4", "4.0", " 4 "])
def test_a_pause_in_seconds_is_kept(canned, fake_clock, seconds):
    canned.add("GET", "/jobs/a", status=429, headers={"Retry-After": seconds})
    canned.add("GET", "/jobs/a", READY)
    assert canned.ask(read).status == "ready"
    assert fake_clock.ahead == pytest.approx(4)


def test_a_pause_until_a_date_is_kept(canned, fake_clock):
    date = format_datetime(datetime.fromtimestamp(fake_clock.began + 30, UTC), usegmt=True)
    canned.add("GET", "/jobs/a", status=503, headers={"Retry-After": date})
    canned.add("GET", "/jobs/a", READY)
    assert canned.ask(read).status == "ready"
    assert fake_clock.ahead == pytest.approx(30, abs=1.01)  # a date has whole seconds


@pytest.mark.parametrize(
    ("failure", "says"),
    [(aiohttp.ServerDisconnectedError(), "Disconnected"), (TimeoutError(), "TimeoutError")],
)
def test_a_read_that_breaks_off_is_repeated_and_then_says_where(canned, failure, says):
    canned.add("GET", "/jobs/a", exception=failure, repeat=True)
    with pytest.raises(ConnectionFailed, match=f"GET /jobs/a at http://127.0.0.1:9.*{says}"):
        canned.ask(read)
    assert len(canned.sent) == 3


@pytest.mark.parametrize("body", [b"", b"[]", b"nonsense", b'"text"'])
def test_an_object_that_is_none_is_named_in_the_error(canned, body):
    canned.add("GET", "/whoami", body, repeat=True)
    with pytest.raises(InvalidResponse, match=r"^The account is"):
        canned.ask(lambda api: api.read_object("/whoami", "The account", Traffic()))


def test_retries_and_successes_are_counted(canned):
    canned.add("GET", "/jobs/a", status=500)
    canned.add("GET", "/jobs/a", READY)
    traffic = Traffic()
    canned.ask(lambda api: api.job("a", traffic))
    assert (traffic.requests, traffic.retries, traffic.posts) == (2, 1, 0)
    assert traffic.bytes_received == len(READY)
