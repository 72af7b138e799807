"""Handles of batches that were sent and not waited for: submit now, fetch tomorrow."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pennylane import Tracker
from pennylane.measurements import MeasurementProcess, MeasurementValue, SampleMP
from pennylane.tape import QuantumScript

from pennylane_qstore.errors import ConfigurationError, QStoreError
from pennylane_qstore.execution.batch import Batch
from pennylane_qstore.execution.partial_results import arrived, naming_circuit
from pennylane_qstore.execution.shot_reader import read_ordered
from pennylane_qstore.execution.stats import BatchMeter

if TYPE_CHECKING:
    from pennylane_qstore.execution.executor import Executor
    from pennylane_qstore.ionq.client import IonQClient
    from pennylane_qstore.ionq.jobs.request_runner import JobResult
    from pennylane_qstore.ionq.ledger.rows import JobKey

_STATES = (
    *("rejected", "failed", "canceled", "deleted"),
    *("ambiguous", "submitted", "ready", "started", "completed"),
)
"""States of jobs; a batch is in the first one that any of its jobs is in."""


@dataclass(frozen=True)
class BatchHandle:
    """Jobs of one batch that were sent and not waited for; :meth:`IonQDevice.submit` makes it.

    It can be pickled, and asked by another process that can read the ledger, also after the one
    that submitted has died. ``await handle`` waits for the results without blocking. Asked in
    another process without a device, it takes the key from the environment.

    Attributes:
        backend: IonQ's id.
        service: base URL.
        ledger: file that the jobs are in; None for a ledger in memory, which ends with its process.
        keys: under which the ledger has the jobs; None for one that was not sent.
        job_ids: IonQ's ids.
    """

    backend: str
    service: str
    ledger: Path | None
    keys: tuple[JobKey | None, ...]
    job_ids: tuple[str, ...]
    _batch: Batch = field(repr=False, compare=False)
    _after: Callable[[Any], Any] = field(repr=False, compare=False)
    _seed: int = field(repr=False, compare=False)
    _shot_order: bool = field(repr=False, compare=False)
    _client: IonQClient | None = field(repr=False, compare=False)

    def state(self, device: Any = None) -> str:
        """Return how far the jobs are.

        Args:
            device: whose connections and key are used.

        Returns:
            ``"submitted"``, ``"ready"``, ``"started"`` or ``"completed"``: of several jobs, of the
            one that is least far. ``"failed"``, ``"canceled"``, ``"deleted"`` or ``"rejected"`` if
            any of them is; ``"ambiguous"`` while it is not known whether there is a job.

        Raises:
            ConfigurationError: the device is of another service or ledger.
            QStoreError: the service does not tell.
        """
        keys = [key for key in self.keys if key is not None]
        return min(self._client_of(device).states(keys), key=_STATES.index)

    def results(self, device: Any = None, *, max_wait: float | None = None) -> Any:
        """Wait for the jobs and return the results, the same however often they are asked for.

        Nothing is sent. Circuits that failed can be submitted again.

        Args:
            device: whose connections and key are used.
            max_wait: longest wait, in seconds; the jobs go on after it.

        Returns:
            A result for each tape that was submitted, as :meth:`IonQDevice.execute` returns them.

        Raises:
            JobFailed, JobCanceled: with the ids of the jobs; the details have ``tape_results``,
                with None for each tape whose circuits have no result.
            JobTimeout: they have not ended in time.
            ConfigurationError: the device is of another service or ledger.
            QStoreError: as for :meth:`IonQDevice.execute`.
        """
        client = self._client_of(device)
        with self._keeping_arrived():
            return self._read(client, client.call(self._fetching(client, max_wait)))

    async def fetch(self, device: Any = None, *, max_wait: float | None = None) -> Any:
        """Return :meth:`results` without blocking; ``await handle`` is the same.

        Args:
            device: whose connections and key are used.
            max_wait: longest wait, in seconds; the jobs go on after it.

        Returns:
            A result for each tape.

        Raises:
            QStoreError: as for :meth:`results`.
        """
        client = self._client_of(device)
        with self._keeping_arrived():
            return self._read(client, await client.on_loop(self._fetching(client, max_wait)))

    def cancel(self, device: Any = None) -> dict[str, str]:
        """Cancel the jobs that have not ended.

        Args:
            device: whose connections and key are used.

        Returns:
            The state of each job, by id, as it is now.

        Raises:
            ConfigurationError: the device is of another service or ledger.
            QStoreError: as for :meth:`IonQClient.cancel`.
        """
        return self._client_of(device).cancel(self.job_ids)

    def __await__(self) -> Generator[Any, Any, Any]:
        return self.fetch().__await__()

    def __getstate__(self) -> dict[str, Any]:
        # Neither connections nor the key travel to another process.
        return {**vars(self), "_client": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)

    def _client_of(self, device: Any) -> IonQClient:
        if device is None and self._client is not None:
            return self._client
        if device is None and self.ledger is not None:
            from pennylane_qstore.ionq.client import IonQClient

            return IonQClient(base_url=self.service, ledger=self.ledger)
        if device is None:
            raise ConfigurationError(
                "The jobs are in a ledger in memory, which ends with the process that submitted "
                "them. Give the device that submits a file: ledger='jobs.sqlite'."
            )
        client: IonQClient = device.client
        for name, mine, other in (
            ("base_url", self.service, client.base_url),
            ("ledger", self.ledger, client.ledger.path),
        ):
            if mine != other:
                raise ConfigurationError(
                    f"The jobs were submitted with {name}={str(mine)!r}; the device has "
                    f"{str(other)!r}. Ask with a device of the same {name}, or without one."
                )
        return client

    def _fetching(
        self, client: IonQClient, max_wait: float | None
    ) -> Coroutine[Any, Any, list[JobResult]]:
        pairs = zip(self._batch.requests, self.keys, strict=True)
        sent = [(request, key) for request, key in pairs if key is not None]
        return client.fetching([r for r, _ in sent], [key for _, key in sent], max_wait=max_wait)

    def _read(self, client: IonQClient, jobs: list[JobResult]) -> Any:
        """Return the results of all jobs that were sent."""
        batch, wanted = self._batch, len(self.keys)
        if len(jobs) < wanted:
            raise QStoreError(
                f"{wanted - len(jobs)} of {wanted} jobs of this batch were not sent: see the error "
                "of its submission.",
                job_ids=self.job_ids,
                results=jobs,
            )
        histograms = batch.histograms(jobs)
        shots = {}
        if self._shot_order:
            shots = read_ordered(batch, jobs, histograms, client, BatchMeter())
        return self._after(batch.results(histograms, np.random.default_rng(self._seed), shots))

    @contextmanager
    def _keeping_arrived(self) -> Iterator[None]:
        """Put into the details of an error the results of the tapes that arrived all the same."""
        try:
            yield
        except QStoreError as error:
            error.job_ids = tuple(dict.fromkeys((*error.job_ids, *self.job_ids)))
            if "tape_results" not in error.details:
                left = iter(arrived(error, len(self.keys) - self.keys.count(None)))
                results = [None if key is None else next(left) for key in self.keys]
                error.details["results"] = results
                self._batch.add_arrived(error, np.random.default_rng(self._seed))
            raise


def submit(
    executor: Executor,
    tapes: Sequence[QuantumScript],
    after: Callable[[Any], Any],
    tracker: Tracker | None = None,
) -> BatchHandle:
    """Send tapes as one batch, and do not wait for it.

    Args:
        executor: sends them.
        tapes: preprocessed tapes.
        after: from their results to those that the handle gives.
        tracker: of the device, told about the batch if it is active.

    Returns:
        The handle of the batch.

    Raises:
        QStoreError: see :meth:`IonQDevice.submit`.
    """
    seed = int(executor.rng.integers(2**63))

    def handle(batch: Batch, jobs: Sequence[JobResult | None]) -> BatchHandle:
        client = executor.sender.client
        keys = tuple(None if job is None else job.keys[0] for job in jobs)
        ids = tuple(job_id for job in jobs if job is not None for job_id in job.job_ids)
        return BatchHandle(
            backend=batch.target.backend.name,
            service=client.base_url,
            ledger=client.ledger.path,
            keys=keys,
            job_ids=ids,
            _batch=_portable(batch),
            _after=after,
            _seed=seed,
            _shot_order=executor.options.shot_order,
            _client=client,
        )

    with naming_circuit(tapes):
        sent: BatchHandle = executor.run(tapes, tracker, handle=handle)
    return sent


def _portable(batch: Batch) -> Batch:
    """Return what reading the results takes: a batch without gates, which can be pickled."""
    tapes = [
        QuantumScript([], [_plain(m) for m in tape.measurements], shots=tape.shots)
        for tape in batch.tapes
    ]
    plans = []
    for plan, tape in zip(batch.plans, tapes, strict=True):
        recipes = tuple(
            recipe._replace(measurement=m)
            for recipe, m in zip(plan.measurement.recipes, tape.measurements, strict=True)
        )
        measurement = plan.measurement._replace(recipes=recipes)
        pieces = [
            piece._replace(key=(), operations=(), parameters=piece.parameters[:0])
            for piece in plan.pieces
        ]
        plans.append(plan._replace(measurement=measurement, pieces=pieces, tape=tape))
    requests = [
        replace(request, circuits=(b"[]",) * len(request.circuits)) for request in batch.requests
    ]
    circuits = batch.circuits._replace(encoded=[], gates=[])
    return replace(batch, tapes=tapes, plans=plans, circuits=circuits, requests=requests)


def _plain(m: MeasurementProcess) -> MeasurementProcess:
    """Return a measurement without functions of mid-circuit measurements: its values, instead."""
    if not isinstance(m.mv, MeasurementValue):
        return m
    more: dict[str, Any] = {}
    if hasattr(m, "all_outcomes"):
        more = {"all_outcomes": m.all_outcomes}
    elif isinstance(m, SampleMP):
        more = {"dtype": m._dtype}
    return type(m)(wires=m.wires, eigvals=m.eigvals(), **more)


def first_of(after: Callable[[Any], Any], results: Any) -> Any:
    """Return the first result; a partial one of this function can be pickled.

    Args:
        after: from results of prepared tapes to those of the tapes.
        results: of prepared tapes.

    Returns:
        The first tape's result.
    """
    return after(results)[0]
