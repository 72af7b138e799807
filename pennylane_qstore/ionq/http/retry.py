"""Outcomes of requests, and the policy by which they are sent again.

A POST that creates a job may be repeated only where it surely created none: IonQ has no
idempotency key. So a POST was *not sent*, *refused*, *throttled*, or its response is *lost*; after
the last, the submitter looks for the job instead of sending again. Reads repeat freely. Delays, the
quota and their numbers follow the standard retry mode of AWS's SDKs, revision of 2026.
"""

from __future__ import annotations

import asyncio
import email.utils
import math
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from pennylane_qstore.validation import check_count, check_number


class NotSent(Exception):  # noqa: N818  (internal)
    """The request did not reach the service.

    Args:
        reason: the failure, without headers.
        permanent: True where another try would end the same way (certificates).
    """

    def __init__(self, reason: str, *, permanent: bool = False) -> None:
        super().__init__(reason)
        self.permanent = permanent


class ResponseLost(Exception):  # noqa: N818  (internal)
    """The request was sent, at least in part, and no valid response came back."""


@dataclass(frozen=True, slots=True)
class Clock:
    """Source of time.

    Args:
        now: returns seconds since the epoch.
        monotonic: returns seconds of a clock that is never set back.
        sleep: waits for so many seconds.
    """

    now: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Number and delays of further tries of a request; all durations are in seconds.

    The delay before try ``n + 1`` is drawn between 0 and ``base_s * 2**(n - 1)``, at most
    ``cap_s``.

    Args:
        attempts: tries in all of one request, the first included.
        throttled_attempts: tries in all while the service answers 429.
        base_s: bound of the first delay after a transient failure, in seconds.
        throttle_base_s: the same after a 429 without ``Retry-After``, in seconds.
        cap_s: bound of any delay that is drawn, in seconds.
        retry_after_cap_s: longest delay that a ``Retry-After`` may ask for, in seconds.
        outage_s: time for which a service may be away, in seconds, before a POST that surely did
            not reach it, or waiting for a job that is already paid for, ends with an error.
        settle_s: time after a lost response in which a job may still turn up in the service's
            list, in seconds; ``None``: 2 s on loopback, else 75 s (longest POST plus list lag).
        quota: tokens that all retries at one service are paid from, so that a dead service
            fails fast: it is the circuit breaker.
        retry_cost: tokens for a retry after a transient failure.
        throttle_cost: tokens for a retry after a 429; every success gives 1 back.

    Raises:
        ConfigurationError: a number out of range.
    """

    attempts: int = 4
    throttled_attempts: int = 8
    base_s: float = 0.05
    throttle_base_s: float = 1.0
    cap_s: float = 20.0
    retry_after_cap_s: float = 300.0
    outage_s: float = 1800.0
    settle_s: float | None = None
    quota: int = 500
    retry_cost: int = 14
    throttle_cost: int = 5

    def __post_init__(self) -> None:
        for name in ("attempts", "throttled_attempts", "quota", "retry_cost", "throttle_cost"):
            check_count(f"RetryPolicy.{name}", getattr(self, name))
        for name in ("base_s", "throttle_base_s", "cap_s", "retry_after_cap_s", "outage_s"):
            check_number(f"RetryPolicy.{name}", getattr(self, name), least=0, unit="seconds")
        settle_s = self.settle_s
        check_number("RetryPolicy.settle_s", settle_s, least=0, unit="seconds", optional=True)

    def delay_s(self, failures: int, rng: random.Random, *, throttled: bool = False) -> float:
        """Draw the delay after a failure, with full jitter.

        Args:
            failures: failures in a row.
            rng: source of jitter.
            throttled: True where the last response was a 429.

        Returns:
            The delay in seconds.
        """
        base = self.throttle_base_s if throttled else self.base_s
        # 2**60 is far beyond any cap and keeps the power finite.
        return rng.random() * min(base * 2.0 ** min(failures - 1, 60), self.cap_s)


@dataclass(slots=True)
class RetryQuota:
    """Tokens that retries are paid from; with an empty quota a failure is final."""

    size: int = 500
    tokens: int = field(init=False)

    def __post_init__(self) -> None:
        self.tokens = self.size

    def take(self, cost: int) -> bool:
        """Pay for a retry; False, and nothing taken, if the tokens do not suffice."""
        if cost > self.tokens:
            return False
        self.tokens -= cost
        return True

    def give(self, amount: int = 1) -> None:
        """Give tokens back after a success."""
        self.tokens = min(self.size, self.tokens + amount)


@dataclass(slots=True)
class Pacer:
    """Gate of all requests to a service, shut while the service asks for a pause."""

    clock: Clock
    _free_at: float = -math.inf

    async def wait(self) -> None:
        """Sleep until the gate is open."""
        while (ahead := self._free_at - self.clock.monotonic()) > 0:
            await self.clock.sleep(ahead)

    def hold(self, delay_s: float) -> None:
        """Shut the gate for ``delay_s`` seconds."""
        self._free_at = max(self._free_at, self.clock.monotonic() + delay_s)


def is_refusal(status: int) -> bool:
    """Return True where a response promises that the request created nothing.

    A 502 or 503 may come from a gateway behind which a job was created all the same; 408 and
    409 too. Only a plain client error is a promise.
    """
    return 400 <= status < 500 and status not in (408, 409)


def is_transient(status: int) -> bool:
    """Return True where another try may bring a read with this status to a good end."""
    return status in (408, 409, 429) or status >= 500


def parse_retry_after(value: str | None, now: float, cap_s: float) -> float | None:
    """Parse a ``Retry-After`` header (RFC 9110, section 10.2.3).

    Args:
        value: the header, seconds or an HTTP date; anything else counts as absent.
        now: seconds since the epoch.
        cap_s: upper bound of the result, in seconds.

    Returns:
        Seconds in [0, cap_s], or ``None``.
    """
    if value is None:
        return None
    text = value.strip()
    try:
        seconds = float(text)
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(text).timestamp() - now
        except (ValueError, OverflowError, OSError):
            return None
        seconds = max(seconds, 0.0)  # a date that has passed means: now
    if not math.isfinite(seconds) or seconds < 0:
        return None
    return min(seconds, cap_s)
