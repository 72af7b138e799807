"""Q-Store v3.4's way of using the client: submit now, fetch later, by id.

The same ledger and the same protocol stand behind it: a submission is written down before it
is sent, and its results are stored when they are fetched.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from pennylane_qstore.errors import (
    ConfigurationError,
    InvalidResponse,
    JobCanceled,
    JobTimeout,
    LedgerError,
    QStoreError,
)
from pennylane_qstore.gateset import NATIVE
from pennylane_qstore.ionq.base_client import Connected
from pennylane_qstore.ionq.http.transport import Traffic
from pennylane_qstore.ionq.jobs.call import begin_jobs
from pennylane_qstore.ionq.jobs.cost import book
from pennylane_qstore.ionq.jobs.poller import JobKind, Poller
from pennylane_qstore.ionq.jobs.results import (
    CircuitFailure,
    Harvest,
    failure_of,
    harvest,
    pack,
    unpack,
)
from pennylane_qstore.ionq.jobs.submitter import Submitter, taken
from pennylane_qstore.ionq.ledger.ledger import OPEN_STATES, State, Submission
from pennylane_qstore.ionq.messages.job_request import JobRequest
from pennylane_qstore.ionq.messages.responses import (
    Histogram,
    JobState,
)
from pennylane_qstore.ionq.progress import Progress
from pennylane_qstore.validation import check_number

_ANGLES = ("rotation", "phase", "phases", "angle")
_WIRES = ("target", "targets", "control", "controls")


class CircuitId(str):
    """The id of a job, which also knows which circuit of the job is meant.

    Attributes:
        circuit: position of the circuit in the job.
    """

    circuit: int

    def __new__(cls, job_id: str, circuit: int) -> CircuitId:
        """The id of one circuit of a job."""
        self = super().__new__(cls, job_id)
        self.circuit = circuit
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return CircuitId, (str(self), self.circuit)


@dataclass(frozen=True, slots=True)
class BatchJobResult:
    """The result of one circuit, in v3.4's shape.

    Attributes:
        job_id: of the job.
        status: ``"completed"``, ``"failed"``, ``"canceled"`` or ``"timeout"``.
        measurements: probability by outcome, outcomes as bitstrings with qubit 0 first.
        error: why there are none.
        execution_time_ms: run time of the job at the service, in ms.
    """

    job_id: str
    status: str
    measurements: dict[str, float] | None = None
    error: str | None = None
    execution_time_ms: float | None = None


class V34Calls(Connected):
    """The client's calls in the shape of Q-Store v3.4."""

    async def submit_batch(
        self,
        circuits: Sequence[dict[str, Any]],
        target: str = "simulator",
        shots: int = 1000,
        name_prefix: str = "batch",
    ) -> list[str]:
        """Submit circuits as one job, in one POST.

        Args:
            circuits: ``{"qubits": n, "circuit": [gates]}`` each, IonQ's gate JSON.
            target: backend.
            shots: of each circuit.
            name_prefix: the job's name.

        Returns:
            One id per circuit, in order. IonQ tells the children's ids only at the end, so
            each is the job's id; as :class:`CircuitId` it also knows its circuit.

        Raises:
            ConfigurationError: not such circuits, an angle that is no finite number, a target
                or control that is not a qubit of its circuit, or what :class:`JobRequest`
                refuses. Nothing was sent.
            ServiceError, ConnectionFailed: no job was created.
            AmbiguousSubmission: a job may have been created.
        """
        return await _submit_batch(self, circuits, target, shots, name_prefix)

    async def get_results_parallel(
        self,
        job_ids: Sequence[str],
        polling_interval: float | None = None,
        timeout: float | None = 120.0,
    ) -> list[BatchJobResult]:
        """Wait for jobs and fetch their results, each job once.

        Args:
            job_ids: from :meth:`submit_batch`, all or some, in any order; or of jobs that were
                submitted elsewhere, which are read from the service and not written down.
            polling_interval: longest pause between looks, in seconds; by default as long as
                the job's age suggests.
            timeout: longest wait, in seconds.

        Returns:
            One result per id, in the order of the ids; failures are results too.

        Raises:
            ConfigurationError: ``polling_interval`` is not a positive, finite number, or
                ``timeout`` is no number. Nothing was sent.
        """
        return await _get_results(self, job_ids, polling_interval, timeout)

    async def cancel_jobs(self, job_ids: Sequence[str]) -> None:
        """Cancel the jobs that these ids belong to."""
        unique = list(dict.fromkeys(str(job_id) for job_id in job_ids))
        await self.on_loop(self._cancel(unique))

    async def _cancel(self, job_ids: Sequence[str]) -> dict[str, str]:
        """Cancel what has not ended, and learn what became of it.

        The service may let a completed job be cancelled too, and its results would be gone:
        a job that has ended is left alone, and its results are stored.

        Raises:
            JobCanceled: the service does not know one of the jobs. None was cancelled.
        """
        api, ledger = self._api(), self.ledger
        submitter, poller = self._submitter(), self._service().poller
        states = {job_id: await api.job(job_id, self._traffic) for job_id in job_ids}
        gone = [job_id for job_id, state in states.items() if state.status == "deleted"]
        if gone:
            raise JobCanceled(
                f"The service does not know {', '.join(gone)}: deleted, or of another account.",
                job_ids=gone,
            )
        alive = [job_id for job_id, state in states.items() if not state.is_terminal]
        for job_id in alive:
            row = await ledger.off_loop(ledger.find, job_id)
            if row is not None:
                await ledger.off_loop(ledger.note, row.id, "cancel requested", job_id)
        await api.cancel(alive, self._traffic)
        for job_id in alive:
            states[job_id] = await api.job(job_id, self._traffic)
        for job_id, state in states.items():
            row = await ledger.off_loop(ledger.find, job_id)
            if row is not None and row.state is State.SUBMITTED and state.is_terminal:
                with contextlib.suppress(JobCanceled):
                    await finish(submitter, poller, row, self._traffic, None, _nobody, 0)
        return {job_id: state.status for job_id, state in states.items()}


