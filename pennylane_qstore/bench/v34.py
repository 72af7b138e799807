"""Q-Store v3.4's performance table, measured again in one run.

The emulator takes the service times of that page (profile ``q-store``). Nothing here says how
fast IonQ is.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pennylane as qml
from pennylane.tape import QuantumScript

from pennylane_qstore.bench.text import aligned, how_waited, silent
from pennylane_qstore.device import IonQDevice
from pennylane_qstore.emulator import Emulator
from pennylane_qstore.emulator.service.latency import PROFILES
from pennylane_qstore.training.spsa import SPSAOptimizer
from pennylane_qstore.v34.config import TrainingConfig
from pennylane_qstore.validation import check_count, check_number

CIRCUITS, QUBITS, LAYERS, SHOTS = 20, 4, 3, 1000
EPOCH_BATCHES = 11
"""392 s an epoch and 35 s a batch, both of the page, are 11.2 batches."""

SEQUENTIAL, ONE_JOB = "v3.3.1, sequential", "all but adaptive sizing"
ALL_FEATURES = "all (enable_all_v34_features)"

_LEARNING, _LEARNT = 14, 4  # batches of the throughput policy; the last ones count
_QUICK = 5  # batches of variants that are not slow; the median counts
_REPEATS, _FEW = 30, 3  # of the preparation, which takes milliseconds, or more

BASELINE: Mapping[str, Any] = {
    "use_batch_api": False,
    "use_native_gates": False,
    "enable_smart_caching": False,
    "connection_pool_size": 1,
}
"""v3.3.1: one job per circuit, each after the one before, nothing compiled or kept."""
VARIANTS: Mapping[str, Mapping[str, Any]] = {
    SEQUENTIAL: BASELINE,
    "native gates alone": {**BASELINE, "use_native_gates": True},
    "caching alone": {**BASELINE, "enable_smart_caching": True},
    "connection pool alone": {**BASELINE, "connection_pool_size": 5},
    "batch API alone": {**BASELINE, "use_batch_api": True},
    ONE_JOB: {},
    ALL_FEATURES: {"enable_all_v34_features": True},
}
"""Fields of :class:`TrainingConfig` by variant."""
CLAIMS: Mapping[str, tuple[str, str]] = {
    "Batch of 20 circuits (s)": ("35", "3-5"),
    "Circuits per second": ("0.6", "5-8"),
    "Epoch (s)": ("392", "30-50"),
    "Five epochs (min)": ("32", "2.5-4"),
    "Preparing 20 circuits (s)": ("0.5", "0.05"),
}
"""The page's table: v3.3.1 and v3.4."""


class Row(NamedTuple):
    """One way of running circuits.

    Attributes:
        name: of the variant.
        circuits: in a batch.
        seconds: of a batch, in seconds of the profile.
        posts, requests: of a batch (the last one), as the emulator counts them.
        connections: opened in all.
        gates: sent for a batch.
    """

    name: str
    circuits: int
    seconds: float
    posts: int
    requests: int
    connections: int
    gates: int

    @property
    def rate(self) -> float:
        """Circuits per second."""
        return self.circuits / self.seconds


