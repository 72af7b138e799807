"""Requests that may be repeated, and when they are."""

from __future__ import annotations

import functools
import logging
import random
from collections.abc import Callable
from typing import Any, TypeVar

import orjson

from pennylane_qstore.errors import (
    AuthenticationError,
    ConnectionFailed,
    InvalidResponse,
    QStoreError,
    ServiceError,
)
from pennylane_qstore.ionq.http.retry import (
    Clock,
    NotSent,
    Pacer,
    ResponseLost,
    RetryPolicy,
    RetryQuota,
    is_transient,
    parse_retry_after,
)
from pennylane_qstore.ionq.http.transport import (
    MAX_RESULT_BYTES,
    MAX_STATUS_BYTES,
    Response,
    Traffic,
    Transport,
)
from pennylane_qstore.ionq.messages.responses import parse_object

logger = logging.getLogger(__name__)

_T = TypeVar("_T")


class Transient(Exception):  # noqa: N818  (internal)
    """A failed try that another one may mend.

    Args:
        error: the typed error, should there be no other try.
        throttled: True where the service asked for fewer requests (429): it did nothing.
        hint_s: wait that the service asked for, in seconds, if it did.
    """

    def __init__(
        self, error: QStoreError, *, throttled: bool = False, hint_s: float | None = None
    ) -> None:
        super().__init__(str(error))
        self.error = error
        self.throttled = throttled
        self.hint_s = hint_s


