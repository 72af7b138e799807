"""Jobs and results in IonQ's JSON shapes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from pennylane_qstore.backends import BACKENDS
from pennylane_qstore.emulator.service.jobs import TERMINAL, Job
from pennylane_qstore.emulator.simulation.debiasing import output_json
from pennylane_qstore.emulator.simulation.run import Distribution
from pennylane_qstore.server.identity import PROJECT, SUBMITTER, timestamp
from pennylane_qstore.server.inputs.hybrid import QAOA, QAOA_CIRCUIT
from pennylane_qstore.server.inputs.settings import debiased
from pennylane_qstore.server.inputs.submission import QASM, SINGLE
from pennylane_qstore.server.service import CircuitInfo

_RESULT = "ionq.result."
_PIECE = 1 << 16
AGGREGATE = "ionq.result.probabilities-aggregate.json.v1"
NATIVE_CIRCUIT = "ionq.native.v1"
ARTIFACTS: Mapping[str, str] = {
    "probabilities": _RESULT + "probabilities.json.v1",
    "probabilities-v2": _RESULT + "probabilities.json.v2",
    "histogram": _RESULT + "histogram.json.v1",
    "histogram-v2": _RESULT + "histogram.json.v2",
    "shots": _RESULT + "shots.json.v1",
    "shots-v2": _RESULT + "shots.json.v2",
    "probabilities-aggregate": AGGREGATE,
    "compiled-native": NATIVE_CIRCUIT,
}
"""Formats by the id under which ``/artifacts/{id}`` has them; the formats work as ids too."""


def job_json(
    job: Job, now: float, *, child: int | None = None, listed: bool = False, named: bool = True
) -> dict[str, Any]:
    """A job as ``GET /jobs/{id}`` shows it.

    Args:
        job: the job (the parent, where a child is asked for).
        now: the time.
        child: position of the circuit, for a child of a multi-circuit job.
        listed: as in a list, without ``child_job_ids``.
        named: whether a child carries the name of its circuit.
    """
    status = job.status(now)
    done = status in TERMINAL
    qpu = BACKENDS[job.backend].is_qpu
    single = child is not None or not job.multi
    circuits = job.circuits if child is None else [job.circuits[child]]
    name = job.name if child is None else circuits[0].name if named else None
    queued_ms = math.ceil(max(0.0, job.start_at - now) * 1000)
    duration_ms = round((job.end_at - job.start_at + job.simulated_s) * 1000)
    over = now if job.canceled_at is None else job.canceled_at
    started = job.start_at <= over and not job.dry_run and job.failure is None
    out: dict[str, Any] = {
        "id": job.id if child is None else job.child_ids[child],
        "status": status,
        "type": job.type if child is None else QAOA_CIRCUIT if job.type == QAOA else SINGLE,
        "backend": job.backend,
        "dry_run": job.dry_run,
        "submitter_id": SUBMITTER,
        "project_id": PROJECT,
        "parent_job_id": None if child is None else job.id,
        "session_id": job.session_id,
        "metadata": job.metadata,
        "name": name,
        "submitted_at": timestamp(job.submitted_at),
        "started_at": timestamp(job.start_at) if started else None,
        "completed_at": timestamp(job.ended_at()) if done else None,
        "predicted_wait_time_ms": None if done else queued_ms,
        "predicted_execution_duration_ms": duration_ms if qpu or job.dry_run else None,
        "execution_duration_ms": duration_ms if status == "completed" and not job.dry_run else None,
        "shots": job.shots,
        "failure": None,
        "cost_model": job.cost_model,
        "settings": job.settings,
        "stats": {
            "qubits": max(c.qubits for c in circuits),
            "circuits": len(circuits),
            "gate_counts": {
                "1q": sum(c.n_1q for c in circuits),
                "2q": sum(c.n_2q for c in circuits),
            },
            "kwh": 0,
        },
        "output": {},
        "results": None,
    }
    if child is None and qpu:
        out["stats"]["predicted_quantum_compute_time_us"] = job.compute_us
        if job.billed_usd and status == "completed":
            out["stats"]["billed_quantum_compute_time_us"] = job.compute_us
    if not listed:
        out["child_job_ids"] = None if single else job.child_ids
    if not qpu:
        out["noise"] = job.noise or {"model": "ideal"}
    if status == "failed" and job.failure is not None:
        code, message = job.failure
        out["failure"] = {"code": code, "message": message, "error": message}
    written = child is not None or job.type in (SINGLE, QASM)
    if status == "completed" and written and job.request is not None and not circuits[0].recorded:
        compiled = _descriptor("compiled-native")
        out["output"] = {"compilation": {"compiled_circuits": {NATIVE_CIRCUIT: compiled}}}
    if status == "completed" and qpu and written and job.results is not None:
        mitigation: dict[str, Any] = {"debiasing": False}
        if debiased(job.settings):
            one, qubits = job.results[child or 0], circuits[0].qubits
            mitigation = output_json(one, qubits, BACKENDS[job.backend].qubits)
        out["output"]["error_mitigation"] = mitigation
    if status == "completed" and not job.dry_run and job.results is not None:
        out["results"] = results_json(out["id"], single, sampled=job.results[0].shots is not None)
        if job.outcome is not None and child is None:
            out["results"] = job.outcome
            if "value" in job.outcome:  # where IonQ's own example looks for it
                out["output"] = {"energy": job.outcome["value"]}
    return out


def results_json(job_id: str, single: bool, *, sampled: bool) -> dict[str, Any]:
    """The ``results`` member: legacy urls beside descriptors."""
    base = f"/v0.4/jobs/{job_id}/results/"
    if not single:
        return {
            "probabilities": {"url": base + "probabilities/aggregated"},
            AGGREGATE: _descriptor("probabilities-aggregate"),
        }
    kinds = ("probabilities", "histogram", "shots") if sampled else ("probabilities",)
    out: dict[str, Any] = {kind: {"url": base + kind} for kind in kinds}
    for kind in kinds:
        for alias in (kind, kind + "-v2"):
            out[ARTIFACTS[alias]] = _descriptor(alias)
    return out


def artifact(one: Distribution, artifact_format: str, circuit: CircuitInfo) -> Any:
    """A result in one of IonQ's formats."""
    kind, _, version = artifact_format.removeprefix(_RESULT).partition(".json.")
    if version == "v1":
        final = one.first(circuit.qubits)
        if kind == "probabilities":
            return final.probabilities()
        if kind == "histogram":
            return dict(zip(map(str, final.states.tolist()), final.weights.tolist(), strict=True))
        return list(map(str, one.ordered_shots(circuit.qubits).tolist()))
    places: dict[str, list[int]] = {"output_all": list(range(circuit.qubits))}
    for name, qubits in (circuit.registers or {}).items():
        if one.shots is not None or not circuit.recorded:  # what is exact is told of the end only
            places[name] = [one.qubits if q is None else q for q in qubits]
    bits = _bits(one.ordered_shots() if kind == "shots" else one.states, one.qubits)
    if kind == "shots":
        return {
            "shots": [
                {"registers": {name: row[qubits].tolist() for name, qubits in places.items()}}
                for row in bits
            ]
        }
    weights = one.weights if kind == "histogram" or one.shots is None else one.weights / one.shots
    return {
        kind: {
            "registers": {
                name: _marginal(bits[:, qubits], weights) for name, qubits in places.items()
            }
        }
    }


