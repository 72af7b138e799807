"""The body of ``POST /jobs``: read, checked, and made ready to run."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from pennylane_qstore.backends import (
    BACKENDS,
    MAX_CIRCUITS,
    MAX_GATES,
    MAX_SHOTS,
    NOISE_MODELS,
)
from pennylane_qstore.gateset import ENTANGLERS
from pennylane_qstore.server.errors import BadRequest, Preflight
from pennylane_qstore.server.inputs.circuits import MAX_CONTROLS, PAULIEXP_MAX_QUBITS, read_circuits
from pennylane_qstore.server.inputs.hybrid import (
    FUNCTION,
    QAOA,
    Hybrid,
    Reduce,
    read_function,
    read_maxcut,
)
from pennylane_qstore.server.inputs.program import COPY, Program, commute
from pennylane_qstore.server.inputs.qasm import read_qasm
from pennylane_qstore.server.inputs.settings import (
    debiased,
    entangler,
    model_of,
    native_gates,
    read_settings,
)
from pennylane_qstore.server.service import CircuitInfo, Failure, ServiceBehaviour

SINGLE, MULTI, QASM = "ionq.circuit.v1", "ionq.multi-circuit.v1", "ionq.qasm3.v1"
_TYPES = (SINGLE, MULTI, QASM, FUNCTION, QAOA)
_PREFLIGHT = (QASM, FUNCTION)
"""Types whose programs the service reads after it has accepted the job."""
_NAME = re.compile(r"[A-Za-z0-9 _-]*")


@dataclass(slots=True)
class Submission:
    """A valid request for a job."""

    type: str
    backend: str
    gateset: str
    shots: int
    name: str | None
    metadata: dict[str, str] | None
    noise: dict[str, Any] | None
    settings: dict[str, Any]
    session_id: str | None
    dry_run: bool
    circuits: list[CircuitInfo]
    programs: list[Program] = field(repr=False)
    request: bytes = field(repr=False)
    failure: Failure | None = None
    reduce: Reduce | None = None

    @property
    def n_1q(self) -> int:
        """One-qubit gates, summed over circuits."""
        return sum(c.n_1q for c in self.circuits)

    @property
    def n_2q(self) -> int:
        """Two-qubit gates, summed over circuits."""
        return sum(c.n_2q for c in self.circuits)

    @property
    def qubits(self) -> int:
        """Qubits of the widest circuit."""
        return max(c.qubits for c in self.circuits)

    @property
    def mitigated(self) -> bool:
        """Whether debiasing is on."""
        return debiased(self.settings)

    @property
    def entangler(self) -> str:
        """The two-qubit gate that abstract gates are compiled to: ``"zz"`` or ``"ms"``.

        That of ``settings.compilation.gate_basis``, where the machine has it.
        """
        native = native_gates(self.backend, self.noise)
        asked = self.settings.get("compilation", {}).get("gate_basis", "").lower()
        return asked if asked in ENTANGLERS and asked in native else entangler(native)


def parse_json(body: bytes) -> Any:
    """The JSON of a request body.

    Raises:
        BadRequest: it is not JSON.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"Invalid request payload JSON format: {error}", keys=["body"]) from None


def read_submission(
    body: bytes, behaviour: ServiceBehaviour, noise_model: str | None = None
) -> Submission:
    """Check a request for a job.

    Args:
        body: JSON.
        behaviour: how strict to be.
        noise_model: of simulator jobs that name none.

    Returns:
        The submission; with a ``failure`` where the service accepts the job and fails it.

    Raises:
        BadRequest: where the service answers 400.
    """
    data = parse_json(body)
    if not isinstance(data, dict):
        raise BadRequest('"value" must be of type object.', keys=["body"])
    kind = data.get("type")
    if kind not in _TYPES:
        raise BadRequest(f'"type" must be one of [{", ".join(_TYPES)}].', keys=["type"])
    backend = _backend(data.get("backend"))
    source = data.get("input")
    if not isinstance(source, dict):
        raise BadRequest('"input" is required and must be an object.', keys=["input"])
    if kind == QASM and not isinstance(source.get("data"), str):
        raise BadRequest('"input.data" must be OpenQASM 3 text.', keys=["input.data"])
    shots = _shots(data.get("shots"))
    noise = _noise(data.get("noise"), backend, noise_model)
    if kind == QAOA:
        body = _without_credentials(data)
    raw: list[Any] = []
    reduce = failure = None
    try:
        raw, reduce = read_input(kind, source)
        programs = read_circuits(
            raw,
            gateset=source.get("gateset") if kind in (SINGLE, MULTI) else "qis",
            qubits=source.get("qubits") if kind in (SINGLE, MULTI) else None,
            strict_ranges=behaviour.strict_ranges,
            copies=kind == QASM,
        )
        circuits = _infos(raw, programs, copies=kind == QASM)
    except BadRequest as error:
        if kind not in _PREFLIGHT or not (raw or isinstance(error, Preflight)):
            raise
        raw, reduce, programs = [], None, []
        circuits = [CircuitInfo(None, 0, 0, 0, None)]
        failure = Failure("PreflightError", error.message)
    gates = sum(len(c["circuit"]) for c in raw)
    if kind == MULTI and gates > MAX_GATES:
        raise BadRequest(
            f'"input.circuits" must have at most {MAX_GATES} gates in all, not {gates}.',
            keys=["input.circuits"],
        )
    gateset = programs[0].gateset if programs else "qis"
    submission = Submission(
        type=kind,
        backend=backend,
        gateset=gateset,
        shots=shots,
        name=_name(data.get("name"), behaviour),
        metadata=_metadata(data.get("metadata")),
        noise=noise,
        settings=read_settings(
            data.get("settings"),
            backend,
            noise,
            gateset,
            shots,
            compiled=kind not in (FUNCTION, QAOA),
        ),
        session_id=_optional(data, "session_id", str),
        dry_run=bool(_optional(data, "dry_run", bool)),
        circuits=circuits,
        programs=programs,
        request=body,
        failure=failure,
        reduce=reduce,
    )
    if failure is None:
        submission.failure = _failure(submission, behaviour)
    return submission


