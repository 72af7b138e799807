"""``PerformanceTracker``: the figures of a run by step and by epoch, under Q-Store's names."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np


@dataclass(frozen=True, slots=True)
class BatchMetrics:
    """One step; ``time_ms`` is its duration, ``cache_hit_rate`` is 0 to 1 or None."""

    batch_idx: int
    epoch: int
    loss: float
    gradient_norm: float
    n_circuits: int
    time_ms: float
    learning_rate: float
    cache_hit_rate: float | None
    method_used: str | None


@dataclass(frozen=True, slots=True)
class EpochMetrics:
    """One epoch: means and sums over its steps."""

    epoch: int
    avg_loss: float
    avg_gradient_norm: float
    n_batches: int
    n_circuits: int
    time_ms: float


class PerformanceTracker:
    """Collect the figures of steps.

    Args:
        log_dir: folder for ``batch_metrics.json``, ``epoch_metrics.json`` and
            ``statistics.json``; None writes nothing.
        save_interval: steps between writes.
    """

    def __init__(self, log_dir: str | Path | None = None, save_interval: int = 10) -> None:
        self.log_dir = None if log_dir is None else Path(log_dir)
        self.save_interval = save_interval
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self.batches: list[BatchMetrics] = []
        self.epochs: list[EpochMetrics] = []
        self._started = time.perf_counter()

    def log_batch(
        self,
        batch_idx: int,
        epoch: int,
        loss: float,
        gradient_norm: float,
        n_circuits: int,
        time_ms: float,
        learning_rate: float,
        cache_stats: Mapping[str, Any] | None = None,
        method_used: str | None = None,
    ) -> None:
        """Note a step.

        Args:
            batch_idx: number of the step, from 0.
            epoch: number of its epoch.
            loss: before the step.
            gradient_norm: Euclidean.
            n_circuits: circuits it executed.
            time_ms: duration of the step.
            learning_rate: of the step.
            cache_stats: of :meth:`SmartCircuitCache.get_stats`.
            method_used: name of the gradient method.
        """
        rate = None if cache_stats is None else float(cache_stats["template_hit_rate"])
        self.batches.append(
            BatchMetrics(
                batch_idx, epoch, float(loss), float(gradient_norm), int(n_circuits),
                float(time_ms), float(learning_rate), rate, method_used,
            )
        )  # fmt: skip
        if self.log_dir is not None and len(self.batches) % self.save_interval == 0:
            self.save()

    def log_epoch(self, epoch: int) -> None:
        """Sum up the steps of an epoch."""
        steps = [b for b in self.batches if b.epoch == epoch]
        if not steps:
            return
        self.epochs.append(
            EpochMetrics(
                epoch,
                float(np.mean([b.loss for b in steps])),
                float(np.mean([b.gradient_norm for b in steps])),
                len(steps),
                sum(b.n_circuits for b in steps),
                sum(b.time_ms for b in steps),
            )
        )

    def get_statistics(self) -> dict[str, Any]:
        """Return figures over all steps; empty before the first.

        ``circuits_per_second`` and ``ms_per_circuit`` count the time of the steps;
        ``total_runtime_s`` is since the tracker was made.
        """
        if not self.batches:
            return {}
        losses = [b.loss for b in self.batches]
        time_ms = sum(b.time_ms for b in self.batches)
        circuits = sum(b.n_circuits for b in self.batches)
        rates = [b.cache_hit_rate for b in self.batches if b.cache_hit_rate is not None]
        figures = {
            "total_batches": len(self.batches),
            "total_epochs": len(self.epochs),
            "total_circuits": circuits,
            "total_time_ms": time_ms,
            "total_runtime_s": time.perf_counter() - self._started,
            "final_loss": losses[-1],
            "min_loss": min(losses),
            "max_loss": max(losses),
            "avg_loss": float(np.mean(losses)),
            "avg_batch_time_ms": time_ms / len(self.batches),
            "median_batch_time_ms": float(np.median([b.time_ms for b in self.batches])),
            "total_batch_time_s": time_ms / 1e3,
            "avg_circuits_per_batch": circuits / len(self.batches),
            "circuits_per_second": 1e3 * circuits / time_ms if time_ms else 0.0,
            "ms_per_circuit": time_ms / circuits if circuits else 0.0,
        }
        if rates:
            # A cache's rate is over its life: the last one counts every look.
            figures["avg_cache_hit_rate"] = rates[-1]
        return figures

    def estimate_speedup(
        self, baseline_circuits_per_batch: int = 96, baseline_batch_time_ms: float | None = None
    ) -> dict[str, Any]:
        """Compare a step with a baseline's.

        Args:
            baseline_circuits_per_batch: circuits of its step (96: parameter shift in v3.2).
            baseline_batch_time_ms: its measured duration.

        Returns:
            ``circuit_reduction``, and ``time_speedup``: None without a measured duration. A
            speed-up that follows from the number of circuits alone would be no measurement.
        """
        figures = self.get_statistics()
        if not figures:
            return {}
        circuits, took = figures["avg_circuits_per_batch"], figures["avg_batch_time_ms"]
        known = baseline_batch_time_ms is not None and took > 0
        return {
            "baseline_circuits_per_batch": baseline_circuits_per_batch,
            "avg_circuits_per_batch": circuits,
            "circuit_reduction": baseline_circuits_per_batch / circuits if circuits else None,
            "time_speedup": baseline_batch_time_ms / took if known else None,
        }

    def get_convergence_data(self) -> dict[str, list[float]]:
        """Return loss, gradient norm, time and learning rate by step."""
        names = ("batch_idx", "epoch", "loss", "gradient_norm", "time_ms", "learning_rate")
        return {name: [getattr(b, name) for b in self.batches] for name in names}

    def identify_bottlenecks(self) -> list[str]:
        """Return notes on slow steps, cache misses and throughput; empty if there is none."""
        figures = self.get_statistics()
        if not figures:
            return []
        notes = []
        times = np.array([b.time_ms for b in self.batches])
        median = float(np.median(times))
        slow = int(np.sum(times > 3 * median))
        if slow:
            notes.append(f"{slow} of {len(times)} steps took over three times the median.")
        if figures.get("avg_cache_hit_rate", 1.0) < 0.8:
            rate = figures["avg_cache_hit_rate"]
            notes.append(f"{rate:.0%} of templates were found in the cache; 80 % is usual.")
        if 0 < figures["circuits_per_second"] < 1:
            notes.append(
                f"{figures['circuits_per_second']:.2f} circuits per second: use_batch_api?"
            )
        return notes

    def save(self) -> None:
        """Write the three files now."""
        if self.log_dir is None:
            return
        self.log_dir.mkdir(parents=True, exist_ok=True)
        files = {
            "batch_metrics.json": [asdict(b) for b in self.batches],
            "epoch_metrics.json": [asdict(e) for e in self.epochs],
            "statistics.json": self.get_statistics(),
        }
        for name, content in files.items():
            (self.log_dir / name).write_text(json.dumps(content, indent=1), encoding="utf-8")