async def _submit_batch(
    client: V34Calls,
    circuits: Sequence[dict[str, Any]],
    target: str,
    shots: int,
    name_prefix: str,
) -> list[str]:
    """One POST; see ``IonQBatchClient.submit_batch``."""
    if not circuits:
        return []
    request = _request(circuits, target, shots, name_prefix)
    submitter = client._submitter()  # before the intent: a client that cannot send leaves none
    loop = asyncio.get_running_loop()
    # The ledger waits for the disk: not on the caller's loop.
    (job,) = await loop.run_in_executor(
        None, begin_jobs, client.ledger, client._options.base_url, [request]
    )
    row, _ = job.rows.popleft()
    job.sent += 1
    try:
        body = job.body or request.body(row.token)
        started = client._clock.monotonic()
        made = await client.on_loop(submitter.submit(row, body, job.traffic))
        if made is not None:
            job_id = made[0]
        else:  # another process took it over
            row = await loop.run_in_executor(None, client.ledger.get, row.id)
            if row.job_id is None:
                raise taken(row)
            job_id = row.job_id
        job.submit_s = client._clock.monotonic() - started
        job.posted += 1
    finally:
        client.count([job])
    return [CircuitId(job_id, index) for index in range(len(circuits))]


async def _get_results(
    client: V34Calls,
    job_ids: Sequence[str],
    polling_interval: float | None,
    timeout: float | None,
) -> list[BatchJobResult]:
    """One result per id; see ``IonQBatchClient.get_results_parallel``."""
    if polling_interval is not None:
        polling_interval = check_number(
            "polling_interval", polling_interval, above=0, unit="seconds"
        )
    if timeout is not None and math.isnan(timeout):  # it is never over, and never not
        raise ConfigurationError(f"timeout must be a number of seconds; got {timeout!r}.")
    unique = list(dict.fromkeys(str(job_id) for job_id in job_ids))
    submitter, poller = client._submitter(), client._service().poller
    loop = asyncio.get_running_loop()

    async def one(job_id: str) -> _End | QStoreError:
        traffic = Traffic()
        try:
            row = await loop.run_in_executor(None, client.ledger.find, job_id)
            return await client.on_loop(
                _foreign(submitter, poller, job_id, traffic, timeout, polling_interval)
                if row is None
                else finish(
                    submitter,
                    poller,
                    row,
                    traffic,
                    timeout,
                    _nobody,
                    0,
                    max_delay_s=polling_interval,
                )
            )
        except QStoreError as error:
            return error
        finally:
            with client._counting:
                client._traffic.add(traffic)

    ends = dict(zip(unique, await asyncio.gather(*map(one, unique)), strict=True))
    seen: dict[str, int] = {}
    results = []
    for job_id in job_ids:
        # A plain string does not know its circuit: its first mention is the first circuit.
        occurrence = seen.get(str(job_id), 0)
        seen[str(job_id)] = occurrence + 1
        index = job_id.circuit if isinstance(job_id, CircuitId) else occurrence
        results.append(_result(str(job_id), ends[str(job_id)], index))
    return results