@dataclass(frozen=True, slots=True)
class V34Report:
    """Measurements of :func:`v34`.

    Attributes:
        scale: seconds that a second of the profile took.
        rows: batches of 20 circuits, and the last ones of a training step.
        one_job_s: seconds that the profile takes for one job of 20 circuits.
        epoch_s: seconds of an epoch of 11 batches, all features on.
        epochs: how many epochs were run; others are computed from them.
        prepare_s: seconds of preparation of 20 circuits: one by one, built anew in QIS gates;
            in one batch, in native gates from templates; and in one batch, compiled anew.
    """

    scale: float
    rows: tuple[Row, ...]
    one_job_s: float
    epoch_s: float
    epochs: int
    prepare_s: tuple[float, float, float]

    def row(self, name: str) -> Row:
        """Return a row by its name."""
        return next(row for row in self.rows if row.name == name)

    def table(self) -> list[tuple[str, ...]]:
        """Return rows of a metric, claimed for v3.3.1 and v3.4, measured for v3.3.1 and here."""
        before, now = self.row(SEQUENTIAL), self.row(ALL_FEATURES)
        sequential_s = EPOCH_BATCHES * before.seconds
        computed = "" if self.epochs >= 5 else " (5 x epoch)"
        measured = [
            (f"{before.seconds:.2f}", f"{now.seconds:.2f}"),
            (f"{before.rate:.2f}", f"{now.rate:.2f}"),
            (f"{sequential_s:.0f} (11 batches)", f"{self.epoch_s:.1f}"),
            (f"{sequential_s / 12:.1f} (55 batches)", f"{self.epoch_s / 12:.2f}{computed}"),
            (f"{self.prepare_s[0]:.4f}", f"{self.prepare_s[1]:.4f}"),
        ]
        return [
            (name, *claimed, *figures)
            for (name, claimed), figures in zip(CLAIMS.items(), measured, strict=True)
        ]

    def as_dict(self) -> dict[str, Any]:
        """Return everything, ready for JSON."""
        rows = [{**row._asdict(), "circuits_per_second": row.rate} for row in self.rows]
        return {**asdict(self), "rows": rows, "table": self.table(), "notes": self.notes()}

    def text(self) -> str:
        """Return everything, to read."""
        lines: list[tuple[str, ...]] = [("", "s", "circuits/s", "POSTs", "requests", "gates")]
        for r in self.rows:
            counts = (str(r.posts), str(r.requests), str(r.gates))
            lines.append((r.name, f"{r.seconds:.2f}", f"{r.rate:.2f}", *counts))
        header = ("", "claimed: v3.3.1", "v3.4", "measured: v3.3.1", "here")
        tables = [*aligned(lines), "", *aligned([header, *self.table()]), ""]
        return "\n".join(tables + [f"- {note}" for note in self.notes()])

    def notes(self) -> list[str]:
        """Return sentences about the figures, and about claims that do not hold."""
        before, one_job, now = map(self.row, (SEQUENTIAL, ONE_JOB, ALL_FEATURES))
        native = self.row("native gates alone")
        built_s, bound_s, fresh_s = self.prepare_s
        notes = [
            "Service times are those that Q-Store's page gives (an emulator waits for them); they "
            f"are no measurement of IonQ's service. They were {how_waited(self.scale)}.",
            f"One job of {CIRCUITS} circuits: {one_job.seconds:.3f} s, the profile's own time is "
            f"{self.one_job_s:.3f} s ({one_job.seconds / self.one_job_s - 1:+.1%}).",
            f"Everything on is {before.seconds / now.seconds:.1f} times as fast as one job after "
            "another (claimed: 7-12 for a batch).",
            "The batch API alone makes "
            f"{before.seconds / self.row('batch API alone').seconds:.1f} of it: nearly all of the "
            "gain.",
            f"Native gates alone: {self._gain(native.name)} (claimed: 30 % faster execution). The "
            "profile takes the same time whatever the gates are; "
            f"{native.gates / before.gates - 1:+.0%} gates are sent (IonQ would compile QIS gates "
            "itself). Without templates the circuits are compiled again for every batch, which "
            f"takes {fresh_s:.2f} s.",
            f"Caching alone: {self._gain('caching alone')}: preparing is a small part of it. "
            f"Preparing {CIRCUITS} circuits takes {1e3 * built_s:.1f} ms one by one, in QIS gates "
            f"and without templates, and {1e3 * bound_s:.1f} ms in one batch, in native gates from "
            f"templates: {built_s / bound_s:.1f} times as fast (claimed: 10).",
            f"A pool of connections alone: {self._gain('connection pool alone')} (claimed: 60 % "
            "less overhead): jobs that wait for each other use one connection anyway.",
        ]
        if now.posts > 1:
            notes.append(
                f"Adaptive sizing divides the batch into {now.posts} jobs that travel at the same "
                f"time: {one_job.seconds / now.seconds:.1f} times as fast (claimed: 1.2) where the "
                "service runs jobs side by side, as this profile does, and slower where it does "
                "not."
            )
        elif self.scale != 1:
            notes.append(
                "Adaptive sizing goes by seconds in the queue: shortened, the queue looks empty "
                f"and jobs stay at {CIRCUITS} circuits."
            )
        return notes

    def _gain(self, name: str) -> str:
        change = self.row(name).seconds / self.row(SEQUENTIAL).seconds - 1
        return "no effect on time" if abs(change) < 0.02 else f"{change:+.0%} time"


def v34(
    *, scale: float = 1.0, epochs: int = 1, report: Callable[[str], None] = silent
) -> V34Report:
    """Measure Q-Store v3.4's performance table again, on its own service times.

    Every variant has an emulator of its own, and they run at the same time: they mostly wait.
    At ``scale=1`` it takes a minute, or half a minute for each of the epochs.

    Args:
        scale: seconds per second of the profile. Below 1 it is quicker, and the time of client
            and machine weighs more.
        epochs: epochs to run; 5 measures the page's fourth row instead of computing it.
        report: called with each measurement that begins.

    Returns:
        The figures.

    Raises:
        ConfigurationError: ``scale`` or ``epochs`` is not positive.
    """
    check_number("scale", scale, above=0)
    check_count("epochs", epochs)
    report("preparing circuits, built anew and from templates")
    prepare_s = (
        _preparation(BASELINE, repeats=_FEW, together=1),
        _preparation({}),
        _preparation({"enable_smart_caching": False}, repeats=_FEW),
    )
    measure: Callable[..., Callable[[], Row]] = partial(partial, _measure, scale)
    tasks = [
        measure(name, fields, _QUICK if fields.get("use_batch_api", True) else 1)
        for name, fields in VARIANTS.items()
    ]
    tasks += [
        measure(
            "throughput policy, learnt",
            {},
            _LEARNING,
            summary=lambda seconds: statistics.median(seconds[-_LEARNT:]),
            max_circuits_per_job="throughput",
        ),
        measure(
            "epoch",
            VARIANTS[ALL_FEATURES],
            EPOCH_BATCHES * epochs,
            summary=lambda seconds: sum(seconds) / epochs,
        ),
    ]
    report(f"{len(tasks) - 1} ways to run {CIRCUITS} circuits, and {epochs} epoch(s)")
    with ThreadPoolExecutor(len(tasks)) as pool:
        *rows, epoch = pool.map(lambda task: task(), tasks)
    report("a step of SPSAOptimizer")
    step = "SPSA step, 20 samples, 2 points"
    rows.append(_measure(scale, step, {}, prepare=_spsa_step, circuits=2 * CIRCUITS))
    one_job_s = sum(PROFILES["q-store"].mean(CIRCUITS, SHOTS))
    return V34Report(scale, tuple(rows), one_job_s, epoch.seconds, epochs, prepare_s)


