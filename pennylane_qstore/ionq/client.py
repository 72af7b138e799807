"""The client: many circuits, few jobs, none lost and none paid twice.

Blocking calls work from any thread and inside a running event loop (Jupyter): the work is
done on one background loop, the calling thread waits. The async calls of Q-Store v3.4 use
the same machinery from the caller's own loop.
"""

from __future__ import annotations

import asyncio
import logging
import math
import os
import queue
import random
import threading
import weakref
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple, Self, TypeVar

from pennylane_qstore.errors import (
    AmbiguousSubmission,
    ConfigurationError,
    JobTimeout,
    QStoreError,
)
from pennylane_qstore.ionq.ledger import OPEN_STATES, JobKey, Ledger, State, Submission
from pennylane_qstore.ionq.loop import background_loop
from pennylane_qstore.ionq.retry import Clock, RetryPolicy
from pennylane_qstore.ionq.secret import Secret, find_key
from pennylane_qstore.ionq.wire import JobRequest, check_id

if TYPE_CHECKING:
    from pennylane_qstore.ionq.account import Estimate, Session
    from pennylane_qstore.ionq.api import Api
    from pennylane_qstore.ionq.faces import BatchJobResult
    from pennylane_qstore.ionq.job import Job, JobResult
    from pennylane_qstore.ionq.poll import Progress

logger = logging.getLogger(__name__)

BASE_URL = "https://api.ionq.co/v0.4"
"""IonQ's service."""
URL_VARIABLE = "IONQ_API_URL"
"""Environment variable that names another one."""

_T = TypeVar("_T")
_Keys = Sequence[JobKey | tuple[str, int, int] | None]


@dataclass(frozen=True, slots=True)
class _Options:
    base_url: str
    pool_size: int
    timeout_s: float | None
    retry: RetryPolicy
    on_ambiguous: str
    retry_failed: bool
    ca_bundle: str | None
    proxy: str | None


class _Shared(NamedTuple):
    pid: int
    api: Api
    give_back: Callable[[], object]