class Requester:
    """One service, asked again where that may help. Runs on the loop.

    Args:
        transport: its connections.
        policy: when to try again.
        clock: source of time.
        rng: source of jitter.
    """

    def __init__(
        self, transport: Transport, policy: RetryPolicy, clock: Clock, rng: random.Random
    ) -> None:
        self.transport = transport
        self.policy = policy
        self.clock = clock
        self.rng = rng
        self.pacer = Pacer(clock)
        self.quota = RetryQuota(policy.quota)
        default_s = 2.0 if transport.endpoint.is_loopback else 75.0
        self.settle_s = default_s if policy.settle_s is None else policy.settle_s
        """Time in which a job may turn up in the list after a lost response, in seconds."""

    async def request(
        self,
        path: str,
        decode: Callable[[bytes], _T],
        traffic: Traffic,
        *,
        method: str = "GET",
        body: bytes | None = None,
        patient: bool = False,
        max_bytes: int = MAX_STATUS_BYTES,
    ) -> _T:
        """Send a request that may be repeated, and repeat it while that may help.

        Args:
            path: path and query below the base URL.
            decode: returns the value of a body; its ``InvalidResponse`` counts as a failed try.
            traffic: counters.
            method: HTTP method.
            body: JSON.
            patient: for jobs that are already paid for: keep trying for ``policy.outage_s``
                seconds instead of ``policy.attempts`` times.
            max_bytes: decoded bytes read at most.

        Returns:
            The decoded body of the first good response.

        Raises:
            ServiceError, AuthenticationError: the service refused it.
            ConnectionFailed, InvalidResponse: no valid response, at the last try.
        """
        what = f"{method} {path.partition('?')[0]}"
        failures = invalid = 0
        give_up_at = self.clock.monotonic() + self.policy.outage_s
        while True:
            try:
                await self.pacer.wait()
                response = await self.transport.request(
                    method, path, traffic, body=body, max_bytes=max_bytes
                )
                value = decode(self._good_body(response, what))
            except (NotSent, ResponseLost) as reason:
                failure = Transient(self.unreachable(reason, what))
                if isinstance(reason, NotSent) and reason.permanent:
                    raise failure.error from None
            except Transient as reason:
                failure = reason
            except InvalidResponse as error:
                failure = Transient(error)
                invalid += 1
            else:
                self.quota.give()
                return value
            failures += 1
            retry = self.may_retry(0 if patient else failures, throttled=failure.throttled)
            if patient:  # it waits anyway, for what is paid: an empty quota does not end it
                retry = self.clock.monotonic() < give_up_at and invalid < self.policy.attempts
            if not retry:
                raise failure.error
            await self.pause(failures, failure, traffic, what)

    async def read_results(self, path: str, decode: Callable[[bytes], _T], traffic: Traffic) -> _T:
        """GET results: patiently, and with room for them.

        Args:
            path: path and query below the base URL.
            decode: returns the value of a body.
            traffic: counters.

        Returns:
            The decoded body.
        """
        return await self.request(path, decode, traffic, patient=True, max_bytes=MAX_RESULT_BYTES)

    async def read_object(
        self,
        path: str,
        what: str,
        traffic: Traffic,
        *,
        method: str = "GET",
        body: bytes | None = None,
    ) -> dict[str, Any]:
        """Send a request that may be repeated and that a JSON object answers.

        Args:
            path: path and query below the base URL.
            what: name of the object, for errors.
            traffic: counters.
            method: HTTP method.
            body: JSON.

        Returns:
            The object.
        """
        decode = functools.partial(parse_object, what=what)
        return await self.request(path, decode, traffic, method=method, body=body)

    def may_retry(self, failures: int, *, throttled: bool) -> bool:
        """Decide on another try by the policy, and take its cost from the quota.

        Args:
            failures: failed tries so far.
            throttled: True where the last try was answered by 429.

        Returns:
            True if the request is to be sent again.
        """
        policy = self.policy
        attempts = policy.throttled_attempts if throttled else policy.attempts
        cost = policy.throttle_cost if throttled else policy.retry_cost
        return failures < attempts and self.quota.take(cost)

    async def pause(self, failures: int, failure: Transient, traffic: Traffic, what: str) -> None:
        """Wait before another try; a throttled service is left alone by all requests.

        Args:
            failures: failed tries so far.
            failure: the last one.
            traffic: counters.
            what: method and path, for the log.
        """
        traffic.retries += 1
        drawn_s = self.policy.delay_s(failures, self.rng, throttled=failure.throttled)
        delay_s = max(drawn_s, failure.hint_s or 0.0)
        level = logging.WARNING if failures > 1 or delay_s > 1 else logging.INFO
        message = str(failure).rstrip(".")
        message = message if message.startswith(what) else f"{what}: {message}"
        logger.log(level, "%s. Next try in %.2f s.", message, delay_s)
        if failure.throttled or failure.hint_s:
            self.pacer.hold(delay_s)
            await self.pacer.wait()
        else:
            await self.clock.sleep(delay_s)

    def transient(self, response: Response, what: str) -> Transient:
        """Return the failure for a response that may be better at another try.

        Args:
            response: the response.
            what: method and path, for the message.

        Returns:
            The failure, with the wait that the service asked for within the policy's bound.
        """
        now, cap_s = self.clock.now(), self.policy.retry_after_cap_s
        hint_s = parse_retry_after(response.retry_after, now, cap_s)
        error = self.error(response, what)
        return Transient(error, throttled=response.status == 429, hint_s=hint_s)

    def _good_body(self, response: Response, what: str) -> bytes:
        if 200 <= response.status < 300:
            return response.body
        if is_transient(response.status):
            raise self.transient(response, what)
        raise self.error(response, what)

    def error(self, response: Response, what: str) -> ServiceError:
        """Return the typed error for a response with an error status.

        Args:
            response: the response.
            what: method and path, for the message.

        Returns:
            An error with the service's message, the API key hidden.
        """
        text = self.transport.redact(response.body.decode("utf-8", "replace"))[:2000]
        message = _message(response.body)
        # Cut last: the half of a key would not be found.
        message = self.transport.redact(message)[:500].rstrip(".") if message else text[:200]
        kind = AuthenticationError if response.status in (401, 403) else ServiceError
        hint = " Check the API key." if response.status == 401 else ""
        if 300 <= response.status < 400:
            hint = " Redirects are not followed: the API key would go with them."
        request = f" (request id {response.request_id})" if response.request_id else ""
        return kind(
            f"{what} was answered with status {response.status}: {message}.{hint}{request}",
            status=response.status, body=text, request_id=response.request_id,
        )  # fmt: skip

    def unreachable(self, reason: NotSent | ResponseLost, what: str) -> ConnectionFailed:
        """Return the typed error for a service that gives no response.

        Args:
            reason: how the request failed.
            what: method and path, for the message.

        Returns:
            An error that names the service and the reason; its ``details`` have ``permanent``.
        """
        return ConnectionFailed(
            f"{what} at {self.transport.endpoint.base_url} failed: {reason}. "
            "Check the network, base_url and proxy.",
            permanent=isinstance(reason, NotSent) and reason.permanent,
        )


def _message(body: bytes) -> str | None:
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(value, dict) or not isinstance(value.get("message"), str):
        return None
    return str(value["message"])