def tapes(count: int = CIRCUITS, seed: int = 0) -> list[QuantumScript]:
    """Return circuits of one structure with angles of their own, as a mini-batch has them.

    Args:
        count: how many.
        seed: of the angles.

    Returns:
        Tapes of four qubits with 1,000 shots each.
    """
    rng = np.random.default_rng(seed)
    scripts = []
    for _ in range(count):
        angles = rng.uniform(-np.pi, np.pi, (LAYERS, QUBITS, 2))
        operations: list[Any] = []
        for layer in angles:
            for wire, (y, z) in enumerate(layer):
                operations += [qml.RY(y, wire), qml.RZ(z, wire)]
            operations += [qml.CNOT([wire, wire + 1]) for wire in range(QUBITS - 1)]
        scripts.append(QuantumScript(operations, [qml.expval(qml.Z(0))], shots=SHOTS))
    return scripts


# --- one measurement each ------------------------------------------------------------------


def _device(settings: Mapping[str, Any], emulator: Emulator, **options: Any) -> IonQDevice:
    config = TrainingConfig(n_qubits=QUBITS, **settings)
    if config.device_options()["cache"] is True:
        options["cache"] = 100  # of its own: no template comes from another variant
    return config.device(emulator=emulator, seed=1, max_wait=600.0, **options)


def _batch(device: IonQDevice, seed: int) -> Callable[[], Any]:
    return partial(device.batch_execute, tapes(seed=seed))


def _spsa_step(device: IonQDevice, seed: int) -> Callable[[], Any]:
    """Prepare an optimizer's step of a loop over 20 samples at two points: 40 circuits."""
    rng = np.random.default_rng(1)
    samples, weights = rng.normal(size=(CIRCUITS, QUBITS)), rng.normal(size=(2, QUBITS, 3))

    def layers(x: Any, w: Any) -> Any:
        qml.AngleEmbedding(x, wires=range(QUBITS))
        qml.StronglyEntanglingLayers(w, wires=range(QUBITS))
        return qml.expval(qml.Z(0))

    circuit = qml.set_shots(qml.QNode(layers, device, diff_method=None), shots=SHOTS)

    def cost(w: Any) -> Any:
        return sum((circuit(x, w) - 1.0) ** 2 for x in samples) / len(samples)

    return partial(SPSAOptimizer(maxiter=10, seed=1).step, cost, weights)


def _measure(
    scale: float,
    name: str,
    fields: Mapping[str, Any],
    batches: int = 1,
    *,
    prepare: Callable[[IonQDevice, int], Callable[[], Any]] = _batch,
    circuits: int = CIRCUITS,
    summary: Callable[[Sequence[float]], float] = statistics.median,
    **options: Any,
) -> Row:
    """Time batches on an emulator of their own; requests and gates are those of the last."""
    with Emulator(profile=PROFILES["q-store"].scaled(scale), processes=0) as emulator:
        device = _device(fields, emulator, **options)
        device.batch_execute(tapes(2, seed=9))  # a process connects and compiles once
        seconds = []
        for seed in range(batches):
            run = prepare(device, seed)
            before, gates = emulator.stats(), device.stats["gates"]
            start = time.perf_counter()
            run()
            seconds.append((time.perf_counter() - start) / scale)
        after, gates = emulator.stats(), device.stats["gates"] - gates
    posts, requests = (after[key] - before[key] for key in ("posts", "requests"))
    return Row(name, circuits, summary(seconds), posts, requests, after["connections"], gates)


def _preparation(
    settings: Mapping[str, Any], repeats: int = _REPEATS, together: int = CIRCUITS
) -> float:
    """Return the seconds from 20 tapes, ``together`` at a time, to bodies of jobs (a median)."""
    with Emulator(processes=0) as emulator:
        device = _device({**settings, "use_batch_api": True}, emulator)
        for seed in range(repeats):
            batch = tapes(seed=seed)
            for first in range(0, CIRCUITS, together):
                device.batch_execute(batch[first : first + together])
        parts = device.stats["distribution"]
        batch_ms = sum(parts[name]["median"] for name in ("build", "bind", "encode"))
        return float(batch_ms) / 1e3 * CIRCUITS / together
