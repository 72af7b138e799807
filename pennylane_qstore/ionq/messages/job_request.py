"""Bodies of job submissions, as bytes. Pure: no connection, no clock.

Angles and phases of native gates are in turns, rotations of QIS gates in radians.
"""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import orjson
from numpy.typing import ArrayLike

from pennylane_qstore.backends import (
    MAX_BODY_BYTES,
    MAX_CIRCUITS,
    MAX_GATES,
    MAX_QUBITS,
    MAX_SHOTS,
    is_debiased,
    takes_qasm_only,
)
from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.gateset import GATESETS, NATIVE, GateSpec
from pennylane_qstore.ionq.messages.histograms import Histogram
from pennylane_qstore.ionq.messages.labels import check_labels, job_type, matches
from pennylane_qstore.ionq.messages.qasm import qasm_text
from pennylane_qstore.ionq.messages.responses import TOKEN_KEY, JobState
from pennylane_qstore.prices import JobSize
from pennylane_qstore.run_names import TOKEN_LENGTH, marked_name
from pennylane_qstore.validation import check, check_count, check_one_of, is_whole

__all__ = ["AGGREGATIONS", "Gate", "Histogram", "JobRequest", "JobState", "encode_circuits"]

AGGREGATIONS = ("average", "voting", "dnl")
"""Ways to combine the variants of a debiased job."""

_BACKEND = re.compile(r"[a-z][a-z0-9.-]{0,63}")

Gate = tuple[str, Sequence[int]] | tuple[str, Sequence[int], Sequence[int]]


@dataclass(frozen=True, slots=True)
class JobRequest:
    """A job to submit: everything that its POST holds, except the token.

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
        """Return the body of the POST.

        Args:
            token: marks this submission, in metadata and name, so that it can be found
                again when the response is lost; ``None`` leaves it out.
        """
        return b"".join(self._pieces(token))

    def check_size(self) -> None:
        """Refuse a body that is larger than the service takes.

        Raises:
            ConfigurationError: it is larger (10 MB).
        """
        size = sum(map(len, self._pieces("0" * TOKEN_LENGTH)))
        if size > MAX_BODY_BYTES:
            raise ConfigurationError(
                f"A job of {len(self.circuits)} circuits takes {size:,} bytes; "
                f"IonQ takes {MAX_BODY_BYTES:,}. Send fewer circuits per job."
            )

    @property
    def size(self) -> JobSize:
        """The size of the job, which is priced."""
        # A gate that names targets, or controls, has two qubits or more.
        native = self.gateset == "native"
        marks = (b'"targets":',) if native else (b'"targets":', b'"control":', b'"controls":')
        text = b"".join(self.circuits)
        n_2q = sum(map(text.count, marks))
        mitigation = (self.settings or {}).get("error_mitigation") or {}
        asked = mitigation.get("debiasing")
        mitigated = is_debiased(self.backend, self.gateset, self.shots, asked)
        return JobSize(self.gate_counts - n_2q, n_2q, len(self.circuits), self.shots, mitigated)

    @property
    def payload_sha256(self) -> str:
        """SHA-256 of what decides the results, in hex: equal work has an equal hash.

        Name, metadata and session are labels: a run that starts again in a new session is
        the same run.
        """
        digest = hashlib.sha256(b"".join(self._pieces(None, labelled=False)))
        digest.update((self.aggregation or "").encode())
        return digest.hexdigest()

    def part(self, indices: Sequence[int]) -> JobRequest:
        """Return the same job with only these circuits, in this order."""
        circuits = tuple(self.circuits[i] for i in indices)
        gate_counts = sum(text.count(b'"gate":') for text in circuits)
        return replace(self, circuits=circuits, gate_counts=gate_counts)

    @staticmethod
    def joined(requests: Sequence[JobRequest]) -> JobRequest:
        """Return one job with the circuits of several that differ in these only.

        Shots may differ where they decide nothing, on a simulator without noise: the most of them
        are asked for.
        """
        return replace(
            requests[0],
            circuits=tuple(text for request in requests for text in request.circuits),
            gate_counts=sum(request.gate_counts for request in requests),
            shots=max(request.shots for request in requests),
        )

    def _pieces(self, token: str | None, *, labelled: bool = True) -> list[bytes]:
        """Return the body in pieces: what is before the circuits, then each of them."""
        # Ledgers of earlier versions hold hashes of these bytes: neither the members nor their
        # order may change.
        head: dict[str, Any] = {
            "type": job_type(len(self.circuits), self.backend),
            "backend": self.backend,
            "shots": int(self.shots),
        }
        name = self.name
        metadata = dict(self.metadata) if self.metadata else {}
        if token is not None:
            metadata[TOKEN_KEY] = token
            name = marked_name(name, token)
        if labelled:
            labels = {"name": name, "metadata": metadata, "session_id": self.session_id}
            head.update((key, label) for key, label in labels.items() if label)
        if self.noise:
            head["noise"] = {k: v for k, v in self.noise.items() if v is not None}
        if self.settings:
            head["settings"] = dict(self.settings)
        if self.dry_run:
            head["dry_run"] = True
        if takes_qasm_only(self.backend):
            head["input"] = {"data": qasm_text(self.circuits[0], self.qubits)}
            return [orjson.dumps(head)]
        head["input"] = {"gateset": self.gateset, "qubits": int(self.qubits)}
        text = orjson.dumps(head)[:-2]  # the objects "input" and the body stay open
        if len(self.circuits) == 1:
            return [text, b',"circuit":', self.circuits[0], b"}}"]
        pieces = [b""] * (2 * len(self.circuits))
        pieces[::2] = [b'},{"name":"c%d","circuit":' % i for i in range(len(self.circuits))]
        pieces[0] = text + b',"circuits":[' + pieces[0][2:]
        pieces[1::2] = self.circuits
        pieces.append(b"}]}}")
        return pieces


def encode_circuits(
    gates: Sequence[Gate], params: ArrayLike, *, gateset: str | None = None
) -> list[bytes]:
    """Return JSON gate arrays of many circuits that share one skeleton.

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
    try:
        pieces = _cached_pieces(gates, gateset)
    except TypeError:  # gates that do not hash
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


