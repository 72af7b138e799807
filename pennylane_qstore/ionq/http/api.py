"""IonQ's endpoints for jobs, as calls.

Reads and cancels repeat freely. The POST that creates a job is sent once per call: the submitter,
which knows the ledger, decides whether it may be sent again.
"""

from __future__ import annotations

import email.utils
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from urllib.parse import quote, urlencode

import orjson

from pennylane_qstore.errors import InvalidResponse, ServiceError
from pennylane_qstore.ionq.http.requester import Requester
from pennylane_qstore.ionq.http.retry import ResponseLost, is_refusal
from pennylane_qstore.ionq.http.transport import Traffic
from pennylane_qstore.ionq.messages.responses import (
    JobPage,
    JobState,
    check_id,
    parse_created,
    parse_job,
    parse_jobs,
)

PAGE = 25
"""Entries asked for per page of the job list: the most that is surely allowed."""
MAX_PAGES = 400
"""Pages followed before a list counts as endless."""


class Api(Requester):
    """The service's endpoints, for every client of the same address and key. Runs on the loop."""

    def clock_ahead_s(self) -> float | None:
        """Return how far our clock was ahead at the service's last response, in seconds."""
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
        """POST a job, once.

        Args:
            body: the job.
            traffic: counters.
            before: awaited when a connection is free, just before the POST goes out.

        Returns:
            The job id.

        Raises:
            NotSent: the service was not reached.
            ResponseLost: no valid response came back, or one that leaves open whether there is
                a job.
            Transient: the service wants a pause.
            ServiceError, AuthenticationError: refused; no job was created.
        """
        await self.pacer.wait()
        response = await self.transport.request("POST", "/jobs", traffic, body=body, before=before)
        if 200 <= response.status < 300:
            try:
                job_id = parse_created(response.body)
            except InvalidResponse as error:
                raise ResponseLost(str(error)) from None
            self.quota.give()
            return job_id
        if response.status == 429:
            raise self.transient(response, "POST /jobs")
        if is_refusal(response.status):
            raise self.error(response, "POST /jobs")
        raise ResponseLost(f"status {response.status}")

    async def job(self, job_id: str, traffic: Traffic, *, patient: bool = False) -> JobState:
        """Read the state of a job.

        Args:
            job_id: IonQ's id.
            traffic: counters.
            patient: see :meth:`request`.

        Returns:
            The state; status ``"deleted"`` if the service does not know the job.

        Raises:
            InvalidResponse: no valid state, or that of another job.
            ServiceError, AuthenticationError, ConnectionFailed: see :meth:`request`.
        """
        path = f"/jobs/{check_id(job_id)}"
        try:
            state = await self.request(path, parse_job, traffic, patient=patient)
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
        """Read the states of many jobs in one request.

        Args:
            job_ids: IonQ's ids.
            traffic: counters.
            patient: see :meth:`request`.

        Returns:
            States by id; jobs that the service does not know are left out.
        """
        query = urlencode([("ids", check_id(i)) for i in job_ids] + [("limit", str(len(job_ids)))])
        wanted = set(job_ids)
        states: dict[str, JobState] = {}
        async for page in self.pages(query, traffic, patient=patient):
            states.update((job.id, job) for job in page.jobs if job.id in wanted)
            if len(states) == len(wanted):  # a service may not filter, or page on to nothing
                break
        return states

    async def children(self, job_id: str, traffic: Traffic) -> list[JobState]:
        """Read the children of a multi-circuit job.

        Args:
            job_id: IonQ's id of the parent.
            traffic: counters.

        Returns:
            Their states, each once, in the order of the list.
        """
        query = f"parent_job_id={check_id(job_id)}&limit={PAGE}"
        states: dict[str, JobState] = {}
        async for page in self.pages(query, traffic, patient=True):
            states.update((job.id, job) for job in page.jobs if job.parent_id == job_id)
        return list(states.values())

    async def pages(
        self, query: str, traffic: Traffic, *, patient: bool = False
    ) -> AsyncIterator[JobPage]:
        """Read the pages of ``GET /jobs?query``, one after another.

        Args:
            query: filters and page size, quoted.
            traffic: counters.
            patient: see :meth:`request`.

        Yields:
            Pages.

        Raises:
            InvalidResponse: a cursor is repeated, or the pages do not end.
        """
        seen: set[str] = set()
        cursor: str | None = None
        for _ in range(MAX_PAGES):
            next_page = f"&next={quote(cursor, safe='')}" if cursor else ""
            path = f"/jobs?{query}{next_page}"
            page = await self.request(path, parse_jobs, traffic, patient=patient)
            yield page
            cursor = page.next
            if cursor is None:
                return
            if cursor in seen:
                raise InvalidResponse(
                    "The job list does not end: it returned a cursor for the second time."
                )
            seen.add(cursor)
        raise InvalidResponse(f"The job list has more than {MAX_PAGES} pages.")

    async def cancel(self, job_ids: Iterable[str], traffic: Traffic) -> None:
        """Cancel jobs, in one request.

        Args:
            job_ids: IonQ's ids.
            traffic: counters.
        """
        ids = [check_id(job_id) for job_id in job_ids]
        if len(ids) == 1:
            path = f"/jobs/{ids[0]}/status/cancel"
            await self.read_object(path, "The response to PUT", traffic, method="PUT")
        elif ids:
            path, body = "/jobs/status/cancel", orjson.dumps({"ids": ids})
            await self.read_object(path, "The response to PUT", traffic, method="PUT", body=body)
