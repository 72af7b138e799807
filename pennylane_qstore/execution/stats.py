"""The tally of a device: one record per batch, from which every sum is derived."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, NamedTuple

from pennylane_qstore.execution.report import StatsReport, quantiles
from pennylane_qstore.prices import JobSize

if TYPE_CHECKING:
    from pennylane_qstore.ionq.jobs.request_runner import JobResult
    from pennylane_qstore.ionq.messages.job_request import JobRequest

STAGES = ("build", "bind", "encode", "start", "submit", "queue", "run", "fetch", "results")
"""Parts of a batch, in order. ``build`` makes structures and templates. ``start`` is what comes
before the first POST (once a process: making the client, starting the embedded emulator).
``queue`` and ``run`` are the service's figures of the job that took longest (of all jobs, where
they were sent one after another); ``fetch`` is what remains: noticing that it is done, and
bringing the results."""

PHASES = ("structure", "compile", "bind", "encode", "service", "results")
"""Parts of a batch as its meter takes them: ``service`` is all from the POST to the results."""

_JOINED = {"build": ("structure", "compile"), "service": STAGES[3:8]}
_REMEMBERED = 10_000  # batches whose distribution is known
_CLIENT_COUNTERS = ("retries", "reconciled", "bytes_sent", "bytes_received")
_SUMMED = {"requests": 0, "polls": 0, "queue_s": 0.0, "run_s": 0.0, "cost_usd": 0.0}
"""Sums over the results of jobs, by the zero from which they count."""
_JOB_COUNTERS = ("jobs", "circuits", "gates", *_SUMMED)
_TOTALS = ("batches", "executions", "operations", *_JOB_COUNTERS)
_ZEROS = {**dict.fromkeys(_TOTALS, 0), **_SUMMED, "spent_usd": 0.0, "circuit_s": 0.0}


class BatchRecord(NamedTuple):
    """Time, requests and money of one batch.

    Attributes:
        batches: 1, or 0 for a batch that failed: its jobs count all the same.
        executions: tapes.
        operations: gates before compilation, summed over circuits.
        circuits_by_tape: circuits of each tape.
        tape_jobs: id of each tape's job and its seconds on the machine.
        job_ids: every job that contributed.
        jobs, circuits, gates, requests, polls: sums over jobs; ``gates`` are those sent,
            ``requests`` HTTP requests, ``polls`` the looks at jobs among them.
        queue_s, run_s: seconds waiting and running at the service, summed over jobs.
        circuit_s: seconds in flight, summed over circuits.
        cost_usd: billed, in US dollars.
        spent_usd: billed, or estimated where the bill is not known.
        sizes: size of each job, from which a price list tells what it would cost.
        client: retries, reconciled jobs and bytes of the client during the batch.
        seconds: by stage, with ``build`` divided into ``structure`` and ``compile``.
    """

    batches: int
    executions: int
    operations: int
    circuits_by_tape: Sequence[int]
    tape_jobs: Sequence[tuple[str, float | None]]
    job_ids: tuple[str, ...]
    jobs: int
    circuits: int
    gates: int
    requests: int
    polls: int
    queue_s: float
    run_s: float
    circuit_s: float
    cost_usd: float
    spent_usd: float
    sizes: tuple[JobSize, ...]
    client: Mapping[str, int]
    seconds: Mapping[str, float]

    def increments(self) -> dict[str, float]:
        """Return the batch's counters, times and cost for a ``qml.Tracker``."""
        return {**{name: getattr(self, name) for name in _JOB_COUNTERS}, **self.client}

    def stage_s(self, stage: str) -> float:
        """Return the seconds of one of :data:`STAGES` or :data:`PHASES`."""
        return _sum_of(self.seconds, stage)


