"""The service behind a device: its client, what jobs cost, and how a run knows its jobs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from pennylane_qstore.errors import (
    AmbiguousSubmission,
    BudgetExceeded,
    ConfigurationError,
    QStoreError,
)
from pennylane_qstore.execution.partial_results import arrived
from pennylane_qstore.execution.stats import BatchMeter, Stats

if TYPE_CHECKING:
    from pennylane_qstore.execution.options import Options
    from pennylane_qstore.ionq.client import IonQClient
    from pennylane_qstore.ionq.jobs.request_runner import JobResult
    from pennylane_qstore.ionq.messages.job_request import JobRequest

logger = logging.getLogger(__name__)

_EMULATOR_KEY = "emulator"
_DEFAULT_MAX_WAIT_S = 120.0

Keys = list[tuple[str, int, int]]


class Quote(NamedTuple):
    """What a batch would cost and take, as the service estimates it.

    Attributes:
        cost_usd: in US dollars; None if the service names another unit.
        execution_s: on the machine, in seconds, summed over jobs; None if not told.
        queue_s: longest predicted wait of a job, in seconds; None if not told.
        jobs: POSTs it would take.
        circuits: circuits, summed over jobs.
        shots: shots, summed over circuits.
        gates_1q, gates_2q: native gates, summed over circuits.
    """

    cost_usd: float | None
    execution_s: float | None
    queue_s: float | None
    jobs: int
    circuits: int
    shots: int
    gates_1q: int
    gates_2q: int


@dataclass(frozen=True, slots=True)
class RunScope:
    """The run that jobs belong to.

    Attributes:
        run: its name in the ledger; None for jobs of their own.
        part: name of what is executed beside the run's steps.
        budget_usd: limit of its spending, in US dollars.
        progress: called with each change of a job's state; True shows a bar of each batch.
    """

    run: str | None = None
    part: str = ""
    budget_usd: float | None = None
    progress: bool | Callable[[Any], None] | None = None


class Sender:
    """Send jobs by the client, within the budget.

    Args:
        options: of the device.
        stats: the device's tally, which knows what was spent.
    """

    def __init__(self, options: Options, stats: Stats) -> None:
        self.options = options
        self.scope = RunScope(options.run, "", options.budget_usd, options.progress)
        self.batch = 0
        """Number of the run's next batch."""
        self._stats = stats
        self._client: IonQClient | None = None

    @property
    def emulator(self) -> Any:
        """The emulator behind the device, started when first asked for; None for a service."""
        if not self.options.is_emulated:
            return None
        from pennylane_qstore.emulator import Emulator, embedded

        if isinstance(self.options.emulator, Emulator):
            return self.options.emulator
        return embedded(**(self.options.emulator or {}))

    @property
    def spent_usd(self) -> float:
        """Billed, or else estimated: by this device, or by its run over all its starts."""
        if self.scope.run is None:
            return self._stats.spent_usd
        return self.client.ledger.spent_usd(self.scope.run)

    @property
    def left_usd(self) -> float | None:
        """Rest of the budget; None without one."""
        if self.scope.budget_usd is None:
            return None
        return float(self.scope.budget_usd) - self.spent_usd

    @property
    def client(self) -> IonQClient:
        """The client, made when first asked for."""
        if self._client is None:
            from pennylane_qstore.ionq.client import IonQClient

            options, emulator = self.options, self.emulator
            self._client = IonQClient(
                api_key=_EMULATOR_KEY if emulator is not None else options.api_key,
                base_url=emulator.url if emulator is not None else options.base_url,
                pool_size=options.pool_size,
                ledger=self._ledger(),
                on_ambiguous=options.on_ambiguous,
                retry_failed=options.retry_failed,
                retry_policy=options.retry_policy,
                ca_bundle=options.ca_bundle,
                proxy=options.proxy,
            )
        return self._client

    @contextmanager
    def in_run(self, scope: RunScope) -> Iterator[None]:
        """Send the jobs inside as part of a run.

        What the device was told itself (``run=``, ``budget_usd=``, ``progress=``) stays. A
        device whose ledger ends with the process has no jobs to find again and takes no run's
        name.
        """
        own, before_usd = self.scope, self.spent_usd
        if own.run is not None or self.client.ledger.path is None:
            scope = replace(scope, run=own.run)
        if own.progress is not None:
            scope = replace(scope, progress=own.progress)
        self.scope = scope
        if own.budget_usd is not None:
            # From here on only the run's spending is looked at: the rest is set aside.
            aside_usd = max(before_usd - self.spent_usd, 0.0)
            self.scope = replace(scope, budget_usd=own.budget_usd - aside_usd)
        try:
            yield
        finally:
            # The ledger knows what earlier starts of the run have spent.
            self._stats.spent_usd = max(self._stats.spent_usd, self.spent_usd)
            self.scope = own

    def send(
        self, requests: Sequence[JobRequest], meter: BatchMeter, first_chunk: int = 0
    ) -> list[JobResult]:
        """Send jobs and wait for their results.

        Args:
            requests: the jobs.
            meter: counts what they cost.
            first_chunk: number of the first one in a named run's ledger.

        Returns:
            One result per job.

        Raises:
            BudgetExceeded: they would cost more than is left. Nothing was sent.
            QStoreError: see :meth:`IonQClient.run`.
        """
        options = self.options
        keys = self._keys(len(requests), first_chunk)
        estimates = self._agreed_estimates(requests, keys, meter)
        max_wait = options.max_wait
        if max_wait is None and not options.target.backend.is_qpu:
            max_wait = _DEFAULT_MAX_WAIT_S
        try:
            with _progress(self.scope.progress) as progress:
                jobs = self.client.run(
                    requests, max_wait=max_wait, progress=progress, keys=keys, estimates=estimates
                )
        except QStoreError as error:
            _count_failed(meter, error, requests, estimates)
            raise
        except BaseException:  # an interrupt: what may have been sent may be billed
            meter.spent_usd += sum(estimate or 0.0 for estimate in estimates)
            raise
        self.batch += 1
        for job, request, estimate in zip(jobs, requests, estimates, strict=True):
            meter.count(job, request, estimate)
        return list(jobs)

    def client_stats(self) -> Mapping[str, Any]:
        """The client's figures; empty before it is made."""
        return {} if self._client is None else self._client.get_stats()

    def reported_queue_s(self) -> float | None:
        """How long jobs wait now, as the service says, in seconds; None if it does not."""
        try:
            backends = self.client.backends()
        except QStoreError as error:  # without it, the queue is not known yet: no reason to stop
            logger.info("The backend's queue time could not be read: %s", error)
            return None
        name = self.options.target.backend.name
        wait_ms = next(
            (b.get("average_queue_time") for b in backends if b.get("backend") == name), 0
        )
        return wait_ms / 1e3 if isinstance(wait_ms, int | float) else None

    def quote(self, requests: Sequence[JobRequest], backend: str | None = None) -> Quote:
        """What requests would cost, by the service's own estimate; nothing is submitted."""
        estimates = [self._estimate(request, backend) for request in requests]
        entangling = [_entangling(request) for request in requests]
        return Quote(
            _total([e.cost_usd for e in estimates]),
            _total([e.execution_s for e in estimates]),
            max((e.queue_s for e in estimates if e.queue_s is not None), default=None),
            len(requests),
            sum(len(r.circuits) for r in requests),
            sum(len(r.circuits) * r.shots for r in requests),
            sum(r.gate_counts for r in requests) - sum(entangling),
            sum(entangling),
        )

    def _ledger(self) -> Any:
        """Where jobs are written down; None leaves it to the client."""
        options = self.options
        if options.ledger is None and options.run is not None and not options.is_emulated:
            # A run that is to be found again needs a file, also for a service on this machine.
            from pennylane_qstore.ionq.ledger.database import default_path

            return default_path()
        return options.ledger

    def _agreed_estimates(
        self, requests: Sequence[JobRequest], keys: Keys | None, meter: BatchMeter
    ) -> list[float | None]:
        """Return estimates of what is not paid yet, within the budget and confirmed."""
        options = self.options
        if not options.target.backend.is_qpu:
            return [0.0] * len(requests)
        new = [i for i in range(len(requests)) if keys is None or not self._is_paid(keys[i])]
        must_know = self.scope.budget_usd is not None or options.confirm is not None
        estimates: list[float | None] = [None] * len(requests)
        for i in new:
            estimates[i] = self._price(requests[i], must_know)
        if new:
            total = _total([estimates[i] for i in new])
            self._check([requests[i] for i in new], total, meter)
        return estimates

    def _check(
        self, requests: Sequence[JobRequest], total: float | None, meter: BatchMeter
    ) -> None:
        """Refuse what the budget does not hold, or the user does not want."""
        options, left = self.options, self.left_usd
        if left is not None:
            if total is None:
                raise ConfigurationError(
                    f"budget_usd cannot be kept: the service gives no price in US dollars for "
                    f"{options.target.backend.name}. Use a session with a cost limit instead."
                )
            if self.scope.run is None:  # else the ledger has the jobs of this batch, too
                left -= meter.spent_usd
            if total > left:
                raise BudgetExceeded(
                    f"This batch of {len(requests)} job(s) is estimated at ${total:,.2f}, and "
                    f"${left:,.2f} of the budget of ${self.scope.budget_usd:,.2f} is left. Nothing "
                    "was sent. Raise budget_usd, or send fewer circuits or shots.",
                    estimate_usd=total,
                    left_usd=left,
                )
        if options.confirm is not None and not options.confirm(self.quote(requests)):
            raise BudgetExceeded(
                "The batch was not confirmed. Nothing was sent.", estimate_usd=total
            )

    def _price(self, request: JobRequest, must_know: bool) -> float | None:
        """The service's estimate, which the ledger keeps as well; None if it gives none."""
        try:
            estimate: float | None = self._estimate(request).cost_usd
        except QStoreError as error:
            if must_know:
                raise
            logger.info("A batch is sent without an estimate of its cost: %s", error)
            return None
        return estimate

    def _is_paid(self, key: tuple[str, int, int]) -> bool:
        """Whether the ledger has a job under this key, which is adopted."""
        from pennylane_qstore.ionq.ledger.ledger import OPEN_STATES, JobKey, State

        paid = (*OPEN_STATES, State.DONE, State.CONSUMED)
        return any(row.state in paid for row in self.client.ledger.history(JobKey(*key)))

    def _estimate(self, request: JobRequest, backend: str | None = None) -> Any:
        entangling = _entangling(request)
        mitigation = (request.settings or {}).get("error_mitigation") or {}
        return self.client.estimate(
            backend or request.backend,
            qubits=request.qubits,
            shots=request.shots,
            gates_1q=request.gate_counts - entangling,
            gates_2q=entangling,
            circuits=len(request.circuits),
            error_mitigation=bool(mitigation.get("debiasing")),
        )

    def _keys(self, count: int, first: int) -> Keys | None:
        """Return the names by which a restarted run finds its jobs: run, batch, job in it."""
        if self.scope.run is None:
            return None
        from pennylane_qstore.ionq.ledger.ledger import part_of

        run = part_of(self.scope.run, self.scope.part)
        return [(run, self.batch, first + chunk) for chunk in range(count)]