def _without_credentials(data: Mapping[str, Any]) -> bytes:
    """The request as it is kept: without the key of another service."""
    external = data.get("external_settings")
    key = external.get("api_credentials") if isinstance(external, dict) else None
    if not isinstance(key, str) or not key:
        raise BadRequest(
            '"external_settings.api_credentials" is required.', keys=["external_settings"]
        )
    return orjson.dumps({**data, "external_settings": {"api_credentials": "not kept"}})


def _backend(value: Any) -> str:
    if value == "qpu":  # what cirq-ionq still sends
        value = "qpu.aria-1"
    known = BACKENDS.get(value) if isinstance(value, str) else None
    if known is None or known.retired:
        allowed = ", ".join(b.name for b in BACKENDS.values() if not b.retired)
        wrong = f"not {value!r}" if known is None else f"{value} is retired"
        raise BadRequest(f'"backend" must be one of [{allowed}], {wrong}.', keys=["backend"])
    return known.name


def _shots(value: Any) -> int:
    if value is None:
        return 100
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10:
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if type(value) is not int or not 1 <= value <= MAX_SHOTS:
        raise BadRequest(f'"shots" must be an integer from 1 to {MAX_SHOTS}.', keys=["shots"])
    return value


def _noise(value: Any, backend: str, default: str | None) -> dict[str, Any] | None:
    qpu = BACKENDS[backend].is_qpu
    fallback = "ideal" if qpu or default is None else default
    if value is None:
        return None if fallback == "ideal" else {"model": fallback}
    if not isinstance(value, dict):
        raise BadRequest('"noise" must be an object.', keys=["noise"])
    model, seed = value.get("model", fallback), value.get("seed")
    if not isinstance(model, str) or model not in NOISE_MODELS:
        raise BadRequest(
            f'"noise.model" must be one of [{", ".join(NOISE_MODELS)}] (others have no published '
            f"rates, so the emulator has no physics for them), not {model!r}.",
            keys=["noise.model"],
        )
    if seed is not None and (type(seed) is not int or not -(2**31) <= seed < 2**31):
        raise BadRequest('"noise.seed" must be a 32-bit integer.', keys=["noise.seed"])
    if qpu and model != "ideal":
        raise BadRequest('"noise" is for the simulator only.', keys=["noise"])
    return {"model": model} if seed is None else {"model": model, "seed": seed}


def _name(value: Any, behaviour: ServiceBehaviour) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or (behaviour.strict_names and not _NAME.fullmatch(value)):
        raise BadRequest(
            '"name" may only contain letters, digits, spaces, hyphens and underscores.',
            keys=["name"],
        )
    return value


def _metadata(value: Any) -> dict[str, str] | None:
    if value is None:
        return None
    if not isinstance(value, dict) or not all(isinstance(v, str) for v in value.values()):
        raise BadRequest('"metadata" must be an object of strings.', keys=["metadata"])
    return value


def _optional(data: Mapping[str, Any], key: str, kind: type) -> Any:
    value = data.get(key)
    if value is not None and not isinstance(value, kind):
        raise BadRequest(f'"{key}" must be a {kind.__name__}.', keys=[key])
    return value