class IonQBatchClient:
    """Sends jobs to IonQ (or to anything that speaks its API v0.4).

    Args:
        api_key: by default from ``IONQ_API_KEY`` or ``PENNYLANE_IONQ_API_KEY``. Never shown,
            logged or pickled.
        base_url: https, or http to this machine; by default ``IONQ_API_URL``, then IonQ's.
        pool_size: connections at most; ``max_connections`` is the same.
        timeout: longest wait for an answer to a read, in seconds (default 30).
        retry: when to try again.
        retry_attempts: shorthand for ``retry=RetryPolicy(attempts=...)``.
        ledger: a :class:`Ledger` or the path of one; by default in the user's data folder,
            and in memory for a service on this machine.
        on_ambiguous: ``"raise"``, or ``"resubmit"``: where a job may have been created but
            cannot be found, send again, even if it could be paid twice.
        retry_failed: send circuits that failed on the service again, once, and only they.
        ca_bundle: file of own certificate authorities.
        proxy: URL of an HTTP proxy; the environment's are not used.
        clock, rng: time and chance, for tests.

    Raises:
        ConfigurationError: no key, or an option that is not allowed.
    """

    _shared: _Shared | None

    def __init__(
        self,
        api_key: str | Secret | None = None,
        *,
        base_url: str | None = None,
        pool_size: int = 5,
        max_connections: int | None = None,
        timeout: float | None = None,
        retry: RetryPolicy | None = None,
        retry_attempts: int | None = None,
        ledger: Ledger | str | os.PathLike[str] | None = None,
        on_ambiguous: str = "raise",
        retry_failed: bool = True,
        ca_bundle: str | None = None,
        proxy: str | None = None,
        clock: Clock | None = None,
        rng: random.Random | None = None,
    ) -> None:
        from pennylane_qstore.ionq.submission import check_on_ambiguous
        from pennylane_qstore.ionq.transport import Endpoint

        self._key: Secret | None = find_key(api_key)
        url = base_url or os.environ.get(URL_VARIABLE) or BASE_URL
        self._endpoint = Endpoint(url)
        policy = retry or RetryPolicy()
        if retry_attempts is not None:
            policy = replace(policy, attempts=retry_attempts)
        self._options = _Options(
            self._endpoint.base_url,
            _positive_int(pool_size if max_connections is None else max_connections, "pool_size"),
            None if timeout is None else _positive(timeout, "timeout"),
            policy, check_on_ambiguous(on_ambiguous), bool(retry_failed), ca_bundle, proxy,
        )  # fmt: skip
        self._clock = clock or Clock()
        self._rng = rng
        self.ledger = _open_ledger(ledger, self._endpoint.is_loopback, self._clock)
        self._prepare()

    def __repr__(self) -> str:
        return f"IonQBatchClient({self._options.base_url!r}, ledger={self.ledger!r})"

    # ---- jobs -----------------------------------------------------------------------

    def run(
        self,
        requests: Sequence[JobRequest],
        *,
        max_wait: float | None = None,
        progress: Callable[[Progress], None] | None = None,
        keys: _Keys | None = None,
        estimates: Sequence[float | None] | None = None,
    ) -> list[JobResult]:
        """Submit, wait, and fetch the results; blocks the calling thread.

        Args:
            requests: the jobs; they travel at the same time.
            max_wait: longest wait for each job at the service, in seconds.
            progress: called in this thread with what is known of a job, as it changes.
            keys: for each request ``(run, step, chunk)``: under the same key a restarted run
                finds the job it has already paid for, in flight or done.
            estimates: expected price of each request in US dollars, for the ledger.

        Returns:
            One result per request.

        Raises:
            QStoreError: of the kind of the first failure, after all others have ended. Its
                ``details`` hold ``results`` (by request; ``None`` where there is none) and
                ``failed`` (indices of requests); ``job_ids`` names every job.
            KeyboardInterrupt: Ctrl-C. A POST that is on its way is finished first, jobs stay
                in the ledger; a second Ctrl-C leaves at once.
        """
        jobs = self._begin(requests, keys, estimates)
        if max_wait is not None:
            _positive(max_wait, "max_wait")
        inbox: queue.SimpleQueue[Progress | None] = queue.SimpleQueue()
        report = inbox.put if progress is not None else _nobody
        # A key promises that the results are still there for a run that starts again.
        done = self._drive(self._run_all(jobs, max_wait, report), inbox, progress, jobs)
        self._count(jobs)
        results = self._results(jobs, done)
        self.ledger.consumed([row for job in jobs for row in job.row_ids])
        return results

    def resume(
        self, *, max_wait: float | None = None, progress: Callable[[Progress], None] | None = None
    ) -> list[Submission]:
        """Bring everything that the ledger holds open for this service to an end.

        Jobs in flight are waited for and their results stored; jobs whose answer was lost are
        looked for. Nothing is sent again.

        Returns:
            The rows, as they stand afterwards.
        """
        rows = [
            row
            for row in self.ledger.submissions(OPEN_STATES)
            if row.service == self._endpoint.base_url
        ]
        inbox: queue.SimpleQueue[Progress | None] = queue.SimpleQueue()
        report = inbox.put if progress is not None else _nobody
        self._drive(self._resume_all(rows, max_wait, report), inbox, progress, [])
        return [self.ledger.get(row.id) for row in rows]

    def reconcile(self) -> list[Submission]:
        """Look for the jobs of lost answers, without waiting for them to end.

        Returns:
            The rows looked for, as they stand afterwards.
        """
        rows = [
            row
            for row in self.ledger.submissions((State.INTENT, State.AMBIGUOUS))
            if row.service == self._endpoint.base_url
        ]
        self._call(self._reconcile_all(rows))
        return [self.ledger.get(row.id) for row in rows]

    def cancel(self, job_ids: Sequence[str]) -> None:
        """Cancel jobs."""
        self._call(self._cancel(job_ids))

    # ---- money and account ----------------------------------------------------------

    def estimate(
        self,
        backend: str,
        *,
        qubits: int,
        shots: int,
        gates_1q: int,
        gates_2q: int,
        circuits: int = 1,
        error_mitigation: bool = False,
    ) -> Estimate:
        """What a job would cost and how long it would take; nothing is submitted.

        Args:
            backend: IonQ's backend id.
            qubits: of each circuit.
            shots: of each circuit.
            gates_1q: one-qubit gates, summed over the circuits.
            gates_2q: two-qubit gates, summed over the circuits.
            circuits: how many.
            error_mitigation: whether it is debiased.
        """
        from pennylane_qstore.ionq import account

        return self._call(
            account.estimate(
                self._api(), self._traffic, backend, qubits=qubits, shots=shots,
                gates_1q=gates_1q, gates_2q=gates_2q, circuits=circuits,
                error_mitigation=error_mitigation,
            )
        )  # fmt: skip

    def cost_usd(self, job_id: str) -> float | None:
        """What a job cost, in US dollars; ``None`` while that is not known."""
        from pennylane_qstore.ionq.job import read_cost

        cost = self._call(read_cost(self._api(), check_id(job_id), self._traffic))
        row = self.ledger.find(job_id)
        if row is not None and cost is not None:
            self.ledger.billed(row.id, cost)
        return cost

    def create_session(
        self,
        backend: str,
        *,
        job_limit: int | None = None,
        minutes: float | None = None,
        cost_limit_usd: float | None = None,
    ) -> Session:
        """Open a session, in which the service itself bounds jobs, time and cost."""
        from pennylane_qstore.ionq import account

        return self._call(
            account.create_session(
                self._api(), self._traffic, backend, job_limit=job_limit, minutes=minutes,
                cost_limit_usd=cost_limit_usd,
            )
        )  # fmt: skip

    def end_session(self, session_id: str) -> Session:
        """End a session; its jobs that have not started are the service's to drop."""
        from pennylane_qstore.ionq import account

        return self._call(account.end_session(self._api(), self._traffic, session_id))

    def backends(self) -> list[dict[str, Any]]:
        """What the service says of its backends."""
        from pennylane_qstore.ionq import account

        return self._call(account.backends(self._api(), self._traffic))

    def whoami(self) -> dict[str, Any]:
        """Which key this is; the cheapest way to learn whether it is accepted."""
        from pennylane_qstore.ionq import account

        return self._call(account.whoami(self._api(), self._traffic))

    # ---- what was counted -----------------------------------------------------------

    @property
    def stats(self) -> dict[str, float]:
        """Counters; see :meth:`get_stats`."""
        return self.get_stats()

    def get_stats(self) -> dict[str, float]:
        """Counters of this client since it was made.

        Bytes are those of bodies. ``api_calls_saved`` is the number of POSTs that one job per
        circuit would have taken more.
        """
        from pennylane_qstore.ionq.transport import Traffic

        traffic = {name: getattr(self._traffic, name) for name in Traffic.__slots__}
        opened, reused = self._traffic.connections_opened, self._traffic.connections_reused
        sent = self._sent_circuits
        return {
            **traffic,
            "jobs": self._jobs,
            "circuits": sent,
            "adopted": self._adopted,
            "billed_usd": self._billed_usd,
            "api_calls_saved": max(sent - self._jobs, 0),
            "connection_reuse_rate": reused / (opened + reused) if opened + reused else 0.0,
            "avg_submission_ms": 1e3 * self._submit_s / self._jobs if self._jobs else 0.0,
            "total_api_calls": self._traffic.posts,
            "total_circuits_submitted": sent,
            "avg_circuits_per_call": sent / self._traffic.posts if self._traffic.posts else 0.0,
        }

    # ---- Q-Store v3.4 ---------------------------------------------------------------

    async def submit_batch(
        self,
        circuits: Sequence[dict[str, Any]],
        target: str = "simulator",
        shots: int = 1000,
        name_prefix: str = "batch",
    ) -> list[str]:
        """Submit circuits as one job, in one POST.

        Args:
            circuits: ``{"qubits": n, "circuit": [gates]}`` each, IonQ's gate JSON.
            target: backend.
            shots: of each circuit.
            name_prefix: the job's name.

        Returns:
            One id per circuit, in order. IonQ tells the children's ids only at the end, so
            each is the job's id; as :class:`CircuitId` it also knows its circuit.
        """
        from pennylane_qstore.ionq import faces

        return await faces.submit_batch(self, circuits, target, shots, name_prefix)

    async def get_results_parallel(
        self,
        job_ids: Sequence[str],
        polling_interval: float | None = None,
        timeout: float | None = 120.0,
    ) -> list[BatchJobResult]:
        """Wait for jobs and fetch their results, each job once.

        Args:
            job_ids: from :meth:`submit_batch`, all or some, in any order.
            polling_interval: longest pause between looks, in seconds; by default as long as
                the job's age suggests.
            timeout: longest wait, in seconds.

        Returns:
            One result per id, in the order of the ids; failures are results too.
        """
        from pennylane_qstore.ionq import faces

        return await faces.get_results(self, job_ids, polling_interval, timeout)

    async def cancel_jobs(self, job_ids: Sequence[str]) -> None:
        """Cancel the jobs that these ids belong to."""
        unique = list(dict.fromkeys(str(job_id) for job_id in job_ids))
        await self.on_loop(self._cancel(unique))

    # ---- life -----------------------------------------------------------------------

    def close(self) -> None:
        """Give the connections back. Jobs in flight stay in the ledger."""
        if self._shared is not None:
            self._shared.give_back()
            self._shared = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        return {"options": self._options, "ledger": self.ledger}

    def __setstate__(self, state: dict[str, Any]) -> None:
        from pennylane_qstore.ionq.transport import Endpoint

        self._options = state["options"]
        self.ledger = state["ledger"]
        self._key = None  # read from the environment when first needed
        self._endpoint = Endpoint(self._options.base_url)
        self._clock, self._rng = Clock(), None
        self._prepare()

    async def on_loop(self, coroutine: Coroutine[Any, Any, _T]) -> _T:
        """Await, on the caller's loop, what runs on the background loop."""
        return await asyncio.wrap_future(background_loop().submit(coroutine))

    # ---- private --------------------------------------------------------------------

    def _prepare(self) -> None:
        from pennylane_qstore.ionq.transport import Traffic

        self._traffic = Traffic()
        self._jobs = self._sent_circuits = self._adopted = 0
        self._billed_usd = self._submit_s = 0.0
        self._counting = threading.Lock()
        self._shared = None

    def _api(self) -> Api:
        """The shared service; a new one after a fork."""
        shared = self._shared
        if shared is not None and shared.pid == os.getpid():
            return shared.api
        from pennylane_qstore.ionq import pool

        if self._key is None:
            self._key = find_key()
        options = self._options
        address = pool.Address(
            self._endpoint, self._key, options.pool_size, options.timeout_s, options.ca_bundle,
            options.proxy, options.retry, self._clock, self._rng,
        )  # fmt: skip
        api, release = pool.acquire(address)
        give_back = weakref.finalize(self, release)
        give_back.atexit = False  # by then the loop has closed everything
        self._shared = _Shared(os.getpid(), api, give_back)
        return api

    def _begin(
        self,
        requests: Sequence[JobRequest],
        keys: _Keys | None,
        estimates: Sequence[float | None] | None,
    ) -> list[Job]:
        """Bodies and intents: in the calling thread, so that the loop never waits for disks."""
        from pennylane_qstore.ionq.job import Job, intent_for

        count = len(requests)
        wanted = [None if key is None else _key(key) for key in keys or [None] * count]
        prices = list(estimates or [None] * count)
        if len(wanted) != count or len(prices) != count:
            raise ConfigurationError(
                f"{count} requests need {count} keys and estimates; "
                f"got {len(wanted)} and {len(prices)}."
            )
        given = [key for key in wanted if key is not None]
        if len(set(given)) != len(given):
            raise ConfigurationError("Two requests of one call have the same key.")
        jobs = [
            Job(i, request, request.payload_sha256, key, price, deque())
            for i, (request, key, price) in enumerate(zip(requests, wanted, prices, strict=True))
        ]
        fresh = []
        for job in jobs:
            job.request.body("0" * 32)  # a body that is too large is refused before any intent
            if job.key is not None:
                job.rows.extend((row, False) for row in self.ledger.history(job.key))
            if not job.rows:
                fresh.append(job)
        intents = [
            intent_for(
                job.request, job.sha256, self._endpoint.base_url, key=job.key,
                estimated_usd=job.estimated_usd,
            )
            for job in fresh
        ]  # fmt: skip
        for job, row in zip(fresh, self.ledger.begin(intents) if intents else [], strict=True):
            job.rows.append(row)
            job.body = job.request.body(row[0].token)
        return jobs

    async def _run_all(
        self,
        jobs: list[Job],
        max_wait: float | None,
        report: Callable[[Progress], None],
        max_delay_s: float | None = None,
    ) -> list[JobResult | BaseException]:
        from pennylane_qstore.ionq.job import JobRunner
        from pennylane_qstore.ionq.submission import Submitter

        api = self._api()
        submitter = Submitter(api, self.ledger, self._options.on_ambiguous)
        runner = JobRunner(
            api, self.ledger, submitter, retry_failed=self._options.retry_failed,
            max_wait_s=max_wait, max_delay_s=max_delay_s, report=report,
        )  # fmt: skip
        tasks = [asyncio.create_task(runner.run(job)) for job in jobs]
        try:
            return await asyncio.gather(*tasks, return_exceptions=True)
        except asyncio.CancelledError:
            # Whoever has a POST on its way finishes it; the others stop at once.
            await asyncio.gather(*tasks, return_exceptions=True)
            for job in jobs:
                for row, own in job.rows:
                    if own and not job.started:
                        await self.ledger.off_loop(
                            self.ledger.rejected, row.id, "interrupted before it was sent"
                        )
            raise

    async def _resume_all(
        self, rows: list[Submission], max_wait: float | None, report: Callable[[Progress], None]
    ) -> None:
        from pennylane_qstore.ionq.faces import finish
        from pennylane_qstore.ionq.submission import Submitter

        submitter = Submitter(self._api(), self.ledger, self._options.on_ambiguous)
        ends = await asyncio.gather(
            *(
                finish(submitter, row, self._traffic, max_wait, report, number)
                for number, row in enumerate(rows)
            ),
            return_exceptions=True,
        )
        for row, end in zip(rows, ends, strict=True):
            if isinstance(end, QStoreError):
                logger.warning("Submission %d is still open: %s", row.id, end)
            elif isinstance(end, BaseException):
                raise end

    async def _reconcile_all(self, rows: list[Submission]) -> None:
        from pennylane_qstore.ionq.submission import Submitter

        submitter = Submitter(self._api(), self.ledger)
        for row in rows:
            try:
                await submitter.adopt(row, None, self._traffic)
            except AmbiguousSubmission as error:
                logger.warning("Submission %d: %s", row.id, error)

    async def _cancel(self, job_ids: Sequence[str]) -> None:
        api = self._api()
        await api.cancel(job_ids, self._traffic)
        for job_id in job_ids:
            row = await self.ledger.off_loop(self.ledger.find, job_id)
            if row is not None and row.state in OPEN_STATES:
                await self.ledger.off_loop(self.ledger.note, row.id, "cancel requested", job_id)

    def _call(self, coroutine: Coroutine[Any, Any, _T]) -> _T:
        return self._drive(coroutine, queue.SimpleQueue(), None, [])

    def _drive(
        self,
        coroutine: Coroutine[Any, Any, _T],
        inbox: queue.SimpleQueue[Any],
        progress: Callable[[Progress], None] | None,
        jobs: list[Job],
    ) -> _T:
        """Run on the background loop; wait here, so that Ctrl-C and callbacks are here."""
        box: list[asyncio.Task[Any]] = []

        async def boxed() -> _T:
            task = asyncio.current_task()
            if task is not None:
                box.append(task)
            return await coroutine

        loop = background_loop()
        future = loop.submit(boxed())
        future.add_done_callback(lambda _: inbox.put(None))
        try:
            _drain(inbox, progress)
        except BaseException as reason:
            loop.loop.call_soon_threadsafe(lambda: [task.cancel() for task in box])
            if not future.done():
                logger.warning(
                    "Interrupted. What is being sent is finished first; interrupt again to leave "
                    "at once."
                )  # fmt: skip
            try:
                _drain(inbox, None)
            except KeyboardInterrupt:
                raise KeyboardInterrupt(_farewell(jobs, self.ledger, at_once=True)) from None
            message = _farewell(jobs, self.ledger, at_once=False)
            _retrieve(future)
            self._count(jobs)
            if isinstance(reason, KeyboardInterrupt):
                raise KeyboardInterrupt(message) from None
            reason.add_note(message)
            raise
        return future.result()

    def _count(self, jobs: list[Job]) -> None:
        with self._counting:
            for job in jobs:
                self._traffic.add(job.traffic)
                self._adopted += job.sent == 0 and bool(job.job_ids)
                self._billed_usd += job.cost_usd or 0.0 if job.sent else 0.0
                self._submit_s += job.submit_s or 0.0
                self._jobs += min(job.sent, len(job.job_ids))
                self._sent_circuits += len(job.request.circuits) if job.sent else 0

    def _results(self, jobs: list[Job], done: list[JobResult | BaseException]) -> list[JobResult]:
        from pennylane_qstore.ionq.job import JobResult

        results = [end if isinstance(end, JobResult) else None for end in done]
        errors = {i: end for i, end in enumerate(done) if isinstance(end, BaseException)}
        if not errors:
            return [result for result in results if result is not None]
        for end in errors.values():
            if not isinstance(end, QStoreError):
                raise end
        # Money first: that a job may exist unseen must not hide behind another failure.
        index, first = min(
            errors.items(), key=lambda item: (not isinstance(item[1], AmbiguousSubmission), item[0])
        )
        assert isinstance(first, QStoreError)  # noqa: S101  (all are, as seen above)
        more = f" ({len(errors)} of {len(jobs)} jobs failed.)" if len(jobs) > 1 else ""
        hint = " Fetch it later with `qstore resume`." if isinstance(first, JobTimeout) else ""
        partial = first.details.get("partial")
        if partial is not None:
            results[index] = partial
        ids = [job_id for job in jobs for job_id in job.job_ids]
        details = {
            **first.details,
            "results": results,
            "failed": sorted(errors),
            "errors": [errors.get(i) for i in range(len(jobs))],
        }
        raise type(first)(f"{first}{more}{hint}", job_ids=ids or first.job_ids, **details) from None


