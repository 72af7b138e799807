"""What was measured: where the time of a batch went, what it sent and what it cost."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from pennylane_qstore.execution.report import Measured

PHASES = ("structure", "compile", "bind", "encode", "service", "results")
"""Parts of a batch, in order: ``service`` is everything from the POST to the results."""
STRETCHES = ("build", "bind", "encode", "start", "submit", "queue", "run", "fetch", "results")
"""The same, with the service's time divided. ``start`` is what comes before the first POST (once
a process: making the client, starting the embedded emulator). ``queue`` and ``run`` are the
service's figures of the job that took longest (of all jobs, where they were sent one after
another); ``fetch`` is what remains: noticing that it is done, and bringing the results."""

_REMEMBERED = 10_000  # batches whose distribution is known
_COUNTED = ("retries", "reconciled", "bytes_sent", "bytes_received")  # by the client
_CLIENT = (*_COUNTED, "connection_reuse_rate")
_OF_JOBS = ("jobs", "circuits", "gates", "requests", "polls", "queue_s", "run_s", "cost_usd")


class Stats:
    """Counters of one device; thread-safe.

    Args:
        cache: the template cache's figures.
        client: the client's figures.
    """

    def __init__(
        self,
        *,
        cache: Callable[[], Mapping[str, Any]] = dict,
        client: Callable[[], Mapping[str, Any]] = dict,
    ) -> None:
        self._cache, self._client = cache, client
        self._looks = _looks(cache())  # others may have used the cache before
        self._lock = threading.Lock()
        self._now = threading.local()  # the batch that this thread is at
        self._seconds = dict.fromkeys(PHASES, 0.0)
        self._stretches = dict.fromkeys(STRETCHES, 0.0)
        self._totals = dict.fromkeys(
            (
                *("batches", "executions", "circuits", "operations", "gates"),
                *("jobs", "requests", "polls"),
            ),
            0,
        )
        self._queue_s = self._run_s = self._cost_usd = self._in_flight_s = 0.0
        self._batches: deque[dict[str, float]] = deque(maxlen=_REMEMBERED)
        self.job_ids: deque[str] = deque(maxlen=_REMEMBERED)
        self.last: dict[str, Any] = {}
        self._counted = dict.fromkeys(_COUNTED, 0)  # up to the last batch

    def timer(self, phase: str) -> contextlib.AbstractContextManager[None]:
        """Adds the time spent inside to a phase."""
        if phase == PHASES[0]:  # what a batch that failed left behind
            self._now.__dict__.clear()
        return _Timer(self, phase)

    def _took(self, phase: str, seconds: float) -> None:
        self._spend("build" if phase in ("structure", "compile") else phase, seconds)
        with self._lock:
            self._seconds[phase] += seconds

    def record_jobs(
        self,
        jobs: Sequence[Any],
        requests: Sequence[Any],
        circuits_by_tape: Sequence[int],
        seconds: float,
        *,
        sequential: bool = False,
        job_of_tape: Sequence[int] = (),
    ) -> None:
        """Count the jobs of one batch.

        Args:
            jobs: results, as the client gives them.
            requests: one per job.
            circuits_by_tape: rows of each tape.
            seconds: from the first POST to the last result.
            sequential: whether each job waited for the one before it.
            job_of_tape: for each tape, which request has its first circuit.
        """
        ids = [job_id for job in jobs for job_id in (job.job_ids or (job.job_id,))]
        sizes = [len(request.circuits) for request in requests]
        last = {
            "circuits_by_tape": list(circuits_by_tape),
            "jobs": len(ids),
            "job_ids": ids,
            "jobs_of_tapes": [(jobs[i].job_id, jobs[i].run_s) for i in job_of_tape],
            "circuits": sum(sizes),
            "gates": sum(request.gate_counts for request in requests),
            "requests": sum(job.requests for job in jobs),
            "polls": sum(job.polls for job in jobs),
            "queue_s": sum(job.queue_s or 0.0 for job in jobs),
            "run_s": sum(job.run_s or 0.0 for job in jobs),
            "cost_usd": sum(job.cost_usd or 0.0 for job in jobs),
            "seconds": seconds,
        }
        for name, took in _service_stretches(jobs, seconds, sequential).items():
            self._spend(name, took)
        self._spend("service", seconds)
        self._spend("circuits", float(last["circuits"]))
        in_flight_s = sum(n * min(job.total_s, seconds) for n, job in zip(sizes, jobs, strict=True))
        client = self._client()
        counted = {name: client.get(name, 0) for name in _COUNTED}
        with self._lock:
            last.update({name: counted[name] - self._counted[name] for name in _COUNTED})
            self._counted = counted
            self._seconds["service"] += seconds
            for name in ("jobs", "circuits", "gates", "requests", "polls"):
                self._totals[name] += last[name]
            self._queue_s += last["queue_s"]
            self._run_s += last["run_s"]
            self._cost_usd += last["cost_usd"]
            self._in_flight_s += in_flight_s
            self.job_ids.extend(ids)
            self.last = last

    def record_requests(self, count: int) -> None:
        """Count HTTP requests made after the results of the last jobs were there."""
        with self._lock:
            self.last["requests"] += count
            self._totals["requests"] += count

    def record_batch(self, executions: int, operations: int = 0) -> None:
        """Count one batch, which is over.

        Args:
            executions: tapes.
            operations: gates of these tapes, for each circuit they became.
        """
        batch = dict(self._now.__dict__)
        self._now.__dict__.clear()
        with self._lock:
            self._totals["batches"] += 1
            self._totals["executions"] += executions
            self._totals["operations"] += operations
            for name in STRETCHES:
                self._stretches[name] += batch.get(name, 0.0)
            self._batches.append(batch)

    def count(self, name: str) -> int:
        """One of the totals; quicker than all of :meth:`as_dict`."""
        return self._totals[name]

    def increments(self) -> dict[str, float]:
        """What the last batch added, for a ``qml.Tracker``: jobs, requests, bytes, times, cost."""
        return {name: self.last[name] for name in (*_OF_JOBS, *_COUNTED)}

    def totals(self) -> dict[str, float]:
        """The totals, ``queue_s``, ``run_s`` and ``cost_usd`` among them; quick."""
        with self._lock:
            times = {"queue_s": self._queue_s, "run_s": self._run_s, "cost_usd": self._cost_usd}
            return {**self._totals, **times}

    def as_dict(self) -> Measured:
        """Everything, as it stands now.

        Returns:
            A dictionary that also prints, shows and draws itself. Beside the totals:

            - ``batch_submission_time_ms``, ``batch_execution_time_ms`` (from the first POST to
              the last result), ``circuit_build_time_ms`` (structures and templates),
              ``parameter_bind_time_ms``: medians over batches; ``distribution`` has mean,
              median, 90th and 99th percentile and maximum of these and of every stretch.
            - ``circuits_per_second`` (also as ``throughput_circuits_per_sec``): circuits over
              the time of all batches, preparation and results included.
            - ``effective_parallelization``: how many circuits were in flight on average: 1 for
              one after another, 20 for a job of 20.
            - ``cache_hit_rate`` (0 to 1, since the device was made), ``cache_memory_mb``,
              ``circuit_cache``: of the cache, which devices may share.
            - ``operations``: gates before compilation; ``gates``: gates sent.
            - ``api_calls_saved``: POSTs that one job per circuit would have taken more;
              ``connection_reuse_rate`` (0 to 1), ``retries``, ``bytes_sent``, ...
            - ``queue_s``, ``run_s``: of all jobs; ``cost_usd``: billed.
            - ``seconds``: by phase; ``breakdown_s``: by stretch, over all batches.
        """
        with self._lock:
            totals = dict(self._totals)
            seconds, stretches = dict(self._seconds), dict(self._stretches)
            batches = list(self._batches)
            sums = {
                "queue_s": self._queue_s,
                "run_s": self._run_s,
                "cost_usd": self._cost_usd,
            }
            in_flight_s = self._in_flight_s
        cache, client = dict(self._cache()), dict(self._client())
        looks = _looks(cache)
        distribution = _distribution(batches)
        spent_s, service_s = sum(seconds.values()), seconds["service"]
        rate = totals["circuits"] / spent_s if spent_s else 0.0
        return Measured(
            {
                **totals,
                **sums,
                "batch_submission_time_ms": distribution["submit"]["median"],
                "batch_execution_time_ms": distribution["service"]["median"],
                "circuit_build_time_ms": distribution["build"]["median"],
                "parameter_bind_time_ms": distribution["bind"]["median"],
                "circuits_per_second": rate,
                "throughput_circuits_per_sec": rate,
                "effective_parallelization": in_flight_s / service_s if service_s else 0.0,
                "cache_hit_rate": _rate(*(b - a for a, b in zip(self._looks, looks, strict=True))),
                "cache_memory_mb": cache.get("estimated_memory_kb", 0.0) / 1e3,
                "api_calls_saved": max(totals["circuits"] - totals["jobs"], 0),
                **{name: client.get(name, 0) for name in _CLIENT},
                "seconds": seconds,
                "breakdown_s": stretches,
                "distribution": distribution,
                "circuit_cache": cache,
            }
        )

    def _spend(self, name: str, seconds: float) -> None:
        now = self._now.__dict__
        now[name] = now.get(name, 0.0) + seconds


class _Timer:
    """One stretch of time; a class, since it stands several times in every call."""

    __slots__ = ("_phase", "_start", "_stats")

    def __init__(self, stats: Stats, phase: str) -> None:
        self._stats, self._phase = stats, phase

    def __enter__(self) -> None:
        self._start = time.perf_counter()

    def __exit__(self, *error: object) -> None:
        self._stats._took(self._phase, time.perf_counter() - self._start)


def _service_stretches(jobs: Sequence[Any], seconds: float, sequential: bool) -> dict[str, float]:
    """Where the time between POST and results went; adds up to ``seconds``."""
    if not jobs:
        return {}
    path = jobs if sequential else [max(jobs, key=lambda job: job.total_s)]
    left = min(sum(job.total_s for job in path), seconds)
    spent = {"start": seconds - left}
    for name in ("submit", "run", "queue"):
        # The service's clock is not ours: its figures never make more than what we measured.
        spent[name] = min(sum(getattr(job, f"{name}_s") or 0.0 for job in path), left)
        left -= spent[name]
    return {**spent, "fetch": left}


def _looks(cache: Mapping[str, Any]) -> tuple[int, int]:
    """Hits and misses."""
    return cache.get("template_hits", 0), cache.get("template_misses", 0)


def _rate(hits: int, misses: int) -> float:
    return hits / (hits + misses) if hits + misses else 0.0


def _distribution(batches: Sequence[Mapping[str, float]]) -> dict[str, dict[str, float]]:
    """Of each stretch and of the service's time, in ms."""
    out = {}
    for name in (*STRETCHES, "service"):
        values = 1e3 * np.array([batch.get(name, 0.0) for batch in batches] or [0.0])
        median, p90, p99 = np.percentile(values, [50, 90, 99])
        out[name] = {
            "mean": float(values.mean()),
            "median": float(median),
            "p90": float(p90),
            "p99": float(p99),
            "max": float(values.max()),
        }
    return out
