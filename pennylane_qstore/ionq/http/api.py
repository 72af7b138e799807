"""IonQ's endpoints as calls, over one transport, with one retry loop.

Reads and cancels repeat freely. The POST that creates a job is sent once per call: whether
it may be sent again is decided in ``submission``, which knows the ledger.
"""

from __future__ import annotations

import email.utils
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

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
    Outcome,
    Pacer,
    ResponseLost,
    RetryPolicy,
    RetryQuota,
    classify,
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
from pennylane_qstore.ionq.messages.responses import (
    JobPage,
    JobState,
    check_id,
    parse_created,
    parse_job,
    parse_jobs,
    parse_object,
)

logger = logging.getLogger(__name__)

PAGE = 25
"""Entries asked for per page of the job list: the most that is surely allowed."""
MAX_PAGES = 400
"""Pages followed before a list counts as endless."""

_T = TypeVar("_T")


class Api:
    """The service, for every client of the same address and key. Runs on the loop.

    Args:
        transport: the connections.
        policy: when to try again.
        clock: time.
        rng: chance, for jitter.
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

    @property
    def settle_s(self) -> float:
        """How long a job may take to turn up in the list after a lost answer, in seconds."""
        if self.policy.settle_s is not None:
            return self.policy.settle_s
        return 2.0 if self.transport.endpoint.is_loopback else 75.0

    def clock_ahead_s(self) -> float | None:
        """By how much our clock is ahead of the service's, as of its last answer, in seconds."""
        stamp = self.transport.last_date
        try:
            if stamp is None:
                return None
            return stamp[1] - email.utils.parsedate_to_datetime(stamp[0]).timestamp()
        except (ValueError, OverflowError, OSError):
            return None

    # ---- jobs -----------------------------------------------------------------------

    async def create(
        self, body: bytes, traffic: Traffic, before: Callable[[], Awaitable[None]] | None = None
    ) -> str:
        """POST a job, once; ``before`` is awaited just before it goes out.

        Returns:
            The job id.

        Raises:
            NotSent: the service was not reached.
            ResponseLost: no valid answer came back, or one that does not tell.
            Throttled: the service wants a pause.
            ServiceError, AuthenticationError: refused, no job was created.
        """
        await self.pacer.wait()
        answer = await self.transport.request("POST", "/jobs", traffic, body=body, before=before)
        outcome = classify(answer.status)
        if outcome is Outcome.DONE:
            try:
                job_id = parse_created(answer.body)
            except InvalidResponse as error:
                raise ResponseLost(str(error)) from None
            self.quota.give()
            return job_id
        if outcome is Outcome.THROTTLED:
            raise Throttled(self.retry_after_s(answer), self.error(answer, "POST /jobs"))
        if outcome is Outcome.REJECTED:
            raise self.error(answer, "POST /jobs")
        raise ResponseLost(f"status {answer.status}")

    async def job(self, job_id: str, traffic: Traffic, *, patient: bool = False) -> JobState:
        """The state of a job; status ``"deleted"`` if the service does not know it."""
        path = f"/jobs/{check_id(job_id)}"
        try:
            state = await self.read(path, parse_job, traffic, patient=patient)
        except ServiceError as error:
            if error.details.get("status") == 404:
                return JobState(job_id, "deleted")
            raise
        if state.id.lower() != job_id.lower():
            raise InvalidResponse(f"Asked for job {job_id}, the service told of {state.id}.")
        return state

    async def jobs(
        self, job_ids: Sequence[str], traffic: Traffic, *, patient: bool = False
    ) -> dict[str, JobState]:
        """The states of many jobs in one request; unknown ones are left out."""
        query = urlencode([("ids", check_id(i)) for i in job_ids] + [("limit", str(len(job_ids)))])
        wanted = set(job_ids)
        found: dict[str, JobState] = {}
        async for job in self.listing(query, traffic, patient=patient):
            if job.id in wanted:
                found[job.id] = job
            if len(found) == len(wanted):  # a service may not filter, or page on to nothing
                break
        return found

    async def listing(
        self, query: str, traffic: Traffic, *, patient: bool = False
    ) -> AsyncIterator[JobState]:
        """The jobs that ``GET /jobs?query`` lists, page after page.

        Raises:
            InvalidResponse: the pages go round in circles or do not end.
        """
        async for page in self.pages(query, traffic, patient=patient):
            for job in page.jobs:
                yield job

    async def pages(
        self, query: str, traffic: Traffic, *, patient: bool = False
    ) -> AsyncIterator[JobPage]:
        """The pages of ``GET /jobs?query``; a repeated cursor is an error, not a loop."""
        seen: set[str] = set()
        cursor: str | None = None
        for _ in range(MAX_PAGES):
            more = f"&next={quote(cursor, safe='')}" if cursor else ""
            page = await self.read(f"/jobs?{query}{more}", parse_jobs, traffic, patient=patient)
            yield page
            cursor = page.next
            if cursor is None:
                return
            if cursor in seen:
                raise InvalidResponse("The job list goes round in circles: a cursor came twice.")
            seen.add(cursor)
        raise InvalidResponse(f"The job list has more than {MAX_PAGES} pages.")

    async def children(self, job_id: str, traffic: Traffic) -> list[JobState]:
        """The children of a multi-circuit job, in the order of the list."""
        query = f"parent_job_id={check_id(job_id)}&limit={PAGE}"
        found: dict[str, JobState] = {}
        async for job in self.listing(query, traffic, patient=True):
            if job.parent_id == job_id:
                found[job.id] = job
        return list(found.values())

    async def cancel(self, job_ids: Iterable[str], traffic: Traffic) -> None:
        """Cancel jobs, one request for one job or for many."""
        ids = [check_id(job_id) for job_id in job_ids]
        if len(ids) == 1:
            await self.send("PUT", f"/jobs/{ids[0]}/status/cancel", traffic)
        elif ids:
            await self.send("PUT", "/jobs/status/cancel", traffic, {"ids": ids})

    # ---- requests -------------------------------------------------------------------

    async def read(
        self,
        path: str,
        decode: Callable[[bytes], _T],
        traffic: Traffic,
        *,
        patient: bool = False,
        max_bytes: int = MAX_STATUS_BYTES,
    ) -> _T:
        """GET and decode, again and again if need be.

        Args:
            path: path and query below the base URL.
            decode: makes the value of the body; its ``InvalidResponse`` counts as a failed
                try.
            traffic: counters.
            patient: for what is already paid for: tries for ``policy.outage_s`` seconds
                instead of ``policy.attempts`` times.
            max_bytes: decoded bytes read at most.

        Raises:
            ServiceError, AuthenticationError, ConnectionFailed, InvalidResponse: at the end.
        """
        return await self._repeat("GET", path, None, decode, traffic, patient, max_bytes)

    async def read_results(self, path: str, decode: Callable[[bytes], _T], traffic: Traffic) -> _T:
        """Like :meth:`read`, patient, and with room for results."""
        return await self.read(path, decode, traffic, patient=True, max_bytes=MAX_RESULT_BYTES)

    async def read_object(self, path: str, what: str, traffic: Traffic) -> dict[str, Any]:
        """GET a JSON object; errors name it by ``what``."""
        return await self.read(path, lambda data: parse_object(data, what), traffic)

    async def send(
        self, method: str, path: str, traffic: Traffic, value: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Send a request that may be repeated (cancel, end of a session).

        Args:
            method: HTTP method.
            path: path below the base URL.
            traffic: counters.
            value: the body, to be sent as JSON.

        Returns:
            The response, a JSON object.

        Raises:
            ServiceError, AuthenticationError, ConnectionFailed, InvalidResponse: at the end.
        """
        body = None if value is None else orjson.dumps(value)
        return await self._repeat(
            method, path, body, lambda data: parse_object(data, f"The answer to {method}"),
            traffic, False, MAX_STATUS_BYTES,
        )  # fmt: skip

    async def _repeat(
        self,
        method: str,
        path: str,
        body: bytes | None,
        decode: Callable[[bytes], _T],
        traffic: Traffic,
        patient: bool,
        max_bytes: int,
    ) -> _T:
        what = f"{method} {path.partition('?')[0]}"
        failures = invalid = 0
        give_up_at = self.clock.monotonic() + self.policy.outage_s
        while True:
            await self.pacer.wait()
            hint_s: float | None = None
            throttled = False
            error: QStoreError
            try:
                answer = await self.transport.request(
                    method, path, traffic, body=body, max_bytes=max_bytes
                )
                if 200 <= answer.status < 300:
                    value = decode(answer.body)
                    self.quota.give()
                    return value
                error = self.error(answer, what)
                if not is_transient(answer.status):
                    raise error
                throttled = answer.status == 429
                hint_s = self.retry_after_s(answer)
            except (NotSent, ResponseLost) as reason:
                error = self.unreachable(reason, what)
                if isinstance(reason, NotSent) and reason.permanent:
                    raise error from None
            except InvalidResponse as broken:
                error = broken
                invalid += 1
            failures += 1
            limit = self.policy.throttled_attempts if throttled else self.policy.attempts
            tired = (
                self.clock.monotonic() >= give_up_at or invalid >= self.policy.attempts
                if patient
                else failures >= limit
            )
            cost = self.policy.throttle_cost if throttled else self.policy.retry_cost
            # A patient read goes on with an empty quota too: it waits anyway, and what it
            # waits for is paid.
            if tired or not (self.quota.take(cost) or patient):
                raise error
            await self.pause(failures, throttled, hint_s, traffic, what, error)

    async def pause(
        self,
        failures: int,
        throttled: bool,
        hint_s: float | None,
        traffic: Traffic,
        what: str,
        reason: object,
    ) -> None:
        """Wait before another try; a throttled service is left alone by everybody."""
        traffic.retries += 1
        delay_s = max(self.policy.delay_s(failures, self.rng, throttled=throttled), hint_s or 0.0)
        level = logging.WARNING if failures > 1 or delay_s > 1 else logging.INFO
        told = str(reason).rstrip(".")
        told = told if told.startswith(what) else f"{what}: {told}"
        logger.log(level, "%s. Next try in %.2f s.", told, delay_s)
        if throttled or hint_s:
            self.pacer.hold(delay_s)
            await self.pacer.wait()
        else:
            await self.clock.sleep(delay_s)

    def retry_after_s(self, answer: Response) -> float | None:
        """Seconds the service asked to wait, within the policy's bound."""
        now, cap_s = self.clock.now(), self.policy.retry_after_cap_s
        return parse_retry_after(answer.retry_after, now, cap_s)

    def error(self, answer: Response, what: str) -> ServiceError:
        """The typed error for an answer with an error status."""
        text = self.transport.redact(answer.body.decode("utf-8", "replace"))[:2000]
        message = _message(answer.body)
        # Cut last: the half of a key would not be found.
        message = self.transport.redact(message)[:500].rstrip(".") if message else text[:200]
        kind = AuthenticationError if answer.status in (401, 403) else ServiceError
        hint = " Check the API key." if answer.status == 401 else ""
        if 300 <= answer.status < 400:
            hint = " Redirects are not followed: the API key would go with them."
        request = f" (request id {answer.request_id})" if answer.request_id else ""
        return kind(
            f"{what} was answered with status {answer.status}: {message}.{hint}{request}",
            status=answer.status, body=text, request_id=answer.request_id,
        )  # fmt: skip

    def unreachable(self, reason: NotSent | ResponseLost, what: str) -> ConnectionFailed:
        """The typed error for a service that gives no answer."""
        return ConnectionFailed(
            f"{what} at {self.transport.endpoint.base_url} failed: {reason}. "
            "Check the network, base_url and proxy."
        )


class Throttled(Exception):  # noqa: N818  (never leaves the room)
    """429: not accepted; ``hint_s`` is the wait the service asked for, if it did."""

    def __init__(self, hint_s: float | None, error: ServiceError) -> None:
        super().__init__(str(error))
        self.hint_s = hint_s
        self.error = error


def _message(body: bytes) -> str | None:
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(value, dict) or not isinstance(value.get("message"), str):
        return None
    return str(value["message"])