def probabilities_pieces(one: Distribution) -> Iterator[bytes]:
    """``ionq.result.probabilities.json.v1`` in pieces."""
    lead = b"{"
    for start in range(0, len(one.states), _PIECE):
        rows = slice(start, start + _PIECE)
        some = one._replace(states=one.states[rows], weights=one.weights[rows])
        yield lead + orjson.dumps(some.probabilities())[1:-1]
        lead = b","
    yield b"}"


def aggregate_pieces(named: Iterable[tuple[str, Distribution]]) -> Iterator[bytes]:
    """``ionq.result.probabilities-aggregate.json.v1`` in pieces."""
    lead = b"{"
    for name, one in named:
        yield lead + orjson.dumps(name) + b":"
        yield from probabilities_pieces(one)
        lead = b","
    yield b"}"


def _descriptor(alias: str) -> dict[str, str]:
    return {"id": alias, "format": ARTIFACTS[alias], "media_type": "application/json"}


def _bits(states: NDArray[np.uint64], qubits: int) -> NDArray[np.uint8]:
    """Bits [K, qubits + 1], qubit 0 first; the last is 0, for places that nothing fills."""
    places = np.arange(qubits + 1, dtype=np.uint64)
    return ((states[:, None] >> places) & np.uint64(1)).astype(np.uint8)


def _marginal(bits: NDArray[np.uint8], weights: NDArray[Any]) -> dict[str, float]:
    out: dict[str, float] = {}
    for row, weight in zip(bits.tolist(), weights.tolist(), strict=True):
        key = "".join(map(str, row))
        out[key] = out.get(key, 0) + weight
    return out