@contextmanager
def session(
    device: Any,
    *,
    cost_limit: float | None = None,
    job_limit: int | None = None,
    minutes: float | None = None,
) -> Iterator[Any]:
    """An IonQ session that the device's jobs join: the service itself bounds what they may do.

    Args:
        device: a ``qstore.ionq`` device.
        cost_limit: US dollars.
        job_limit: jobs.
        minutes: how long the session lasts.

    Yields:
        The session (``id``, ``backend``, ``settings``). It ends with the block.

    Raises:
        ServiceError: the account has no sessions (404), or the service refused the limits.
    """
    opened = device.client.create_session(
        device.target.backend.name,
        job_limit=job_limit,
        minutes=minutes,
        cost_limit_usd=cost_limit,
    )
    try:
        with device.job_scope(session_id=opened.id):
            yield opened
    except BaseException:
        try:
            device.client.end_session(opened.id)
        except QStoreError as error:  # what went wrong first may carry results that are paid
            logger.warning("Session %s could not be ended: %s", opened.id, error)
        raise
    device.client.end_session(opened.id)


def _count_failed(
    meter: BatchMeter,
    error: QStoreError,
    requests: Sequence[JobRequest],
    estimates: Sequence[float | None],
) -> None:
    """Count what a batch that failed cost all the same: a job that exists may be billed."""
    results = arrived(error, len(requests))
    errors = error.details.get("errors") or [error] * len(requests)
    for result, failure, request, estimate in zip(
        results, errors, requests, estimates, strict=True
    ):
        if result is not None:
            meter.count(result, request, estimate)
        elif failure.job_ids or isinstance(failure, AmbiguousSubmission):
            meter.spent_usd += estimate or 0.0


@contextmanager
def _progress(asked: Any) -> Iterator[Any]:
    """The callback that was given, or a bar of this batch."""
    if asked is not True:
        yield asked or None
        return
    from pennylane_qstore.ionq.progress import ProgressBar

    with ProgressBar(leave=False) as bar:
        yield bar


def _entangling(request: JobRequest) -> int:
    """Two-qubit gates of a request: those that name targets, or controls."""
    return sum(
        text.count(b'"targets":') + text.count(b'"control":') + text.count(b'"controls":')
        for text in request.circuits
    )


def _total(values: Sequence[float | None]) -> float | None:
    return None if any(v is None for v in values) else sum(v for v in values if v is not None)