class BatchMeter:
    """Measurements of the batch that is being executed; belongs to one thread.

    Args:
        sequential: each job waits for the one before it.
    """

    __slots__ = (
        "jobs", "number", "numbers", "requests", "seconds", "sequential", "sizes", "spent_usd",
    )  # fmt: skip

    def __init__(self, *, sequential: bool = False) -> None:
        self.sequential = sequential
        self.number: int | None = None  # in its run, of the batch that is being sent
        self.numbers: list[int] = []  # of what was sent
        self.jobs: list[JobResult] = []
        self.sizes: list[JobSize] = []
        self.requests = 0  # HTTP requests beside those of the jobs
        self.seconds: dict[str, float] = {}
        self.spent_usd = 0.0
        """Billed so far; estimated where the bill is not known."""

    def stage(self, name: str) -> AbstractContextManager[None]:
        """Add the seconds spent inside to a stage; ``service`` is divided later."""
        return _Stopwatch(self.seconds, name)

    def count(self, job: JobResult, request: JobRequest, estimate_usd: float | None) -> None:
        """Count a job that has results.

        Args:
            job: the results.
            request: its request.
            estimate_usd: expected price in US dollars, used if the bill is not known.
        """
        self.jobs.append(job)
        self.sizes.append(request.size)
        self.spent_usd += estimate_usd or 0.0 if job.cost_usd is None else job.cost_usd

    def record(
        self,
        *,
        complete: bool = True,
        operations: int = 0,
        circuits_by_tape: Sequence[int] = (),
        tape_jobs: Sequence[tuple[str, float | None]] = (),
        client: Mapping[str, int] | None = None,
    ) -> BatchRecord:
        """Return the record of the batch, which is over.

        Args:
            complete: whether the batch has all its results.
            operations: gates before compilation, summed over circuits.
            circuits_by_tape: circuits of each tape.
            tape_jobs: id of each tape's job and its seconds on the machine.
            client: counters of the client during the batch.

        Returns:
            The record.
        """
        jobs, seconds = self.jobs, dict(self.seconds)
        service_s = seconds.pop("service", 0.0)
        if complete or jobs:
            seconds.update(_service_stages(jobs, service_s, self.sequential))
        ids = [job_id for job in jobs for job_id in (job.job_ids or (job.job_id,))]
        sums: dict[str, Any] = {
            name: sum([getattr(job, name) or 0 for job in jobs], zero)
            for name, zero in _SUMMED.items()
        }
        sums["requests"] += self.requests
        return BatchRecord(
            batches=int(complete),
            executions=len(circuits_by_tape),
            operations=operations,
            circuits_by_tape=circuits_by_tape,
            tape_jobs=tape_jobs,
            job_ids=tuple(ids),
            jobs=len(ids),
            circuits=sum(size.circuits for size in self.sizes),
            gates=sum(int(size.n_1q + size.n_2q) for size in self.sizes),
            sizes=tuple(self.sizes),
            circuit_s=sum(
                size.circuits * min(job.total_s, service_s)
                for size, job in zip(self.sizes, jobs, strict=True)
            ),
            spent_usd=self.spent_usd,
            client=client or {},
            seconds=seconds,
            **sums,
        )