def _drain(inbox: queue.SimpleQueue[Any], progress: Callable[[Progress], None] | None) -> None:
    while True:
        try:
            # With a time limit, since Windows does not interrupt a wait without one.
            event = inbox.get(timeout=1.0)
        except queue.Empty:
            continue
        if event is None:
            return
        if progress is not None:
            progress(event)


def _retrieve(future: Future[Any]) -> None:
    """Look at the end of a future nobody waits for, or it is reported as never looked at."""
    if not future.cancelled() and (error := future.exception()) is not None:
        logger.debug("The interrupted call ended with %s.", error)


def _farewell(jobs: list[Job], ledger: Ledger, *, at_once: bool) -> str:
    ids = [job_id for job in jobs for job_id in job.job_ids if job.state not in ("completed",)]
    parts = ["Interrupted."]
    if at_once:
        parts.append("A POST may have been cut off; the ledger knows and will look for its job.")
    if ids:
        parts.append(
            f"In flight: {', '.join(ids)}. Run the same command again or `qstore resume` to get "
            f"the results, `qstore jobs cancel {ids[0]}` to cancel."
        )
    if ledger.path is None and ids:
        parts.append("The ledger is in memory and ends with this process.")
    return " ".join(parts)


def _open_ledger(
    ledger: Ledger | str | os.PathLike[str] | None, is_loopback: bool, clock: Clock
) -> Ledger:
    if isinstance(ledger, Ledger):
        return ledger
    if ledger is not None:
        return Ledger(ledger, now=clock.now)
    if is_loopback:
        return Ledger(now=clock.now)
    from pennylane_qstore.ionq.ledger_file import default_path

    return Ledger(default_path(), now=clock.now)


def _key(key: JobKey | tuple[str, int, int]) -> JobKey:
    run, step, chunk = key
    if not isinstance(run, str) or not run:
        raise ConfigurationError(f"A key is (run name, step, chunk); got {tuple(key)!r}.")
    return JobKey(run, int(step), int(chunk))


def _positive(value: float, name: str) -> float:
    if isinstance(value, bool) or not (math.isfinite(value) and value > 0):
        raise ConfigurationError(f"{name} must be a positive number of seconds; got {value!r}.")
    return float(value)


def _positive_int(value: int, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigurationError(f"{name} must be an int >= 1; got {value!r}.")
    return value


def _nobody(_progress: Progress) -> None:
    """Nobody listens."""
