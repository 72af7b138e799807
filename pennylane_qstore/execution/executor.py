"""The executor of a device: all that running a batch needs beside PennyLane's interface."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
from pennylane import Tracker
from pennylane.measurements import Shots as TapeShots
from pennylane.tape import QuantumScript

from pennylane_qstore.deferral.turns import waiting
from pennylane_qstore.errors import QStoreError
from pennylane_qstore.execution import literals
from pennylane_qstore.execution.batch import Batch, make_batch
from pennylane_qstore.execution.budget import Quote, quote
from pennylane_qstore.execution.circuits import Target, plan_tape
from pennylane_qstore.execution.fallback import Fallback
from pennylane_qstore.execution.options import Options
from pennylane_qstore.execution.outcomes import Shots
from pennylane_qstore.execution.partial_results import arrived
from pennylane_qstore.execution.repeated_jobs import RepeatedJobs
from pennylane_qstore.execution.report import StatsReport
from pennylane_qstore.execution.sender import Sender
from pennylane_qstore.execution.shot_reader import read_ordered
from pennylane_qstore.execution.stats import BatchMeter, Stats
from pennylane_qstore.execution.tape_shots import with_any_shots
from pennylane_qstore.execution.tracking import track
from pennylane_qstore.ionq.messages.job_request import JobRequest
from pennylane_qstore.measurement.recipes import NoResult
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
        self.job_settings = options.job_settings
        self.cache = options.cache_of(_SHARED_CACHE)
        self.stats = Stats(self.cache.get_stats())
        self.sender = Sender(options, self.stats)
        self._repeated = RepeatedJobs()
        self._steady = literals.SteadyConstants()
        self.fallback = Fallback(self.sender, options.described)
        self.gradient = options.gradient_settings()
        self.look: Callable[[Sequence[QuantumScript]], None] | None = None
        """Called with the tapes of each batch before it is sent; an error stops it."""
        self.shots: TapeShots | None = None
        """Shots that tapes have instead of their own; see :meth:`job_scope`."""
        self._target = options.target
        self.rng = np.random.default_rng(seed)
        """Samples exact probabilities, shuffles samples."""
        self._noise_rng = np.random.default_rng(None if seed is None else [seed, 1])
        if options.queue is not None and options.queue.reported_queue_s is None:
            options.queue.reported_queue_s = self.sender.reported_queue_s

    @property
    def target(self) -> Target:
        """Backend, gates and noise model that circuits are compiled for at present."""
        return self.fallback.target(self._target)

    @property
    def sends_batches(self) -> bool:
        """True unless the options say otherwise, or the service has refused multi-circuit jobs."""
        return self.options.sends_batches and not self.fallback.single

    def run(
        self,
        tapes: Sequence[QuantumScript],
        tracker: Tracker | None = None,
        *,
        handle: Callable[[Batch, Sequence[Any]], Any] | None = None,
    ) -> Any:
        """Execute tapes as one batch.

        Args:
            tapes: preprocessed tapes.
            tracker: of the device, told about the batch if it is active.
            handle: called with the batch and a result for each job as soon as the jobs are
                created, which are not waited for; an error then has in its details, as
                ``handle``, what it makes of those that were (None for the others).

        Returns:
            One result per tape, in PennyLane's order and shape; or what ``handle`` returns.

        Raises:
            QStoreError: see :meth:`IonQDevice.execute`.
        """
        if not self._target.exact:
            tapes = with_any_shots(tapes, self.options.described)
        if self.look is not None:
            self.look(tapes)
        meter = BatchMeter(sequential=not self.options.batch)
        states = self.rng.bit_generator.state, self._noise_rng.bit_generator.state
        try:
            batch, jobs = self._send(tapes, meter, handle)
            results = handle(batch, jobs) if handle else self._results(batch, jobs, meter)
        except BaseException:
            # What was paid is counted; and executed again, it is to be the same batch.
            self.stats.add(meter, self.sender.client_stats(), complete=False)
            self.rng.bit_generator.state, self._noise_rng.bit_generator.state = states
            self.sender.give_back(meter)
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
            track(tracker, tapes, record)
        if logger.isEnabledFor(logging.DEBUG):
            logger.debug(
                "%d tape(s) were %d circuit(s) in %d job(s): %s",
                *(len(tapes), record.circuits, record.jobs, ", ".join(record.job_ids)),
            )
        return results

    @functools.cached_property
    def exact(self) -> Executor:
        """An executor that runs the same tapes exactly, on the emulator in this process."""
        executor = self.emulated()
        executor.shots = TapeShots(None)
        executor.rng, executor.gradient = self.rng, self.gradient  # of samples; kept with ours
        return executor

    def emulated(self, noise_model: str | None = None, seed: int | None = None) -> Executor:
        """Return an executor of the same options on the emulator in this process.

        Args:
            noise_model: of the emulator's results; None for none.
            seed: instead of the options' own.

        Returns:
            An executor with random generators, statistics and batches of its own.
        """
        return Executor(self.options.emulated(noise_model, seed), self.wires)

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
        if not target.exact:
            tapes = with_any_shots(tapes, f"backend={target.backend.name!r}")
        return self._batch(tapes, target).requests

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
        """Return all statistics as they stand now; with circuits by the engine that ran them."""
        stats = self.stats.as_dict(self.cache.get_stats(), self.sender.client_stats())
        return StatsReport({**stats, "engines": dict(self.sender.engines)})

    @contextmanager
    def job_scope(
        self,
        *,
        session_id: str | None = None,
        job_name: str | None = None,
        gateset: str | None = None,
        shots: int | None = None,
    ) -> Iterator[None]:
        """Send the jobs inside with other settings than the device's own.

        Args:
            session_id: IonQ session that they join.
            job_name: name of each job.
            gateset: ``"native"`` or ``"qis"``, which it always is where no native gates are known.
            shots: of every circuit, instead of the tapes' own.

        Yields:
            None.
        """
        settings, target, own_shots = self.job_settings, self._target, self.shots
        self.shots = own_shots if shots is None else TapeShots(check_count("shots", shots))
        changes = {k: v for k, v in (("session_id", session_id), ("name", job_name)) if v}
        self.job_settings = replace(settings, fields={**settings.fields, **changes})
        gateset = gateset if target.backend.takes_native else None
        self._target = replace(target, gateset=gateset or target.gateset)
        try:
            yield
        finally:
            self.job_settings, self._target, self.shots = settings, target, own_shots

    def _batch(self, tapes: Sequence[QuantumScript], target: Target, **more: Any) -> Batch:
        """Compile tapes; ``more`` are further arguments of :func:`make_batch`."""
        if repeats := self.sender.scope.repeats:  # no clock may stop the search elsewhere then
            target = replace(target, effort=target.effort and float("inf"))
        return make_batch(
            tapes,
            order=self.wires,
            target=target,
            settings=self.job_settings.named(self.sender.scope.job_name),
            cache=self.cache,
            choose_constants=literals.special_constants if repeats else self._steady,
            **more,
        )

    def state_dict(self) -> dict[str, Any]:
        """Return what the next results depend on beside the circuits."""
        state = {
            **{name: rng.bit_generator.state for name, rng in self._generators().items()},
            "batch": self.sender.numbers.next,
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
        self.sender.numbers.restart(batch)
        self.stats.spent_usd = spent_usd
        self.sender.go_on(account, spent_usd)

    def _generators(self) -> dict[str, np.random.Generator]:
        return {"rng": self.rng, "noise": self._noise_rng, "gradient": self.gradient.rng}

    def __getstate__(self) -> dict[str, Any]:
        states = [rng.bit_generator.state for rng in (self.rng, self._noise_rng)]
        return {"options": self.options, "wires": self.wires, "rng_states": states}

    def __setstate__(self, state: dict[str, Any]) -> None:
        # Connections and counters belong to one process and one device.
        Executor.__init__(self, state["options"], state["wires"])
        self.sender.is_copy = True
        self.rng.bit_generator.state, self._noise_rng.bit_generator.state = state["rng_states"]

    def _send(
        self,
        tapes: Sequence[QuantumScript],
        meter: BatchMeter,
        handle: Callable[[Batch, Sequence[Any]], Any] | None,
    ) -> tuple[Batch, list[Any]]:
        """Compile tapes and send their jobs; return the batch and one result per job.

        Without ``handle`` jobs are waited for; an error has the results that arrived all the same.
        """
        noise_rng = None if self.options.seed is None else self._noise_rng
        batch = self._batch(tapes, self.target, meter=meter, noise_rng=noise_rng)
        if self.sender.waits and handle is None:
            self._repeated.see(batch.plans)
        scope, jobs = self.sender.scope, []
        # Other threads may go on meanwhile, but not where batches are counted or share a budget,
        # nor beside the embedded emulator: it builds PennyLane operators in threads of its own.
        budgeted = scope.budget_usd is not None or self.options.budget_usd is not None
        alone = self.options.is_emulated or scope.run is not None or budgeted
        try:
            with meter.stage("service"), waiting(keep=alone):
                jobs = self.fallback.send(batch, meter, wait=handle is None)
        except QStoreError as error:
            if self.fallback.refuses_native(error):
                return self._send(tapes, meter, handle)
            if jobs:  # paid for, but the turn did not come back
                error.job_ids = tuple(job_id for job in jobs for job_id in job.job_ids)
            if handle is None:
                batch.add_arrived(error, self.rng)
            else:
                there = arrived(error, len(batch.requests))
                error.details["handle"] = handle(batch, there) if any(there) else None
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
        if self.options.shot_order:
            shots = read_ordered(batch, jobs, histograms, self.sender.client, meter)
        try:
            with meter.stage("results"):
                return batch.results(histograms, self.rng, shots)
        except NoResult as error:
            error.job_ids = tuple(job_id for job in jobs for job_id in job.job_ids)
            raise
