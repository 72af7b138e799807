"""``CircuitBatchManagerV34``: batches of circuits, from a program that is not built on QNodes."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from typing import Any, Self

import numpy as np
import pennylane as qml
from pennylane.measurements import CountsMP, ProbabilityMP
from pennylane.tape import QuantumScript

from pennylane_qstore.backends import MAX_CIRCUITS
from pennylane_qstore.compat.python import also_unmade
from pennylane_qstore.deferral.operands import real
from pennylane_qstore.deferral.scope import gather
from pennylane_qstore.device import IonQDevice
from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.execution.job_size import AdaptiveQueueManager
from pennylane_qstore.execution.report import StatsReport
from pennylane_qstore.native.frontend.json_circuit import tape_from_json
from pennylane_qstore.secret import Secret, hide_secrets
from pennylane_qstore.v34.cache import SmartCircuitCache, stats_text
from pennylane_qstore.validation import check_count

_SECTIONS = (
    ("Features Enabled", "features_enabled"),
    ("Circuit Cache", "circuit_cache"),
    ("Native Gate Compiler", "native_compiler"),
    ("Batch Client", "batch_client"),
    ("Adaptive Queue", "adaptive_queue"),
)


class CircuitBatchManagerV34:
    """Run batches of circuits; an async context manager.

    Args:
        api_key: IonQ's key. Without it (and without ``target`` or ``base_url``) everything runs
            on the embedded emulator.
        use_batch_api: one job for many circuits; otherwise one each, one after another.
        use_native_gates: compile to GPi, GPi2, MS or ZZ here; otherwise IonQ compiles.
        use_smart_caching: keep templates by structure.
        adaptive_batch_sizing: 20, 10 or 5 circuits per job, as the queue is.
        connection_pool_size: HTTP connections.
        max_batch_size: most circuits per job; None for as many as IonQ takes.
        target: IonQ's backend.
        **options: of the device (:class:`~pennylane_qstore.IonQDevice`); they win.

    **Example**

    >>> async with CircuitBatchManagerV34() as manager:          # doctest: +SKIP
    ...     results = await manager.execute_batch(circuits, shots=1000)
    """

    def __init__(
        self,
        api_key: Any = None,
        use_batch_api: bool = True,
        use_native_gates: bool = True,
        use_smart_caching: bool = True,
        adaptive_batch_sizing: bool = False,
        connection_pool_size: int = 5,
        max_batch_size: int | None = None,
        target: str = "simulator",
        **options: Any,
    ) -> None:
        api_key, options = Secret.hold(api_key), hide_secrets(options)  # before anything can raise
        self.cache = SmartCircuitCache() if use_smart_caching else None
        self.queue: AdaptiveQueueManager | None = None
        if adaptive_batch_sizing:
            self.queue = AdaptiveQueueManager(
                max_batch_size=max_batch_size, connections=connection_pool_size
            )
        local = api_key is None and target == "simulator" and "base_url" not in options
        self.device = IonQDevice(
            **{
                "backend": "emulator" if local else target,
                "api_key": api_key,
                "batch": use_batch_api,
                "gateset": "native" if use_native_gates else "qis",
                "cache": self.cache if self.cache is not None else False,
                "max_circuits_per_job": self.queue if self.queue is not None else max_batch_size,
                "pool_size": connection_pool_size,
                **options,
            }
        )
        self.max_batch_size = max_batch_size
        self._busy = threading.Lock()

    @also_unmade
    def __repr__(self) -> str:
        return f"<CircuitBatchManagerV34 on {self.device!r}>"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the connections back; the next batch opens new ones."""
        self.device.client.close()

    async def execute_batch(
        self,
        circuits: Iterable[Any],
        shots: int | None = 1000,
        compile_to_native: bool | None = None,
        name_prefix: str | None = None,
    ) -> list[dict[str, Any]]:
        """Run circuits, all in one batch; batches of one manager run one after another.

        Args:
            circuits: any mixture of v3.4's dictionaries (``{"qubits": n, "circuit": [...]}``),
                tapes, QNode calls ``(qnode, arguments)`` or ``(qnode, arguments, keywords)``,
                and functions without arguments that call QNodes of this manager's ``device``.
            shots: of each circuit that brings none of its own; None for exact probabilities,
                where the backend has them.
            compile_to_native: for this batch only, instead of ``use_native_gates``.
            name_prefix: name of the jobs.

        Returns:
            For each circuit ``job_id``, ``status`` (``"completed"``), ``measurements``
            (probability by outcome, qubit 0 first; empty where a tape measures no outcomes),
            ``result`` (what PennyLane returns) and ``execution_time_ms`` (of the job, at the
            service). For a function ``job_id`` and the time are None: it may have run many
            circuits, or none.

        Raises:
            ConfigurationError: something is no circuit, or no number of shots. Nothing was
                sent.
            QStoreError: jobs failed. ``details["tape_results"]`` has what did arrive, and None
                elsewhere, for the circuits that are no functions.
        """
        shots = check_count("shots", shots, optional=True)
        if isinstance(circuits, Mapping | QuantumScript) or not isinstance(circuits, Iterable):
            raise ConfigurationError("execute_batch takes circuits in a list, even if it is one.")
        circuits = list(circuits)
        tapes: dict[int, QuantumScript] = {}
        calls: dict[int, Callable[[], Any]] = {}
        for i, circuit in enumerate(circuits):
            tape = _tape(circuit, shots)
            if tape is not None:
                tapes[i] = tape
            elif callable(circuit):
                calls[i] = circuit
            else:
                raise ConfigurationError(
                    f"Circuit {i} is a {type(circuit).__name__}. Allowed: a dictionary, a tape, "
                    "(qnode, arguments), or a function without arguments."
                )
        return await _elsewhere(
            lambda: self._execute(len(circuits), tapes, calls, compile_to_native, name_prefix)
        )

    def get_performance_stats(self) -> StatsReport:
        """Return the measured figures: ``device.stats``, and v3.4's names beside.

        Returns:
            ``total_circuits``, ``total_batches``, ``total_time_s``, ``avg_batch_time_ms``,
            ``throughput_circuits_per_sec``, ``features_enabled`` (as they are: off where the
            service refused), ``circuit_cache`` (None without), ``native_compiler`` (None
            without), ``batch_client``, ``adaptive_queue`` (None without), and everything of
            :meth:`.execution.stats.Stats.as_dict`.
        """
        stats = self.device.stats
        spent_s = sum(stats["seconds"].values())
        features = self._features()
        cache = stats["circuit_cache"]
        misses = cache.get("template_misses", 0)
        operations, gates = stats["operations"], stats["gates"]
        compiler = {
            "total_gates_compiled": operations,
            "total_native_gates": gates,
            "total_gates_reduced": operations - gates,
            "avg_reduction_pct": 100.0 * (operations - gates) / operations if operations else 0.0,
            "avg_compilation_time_ms": cache.get("build_time_ms", 0.0) / max(misses, 1),
        }
        stats.update(
            total_circuits=stats["circuits"],
            total_batches=stats["batches"],
            total_time_s=spent_s,
            avg_batch_time_ms=1e3 * spent_s / max(stats["batches"], 1),
            features_enabled=features,
            circuit_cache=cache if self.cache is not None else None,
            native_compiler=compiler if features["native_gates"] else None,
            batch_client=self.device.client.get_stats(),
            adaptive_queue=None if self.queue is None else self.queue.get_stats(),
        )
        return stats

    def print_performance_report(self) -> None:
        """Print the measured figures."""
        stats = self.get_performance_stats()
        parts = ["Execution Summary\n" + stats.report()]
        parts += [
            f"{title}\n{stats_text(stats[name])}"
            for title, name in _SECTIONS
            if stats[name] is not None
        ]
        sys.stdout.write("\n\n".join(parts) + "\n")

    def get_recommended_batch_size(self) -> int:
        """Return the number of circuits per job: as the queue is, or the most there may be."""
        if self.queue is not None:
            return self.queue.get_optimal_batch_size()
        return self.max_batch_size or MAX_CIRCUITS

    def _features(self) -> dict[str, bool]:
        return {
            "batch_api": self.device.executor.sends_batches,
            "native_gates": self.device.target.gateset == "native",
            "smart_caching": self.cache is not None,
            "adaptive_batch_sizing": self.queue is not None,
        }

    def _execute(
        self,
        count: int,
        tapes: Mapping[int, QuantumScript],
        calls: Mapping[int, Callable[[], Any]],
        native: bool | None,
        name: str | None,
    ) -> list[dict[str, Any]]:
        device = self.device
        thunks = list(calls.values())
        if tapes:  # first, so that they are the first circuits of the batch
            thunks.insert(0, lambda: _run(device, list(tapes.values())))
        entries: list[dict[str, Any]] = [{} for _ in range(count)]
        gateset = None if native is None else "native" if native else "qis"
        with self._busy, device.executor.job_scope(job_name=name, gateset=gateset):
            values = gather(device, *thunks) if thunks else []
        results = values.pop(0) if tapes else []
        for (i, tape), (value, (job_id, run_s)) in zip(tapes.items(), results, strict=True):
            entries[i] = _entry(job_id, run_s, value, _measurements(tape, value))
        for i, value in zip(calls, values, strict=True):
            entries[i] = _entry(None, None, value, {})
        return entries