def read_input(kind: str, source: Mapping[str, Any]) -> Hybrid:
    """The circuits of an ``input``, whatever the type of the job.

    Raises:
        BadRequest: they are not where the type wants them, or cannot be read.
    """
    if kind == FUNCTION:
        return read_function(source)
    if kind == QAOA:
        return read_maxcut(source)
    return Hybrid(_circuits_of(kind, source))


def _circuits_of(kind: str, source: Mapping[str, Any]) -> list[Any]:
    if kind == QASM:
        return [read_qasm(source["data"])]
    if kind == SINGLE:
        if "circuits" in source:
            raise BadRequest('"input.circuits" is not allowed.', keys=["input.circuits"])
        if not isinstance(source.get("circuit"), list):
            raise BadRequest(
                '"input.circuit" is required and must be an array.', keys=["input.circuit"]
            )
        return [source]
    circuits = source.get("circuits")
    if "circuit" in source or not isinstance(circuits, list) or not circuits:
        raise BadRequest(
            '"input.circuits" is required and must be a non-empty array, "input.circuit" absent.',
            keys=["input.circuits"],
        )
    if len(circuits) > MAX_CIRCUITS:
        raise BadRequest(
            f'"input.circuits" must contain at most {MAX_CIRCUITS} circuits, not {len(circuits)}.',
            keys=["input.circuits"],
        )
    return circuits


def _infos(raw: list[Any], programs: list[Program], *, copies: bool) -> list[CircuitInfo]:
    infos: list[CircuitInfo | None] = [None] * len(raw)
    for program in programs:
        n_1q, n_2q = program.gate_counts()
        for i in program.index.tolist():
            name, registers = raw[i].get("name"), raw[i].get("registers")
            if name is not None and not isinstance(name, str):
                raise BadRequest(f'"circuits[{i}].name" must be a string.', keys=["input.circuits"])
            if registers is not None:
                _check_registers(registers, program.qubits, i)
            recorded = raw[i].get("recorded", 0) if copies else 0
            infos[i] = CircuitInfo(name, program.qubits - recorded, n_1q, n_2q, registers, recorded)
    return [info for info in infos if info is not None]


def _check_registers(registers: Any, qubits: int, i: int) -> None:
    valid = isinstance(registers, dict) and all(
        isinstance(places, list)
        and all(p is None or (type(p) is int and 0 <= p < qubits) for p in places)
        for places in registers.values()
    )
    if not valid:
        raise BadRequest(
            f'"circuits[{i}].registers" must map names to arrays of qubit indices.',
            keys=["input.circuits"],
        )


def _failure(submission: Submission, behaviour: ServiceBehaviour) -> Failure | None:
    """What the service finds wrong only after it has accepted the job."""
    backend = BACKENDS[submission.backend]
    limit, native = backend.qubits, native_gates(submission.backend, submission.noise)
    if not backend.is_qpu:
        limit = min(limit, model_of(submission.noise).qubits)
    if submission.qubits > limit:
        return Failure(
            "NotEnoughQubits",
            f"The circuit needs {submission.qubits} qubits, this backend has {limit}.",
        )
    recorded = max(c.recorded for c in submission.circuits)
    if recorded and backend.is_qpu and not behaviour.qpu_mid_circuit:
        return Failure(
            "PreflightError",
            f"Mid-circuit measurement and reset are not supported on {backend.name}.",
        )
    if recorded and submission.qubits + recorded > BACKENDS["simulator"].qubits:
        return Failure(
            "QuantumCircuitComplexityError",
            f"The circuit measures or resets {recorded} times on the way, beside "
            f"{submission.qubits} qubits: too much to be simulated.",
        )
    names = {
        gate.name
        for program in submission.programs
        if program.gateset == "native"
        for gate in program.gates
        if gate.name != COPY
    }
    if wrong := sorted(names - set(native)):
        return Failure(
            "UnsupportedGate",
            f"Gate types [{', '.join(wrong)}] are not supported by this backend",
        )
    gates = [gate for program in submission.programs for gate in program.gates]
    if any(len(gate.controls) > MAX_CONTROLS for gate in gates):
        return Failure("TooManyControls", f"A gate takes at most {MAX_CONTROLS} controls.")
    if any(len(gate.targets) > PAULIEXP_MAX_QUBITS and not commute(gate.terms) for gate in gates):
        return Failure(
            "QuantumCircuitComplexityError",
            f"A pauliexp of terms that do not commute takes at most {PAULIEXP_MAX_QUBITS} qubits.",
        )
    if backend.is_qpu and submission.shots > behaviour.qpu_max_shots:
        return Failure(
            "TooManyShots", f"This backend takes at most {behaviour.qpu_max_shots} shots."
        )
    return None
