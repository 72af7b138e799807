"""What became of a request, and when to send it again.

A POST that creates a job may be repeated only where it surely created none: IonQ has no
idempotency key. So an outcome is *not sent*, *rejected*, *throttled* or *ambiguous*; the
last is never answered by sending again but by looking (see ``submission``). Reads repeat
freely. Delays, the quota and their numbers follow AWS's standard retry mode.
"""

from __future__ import annotations

import asyncio
import email.utils
import math
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import Enum

from pennylane_qstore.validation import check_count, check_number


class Outcome(Enum):
    """What an answer (or the lack of one) says about a request that creates something."""

    DONE = "done"
    REJECTED = "rejected"
    THROTTLED = "throttled"
    AMBIGUOUS = "ambiguous"


class NotSent(Exception):  # noqa: N818  (never leaves the room)
    """The request did not reach the service.

    Args:
        reason: what happened, without headers.
        permanent: whether another attempt would end the same way (certificates).
    """

    def __init__(self, reason: str, *, permanent: bool = False) -> None:
        super().__init__(reason)
        self.permanent = permanent


class ResponseLost(Exception):  # noqa: N818  (never leaves the room)
    """The request was sent, at least in part, and no valid answer came back."""


@dataclass(frozen=True, slots=True)
class Clock:
    """Time, passed in: epoch seconds, monotonic seconds, and a way to sleep."""

    now: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and after which delay a request is sent again.

    Args:
        attempts: tries in all of one request.
        throttled_attempts: tries in all while the service answers 429.
        base_s: first delay after a transient failure, doubling, in seconds.
        throttle_base_s: the same after a 429 without ``Retry-After``.
        cap_s: longest computed delay.
        retry_after_cap_s: longest delay a ``Retry-After`` may ask for.
        outage_s: how long reads about a job that is already paid for go on trying.
        settle_s: how long after a lost answer a job may still turn up in the service's
            list; ``None``: 2 s on loopback, else 75 s (longest POST plus list lag).
        quota: retries are paid from a quota of this size, so that a dead service fails
            fast: it is the circuit breaker.
        retry_cost: what a retry after a transient failure takes from the quota.
        throttle_cost: what a retry after a 429 takes; every success gives 1 back.

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
        """Delay after the ``failures``-th failure in a row, with full jitter, in seconds."""
        base = self.throttle_base_s if throttled else self.base_s
        # 2**60 is far beyond any cap and keeps the power finite.
        return rng.random() * min(base * 2.0 ** min(failures - 1, 60), self.cap_s)


@dataclass(slots=True)
class RetryQuota:
    """Tokens that retries are paid from; an empty quota means: fail at once."""

    size: int = 500
    tokens: int = field(init=False)

    def __post_init__(self) -> None:
        self.tokens = self.size

    def take(self, cost: int) -> bool:
        """Pay for a retry; ``False`` (and nothing taken) if the quota does not hold it."""
        if cost > self.tokens:
            return False
        self.tokens -= cost
        return True

    def give(self, amount: int = 1) -> None:
        """A request succeeded: give a little back."""
        self.tokens = min(self.size, self.tokens + amount)


@dataclass(slots=True)
class Pacer:
    """Holds every request back while the service says that there were too many."""

    clock: Clock
    _free_at: float = -math.inf

    async def wait(self) -> None:
        """Sleep until requests are welcome again."""
        while (ahead := self._free_at - self.clock.monotonic()) > 0:
            await self.clock.sleep(ahead)

    def hold(self, delay_s: float) -> None:
        """Let nobody send for ``delay_s`` seconds."""
        self._free_at = max(self._free_at, self.clock.monotonic() + delay_s)


def classify(status: int) -> Outcome:
    """What this status says about a POST that creates a job.

    A 502 or 503 may come from a gateway behind which the job was created all the same; 408
    and 409 too. Only a plain client error is a promise that nothing was.
    """
    if 200 <= status < 300:
        return Outcome.DONE
    if status == 429:
        return Outcome.THROTTLED
    if 400 <= status < 500 and status not in (408, 409):
        return Outcome.REJECTED
    return Outcome.AMBIGUOUS


def is_transient(status: int) -> bool:
    """Whether a read that got this status is worth another try."""
    return status in (408, 409, 429) or status >= 500


def parse_retry_after(value: str | None, now: float, cap_s: float) -> float | None:
    """Seconds to wait, from a ``Retry-After`` header.

    Args:
        value: the header, seconds or an HTTP date; anything else counts as absent.
        now: seconds since the epoch.
        cap_s: the answer never exceeds this.

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
