"""The executor of a device: all that running a batch needs beside PennyLane's interface."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
from pennylane import Tracker
from pennylane.tape import QuantumScript

from pennylane_qstore.deferral.turns import waiting
from pennylane_qstore.errors import QStoreError
from pennylane_qstore.execution.batch import Batch, JobSettings, make_batch
from pennylane_qstore.execution.budget import Quote, quote
from pennylane_qstore.execution.circuits import Target, plan_tape
from pennylane_qstore.execution.fallback import Fallback
from pennylane_qstore.execution.options import Options
from pennylane_qstore.execution.outcomes import Shots
from pennylane_qstore.execution.partial_results import TapeContext, arrived
from pennylane_qstore.execution.report import StatsReport
from pennylane_qstore.execution.sender import Sender
from pennylane_qstore.execution.shot_reader import read_ordered
from pennylane_qstore.execution.stats import BatchMeter, BatchRecord, Stats
from pennylane_qstore.ionq.messages.job_request import JobRequest
from pennylane_qstore.measurement.recipes import ImpossiblePostselection, NotSupported
from pennylane_qstore.native.cache import SmartCircuitCache
from pennylane_qstore.validation import check, check_count, check_number

logger = logging.getLogger(__name__)

_SHARED_CACHE = SmartCircuitCache()
"""The default cache: devices of one process share their templates."""


class Executor:
    """Run batches of tapes on a service.

    Args:
        options: of the device.
        wires: labels of the device's wires, or None where each circuit brings its own.
    """

    def __init__(self, options: Options, wires: Sequence[Any] | None = None) -> None:
        seed = options.seed
        self.options = options
        self.wires = wires
        self.job_settings: JobSettings = options.job_settings
        self.cache = options.cache_of(_SHARED_CACHE)
        self.stats = Stats(self.cache.get_stats())
        self.sender = Sender(options, self.stats)
        self.fallback = Fallback(self.sender, options.described)
        self.gradient = options.gradient_settings()
        self.look: Callable[[Sequence[QuantumScript]], None] | None = None
        """Called with the tapes of each batch before it is sent; an error stops it."""
        self._target = options.target
        self._rng = np.random.default_rng(seed)
        self._noise_rng = np.random.default_rng(None if seed is None else [seed, 1])
        if options.queue is not None and options.queue.reported_queue_s is None:
            options.queue.reported_queue_s = self.sender.reported_queue_s

    @property
    def target(self) -> Target:
        """Backend, gates and noise model that circuits are compiled for at present."""
        return self.fallback.target(self._target)

    @property
    def sends_batches(self) -> bool:
        """True unless ``batch=False``, or the service has refused multi-circuit jobs."""
        return self.options.batch and not self.fallback.single

    def run(
        self, tapes: Sequence[QuantumScript], tracker: Tracker | None = None
    ) -> tuple[Any, ...]:
        """Execute tapes as one batch.

        Args:
            tapes: preprocessed tapes.
            tracker: of the device, told about the batch if it is active.

        Returns:
            One result per tape, in PennyLane's order and shape.

        Raises:
            QStoreError: see :meth:`IonQDevice.execute`.
        """
        tapes = self._with_shots(tapes)
        if self.look is not None:
            self.look(tapes)
        meter = BatchMeter(sequential=not self.options.batch)
        try:
            with self._restored_on_error(meter):
                batch, jobs = self._send(tapes, meter)
                results = self._results(batch, jobs, meter)
        except BaseException:  # what was paid is counted, whatever became of the rest
            self.stats.add(meter, self.sender.client_stats(), complete=False)
            raise
        counts = batch.circuits_by_tape
        record = self.stats.add(
            meter,
            self.sender.client_stats(),
            operations=sum([len(t.operations) * n for t, n in zip(tapes, counts, strict=True)]),
            circuits_by_tape=counts,
            tape_jobs=batch.tape_jobs(jobs),
        )
        if tracker is not None and tracker.active:
            _track(tracker, tapes, record)
        if logger.isEnabledFor(logging.DEBUG):
            logger.debug(
                "%d tape(s) were %d circuit(s) in %d job(s): %s",
                *(len(tapes), record.circuits, record.jobs, ", ".join(record.job_ids)),
            )
        return results

    def batch_size(self, tape: QuantumScript) -> int | None:
        """Return the number of rows of a broadcast tape, told by PennyLane or not; else None.

        Raises:
            QStoreError: the tape cannot be run.
        """
        plan = plan_tape(tape, self.wires, self.cache)
        return sum(len(piece.parameters) for piece in plan.pieces) if plan.batched else None

    def requests(
        self, tapes: Sequence[QuantumScript], backend: str | None = None
    ) -> list[JobRequest]:
        """Return the jobs that executing tapes would send. Nothing is sent.

        Args:
            tapes: preprocessed tapes.
            backend: compile for this backend instead of the device's own.

        Returns:
            The jobs, in order.
        """
        target = self.target if backend is None else self.options.target_of(backend)
        return make_batch(
            tapes, order=self.wires, target=target, settings=self.job_settings, cache=self.cache
        ).requests

    def quote(self, tapes: Sequence[QuantumScript], backend: str | None = None) -> Quote:
        """Return the service's estimate of what tapes would cost. Nothing is submitted.

        Args:
            tapes: preprocessed tapes.
            backend: compile and price for this backend instead of the device's own.

        Returns:
            The sum over the jobs.
        """
        return quote(self.sender.client, self.requests(tapes, backend), backend)

    def report(self) -> StatsReport:
        """Return all statistics as they stand now."""
        return self.stats.as_dict(self.cache.get_stats(), self.sender.client_stats())

    @contextmanager
    def job_scope(
        self,
        *,
        session_id: str | None = None,
        job_name: str | None = None,
        gateset: str | None = None,
    ) -> Iterator[None]:
        """Send the jobs inside with other settings than the device's own.

        Args:
            session_id: IonQ session that they join.
            job_name: name of each job.
            gateset: ``"native"`` or ``"qis"``.

        Yields:
            None.
        """
        settings, target = self.job_settings, self._target
        self.job_settings = replace(
            settings,
            session_id=session_id or settings.session_id,
            name=job_name or settings.name,
        )
        self._target = replace(target, gateset=gateset or target.gateset)
        try:
            yield
        finally:
            self.job_settings, self._target = settings, target

    def state_dict(self) -> dict[str, Any]:
        """Return what the next results depend on beside the circuits."""
        state = {
            **{name: rng.bit_generator.state for name, rng in self._generators().items()},
            "batch": self.sender.batch,
            "spent_usd": self.sender.spent_usd,
        }
        if self.sender.accounts:
            state["account"] = self.options.accounts[-1]
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from :meth:`state_dict`."""
        batch = check_count("batch", state["batch"], least=0)
        spent_usd = check_number("spent_usd", state["spent_usd"], least=0, unit="US dollars")
        account = state.get("account")
        check("account", account, account is None or isinstance(account, str), "a text, or None")
        for name, rng in self._generators().items():
            rng.bit_generator.state = state[name]
        self.sender.batch, self.stats.spent_usd = batch, spent_usd
        self.sender.go_on(account, spent_usd)

    def _generators(self) -> dict[str, np.random.Generator]:
        return {"rng": self._rng, "noise": self._noise_rng, "gradient": self.gradient.rng}

    def __getstate__(self) -> dict[str, Any]:
        rng_state = self._rng.bit_generator.state
        return {"options": self.options, "wires": self.wires, "rng_state": rng_state}

    def __setstate__(self, state: dict[str, Any]) -> None:
        # Connections, counters and the other generators belong to one process and one device.
        Executor.__init__(self, state["options"], state["wires"])
        self.sender.is_copy = True
        self._rng.bit_generator.state = state["rng_state"]

    @contextmanager
    def _restored_on_error(self, meter: BatchMeter) -> Iterator[None]:
        """Let a batch that failed be the same one when it is executed again."""
        states = self._rng.bit_generator.state, self._noise_rng.bit_generator.state
        try:
            yield
        except BaseException:
            self.sender.give_back(meter)
            self._rng.bit_generator.state, self._noise_rng.bit_generator.state = states
            raise

    def _send(
        self, tapes: Sequence[QuantumScript], meter: BatchMeter
    ) -> tuple[Batch, Sequence[Any]]:
        """Compile tapes and send their jobs; return the batch and one result per job.

        An error has the results of the tapes that arrived all the same.
        """
        batch = make_batch(
            tapes,
            order=self.wires,
            target=self.target,
            settings=self.job_settings,
            cache=self.cache,
            meter=meter,
            noise_rng=None if self.options.seed is None else self._noise_rng,
        )
        scope, jobs = self.sender.scope, []
        # Other threads may go on meanwhile, but not where batches are counted or share a budget,
        # nor beside the embedded emulator: it builds PennyLane operators in threads of its own.
        budgeted = scope.budget_usd is not None or self.options.budget_usd is not None
        alone = self.options.is_emulated or scope.run is not None or budgeted
        try:
            with meter.stage("service"), waiting(keep=alone):
                jobs = self.fallback.send(batch.requests, meter)
        except QStoreError as error:
            if self.fallback.refuses_native(error):
                return self._send(tapes, meter)
            if jobs:  # paid for, but the turn did not come back
                error.job_ids = tuple(job_id for job in jobs for job_id in job.job_ids)
            histograms = batch.histograms(arrived(error, len(batch.requests)))
            try:
                results = batch.results(histograms, self._rng)
            except ImpossiblePostselection as impossible:
                results = impossible.details["tape_results"]
            failed = [i for i, result in enumerate(results) if result is None]
            error.details.update(tape_results=results, failed_tapes=failed)
            raise
        return batch, jobs

    def _results(self, batch: Batch, jobs: Sequence[Any], meter: BatchMeter) -> tuple[Any, ...]:
        """Return one result per tape, and learn from the jobs."""
        queue = self.options.queue
        if queue is not None and jobs:
            queue.record_batch(
                [len(request.circuits) for request in batch.requests],
                [job.queue_s for job in jobs],
                [job.run_s for job in jobs],
                meter.seconds["service"],
            )
        histograms = batch.histograms(jobs)
        shots: dict[int, Shots] = {}
        if self.options.shot_order and not batch.target.exact:
            shots = read_ordered(batch, jobs, histograms, self.sender.client, meter)
        with meter.stage("results"):
            return batch.results(histograms, self._rng, shots)

    def _with_shots(self, tapes: Sequence[QuantumScript]) -> Sequence[QuantumScript]:
        """Refuse analytic tapes on backends that sample.

        Beside tapes with shots they take those of their batch: QNSPSAOptimizer, for one, forgets
        the shots of some of its tapes.
        """
        if self._target.exact or all(tape.shots for tape in tapes):
            return tapes
        described = self.options.described
        shots = max(tape.shots.total_shots or 0 for tape in tapes)
        if not shots:
            with TapeContext(0):
                raise NotSupported(
                    f"Analytic execution (shots=None) not supported on qstore.ionq with "
                    f"{described}: it samples. Give the QNode shots, "
                    "qml.set_shots(qnode, shots=1000), or use an ideal simulator."
                )
        warnings.warn(
            f"Some circuits of this batch have no shots, and {described} samples: "
            f"they are run with {shots} shots, as others of the batch.",
            UserWarning,
            stacklevel=2,
        )
        return [tape if tape.shots else tape.copy(shots=shots) for tape in tapes]


def _track(tracker: Tracker, tapes: Sequence[QuantumScript], record: BatchRecord) -> None:
    """Tell PennyLane's tracker about a batch."""
    shots = sum(
        (tape.shots.total_shots or 0) * n
        for tape, n in zip(tapes, record.circuits_by_tape, strict=True)
    )
    *others, job_id = record.job_ids or (None,)
    for other in others:
        tracker.update(job_id=other)
    tracker.update(  # the last, so that ``latest`` has all of it
        batches=1,
        executions=sum(record.circuits_by_tape),
        shots=shots,
        job_ids=list(record.job_ids),
        job_id=job_id,
        **record.increments(),
    )
    tracker.record()