@dataclass(frozen=True, slots=True)
class _End:
    qubits: int
    histograms: list[Histogram | None]
    failures: dict[int, CircuitFailure]
    run_s: float | None = None


async def _foreign(
    submitter: Submitter,
    poller: Poller,
    job_id: str,
    traffic: Traffic,
    max_wait_s: float | None,
    max_delay_s: float | None,
) -> _End:
    """Bring a job that is not in the ledger to its end. Runs on the loop.

    Raises:
        LedgerError: the service does not know it either.
        JobCanceled, JobTimeout, ServiceError, InvalidResponse: see there.
    """
    api, ledger = submitter.api, submitter.ledger
    state = await api.job(job_id, traffic)
    if state.status == "deleted":
        raise LedgerError(
            f"Job {job_id} is not in {ledger!r}, and the service does not know it.",
            job_ids=[job_id],
        )
    if not state.is_terminal:
        state, _ = await poller.wait(
            job_id, JobKind(state.backend or "", 0, 0), traffic, since=api.clock.monotonic(),
            max_wait_s=max_wait_s, max_delay_s=max_delay_s, report=_nobody,
        )  # fmt: skip
    if state.status in ("canceled", "deleted"):
        raise JobCanceled(f"Job {job_id} is {state.status}.", job_ids=[job_id])
    if state.qubits is None:
        raise InvalidResponse(
            f"Job {job_id} is not in {ledger!r}, and the service does not tell how many qubits "
            "it has.",
            job_ids=[job_id],
        )
    got = await harvest(
        api, state, traffic, circuits=max(1, len(state.child_ids)), qubits=state.qubits,
        ordered=state.backend == "simulator",
    )  # fmt: skip
    return _End(state.qubits, got.histograms, got.failures, _run_s(state))


def _run_s(state: JobState) -> float | None:
    begun, ended = state.started_at, state.completed_at
    return ended - begun if begun is not None and ended is not None else None


async def finish(
    submitter: Submitter,
    poller: Poller,
    row: Submission,
    traffic: Traffic,
    max_wait_s: float | None,
    report: Callable[[Progress], None],
    index: int,
    *,
    max_delay_s: float | None = None,
) -> _End:
    """Bring a submission to its end and store what came. Runs on the loop.

    Raises:
        JobCanceled, JobTimeout, AmbiguousSubmission, ServiceError, InvalidResponse: see there.
    """
    api, ledger = submitter.api, submitter.ledger
    if row.state not in OPEN_STATES:
        return _stored(row)
    adopted = await submitter.adopt(row, None, traffic)
    if adopted is None:
        return _stored(await ledger.off_loop(ledger.get, row.id))
    job_id, _ = adopted
    started = api.clock.monotonic()

    def tell(state: JobState) -> None:
        wait_ms = state.predicted_wait_ms
        wait_s = None if wait_ms is None else wait_ms / 1e3
        elapsed_s = api.clock.monotonic() - started
        report(Progress(index, job_id, state.status, elapsed_s, wait_s, row.circuits))

    state, _ = await poller.wait(
        job_id, JobKind(row.backend, row.circuits, row.shots), traffic, since=started,
        max_wait_s=max_wait_s, max_delay_s=max_delay_s, report=tell,
    )  # fmt: skip
    if state.status in ("canceled", "deleted"):
        await ledger.off_loop(ledger.canceled, row.id, f"the job is {state.status}")
        if state.status == "canceled":
            await book(api, ledger, row, job_id, traffic)
        raise JobCanceled(f"Job {job_id} is {state.status}.", job_ids=[job_id])
    if state.dry_run and state.status == "completed":
        await ledger.off_loop(ledger.done, row.id, pack([]))
        return _End(row.qubits, [], {})
    got = await harvest(
        api, state, traffic, circuits=row.circuits, qubits=row.qubits,
        aggregation=row.aggregation, ordered=not row.backend.startswith("qpu"),
    )  # fmt: skip
    await _store(submitter, row, got, state)
    await book(api, ledger, row, job_id, traffic)
    return _End(row.qubits, got.histograms, got.failures, _run_s(state))


async def _store(submitter: Submitter, row: Submission, got: Harvest, state: JobState) -> None:
    ledger = submitter.ledger
    if not got.failures:
        await ledger.off_loop(ledger.done, row.id, pack(got.histograms))
        return
    first = next(iter(got.failures.values()), failure_of(state))
    arrived = pack(got.histograms) if any(got.histograms) else None
    await ledger.off_loop(ledger.failed, row.id, f"{first.code}: {first.message}", arrived)


