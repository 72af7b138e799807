"""The gateway's service behind the server's routes: each user sees their own jobs."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import re
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any, NamedTuple

import numpy as np

from pennylane_qstore.errors import BudgetExceeded, ConfigurationError
from pennylane_qstore.gateway.access import CALLER, CONNECTION, EVERYBODY
from pennylane_qstore.gateway.groups import Groups
from pennylane_qstore.gateway.inquiries import PriceCache, learn_machine
from pennylane_qstore.gateway.jobs import GatewayJob, token_of
from pennylane_qstore.gateway.merging import merge_key
from pennylane_qstore.gateway.results import GatewayResults
from pennylane_qstore.gateway.store import Store, refused
from pennylane_qstore.ionq.http.api import Api
from pennylane_qstore.ionq.jobs.poller import Poller
from pennylane_qstore.run_names import run_of
from pennylane_qstore.server.errors import BadRequest, not_found
from pennylane_qstore.server.ids import IdGenerator
from pennylane_qstore.server.inputs.contents import MULTI
from pennylane_qstore.server.inputs.copies import clone_request
from pennylane_qstore.server.inputs.hybrid import FUNCTION, QAOA
from pennylane_qstore.server.inputs.submission import Submission, read_submission, taken_by
from pennylane_qstore.server.job_index import JobIndex
from pennylane_qstore.server.service import ServiceBehaviour

_KEEP = 100_000
_INLINE_BYTES = 1 << 16
_BUSY_S = 10
_GZIP = b'"H4sI'
_GZIP_TIME = re.compile(rb"(?<=" + _GZIP + rb")[A-Za-z0-9+/]{8}")
"""The time in the header of gzip, in base64: qiskit-ionq packs its metadata anew for every try."""
_FROM_SUBMISSION = taken_by(GatewayJob)  # whether it fails, IonQ says

ACCEPTED: ContextVar[GatewayJob | None] = ContextVar("accepted", default=None)
"""Job of the submission that is being answered."""


def note_answer(status: int) -> None:
    """Note the connection on which a submission is answered; one with another answer tells nothing.

    Args:
        status: of the answer that is sent, whoever made it.
    """
    job = ACCEPTED.get()
    if job is not None and status == 201:
        job.connection = CONNECTION.get()
    ACCEPTED.set(None)


class _Read(NamedTuple):
    """A request, as read, the hash of its content, and what it may be merged by."""

    submission: Submission
    content: str
    key: bytes | None


class GatewayService:
    """Accepts jobs at most once, and keeps what became of them.

    Args:
        api: IonQ.
        store: of the jobs.
        window_s: how long jobs wait for others to be merged with, in seconds.
        retry_window_s: how long an equal request may be a retry of one whose answer was lost, in
            seconds; of clients that mark their submissions it always is.
        max_open: jobs on their way; beyond them clients are asked to wait.
        on_ambiguous: ``"raise"``, or ``"resubmit"`` also where jobs cost money.
    """

    behaviour = ServiceBehaviour()
    title, label = "Gateway to IonQ", ""

    def __init__(
        self,
        api: Api,
        store: Store,
        *,
        window_s: float,
        retry_window_s: float,
        max_open: int,
        on_ambiguous: str,
    ) -> None:
        self._api, self._store = api, store
        self._now = api.clock.now
        self._merges, self._retry_window_s, self._max_open = window_s > 0, retry_window_s, max_open
        self._index: JobIndex[GatewayJob] = JobIndex()
        self._ids = IdGenerator(np.random.default_rng())
        self._accepting = 0
        self._answers: dict[str, asyncio.Future[GatewayJob]] = {}
        self._groups = Groups(
            api, Poller(api), store, self._index, window_s=window_s, on_ambiguous=on_ambiguous
        )
        self._prices = PriceCache(api, self._groups.traffic)
        self.results = GatewayResults(api, store, self._index, self._groups.traffic)

    @property
    def name(self) -> str:
        """Name of the user who asks."""
        return CALLER.get()

    @property
    def shows_all(self) -> bool:
        """True for the gateway's own token."""
        return CALLER.get() == EVERYBODY

    def now(self) -> float:
        """Return the time, in seconds since the epoch."""
        return self._now()

    def stats(self) -> dict[str, Any]:
        """Return counters of the jobs of the user who asks, and of all requests to IonQ."""
        jobs = list(self.newest_first())
        return {
            "jobs": len(jobs),
            "circuits": sum(len(job.circuits) for job in jobs),
            "billed_jobs": sum(job.billed_usd > 0 for job in jobs),
            "billed_usd": round(sum(job.billed_usd for job in jobs), 6),
            "upstream_posts": self._groups.traffic.posts,
        }

    async def open(self) -> None:
        """Take up what an earlier gateway has left."""
        left = []
        for job, deleted in await self._store.ledger.off_loop(self._store.load, _KEEP):
            self._index.insert(job)
            self._ids.follow(max([job.id, *job.child_ids]))
            self._answers[job.digest] = answer = asyncio.get_running_loop().create_future()
            answer.set_result(job)
            if deleted:
                self._index.discard(job)
            if job.group is not None and not (job.settled and job.is_billed):
                left.append(job)
            elif not job.settled:
                (request,) = self._store.requests([job])
                with contextlib.suppress(BadRequest):  # IonQ is away: nobody knows the machine
                    self._groups.add(job, (await self._read(request)).key, request)
                    continue
                self._groups.add(job, None, request)
        self._groups.go_on(left)

    async def close(self) -> None:
        """Stop. A later start goes on."""
        await self._groups.close()

    async def submit(self, body: bytes) -> GatewayJob:
        """Accept a job; the same submission again is answered with the job that there is.

        Raises:
            BadRequest: the body is not valid, a limit does not hold the job, or there are too many.
        """
        user = CALLER.get()
        read = await self._read(body)
        marked = token_of(read.submission)
        digest = f"{user} {marked or ''} {read.content}"
        known = self._answers.get(digest)
        if known is not None and (job := await self._retried(known, marked is not None)):
            ACCEPTED.set(job)
            return job
        answer = self._answers[digest] = asyncio.get_running_loop().create_future()
        try:
            job = await self._accept(user, digest, read)
        except BaseException as error:
            if self._answers.get(digest) is answer:
                del self._answers[digest]
            answer.set_exception(error)
            answer.exception()  # asked for: there may be nobody else who does
            raise
        answer.set_result(job)
        ACCEPTED.set(job)
        return job

    async def clone(self, job_id: str, changes: Any) -> GatewayJob:
        """Accept a job like another one.

        Args:
            job_id: id of the original; a child's id clones its circuit alone.
            changes: members of the request to put in place.

        Returns:
            The new job.
        """
        job, child = self.find(job_id)
        (original,) = self._store.requests([job])
        body = clone_request(original, child, changes)
        (digest,) = self._ids.take(self.now())  # a clone is wanted, and no retry
        return await self._accept(CALLER.get(), digest, await self._read(body))

    async def refresh(self, job_id: str) -> None:
        """Ask IonQ for what is only known, and only of interest, once a job has completed."""
        await self.results.read_output(*self.find(job_id))

    def find(self, job_id: str) -> tuple[GatewayJob, int | None]:
        """Return the job, and the position of the circuit where the id is a child's.

        Raises:
            BadRequest: 404, the user has no such job.
        """
        job, child = self._index.find(job_id)
        if not _is_shown(job):
            raise not_found()
        job.named |= job.user == CALLER.get()
        return job, child

    def all_jobs(self) -> list[GatewayJob]:
        """Return all users' jobs, in the order in which they were accepted."""
        return self._index.all()

    def newest_first(self, before: int | None = None) -> Iterator[GatewayJob]:
        """Return the user's jobs, from the newest (or the newest before a number) on."""
        return filter(_is_shown, self._index.newest_first(before))

    def lists_children(self) -> bool:
        """Return False: lists show parents only."""
        return False

    def show_session(self, session_id: str) -> dict[str, Any]:
        """Return a session, as far as lists of its jobs need it.

        Raises:
            BadRequest: 404, the user has no job in it.
        """
        if all(job.session_id != session_id for job in self.newest_first()):
            raise not_found()
        return {"id": session_id}

    def cancel(self, *job_ids: str) -> list[str]:
        """Cancel jobs that have not ended; return the ids that exist."""
        jobs = self._own(job_ids)
        for job in jobs.values():
            self._groups.cancel(job)
        return list(jobs)

    def delete(self, *job_ids: str) -> list[str]:
        """Forget jobs, what was charged stays charged; return the ids that exist."""
        jobs = self._own(job_ids)
        for job in jobs.values():
            self._groups.cancel(job)
            self._store.delete(job)
            self._index.discard(job)
        return list(jobs)

    # ---- private --------------------------------------------------------------------

    def _own(self, job_ids: tuple[str, ...]) -> dict[str, GatewayJob]:
        jobs = self._index.known(job_ids)
        return {job_id: job for job_id, job in jobs.items() if _is_shown(job)}

    async def _retried(self, answer: asyncio.Future[GatewayJob], marked: bool) -> GatewayJob | None:
        """Return the job of an equal submission, if this one may be a retry of it."""
        job = await answer
        late = self.now() - job.submitted_at > self._retry_window_s
        # Whoever has asked for the job has got its id, and whoever goes on with the connection
        # has got the whole answer: what is sent now is sent on purpose.
        here = CONNECTION.get()
        told = job.named or (here is not None and job.connection == here)
        return None if not marked and (late or told) else job

    async def _read(self, body: bytes) -> _Read:
        """Read a submission; IonQ is asked for a machine that this release does not know."""
        try:
            return await self._checked(body)
        except BadRequest as error:
            await learn_machine(self._api, self._groups.traffic, body, error)
        return await self._checked(body)

    async def _checked(self, body: bytes) -> _Read:
        """Check a submission, a large one without keeping others waiting."""
        if len(body) <= _INLINE_BYTES:
            return self._read_now(body)
        return await asyncio.to_thread(self._read_now, body)

    def _read_now(self, body: bytes) -> _Read:
        """Read a submission, in whatever thread."""
        submission = read_submission(body, self.behaviour, takes_described=True)
        unpacked = _GZIP_TIME.sub(b"", body) if _GZIP in body else body
        key = merge_key(submission) if self._merges else None
        return _Read(submission, hashlib.sha256(unpacked).hexdigest(), key)

    async def _accept(self, user: str, digest: str, read: _Read) -> GatewayJob:
        submission, request = read.submission, read.submission.request
        if user == EVERYBODY:
            raise BadRequest("The gateway's own token sends no jobs: take a user's.", status=403)
        if submission.type in (FUNCTION, QAOA):
            raise BadRequest(f"The gateway does not take {submission.type}.", keys=["type"])
        if self._accepting + len(self._groups.open) >= self._max_open:
            raise BadRequest(
                f"{self._max_open} jobs are on their way. Try again later.",
                status=429, retry_after_s=_BUSY_S,
            )  # fmt: skip
        self._accepting += 1
        try:
            price = await self._prices.of(submission)
            job = self._make_job(user, digest, submission, price)
            reserved = 0.0 if job.dry_run else price
            intent = self._groups.alone(job, request) if read.key is None else None
            row = await self._store.ledger.off_loop_synced(
                self._store.insert, job, request, reserved, intent
            )
        except (BudgetExceeded, ConfigurationError) as error:  # the ledger's own limit
            raise refused(str(error)) from None
        finally:
            self._accepting -= 1
        self._index.insert(job)
        while len(self._index) > _KEEP and self._index.oldest.settled:
            self._answers.pop(self._index.oldest.digest, None)
            self._index.discard(self._index.oldest)
        self._groups.add(job, read.key, request, row)
        return job

    def _make_job(
        self, user: str, digest: str, submission: Submission, price: float | None
    ) -> GatewayJob:
        now = self.now()
        (job_id,) = self._ids.take(now)
        count = len(submission.circuits) if submission.type == MULTI else 0
        sequence = self._index.next_sequence
        self._index.next_sequence += 1
        return GatewayJob(
            id=job_id, sequence=sequence, user=user, run=run_of(submission.name), digest=digest,
            child_ids=self._ids.take(now, count) if count else [],
            **{name: getattr(submission, name) for name in _FROM_SUBMISSION},
            submitted_at=now, start_at=now, cost_usd=price or 0.0, billed_usd=0.0,
            cost_model="2QGE_operations",
        )  # fmt: skip


def _is_shown(job: GatewayJob) -> bool:
    """Return whether a job is one of the caller's, or everybody's are."""
    return CALLER.get() in (job.user, EVERYBODY)