async def _elsewhere(work: Callable[[], list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Wait in a thread, so that the caller's event loop goes on.

    Unlike the loop's own threads it does not keep a program from ending: who gives up waiting
    (Ctrl-C, ``asyncio.wait_for``) finds the job in the ledger.
    """
    done: Future[list[dict[str, Any]]] = Future()
    done.set_running_or_notify_cancel()  # from now on nobody cancels it: the work goes on

    def run() -> None:
        try:
            done.set_result(work())
        except BaseException as error:  # noqa: BLE001 - handed to who waits
            done.set_exception(error)

    threading.Thread(target=run, name="qstore-batch", daemon=True).start()
    return await asyncio.wrap_future(done)


def _run(device: IonQDevice, tapes: list[QuantumScript]) -> list[tuple[Any, tuple[Any, Any]]]:
    """Return results, each with its job and the job's time."""
    results = real(qml.execute(tapes, device, diff_method=None))
    # Nobody else has run since: tasks change over only where circuits are executed.
    return list(zip(results, device.executor.stats.last.tape_jobs[: len(tapes)], strict=True))


def _tape(circuit: Any, shots: int | None) -> QuantumScript | None:
    """Return the tape of a circuit, with shots; None for a function."""
    if isinstance(circuit, Mapping):
        tape = tape_from_json(circuit)
        if shots is not None:  # a wide circuit has fewer outcomes than there might be
            tape = tape.copy(measurements=[qml.counts(wires=tape.measurements[0].wires)])
    elif isinstance(circuit, QuantumScript):
        tape = circuit
    elif isinstance(circuit, tuple) and circuit and isinstance(circuit[0], qml.QNode):
        node, arguments, *keywords = (*circuit, ()) if len(circuit) == 1 else circuit
        if not isinstance(arguments, tuple | list):
            raise ConfigurationError(
                f"The arguments of a QNode are a tuple, as in (qnode, (x,)), not {arguments!r}."
            )
        tape = qml.workflow.construct_tape(node)(*arguments, **(keywords[0] if keywords else {}))
    else:
        return None
    return tape if tape.shots else tape.copy(shots=shots)


def _measurements(tape: QuantumScript, value: Any) -> dict[str, float]:
    """Return the probability by outcome, of a tape that measures outcomes."""
    if len(tape.measurements) != 1:
        return {}
    measured = tape.measurements[0]
    if isinstance(measured, CountsMP) and isinstance(value, Mapping) and measured.obs is None:
        total = sum(value.values())
        return {str(outcome): float(n / total) for outcome, n in value.items() if n}
    if isinstance(measured, ProbabilityMP) and measured.obs is None and np.ndim(value) == 1:
        wires = int(np.log2(len(value)))
        return {f"{i:0{wires}b}": float(value[i]) for i in np.flatnonzero(value).tolist()}
    return {}


def _entry(
    job_id: str | None, run_s: float | None, value: Any, measurements: dict[str, float]
) -> dict[str, Any]:
    return {
        "job_id": job_id,
        "status": "completed",
        "measurements": measurements,
        "result": value,
        "execution_time_ms": None if run_s is None else 1e3 * run_s,
    }