def _stored(row: Submission) -> _End:
    if row.results is None and row.state in (State.CANCELED, State.DUPLICATE):
        raise JobCanceled(f"Job {row.job_id} was cancelled.", job_ids=[row.job_id or ""])
    histograms: list[Histogram | None] = [None] * row.circuits
    if row.results is not None:
        histograms = unpack(row.results)
    why = CircuitFailure(row.state.value, row.failure or "no result", row.job_id or "")
    failures = {i: why for i, histogram in enumerate(histograms) if histogram is None}
    return _End(row.qubits, histograms, failures)


def _request(
    circuits: Sequence[dict[str, Any]], target: str, shots: int, name_prefix: str
) -> JobRequest:
    bodies, gates, qubits = [], 0, 1
    gatesets = set()
    for number, circuit in enumerate(circuits):
        operations = circuit.get("circuit") if isinstance(circuit, dict) else None
        if not isinstance(operations, list) or not all(
            isinstance(gate, dict) and isinstance(gate.get("gate"), str) for gate in operations
        ):
            raise ConfigurationError(
                f"Circuit {number} must be {{'qubits': n, 'circuit': [{{'gate': ...}}, ...]}}."
            )
        qubits = max(qubits, int(circuit.get("qubits", 1)))
        gates += len(operations)
        gatesets.add(_gateset(operations))
        bodies.append(orjson.dumps(operations))
    for number, circuit in enumerate(circuits):
        own = int(circuit.get("qubits", qubits))
        for gate in circuit["circuit"]:
            _check_gate(gate, own, f"Circuit {number}")
    gatesets.discard(None)
    if len(gatesets) > 1:
        raise ConfigurationError("Native and QIS gates cannot be mixed in one batch.")
    gateset = next(iter(gatesets), None) or "qis"
    return JobRequest(target, gateset, qubits, tuple(bodies), gates, shots, name=name_prefix)


def _check_gate(gate: dict[str, Any], qubits: int, where: str) -> None:
    """Refuse what the service would refuse, or would get as something else.

    Raises:
        ConfigurationError: it would.
    """
    for field in _ANGLES:
        for angle in _values(gate, field):
            # JSON has no NaN and no infinity: they would be sent as null.
            if not _is_number(angle, (int, float)) or not math.isfinite(angle):
                raise ConfigurationError(
                    f"{where}: {field} of {gate['gate']!r} must be finite; got {angle!r}."
                )
    for field in _WIRES:
        for wire in _values(gate, field):
            if not _is_number(wire, int) or not 0 <= wire < qubits:
                raise ConfigurationError(
                    f"{where} has qubits 0 to {qubits - 1}; {field} of {gate['gate']!r} "
                    f"is {wire!r}."
                )


def _values(gate: dict[str, Any], field: str) -> list[Any]:
    value = gate.get(field)
    return list(value) if isinstance(value, (list, tuple)) else [] if value is None else [value]


def _is_number(value: object, kinds: Any) -> bool:
    return isinstance(value, kinds) and not isinstance(value, bool)


def _gateset(operations: list[dict[str, Any]]) -> str | None:
    """``None`` for an empty circuit, which is of either kind."""
    native = [gate["gate"] in NATIVE and "rotation" not in gate for gate in operations]
    return None if not native else "native" if all(native) else "qis"


def _result(job_id: str, end: _End | QStoreError, index: int) -> BatchJobResult:
    if isinstance(end, JobCanceled):
        return BatchJobResult(job_id, "canceled", error=str(end))
    if isinstance(end, JobTimeout):
        return BatchJobResult(job_id, "timeout", error=str(end))
    if isinstance(end, QStoreError):
        return BatchJobResult(job_id, "failed", error=str(end))
    count = len(end.histograms)
    if index >= count:
        return BatchJobResult(
            job_id, "failed", error=f"The job has {count} circuits, not {index + 1}."
        )
    histogram = end.histograms[index]
    time_ms = None if end.run_s is None else 1e3 * end.run_s
    if histogram is None:
        why = end.failures.get(index)
        error = f"{why.code}: {why.message}" if why else "no result"
        return BatchJobResult(job_id, "failed", error=error, execution_time_ms=time_ms)
    measurements = {
        f"{state:0{end.qubits}b}"[::-1]: probability
        for state, probability in zip(
            histogram.states.tolist(), histogram.probabilities.tolist(), strict=True
        )
    }
    return BatchJobResult(job_id, "completed", measurements, None, time_ms)


def _nobody(_news: object) -> None:
    """Nobody listens."""
