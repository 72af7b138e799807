"""Merging of submissions into one job, and shares of its bill. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from decimal import ROUND_DOWN, Decimal
from typing import Any, NamedTuple

import orjson

from pennylane_qstore.backends import MAX_QUBITS, is_qpu
from pennylane_qstore.gateway.jobs import GatewayJob
from pennylane_qstore.gateway.store import group_key
from pennylane_qstore.ionq.jobs.row_lease import post_lease_s
from pennylane_qstore.ionq.ledger.ledger import Intent
from pennylane_qstore.ionq.messages.job_limits import job_slices
from pennylane_qstore.ionq.messages.responses import TOKEN_KEY
from pennylane_qstore.prices import PRICES
from pennylane_qstore.run_names import marked_name, run_of
from pennylane_qstore.server.inputs.contents import MULTI, SINGLE
from pennylane_qstore.server.inputs.submission import Submission, parse_json

_KNOWN = frozenset(
    {
        "type", "backend", "shots", "name", "metadata", "input", "settings", "noise", "session_id",
        "dry_run", "lang",
    }
)  # fmt: skip
"""Members of a request whose meaning is known; a request with another one stays alone."""
_NANO = Decimal("1e-9")


class Size(NamedTuple):
    """The size of requests, as the service limits it."""

    circuits: int
    gates: int
    bytes: int

    def plus(self, other: Size) -> Size:
        """Return the size of both together."""
        return Size(*(a + b for a, b in zip(self, other, strict=True)))

    def fits_with(self, other: Size) -> bool:
        """Return whether one job may hold both."""
        circuits, gates, sizes = zip(self, other, strict=True)
        return len(job_slices(circuits, gates, sizes)) == 1


def size_of(job: GatewayJob, request: bytes) -> Size:
    """Return the size of a job.

    Args:
        job: the job.
        request: body of its request.

    Returns:
        Its size; gates are counted as they are priced, which is no fewer.
    """
    gates = sum(circuit.n_1q + circuit.n_2q for circuit in job.circuits)
    return Size(len(job.circuits), gates, len(request))


def merge_key(submission: Submission) -> bytes | None:
    """Return what must be equal for requests to become one job.

    Args:
        submission: the request as read.

    Returns:
        The key; ``None`` for requests that stay alone: on simulators, where merging saves nothing,
        with noise, in a session, dry runs, programs in OpenQASM, and what holds unknown members.
    """
    alone = (
        not is_qpu(submission.backend)
        or submission.type not in (SINGLE, MULTI)
        or submission.failure is not None
        or submission.noise is not None
        or submission.session_id is not None
        or submission.dry_run
    )
    if alone:
        return None
    request = parse_json(submission.request)
    circuits = request["input"].get("circuits", ())
    gatesets = {circuit.get("gateset", submission.gateset) for circuit in circuits}
    if not gatesets <= {submission.gateset} or not request.keys() <= _KNOWN:
        return None
    parts = (
        submission.backend, submission.shots, submission.gateset, submission.settings,
        request.get("settings") or {},
    )  # fmt: skip
    return orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)


def job_body(requests: Sequence[bytes], token: str) -> bytes:
    """Return the body of one job for all requests, in their order.

    Args:
        requests: bodies, with equal :func:`merge_key` if there are several.
        token: of the submission.

    Returns:
        The body. Circuits of a multi-circuit job are named by their number, so that their
        results are told apart.
    """
    read: list[dict[str, Any]] = [parse_json(request) for request in requests]
    first = dict(read[0])
    if len(read) == 1:
        metadata = {**(first.get("metadata") or {}), TOKEN_KEY: token}
        first |= {"name": marked_name(run_of(first.get("name")), token), "metadata": metadata}
    else:
        first |= {"name": marked_name("gateway", token), "metadata": {TOKEN_KEY: token}}
        first |= {"type": MULTI, "input": {"gateset": first["input"].get("gateset", "qis")}}
    if first["type"] == MULTI:
        circuits = [circuit for request in read for circuit in _circuits_of(request)]
        named = [circuit | {"name": f"c{k}"} for k, circuit in enumerate(circuits)]
        first["input"] = {**first["input"], "circuits": named}
    return orjson.dumps(first)


def group_intent(service: str, jobs: Sequence[GatewayJob], requests: Sequence[bytes]) -> Intent:
    """Return the intent of a group.

    Args:
        service: URL of IonQ.
        jobs: of the group, which has its number.
        requests: their bodies; what is sent follows from them.

    Returns:
        The intent, found again by the group's number.
    """
    first = jobs[0]
    assert first.group is not None  # noqa: S101  (for the type checker)
    digests = [hashlib.sha256(request).digest() for request in requests]
    qubits = max((circuit.qubits for job in jobs for circuit in job.circuits), default=0)
    return Intent(
        service=service,
        backend=first.backend,
        shots=first.shots,
        circuits=sum(len(job.circuits) for job in jobs),
        qubits=qubits or MAX_QUBITS,
        payload_sha256=hashlib.sha256(b"".join(digests)).hexdigest(),
        key=group_key(first.group),
        estimated_usd=0.0 if first.dry_run else sum(job.cost_usd for job in jobs),
        lease_s=post_lease_s(sum(map(len, requests))),
    )


def shares(bill_usd: float, jobs: Sequence[GatewayJob]) -> list[float]:
    """Divide a bill by gate-shots, each at the list price of its gate.

    Args:
        bill_usd: in US dollars.
        jobs: all that the billed job was made of.

    Returns:
        US dollars for each job; as decimal numbers their sum is the bill exactly.
    """
    weights = [_weight(job) for job in jobs]
    if not sum(weights):
        weights = [Decimal(len(job.circuits)) for job in jobs]
    bill, total = Decimal(repr(bill_usd)), sum(weights)
    exact = [bill * weight / total for weight in weights]
    parts = [part.quantize(_NANO, ROUND_DOWN) for part in exact]
    parts[weights.index(max(weights))] += bill - sum(parts)  # less than a cent's millionth each
    return [float(part) for part in parts]


def share_bill(jobs: Sequence[GatewayJob], bill_usd: float | None) -> None:
    """Add to jobs their shares of a bill.

    Args:
        jobs: all that the billed job was made of.
        bill_usd: in US dollars; None while there is none.
    """
    for job, share in zip(jobs, shares(bill_usd or 0.0, jobs), strict=True):
        job.billed_usd += share
        job.is_billed = bill_usd is not None


def _weight(job: GatewayJob) -> Decimal:
    n_1q = sum(circuit.n_1q for circuit in job.circuits)
    n_2q = sum(circuit.n_2q for circuit in job.circuits)
    prices = PRICES.get(job.backend)
    if prices is None or not (prices.usd_1q or prices.usd_2q):
        return Decimal(n_1q + n_2q)
    return Decimal(repr(prices.usd_1q)) * n_1q + Decimal(repr(prices.usd_2q)) * n_2q


def _circuits_of(request: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the circuits of a request as a multi-circuit job has them."""
    source = request["input"]
    if request["type"] == SINGLE:
        return [{k: v for k, v in source.items() if k != "gateset"}]
    common = {"qubits": source["qubits"]} if source.get("qubits") is not None else {}
    return [common | circuit for circuit in source["circuits"]]
