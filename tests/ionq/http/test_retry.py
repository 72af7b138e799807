"""Delays, quota, pacing, and what a status means."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.ionq.http.retry import (
    Pacer,
    RetryPolicy,
    RetryQuota,
    is_refusal,
    is_transient,
    parse_retry_after,
)

NOW = 1_790_000_000.0


def http_date(seconds):
    return format_datetime(datetime.fromtimestamp(NOW + seconds, UTC), usegmt=True)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, None),
        ("0", 0),
        ("3", 3),
        (" 2.5 ", 2.5),
        ("100000", 300),
        ("315360000", 300),
        ("-5", None),
        ("nan", None),
        ("inf", None),
        ("1e309", None),
        ("soon", None),
        ("", None),
        (http_date(7), 7),
        (http_date(-7), 0),
        (http_date(10**6), 300),
        ("Fri, 99 Foo 2026 00:00:00 GMT", None),
    ],
)
def test_retry_after(header, expected):
    assert parse_retry_after(header, NOW, 300.0) == expected


@given(st.text(max_size=30))
def test_retry_after_is_always_bounded(header):
    seconds = parse_retry_after(header, NOW, 300.0)
    assert seconds is None or 0 <= seconds <= 300


@given(st.integers(1, 10_000), st.booleans(), st.integers())
def test_delays_have_full_jitter_below_the_cap(failures, throttled, seed):
    policy = RetryPolicy()
    delay = policy.delay_s(failures, random.Random(seed), throttled=throttled)
    base = policy.throttle_base_s if throttled else policy.base_s
    assert 0 <= delay <= min(policy.cap_s, base * 2.0 ** min(failures - 1, 60))


def test_the_quota_is_the_circuit_breaker():
    quota = RetryQuota(500)
    retries = 0
    while quota.take(14):
        retries += 1
    assert retries == 35
    quota.give()
    assert not quota.take(14)
    quota.give(13)
    assert quota.take(14)
    quota.give(10_000)
    assert quota.tokens == 500


def test_which_statuses_promise_that_nothing_was_created():
    assert all(map(is_refusal, [400, 401, 402, 403, 404, 405, 413, 415, 422, 429]))
    left_open = [301, 302, 307, 308, 408, 409, 500, 502, 503, 504, *range(520, 530)]
    assert not any(map(is_refusal, [200, 201, *left_open]))


def test_which_reads_are_worth_another_try():
    assert all(map(is_transient, [408, 409, 429, 500, 502, 503, 504, 524]))
    assert not any(map(is_transient, [301, 400, 401, 403, 404, 410]))


def test_a_throttled_service_is_left_alone_by_everybody(fake_clock):
    pacer = Pacer(fake_clock.clock())

    async def scenario():
        await pacer.wait()
        assert fake_clock.sleeps == []
        pacer.hold(5)
        pacer.hold(2)
        await asyncio.gather(pacer.wait(), pacer.wait())

    asyncio.run(scenario())
    assert max(fake_clock.sleeps) == pytest.approx(5, abs=0.1)


@pytest.mark.parametrize(
    "bad", [{"attempts": 0}, {"quota": 1.5}, {"base_s": -1}, {"cap_s": float("nan")},
            {"settle_s": float("inf")}],
)  # fmt: skip
def test_a_policy_out_of_range_is_refused(bad):
    with pytest.raises(ConfigurationError, match=next(iter(bad))):
        RetryPolicy(**bad)