class Stats:
    """The records of one device and their sums; thread-safe.

    Args:
        cache: statistics of the template cache as the device found it.
    """

    def __init__(self, cache: Mapping[str, Any] | None = None) -> None:
        self._lookups = _lookups(cache or {})  # others may have used the cache before
        self._lock = threading.Lock()
        self._records: deque[BatchRecord] = deque(maxlen=_REMEMBERED)
        self._sizes: list[JobSize] = []
        self._sums: dict[str, float] = dict(_ZEROS)
        self._seconds: tuple[dict[str, float], ...] = ({}, {})  # of failed and complete batches
        self._client: Mapping[str, int] = {}

    @property
    def last(self) -> BatchRecord:
        """The last batch's record; an empty one before the first batch."""
        return self._records[-1] if self._records else BatchMeter().record(complete=False)

    @property
    def spent_usd(self) -> float:
        """Billed by all batches, in US dollars; estimated where the bill is not known."""
        return self._sums["spent_usd"]

    @spent_usd.setter
    def spent_usd(self, usd: float) -> None:
        self._sums["spent_usd"] = usd

    def add(
        self, meter: BatchMeter, client: Mapping[str, Any] | None = None, **known: Any
    ) -> BatchRecord:
        """Add a batch.

        Args:
            meter: its measurements.
            client: the client's counters as they stand now.
            **known: further arguments of :meth:`BatchMeter.record`.

        Returns:
            Its record.
        """
        now = {name: (client or {}).get(name, 0) for name in _CLIENT_COUNTERS}
        with self._lock:
            during = {name: value - self._client.get(name, 0) for name, value in now.items()}
            record = meter.record(client=during, **known)
            self._client = now
            self._records.append(record)
            self._sizes += record.sizes
            for name in _ZEROS:
                self._sums[name] += getattr(record, name)
            total_s = self._seconds[record.batches]
            for name, seconds in record.seconds.items():
                total_s[name] = total_s.get(name, 0.0) + seconds
        return record

    def totals(self) -> dict[str, float]:
        """Return the sums over all batches: counters, seconds, US dollars."""
        with self._lock:
            return {name: self._sums[name] for name in _TOTALS} | {"sizes": len(self._sizes)}

    def job_sizes(self, since: int = 0) -> tuple[JobSize, ...]:
        """Return the sizes of the jobs that have results, in order, without the first ``since``."""
        with self._lock:
            return tuple(self._sizes[since:])

    def as_dict(
        self, cache: Mapping[str, Any] | None = None, client: Mapping[str, Any] | None = None
    ) -> StatsReport:
        """Return everything, as it stands now.

        Args:
            cache: statistics of the template cache.
            client: statistics of the client.

        Returns:
            A dictionary that also prints, shows and draws itself. Beside the totals:

            - ``batch_submission_time_ms``, ``batch_execution_time_ms`` (POST to results),
              ``circuit_build_time_ms``, ``parameter_bind_time_ms``: medians over batches;
              ``distribution``: statistics of every stage, in ms.
            - ``circuits_per_second``, ``throughput_circuits_per_sec``: from tapes to results.
            - ``effective_parallelization``: circuits in flight on average (20 for a job of 20).
            - ``cache_hit_rate`` (0 to 1, since the device was made), ``cache_memory_mb``,
              ``circuit_cache``: of the cache, which devices may share.
            - ``operations``: gates before compilation; ``gates``: gates sent.
            - ``api_calls_saved``: POSTs that one job per circuit would have taken more;
              ``connection_reuse_rate`` (0 to 1), ``retries``, ``bytes_sent``, ...
            - ``queue_s``, ``run_s``: of all jobs; ``cost_usd``: billed; ``seconds``: by phase
              (``service``: from the POST to the results); ``breakdown_s``: by stage.
        """
        cache, client = cache or {}, client or {}
        with self._lock:
            sums = dict(self._sums)
            records = [record for record in self._records if record.batches]
            seconds = {p: sum(_sum_of(kept, p) for kept in self._seconds) for p in PHASES}
            stages = {stage: _sum_of(self._seconds[True], stage) for stage in STAGES}
        distribution = _distribution(records)
        spent_s, service_s = sum(seconds.values()), seconds["service"]
        circuit_s = sums.pop("circuit_s")
        rate = sums["circuits"] / spent_s if spent_s else 0.0
        hits, misses = (b - a for a, b in zip(self._lookups, _lookups(cache), strict=True))
        return StatsReport(
            {
                **sums,
                "batch_submission_time_ms": distribution["submit"]["median"],
                "batch_execution_time_ms": distribution["service"]["median"],
                "circuit_build_time_ms": distribution["build"]["median"],
                "parameter_bind_time_ms": distribution["bind"]["median"],
                "circuits_per_second": rate,
                "throughput_circuits_per_sec": rate,
                "effective_parallelization": circuit_s / service_s if service_s else 0.0,
                "cache_hit_rate": hits / (hits + misses) if hits + misses else 0.0,
                "cache_memory_mb": cache.get("estimated_memory_kb", 0.0) / 1e3,
                "api_calls_saved": max(sums["circuits"] - sums["jobs"], 0),
                **{name: client.get(name, 0) for name in _CLIENT_COUNTERS},
                "connection_reuse_rate": client.get("connection_reuse_rate", 0),
                "seconds": seconds,
                "breakdown_s": stages,
                "distribution": distribution,
                "circuit_cache": dict(cache),
            }
        )


class _Stopwatch:
    """One stretch of time; a class, since it stands several times in every call."""

    __slots__ = ("_name", "_seconds", "_start")

    def __init__(self, seconds: dict[str, float], name: str) -> None:
        self._seconds, self._name = seconds, name

    def __enter__(self) -> None:
        self._start = time.perf_counter()

    def __exit__(self, *error: object) -> None:
        spent_s = time.perf_counter() - self._start
        self._seconds[self._name] = self._seconds.get(self._name, 0.0) + spent_s


def _service_stages(
    jobs: Sequence[JobResult], seconds: float, sequential: bool
) -> dict[str, float]:
    """Divide the time between POST and results; the parts add up to ``seconds``."""
    if not jobs:
        return {"start": seconds}
    path = jobs if sequential else [max(jobs, key=lambda job: job.total_s)]
    left = min(sum(job.total_s for job in path), seconds)
    spent = {"start": seconds - left}
    for name in ("submit", "run", "queue"):
        # The service's clock is not ours: its figures never make more than what we measured.
        spent[name] = min(sum(getattr(job, f"{name}_s") or 0.0 for job in path), left)
        left -= spent[name]
    return {**spent, "fetch": left}


def _sum_of(seconds: Mapping[str, float], stage: str) -> float:
    return sum([seconds.get(part, 0.0) for part in _JOINED.get(stage, (stage,))])


def _lookups(cache: Mapping[str, Any]) -> tuple[int, int]:
    """Return hits and misses."""
    return cache.get("template_hits", 0), cache.get("template_misses", 0)


def _distribution(records: Sequence[BatchRecord]) -> dict[str, dict[str, float]]:
    """Return statistics of each stage and of the service's time, in ms."""
    stages = (*STAGES, "service")
    return {s: quantiles([1e3 * record.stage_s(s) for record in records]) for s in stages}
