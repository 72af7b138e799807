"""Q-Store v3.4's way of using the client: submit now, fetch later, by id.

The same ledger and the same protocol stand behind it: a submission is written down before it
is sent, and its results are stored when they are fetched.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from pennylane_qstore.errors import (
    ConfigurationError,
    JobCanceled,
    JobTimeout,
    QStoreError,
)
from pennylane_qstore.gateset import NATIVE
from pennylane_qstore.ionq.client import IonQClient
from pennylane_qstore.ionq.jobs.call import begin_requests
from pennylane_qstore.ionq.jobs.results import JobOutcome, JobRecord
from pennylane_qstore.ionq.messages.job_request import JobRequest
from pennylane_qstore.validation import check_number, is_number, is_whole

_ANGLES = ("rotation", "phase", "phases", "angle")
_WIRES = ("target", "targets", "control", "controls")


class CircuitId(str):
    """The id of a job, which also knows which circuit of the job is meant.

    Attributes:
        circuit: position of the circuit in the job.
    """

    circuit: int

    def __new__(cls, job_id: str, circuit: int) -> CircuitId:
        """Make the id of one circuit of a job.

        Args:
            job_id: of the job.
            circuit: position of the circuit in the job.
        """
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


class IonQBatchClient(IonQClient):
    """The client with Q-Store v3.4's calls; arguments as for :class:`IonQClient`.

    A device has a plain :class:`IonQClient`. One of these made with its ``base_url`` and
    ``ledger`` shares its connections and its jobs.
    """

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
        if not circuits:
            return []
        request = _request(circuits, target, shots, name_prefix)
        runner = self._runner()  # before the intent: a client that cannot send leaves none
        # The ledger waits for the disk: not on the caller's loop.
        (pending,) = await asyncio.get_running_loop().run_in_executor(
            None, begin_requests, self.ledger, self.base_url, [request]
        )
        row, _ = pending.rows.popleft()
        pending.own_rows += 1
        try:
            job_id = await self.on_loop(runner.submit(row, pending.record, pending.take_body))
        finally:
            self.count([pending])
        return [CircuitId(job_id, index) for index in range(len(circuits))]

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
        interval_s = check_number(
            "polling_interval", polling_interval, above=0, unit="seconds", optional=True
        )
        if timeout is not None and math.isnan(timeout):  # it is never over, and never not
            raise ConfigurationError(f"timeout must be a number of seconds; got {timeout!r}.")
        unique = list(dict.fromkeys(str(job_id) for job_id in job_ids))
        ends = await self.on_loop(self._finish_all(unique, timeout, interval_s))
        seen: dict[str, int] = {}
        results = []
        for job_id in job_ids:
            # A plain string does not know its circuit: its first mention is the first circuit.
            occurrence = seen.get(str(job_id), 0)
            seen[str(job_id)] = occurrence + 1
            index = job_id.circuit if isinstance(job_id, CircuitId) else occurrence
            results.append(_result(str(job_id), ends[str(job_id)], index))
        return results

    async def cancel_jobs(self, job_ids: Sequence[str]) -> None:
        """Cancel the jobs that these ids belong to."""
        unique = list(dict.fromkeys(str(job_id) for job_id in job_ids))
        await self.on_loop(self._cancel(unique))

    async def _finish_all(
        self, job_ids: list[str], max_wait_s: float | None, max_delay_s: float | None
    ) -> dict[str, JobOutcome | QStoreError]:
        runner = self._runner(max_wait_s=max_wait_s, max_delay_s=max_delay_s)

        async def one(job_id: str) -> JobOutcome | QStoreError:
            record = JobRecord()
            try:
                row = await self.ledger.off_loop(self.ledger.find, job_id)
                if row is None:
                    return await runner.read_foreign(job_id, record)
                return await runner.complete(row, record)
            except QStoreError as error:
                return error
            finally:
                with self._counting:
                    self._traffic.add(record.traffic)

        return dict(zip(job_ids, await asyncio.gather(*map(one, job_ids)), strict=True))


def _request(
    circuits: Sequence[dict[str, Any]], target: str, shots: int, name_prefix: str
) -> JobRequest:
    for number, circuit in enumerate(circuits):
        operations = circuit.get("circuit") if isinstance(circuit, dict) else None
        if not isinstance(operations, list) or not all(
            isinstance(gate, dict) and isinstance(gate.get("gate"), str) for gate in operations
        ):
            raise ConfigurationError(
                f"Circuit {number} must be {{'qubits': n, 'circuit': [{{'gate': ...}}, ...]}}."
            )
    qubits = max(1, *(int(circuit.get("qubits", 1)) for circuit in circuits))
    for number, circuit in enumerate(circuits):
        own = int(circuit.get("qubits", qubits))
        for gate in circuit["circuit"]:
            _check_gate(gate, own, f"Circuit {number}")
    programs = [circuit["circuit"] for circuit in circuits]
    # An empty circuit is of either kind.
    native = {all(map(_is_native, program)) for program in programs if program}
    if len(native) > 1:
        raise ConfigurationError("Native and QIS gates cannot be mixed in one batch.")
    gateset, gates = "native" if True in native else "qis", sum(map(len, programs))
    bodies = tuple(map(orjson.dumps, programs))
    return JobRequest(target, gateset, qubits, bodies, gates, shots, name=name_prefix)


def _check_gate(gate: dict[str, Any], qubits: int, where: str) -> None:
    """Refuse what the service would refuse, or would get as something else.

    Raises:
        ConfigurationError: it would.
    """
    for field in _ANGLES:
        for angle in _values(gate, field):
            # JSON has no NaN and no infinity: they would be sent as null.
            if not is_number(angle):
                raise ConfigurationError(
                    f"{where}: {field} of {gate['gate']!r} must be finite; got {angle!r}."
                )
    for field in _WIRES:
        for wire in _values(gate, field):
            if not is_whole(wire) or not 0 <= wire < qubits:
                raise ConfigurationError(
                    f"{where} has qubits 0 to {qubits - 1}; {field} of {gate['gate']!r} "
                    f"is {wire!r}."
                )


def _values(gate: dict[str, Any], field: str) -> list[Any]:
    value = gate.get(field)
    return list(value) if isinstance(value, (list, tuple)) else [] if value is None else [value]


def _is_native(gate: dict[str, Any]) -> bool:
    return gate["gate"] in NATIVE and "rotation" not in gate


def _result(job_id: str, end: JobOutcome | QStoreError, index: int) -> BatchJobResult:
    if isinstance(end, QStoreError):
        statuses = {JobCanceled: "canceled", JobTimeout: "timeout"}
        return BatchJobResult(job_id, statuses.get(type(end), "failed"), error=str(end))
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
