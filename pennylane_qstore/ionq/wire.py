"""Job bodies out, job states and histograms in. Pure: bytes and values, no connection.

Outcome integers are IonQ's: bit k of the integer is qubit k. Angles and phases of native
gates are in turns, rotations of QIS gates in radians. What the service sends is never
trusted: an answer that is not exactly what was asked for is :class:`InvalidResponse`.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import orjson
from numpy.typing import ArrayLike, NDArray

from pennylane_qstore.errors import ConfigurationError, InvalidResponse
from pennylane_qstore.ionq.backends import MAX_BODY_BYTES, MAX_CIRCUITS, MAX_GATES, MAX_SHOTS

TOKEN_KEY = "qstore_token"  # noqa: S105  (names the metadata entry, holds no secret)
"""Metadata entry that carries the token of a submission."""
SUM_TOLERANCE = 1e-5
"""Probabilities may sum to 1 within this; then they are renormalised."""
AGGREGATIONS = ("average", "voting", "dnl")
"""Ways to combine the variants of a debiased job."""
TERMINAL = frozenset({"completed", "failed", "canceled", "deleted"})
"""States a job does not leave."""

_NATIVE_SLOTS: Mapping[str, tuple[bytes, ...]] = {
    "gpi": (b'"phase":',),
    "gpi2": (b'"phase":',),
    "ms": (b'"phases":[', b",", b'],"angle":'),
    "zz": (b'"angle":',),
}
_QIS_ROTATIONS = frozenset({"rx", "ry", "rz", "xx", "yy", "zz"})
_QIS_FIXED = frozenset({"x", "y", "z", "h", "s", "si", "v", "vi", "t", "ti", "not", "cnot", "swap"})
_TWO_TARGETS = frozenset({"ms", "zz", "xx", "yy", "swap"})
_MAX_QUBITS = 64  # outcomes are uint64
_MAX_METADATA_BYTES = 40_000
_MAX_NAME = 100
_NAME = re.compile(r"[A-Za-z0-9 _-]*")
_BACKEND = re.compile(r"[a-z][a-z0-9.-]{0,63}")
_SAFE_ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z_-]{0,127}")
_OUTCOMES = re.compile(r"(?:0|[1-9][0-9]{0,19})(?:,(?:0|[1-9][0-9]{0,19}))*")
_UUID7 = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", re.IGNORECASE
)
# States of API v0.3 that mean the same.
_STATUS_ALIASES = {"running": "started", "cancelled": "canceled"}

Gate = tuple[str, Sequence[int]] | tuple[str, Sequence[int], Sequence[int]]


class Histogram(NamedTuple):
    """What one circuit gave.

    Attributes:
        states: outcomes, uint64 [K], ascending; bit k is qubit k.
        probabilities: float64 [K], positive sum 1.
    """

    states: NDArray[np.uint64]
    probabilities: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class JobRequest:
    """One job to be: everything a POST says, except the token.

    Args:
        backend: IonQ's backend id.
        gateset: ``"native"`` or ``"qis"``.
        qubits: number of qubits of every circuit.
        circuits: JSON gate arrays, one per circuit (see :func:`encode_circuits`).
        gate_counts: gates summed over the circuits.
        shots: repetitions of each circuit.
        name: job name (letters, digits, space, ``-``, ``_``).
        metadata: text to text, kept by the service.
        noise: ``{"model": name, "seed": int}`` for a noisy simulator.
        settings: passed on as ``settings`` (error mitigation, compilation).
        session_id: the session the job joins.
        dry_run: checked and priced by the service, but not run.
        aggregation: how the service combines the variants of a debiased job:
            ``"average"``, ``"voting"`` or ``"dnl"``; asked for with the results.

    Raises:
        ConfigurationError: a value the service does not take. Nothing was sent.
    """

    backend: str
    gateset: str
    qubits: int
    circuits: tuple[bytes, ...]
    gate_counts: int
    shots: int
    name: str | None = None
    metadata: Mapping[str, str] | None = None
    noise: Mapping[str, Any] | None = None
    settings: Mapping[str, Any] | None = None
    session_id: str | None = None
    dry_run: bool = False
    aggregation: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "circuits", tuple(self.circuits))
        _check_request(self)

    def body(self, token: str | None) -> bytes:
        """The body of the POST.

        Args:
            token: marks this submission, in metadata and name, so that it can be found
                again when the answer is lost; ``None`` leaves it out.

        Raises:
            ConfigurationError: the body is larger than the service takes (10 MB).
        """
        body = b"".join((self._head(token), *self._circuit_parts()))
        if len(body) > MAX_BODY_BYTES:
            raise ConfigurationError(
                f"A job of {len(self.circuits)} circuits takes {len(body):,} bytes; "
                f"IonQ takes {MAX_BODY_BYTES:,}. Send fewer circuits per job."
            )
        return body

    @property
    def payload_sha256(self) -> str:
        """Hash of what is asked for, without the token: equal requests, equal hash."""
        parts = (self._head(None), *self._circuit_parts(), (self.aggregation or "").encode())
        return hashlib.sha256(b"".join(parts)).hexdigest()

    def part(self, indices: Sequence[int]) -> JobRequest:
        """The same job with only these circuits, in this order."""
        # Only the sum of the gates is known; a part of it is bounded by the whole.
        return replace(self, circuits=tuple(self.circuits[i] for i in indices))

    def _head(self, token: str | None) -> bytes:
        single = len(self.circuits) == 1
        head: dict[str, Any] = {
            "type": "ionq.circuit.v1" if single else "ionq.multi-circuit.v1",
            "backend": self.backend,
            "shots": int(self.shots),
        }
        name = self.name
        metadata = dict(self.metadata) if self.metadata else {}
        if token is not None:
            metadata[TOKEN_KEY] = token
            name = f"{(name or 'qstore')[: _MAX_NAME - 1 - len(token)]} {token}"
        if name:
            head["name"] = name
        if metadata:
            head["metadata"] = metadata
        if self.noise:
            head["noise"] = {k: v for k, v in self.noise.items() if v is not None}
        if self.settings:
            head["settings"] = dict(self.settings)
        if self.session_id is not None:
            head["session_id"] = self.session_id
        if self.dry_run:
            head["dry_run"] = True
        head["input"] = {"gateset": self.gateset, "qubits": int(self.qubits)}
        text = orjson.dumps(head)
        return text[:-2] + (b',"circuit":' if single else b',"circuits":[')

    def _circuit_parts(self) -> list[bytes]:
        if len(self.circuits) == 1:
            return [self.circuits[0], b"}}"]
        parts = [b""] * (2 * len(self.circuits))
        parts[::2] = [b'},{"name":"c%d","circuit":' % i for i in range(len(self.circuits))]
        parts[0] = parts[0][2:]
        parts[1::2] = self.circuits
        parts.append(b"}]}}")
        return parts


@dataclass(frozen=True, slots=True)
class JobState:
    """What ``GET /jobs/{id}`` (or an entry of the list) says.

    Times are seconds since the epoch on the service's clock; waits and durations in ms.
    """

    id: str
    status: str
    name: str | None = None
    backend: str | None = None
    token: str | None = None
    parent_id: str | None = None
    child_ids: tuple[str, ...] = ()
    submitted_at: float | None = None
    started_at: float | None = None
    completed_at: float | None = None
    predicted_wait_ms: float | None = None
    predicted_execution_ms: float | None = None
    failure_code: str | None = None
    failure_message: str | None = None
    artifact_id: str | None = None
    results_url: str | None = None

    @property
    def is_terminal(self) -> bool:
        """Whether the job has ended, well or badly."""
        return self.status in TERMINAL


class JobPage(NamedTuple):
    """One page of ``GET /jobs``: entries and the cursor of the next page."""

    jobs: list[JobState]
    next: str | None


def encode_circuits(
    gates: Sequence[Gate], params: ArrayLike, *, gateset: str | None = None
) -> list[bytes]:
    """JSON gate arrays of many circuits that share one skeleton.

    Args:
        gates: the skeleton, ``(name, targets)`` or ``(name, targets, controls)`` each.
        params: float array [rows, slots], slots in the order of the gates: native ``gpi``
            and ``gpi2`` take 1 (phase), ``ms`` 3 (two phases, angle), ``zz`` 1 (angle), in
            turns; QIS rotations take 1, in radians; other QIS gates none.
        gateset: ``"native"`` or ``"qis"``; by default native if every gate is native.

    Returns:
        One JSON array per row, numbers in full precision.

    Raises:
        ConfigurationError: an unknown gate, targets that do not fit it, a wrong number of
            slots, or a number that is not finite.
    """
    pieces = _skeleton_pieces(gates, gateset)
    slots = len(pieces) - 1
    numbers = np.ascontiguousarray(params, dtype=np.float64)
    if numbers.ndim != 2 or numbers.shape[1] != slots:
        raise ConfigurationError(
            f"The skeleton has {slots} slots, so params must have shape [rows, {slots}]; "
            f"it has shape {list(numbers.shape)}."
        )
    if not np.isfinite(numbers).all():
        row, slot = np.argwhere(~np.isfinite(numbers))[0]
        raise ConfigurationError(
            f"params[{row}, {slot}] is {numbers[row, slot]}: phases and angles must be finite."
        )
    if not slots:
        return [pieces[0]] * len(numbers)
    # One formatting pass over all rows, then one join per row: the cheapest of the variants
    # measured (5x faster than building dicts, 15 % than bytes formatting).
    texts = orjson.dumps(numbers.ravel(), option=orjson.OPT_SERIALIZE_NUMPY)[1:-1].split(b",")
    parts = [b""] * (2 * slots + 1)
    parts[::2] = pieces
    out = []
    for start in range(0, numbers.size, slots):
        parts[1::2] = texts[start : start + slots]
        out.append(b"".join(parts))
    return out


def check_id(value: object) -> str:
    """The id, if it may go into a path.

    Raises:
        InvalidResponse: it holds anything but letters, digits, ``-`` and ``_``.
    """
    if not isinstance(value, str) or not _SAFE_ID.fullmatch(value):
        raise InvalidResponse(f"Not a job id: {str(value)[:80]!r}.")
    return value


def ascending_uuid7(ids: Sequence[str]) -> bool:
    """Whether every id is a UUIDv7 and they ascend: then creation order is their order."""
    return all(_UUID7.fullmatch(i) for i in ids) and all(
        a.lower() < b.lower() for a, b in pairwise(ids)
    )


def parse_object(data: bytes, what: str) -> dict[str, Any]:
    """The JSON object in ``data``.

    Raises:
        InvalidResponse: not JSON, or not an object.
    """
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError:
        raise InvalidResponse(f"{what} is not JSON: {data[:120]!r}.") from None
    if not isinstance(value, dict):
        raise InvalidResponse(f"{what} is a JSON {type(value).__name__}, not an object.")
    return value


def parse_created(data: bytes) -> str:
    """The job id in the answer to a POST.

    Raises:
        InvalidResponse: no valid id in it.
    """
    return check_id(parse_object(data, "The answer to POST /jobs").get("id"))


def parse_job(data: bytes | Mapping[str, Any]) -> JobState:
    """A job state, from the body of ``GET /jobs/{id}`` or an entry of the list.

    Raises:
        InvalidResponse: id or status missing or of the wrong type.
    """
    job = parse_object(data, "A job") if isinstance(data, bytes) else data
    status = job.get("status")
    if not isinstance(status, str):
        raise InvalidResponse(f"A job has no status: {str(status)[:80]!r}.")
    failure = job.get("failure")
    failure = failure if isinstance(failure, Mapping) else {}
    metadata = job.get("metadata")
    token = metadata.get(TOKEN_KEY) if isinstance(metadata, Mapping) else None
    children = job.get("child_job_ids")
    parent = job.get("parent_job_id")
    artifact, url = _result_places(job.get("results"))
    return JobState(
        id=check_id(job.get("id")),
        status=_STATUS_ALIASES.get(status, status),
        name=_text(job.get("name")),
        backend=_text(job.get("backend")),
        token=_text(token),
        parent_id=None if parent is None else check_id(parent),
        child_ids=tuple(map(check_id, children)) if isinstance(children, list) else (),
        submitted_at=_epoch(job.get("submitted_at")),
        started_at=_epoch(job.get("started_at")),
        completed_at=_epoch(job.get("completed_at")),
        predicted_wait_ms=_duration(job.get("predicted_wait_time_ms")),
        predicted_execution_ms=_duration(job.get("predicted_execution_duration_ms")),
        failure_code=_text(failure.get("code")),
        failure_message=_text(failure.get("message")) or _text(failure.get("error")),
        artifact_id=artifact,
        results_url=url,
    )


def parse_jobs(data: bytes) -> JobPage:
    """One page of the job list.

    Raises:
        InvalidResponse: not a page, or an entry that is not a job.
    """
    page = parse_object(data, "The job list")
    jobs, cursor = page.get("jobs"), page.get("next")
    if not isinstance(jobs, list) or not all(isinstance(job, dict) for job in jobs):
        raise InvalidResponse("The job list has no array of jobs.")
    if cursor is not None and not (isinstance(cursor, str) and 0 < len(cursor) <= 4096):
        raise InvalidResponse(f"The job list has a cursor that is no text: {str(cursor)[:80]!r}.")
    return JobPage([parse_job(job) for job in jobs], cursor)


def parse_histogram(value: object, qubits: int) -> Histogram:
    """A validated histogram.

    Args:
        value: decoded JSON, ``{"<outcome>": probability, ...}``.
        qubits: outcomes must lie below ``2**qubits``.

    Raises:
        InvalidResponse: not an object, empty, a key that is no outcome, a value that is
            negative or not a number, or a sum that is not 1 within ``SUM_TOLERANCE``.
    """
    if not isinstance(value, dict) or not value:
        raise InvalidResponse(f"A histogram is missing or empty: {str(value)[:80]!r}.")
    if not _OUTCOMES.fullmatch(",".join(value)):
        raise InvalidResponse(f"A histogram has a key that is no outcome: {_some(value)}.")
    outcomes = [int(key) for key in value]
    if max(outcomes) >> min(qubits, _MAX_QUBITS):
        raise InvalidResponse(
            f"A histogram of {qubits} qubits has outcome {max(outcomes)}; "
            f"the largest possible is {2**qubits - 1}."
        )
    # bool is an int to Python, but true is no probability.
    if not {type(p) for p in value.values()} <= {float, int}:
        raise InvalidResponse(f"A histogram has a value that is no number: {_some(value)}.")
    states = np.array(outcomes, dtype=np.uint64)
    try:
        probabilities = np.fromiter(value.values(), dtype=np.float64, count=len(value))
    except OverflowError:
        raise InvalidResponse(f"A histogram has a value out of range: {_some(value)}.") from None
    total = float(probabilities.sum())
    # A NaN fails every comparison, so each condition is stated as what must hold.
    if not (probabilities.min() >= 0 and abs(total - 1) <= SUM_TOLERANCE):
        raise InvalidResponse(f"A histogram is no distribution (sum {total}): {_some(value)}.")
    order = np.argsort(states, kind="stable")
    return Histogram(states[order], probabilities[order] / total)


def parse_aggregate(data: bytes, qubits: int) -> dict[str, Histogram]:
    """Histograms by child id, in the order in which they stand in the body.

    Raises:
        InvalidResponse: not an object, an unsafe child id, or an invalid histogram.
    """
    body = parse_object(data, "The aggregated results")
    return {check_id(child): parse_histogram(value, qubits) for child, value in body.items()}


def _skeleton_pieces(gates: Sequence[Gate], gateset: str | None) -> list[bytes]:
    names = [gate[0] for gate in gates]
    if gateset is None:
        gateset = "native" if all(name in _NATIVE_SLOTS for name in names) else "qis"
    if gateset not in ("native", "qis"):
        raise ConfigurationError(f"Unknown gateset {gateset!r}. Allowed: 'native', 'qis'.")
    pieces: list[bytes] = []
    current = b"["
    for position, gate in enumerate(gates):
        name, targets = gate[0], gate[1]
        controls = gate[2] if len(gate) == 3 else ()
        _check_gate(name, targets, controls, gateset)
        current += b"," if position else b""
        current += b'{"gate":"%s",' % name.encode()
        if len(controls):
            current += _wires(b"control", controls) + b","
        current += _wires(b"target", targets)
        if gateset == "native":
            slots = _NATIVE_SLOTS[name]
        else:
            slots = (b'"rotation":',) if name in _QIS_ROTATIONS else ()
        current += b"," if slots else b""
        for slot in slots:
            pieces.append(current + slot)
            current = b""
        current += b"}"
    pieces.append(current + b"]")
    return pieces


def _check_gate(name: str, targets: Sequence[int], controls: Sequence[int], gateset: str) -> None:
    allowed: Iterable[str] = _NATIVE_SLOTS if gateset == "native" else _QIS_ROTATIONS | _QIS_FIXED
    if name not in allowed:
        raise ConfigurationError(
            f"Gate {name!r} is not in gateset {gateset!r}. Allowed: {', '.join(sorted(allowed))}."
        )
    wires = [*targets, *controls]
    if len(targets) != (2 if name in _TWO_TARGETS else 1):
        raise ConfigurationError(f"Gate {name!r} cannot act on targets {list(targets)}.")
    if gateset == "native" and len(controls):
        raise ConfigurationError(f"Native gate {name!r} takes no controls.")
    if name == "cnot" and not len(controls):
        raise ConfigurationError("Gate 'cnot' needs a control.")
    if len(set(wires)) != len(wires) or min(wires) < 0:
        raise ConfigurationError(f"Gate {name!r} on qubits {wires}: they must differ, from 0 on.")


def _wires(key: bytes, wires: Sequence[int]) -> bytes:
    if len(wires) == 1:
        return b'"%s":%d' % (key, wires[0])
    return b'"%ss":[%s]' % (key, b",".join(b"%d" % wire for wire in wires))


def _check_request(request: JobRequest) -> None:
    def check(fine: bool, message: str) -> None:
        if not fine:
            raise ConfigurationError(message)

    check(
        isinstance(request.backend, str) and _BACKEND.fullmatch(request.backend) is not None,
        f"Not a backend id: {request.backend!r}.",
    )
    check(
        request.gateset in ("native", "qis"),
        f"Unknown gateset {request.gateset!r}. Allowed: 'native', 'qis'.",
    )
    check(
        _is_int(request.qubits) and 1 <= request.qubits <= _MAX_QUBITS,
        f"qubits must be an int in 1..{_MAX_QUBITS}; got {request.qubits!r}.",
    )
    check(
        _is_int(request.shots) and 1 <= request.shots <= MAX_SHOTS,
        f"shots must be an int in 1..{MAX_SHOTS:,}; got {request.shots!r}.",
    )
    count = len(request.circuits)
    check(1 <= count <= MAX_CIRCUITS, f"A job takes 1 to {MAX_CIRCUITS:,} circuits; got {count:,}.")
    check(
        all(isinstance(circuit, bytes) and circuit[:1] == b"[" for circuit in request.circuits),
        "circuits must be JSON arrays as bytes (see encode_circuits).",
    )
    check(
        _is_int(request.gate_counts) and (count == 1 or request.gate_counts <= MAX_GATES),
        f"A job takes {MAX_GATES:,} gates over all circuits; got {request.gate_counts!r}.",
    )
    check(
        request.name is None or _NAME.fullmatch(request.name) is not None,
        f"A job name takes letters, digits, space, '-' and '_'; got {request.name!r}.",
    )
    metadata = request.metadata or {}
    check(
        all(isinstance(k, str) and isinstance(v, str) for k, v in metadata.items())
        and sum(len(k) + len(v) for k, v in metadata.items()) <= _MAX_METADATA_BYTES
        and TOKEN_KEY not in metadata,
        f"metadata maps text to text, up to {_MAX_METADATA_BYTES:,} characters, without the "
        f"reserved entry {TOKEN_KEY!r}.",
    )
    check(
        not request.noise or request.backend == "simulator",
        "A noise model can be chosen on the simulator only.",
    )
    check(
        request.aggregation in (None, *AGGREGATIONS),
        f"Unknown aggregation {request.aggregation!r}. Allowed: {', '.join(AGGREGATIONS)}.",
    )
    check(
        request.session_id is None or _SAFE_ID.fullmatch(request.session_id) is not None,
        f"Not a session id: {request.session_id!r}.",
    )


def _is_int(value: object) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def _text(value: object) -> str | None:
    return value[:4096] if isinstance(value, str) else None


def _duration(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if math.isfinite(value) and value >= 0 else None


def _epoch(value: object) -> float | None:
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None  # a timestamp is a hint here, never the ground of a result
    return moment.timestamp() if moment.tzinfo is not None else None


def _result_places(results: object) -> tuple[str | None, str | None]:
    """Id of the probabilities artifact and the legacy url, where the job names them."""
    if not isinstance(results, Mapping):
        return None, None
    artifact = url = None
    for form in (
        "ionq.result.probabilities.json.v1",
        "ionq.result.probabilities-aggregate.json.v1",
    ):
        entry = results.get(form)
        if isinstance(entry, Mapping) and isinstance(entry.get("id"), str):
            artifact = check_id(entry["id"])
    legacy = results.get("probabilities")
    if isinstance(legacy, Mapping):
        url = _text(legacy.get("url"))
    return artifact, url


def _some(value: Mapping[str, Any]) -> str:
    return ", ".join(f"{key[:24]!r}: {str(p)[:24]}" for key, p in list(value.items())[:4])
