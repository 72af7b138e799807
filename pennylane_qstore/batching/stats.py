"""What was measured: where the time of a batch went, and what it sent."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

PHASES = ("structure", "compile", "bind", "encode", "service", "results")
"""Parts of a batch, in order: ``service`` is everything from the POST to the results."""


class Stats:
    """Counters of one device; thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seconds = dict.fromkeys(PHASES, 0.0)
        self._totals = {
            "batches": 0,
            "executions": 0,
            "circuits": 0,
            "jobs": 0,
            "requests": 0,
            "polls": 0,
        }
        self._queue_s = self._run_s = self._cost_usd = 0.0
        self.job_ids: list[str] = []
        self.last: dict[str, Any] = {}

    @contextlib.contextmanager
    def timer(self, phase: str) -> Iterator[None]:
        """Adds the time spent inside to a phase."""
        start = time.perf_counter()
        try:
            yield
        finally:
            took = time.perf_counter() - start
            with self._lock:
                self._seconds[phase] += took

    def record_jobs(
        self,
        jobs: Sequence[Any],
        requests: Sequence[Any],
        circuits_by_tape: Sequence[int],
        seconds: float,
    ) -> None:
        """Count the jobs of one batch, which took ``seconds`` from POST to results."""
        last = {
            "circuits_by_tape": list(circuits_by_tape),
            "jobs": len(jobs),
            "job_ids": [job.job_id for job in jobs],
            "circuits": sum(len(r.circuits) for r in requests),
            "requests": sum(job.requests for job in jobs),
            "polls": sum(job.polls for job in jobs),
            "queue_s": sum(job.queue_s or 0.0 for job in jobs),
            "run_s": sum(job.run_s or 0.0 for job in jobs),
            "cost_usd": sum(job.cost_usd or 0.0 for job in jobs),
        }
        with self._lock:
            self._seconds["service"] += seconds
            for name in ("jobs", "circuits", "requests", "polls"):
                self._totals[name] += last[name]
            self._queue_s += last["queue_s"]
            self._run_s += last["run_s"]
            self._cost_usd += last["cost_usd"]
            self.job_ids += last["job_ids"]
            self.last = last

    def record_batch(self, executions: int) -> None:
        """Count one batch of ``executions`` tapes (rows counted)."""
        with self._lock:
            self._totals["batches"] += 1
            self._totals["executions"] += executions

    def as_dict(self) -> dict[str, Any]:
        """Totals, and seconds by phase."""
        with self._lock:
            return {
                **self._totals,
                "queue_s": self._queue_s,
                "run_s": self._run_s,
                "cost_usd": self._cost_usd,
                "seconds": dict(self._seconds),
            }
