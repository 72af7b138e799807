"""Jobs in IonQ's JSON, and what all answers share: account ids, formats, the form of a time."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from pennylane_qstore.backends import is_qpu
from pennylane_qstore.server.inputs.contents import SINGLE
from pennylane_qstore.server.inputs.hybrid import QAOA, QAOA_CIRCUIT
from pennylane_qstore.server.service import TERMINAL, CircuitInfo, ServiceJob

SUBMITTER = "66841feb7addb210ae6214c2"
PROJECT = "31a4dc21-9b52-4a51-89db-c62f1f77f356"
ORGANIZATION = "5d3c1a2e-6f0b-4b5c-9a77-0a1b2c3d4e5f"
KEY_ID = "0f1e2d3c-4b5a-4978-8695-a4b3c2d1e0f9"

PROBABILITIES = "ionq.result.probabilities.json.v1"
AGGREGATE = "ionq.result.probabilities-aggregate.json.v1"
NATIVE_CIRCUIT = "ionq.native.v1"
ARTIFACTS: Mapping[str, str] = {
    "probabilities": PROBABILITIES,
    "probabilities-v2": "ionq.result.probabilities.json.v2",
    "histogram": "ionq.result.histogram.json.v1",
    "histogram-v2": "ionq.result.histogram.json.v2",
    "shots": "ionq.result.shots.json.v1",
    "shots-v2": "ionq.result.shots.json.v2",
    "probabilities-aggregate": AGGREGATE,
    "compiled-native": NATIVE_CIRCUIT,
}
"""Formats by the id under which ``/artifacts/{id}`` has them; the formats work as ids too."""


def timestamp(seconds: float) -> str:
    """Return a time in IonQ's form: ISO 8601, UTC, milliseconds, ``Z``.

    >>> timestamp(0.25)
    '1970-01-01T00:00:00.250Z'
    """
    moment = datetime.fromtimestamp(round(seconds * 1000) / 1000, UTC)
    return moment.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def job_json(
    job: ServiceJob,
    now: float,
    *,
    child: int | None = None,
    listed: bool = False,
    named: bool = True,
) -> dict[str, Any]:
    """Return a job as ``GET /jobs/{id}`` shows it.

    Args:
        job: the job (the parent, where a child is asked for).
        now: the time, in seconds since the epoch.
        child: position of the circuit, for a child of a multi-circuit job.
        listed: as in a list, without ``child_job_ids``.
        named: whether a child carries the name of its circuit.

    Returns:
        IonQ's JSON.
    """
    status = job.status(now)
    qpu = is_qpu(job.backend)
    circuits = job.circuits if child is None else [job.circuits[child]]
    out: dict[str, Any] = {
        **_identity(job, child, named=named),
        "status": status,
        "backend": job.backend,
        "dry_run": job.dry_run,
        "submitter_id": SUBMITTER,
        "project_id": PROJECT,
        "session_id": job.session_id,
        "metadata": job.metadata,
        "shots": job.shots,
        "cost_model": job.cost_model,
        "settings": job.settings,
        **_times(job, now, status),
        "failure": _failure(job, status),
        "stats": _stats(circuits),
        "output": job.output(child) if status == "completed" else {},
        "results": _results(job, child, status),
    }
    if child is None and qpu:
        out["stats"]["predicted_quantum_compute_time_us"] = job.compute_us
        if job.billed_usd and status == "completed":
            out["stats"]["billed_quantum_compute_time_us"] = job.compute_us
    if not listed:
        out["child_job_ids"] = job.child_ids if child is None and job.multi else None
    if not qpu:
        out["noise"] = job.noise or {"model": "ideal"}
    return out


def descriptor(artifact: str, artifact_format: str) -> dict[str, str]:
    """Return IonQ's description of an artifact.

    Args:
        artifact: id of the artifact.
        artifact_format: identifier of its format.

    Returns:
        IonQ's JSON.
    """
    return {"id": artifact, "format": artifact_format, "media_type": "application/json"}


def _identity(job: ServiceJob, child: int | None, *, named: bool) -> dict[str, Any]:
    if child is None:
        return {"id": job.id, "type": job.type, "parent_job_id": None, "name": job.name}
    return {
        "id": job.child_ids[child],
        "type": QAOA_CIRCUIT if job.type == QAOA else SINGLE,
        "parent_job_id": job.id,
        "name": job.circuits[child].name if named else None,
    }


def _times(job: ServiceJob, now: float, status: str) -> dict[str, Any]:
    done = status in TERMINAL
    started_at = job.started_at(now)
    queued_ms = math.ceil(max(0.0, job.start_at - now) * 1000)
    duration_ms = round(job.duration_s * 1000)
    predicted = is_qpu(job.backend) or job.dry_run
    executed = status == "completed" and not job.dry_run
    return {
        "submitted_at": timestamp(job.submitted_at),
        "started_at": None if started_at is None else timestamp(started_at),
        "completed_at": timestamp(job.ended_at()) if done else None,
        "predicted_wait_time_ms": None if done else queued_ms,
        "predicted_execution_duration_ms": duration_ms if predicted else None,
        "execution_duration_ms": duration_ms if executed else None,
    }


def _failure(job: ServiceJob, status: str) -> dict[str, str] | None:
    if status != "failed" or job.failure is None:
        return None
    code, message = job.failure
    return {"code": code, "message": message, "error": message}


def _stats(circuits: Sequence[CircuitInfo]) -> dict[str, Any]:
    n_1q, n_2q = sum(c.n_1q for c in circuits), sum(c.n_2q for c in circuits)
    return {
        "qubits": max(c.qubits for c in circuits),
        "circuits": len(circuits),
        "gate_counts": {"1q": n_1q, "2q": n_2q},
        "kwh": 0,
    }


def _results(job: ServiceJob, child: int | None, status: str) -> dict[str, Any] | None:
    """Return the ``results`` member: legacy urls beside descriptors, or a job's number."""
    if status != "completed" or job.dry_run or job.sampled is None:
        return None
    if job.outcome is not None and child is None:
        return job.outcome
    base = f"/v0.4/jobs/{job.id if child is None else job.child_ids[child]}/results/"
    if child is None and job.multi:
        return {
            "probabilities": {"url": base + "probabilities/aggregated"},
            AGGREGATE: descriptor("probabilities-aggregate", AGGREGATE),
        }
    kinds = ("probabilities", "histogram", "shots") if job.sampled else ("probabilities",)
    out: dict[str, Any] = {kind: {"url": base + kind} for kind in kinds}
    for kind in kinds:
        for alias in (kind, kind + "-v2"):
            out[ARTIFACTS[alias]] = descriptor(alias, ARTIFACTS[alias])
    return out