@functools.lru_cache(maxsize=512)
def _cached_pieces(gates: Sequence[Gate], gateset: str | None) -> list[bytes]:
    """Return the pieces from a cache: step after step has the same skeletons."""
    return _skeleton_pieces(gates, gateset)


def _skeleton_pieces(gates: Sequence[Gate], gateset: str | None) -> list[bytes]:
    """Return the JSON text between the numbers of a circuit."""
    if gateset is None:
        gateset = "native" if all(gate[0] in NATIVE for gate in gates) else "qis"
    if gateset not in GATESETS:
        raise ConfigurationError(f"Unknown gateset {gateset!r}. Allowed: 'native', 'qis'.")
    objects = []
    for name, targets, *others in gates:
        controls = others[0] if others else ()
        spec = _checked_spec(name, targets, controls, gateset)
        objects.append(spec.to_json(targets, [None] * spec.slots, controls))
    return orjson.dumps(objects).split(b"null")


def _checked_spec(
    name: str, targets: Sequence[int], controls: Sequence[int], gateset: str
) -> GateSpec:
    spec = GATESETS[gateset].get(name)
    if spec is None:
        raise ConfigurationError(
            f"Gate {name!r} is not in gateset {gateset!r}. "
            f"Allowed: {', '.join(sorted(GATESETS[gateset]))}."
        )
    wires = [*targets, *controls]
    if len(targets) != spec.targets:
        raise ConfigurationError(f"Gate {name!r} cannot act on targets {list(targets)}.")
    if gateset == "native" and len(controls):
        raise ConfigurationError(f"Native gate {name!r} takes no controls.")
    if name == "cnot" and not len(controls):
        raise ConfigurationError("Gate 'cnot' needs a control.")
    if len(set(wires)) != len(wires) or min(wires) < 0:
        raise ConfigurationError(f"Gate {name!r} on qubits {wires}: they must differ, from 0 on.")
    return spec


def _check_request(request: JobRequest) -> None:
    """Refuse what the service would refuse."""
    circuits, gates = len(request.circuits), request.gate_counts
    check("backend", request.backend, matches(_BACKEND, request.backend), "a backend id of IonQ")
    check_one_of("gateset", request.gateset, tuple(GATESETS))
    check_count("qubits", request.qubits, most=MAX_QUBITS)
    check_count("shots", request.shots, most=MAX_SHOTS)
    check("len(circuits)", circuits, 1 <= circuits <= MAX_CIRCUITS, f"1 to {MAX_CIRCUITS:,}")
    if not all(isinstance(circuit, bytes) and circuit[:1] == b"[" for circuit in request.circuits):
        raise ConfigurationError("circuits must be JSON arrays as bytes (see encode_circuits).")
    if circuits > 1 and takes_qasm_only(request.backend):
        raise ConfigurationError(
            f"A job on {request.backend!r} is one circuit in OpenQASM 3, not {circuits}."
        )
    few_gates = is_whole(gates) and (circuits == 1 or gates <= MAX_GATES)
    check("gate_counts", gates, few_gates, f"up to {MAX_GATES:,} over all circuits")
    check_labels(request.name, request.metadata, request.session_id)
    if request.noise and request.backend != "simulator":
        raise ConfigurationError("A noise model can be chosen on the simulator only.")
    if request.aggregation is not None:
        known = request.aggregation in AGGREGATIONS
        check("aggregation", request.aggregation, known, ", ".join(AGGREGATIONS))
