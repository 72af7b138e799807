"""The body of ``POST /jobs``: read, checked, and made ready to run."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, fields
from typing import Any

import orjson

from pennylane_qstore.backends import BACKENDS, MAX_SHOTS, NOISE_MODELS, described, is_qpu
from pennylane_qstore.backends import backend as known_backend
from pennylane_qstore.gateset import ENTANGLERS
from pennylane_qstore.prices import JobSize
from pennylane_qstore.run_names import NAME
from pennylane_qstore.server.errors import BadRequest, invalid
from pennylane_qstore.server.inputs.alike import read_alike
from pennylane_qstore.server.inputs.contents import MULTI, QASM, SINGLE, read_contents
from pennylane_qstore.server.inputs.hybrid import FUNCTION, QAOA, Reduce
from pennylane_qstore.server.inputs.preflight import preflight
from pennylane_qstore.server.inputs.program import Program
from pennylane_qstore.server.inputs.settings import (
    debiased,
    entangler,
    native_gates,
    read_settings,
)
from pennylane_qstore.server.service import CircuitInfo, Failure, ServiceBehaviour, ServiceJob

_TYPES = (SINGLE, MULTI, QASM, FUNCTION, QAOA)


@dataclass(frozen=True, slots=True)
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
    def size(self) -> JobSize:
        """The size of the job, which is priced."""
        n_1q, n_2q = sum(c.n_1q for c in self.circuits), sum(c.n_2q for c in self.circuits)
        return JobSize(n_1q, n_2q, len(self.circuits), self.shots, debiased(self.settings))

    @property
    def entangler(self) -> str:
        """The two-qubit gate that abstract gates are compiled to: ``"zz"`` or ``"ms"``.

        That of ``settings.compilation.gate_basis``, where the machine has it.
        """
        native = native_gates(self.backend, self.noise)
        asked = self.settings.get("compilation", {}).get("gate_basis", "").lower()
        return asked if asked in ENTANGLERS and asked in native else entangler(native)


def taken_by(job: type[ServiceJob]) -> frozenset[str]:
    """Return the members that a job takes from its submission: all in common but ``failure``."""
    own = {member.name for member in fields(job)} - {"failure"}
    return frozenset(own & {member.name for member in fields(Submission)})


def parse_json(body: bytes) -> Any:
    """Return the JSON of a request body.

    Raises:
        BadRequest: the body is not JSON.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"Invalid request payload JSON format: {error}", keys=["body"]) from None


def read_submission(
    body: bytes,
    behaviour: ServiceBehaviour,
    noise_model: str | None = None,
    *,
    takes_described: bool = False,
) -> Submission:
    """Check a request for a job.

    Args:
        body: JSON.
        behaviour: how strict to be.
        noise_model: of simulator jobs that name none.
        takes_described: machines that a service has described count too.

    Returns:
        The submission; with a ``failure`` where the service accepts the job and fails it.

    Raises:
        BadRequest: where the service answers 400.
    """
    options = behaviour, noise_model, takes_described
    if (data := read_alike(body)) is not None and data.get("type") == MULTI:
        with suppress(BadRequest):  # said again below, in the words for the body as a whole
            return _submission(data, body, *options)
    data = parse_json(body)
    if not isinstance(data, dict):
        raise BadRequest('"value" must be of type object.', keys=["body"])
    return _submission(data, body, *options)


def _submission(
    data: dict[str, Any],
    body: bytes,
    behaviour: ServiceBehaviour,
    noise_model: str | None,
    takes_described: bool,
) -> Submission:
    kind = data.get("type")
    if kind not in _TYPES:
        raise invalid("type", f"must be one of [{', '.join(_TYPES)}]")
    backend = _backend(data.get("backend"), takes_described)
    source = data.get("input")
    if not isinstance(source, dict):
        raise invalid("input", "is required and must be an object")
    if kind == QASM and not isinstance(source.get("data"), str):
        raise invalid("input.data", "must be OpenQASM 3 text")
    shots = _shots(data.get("shots"))
    noise = _noise(data.get("noise"), backend, noise_model)
    contents = read_contents(kind, source, behaviour)
    gateset = contents.programs[0].gateset if contents.programs else "qis"
    compiled = kind not in (FUNCTION, QAOA)
    asked = data.get("settings")
    settings = read_settings(asked, backend, noise, gateset, shots, compiled=compiled)
    failure = contents.failure or preflight(
        known_backend(backend), noise, shots, contents.circuits, contents.programs, behaviour
    )
    return Submission(
        type=kind,
        backend=backend,
        gateset=gateset,
        shots=shots,
        name=_name(data.get("name"), behaviour),
        metadata=_metadata(data.get("metadata")),
        noise=noise,
        settings=settings,
        session_id=_optional(data, "session_id", str),
        dry_run=bool(_optional(data, "dry_run", bool)),
        circuits=contents.circuits,
        programs=contents.programs,
        request=_without_credentials(data) if kind == QAOA else body,
        failure=failure,
        reduce=contents.reduce,
    )


def _without_credentials(data: Mapping[str, Any]) -> bytes:
    """Return the request as it is kept: without the key of another service."""
    external = data.get("external_settings")
    key = external.get("api_credentials") if isinstance(external, dict) else None
    if not isinstance(key, str) or not key:
        raise invalid("external_settings.api_credentials", "is required")
    return orjson.dumps({**data, "external_settings": {"api_credentials": "not kept"}})


def _backend(value: Any, takes_described: bool) -> str:
    if value == "qpu":  # what cirq-ionq still sends
        value = "qpu.aria-1"
    known = BACKENDS.get(value) if isinstance(value, str) else None
    if known is None and takes_described and isinstance(value, str):
        known = described(value)
    if known is None or known.retired:
        allowed = ", ".join(b.name for b in BACKENDS.values() if not b.retired)
        wrong = f"not {value!r}" if known is None else f"{value} is retired"
        raise invalid("backend", f"must be one of [{allowed}], {wrong}")
    return known.name


def _shots(value: Any) -> int:
    if value is None:
        return 100
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10:
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if type(value) is not int or not 1 <= value <= MAX_SHOTS:
        raise invalid("shots", f"must be an integer from 1 to {MAX_SHOTS}")
    return value


def _noise(value: Any, backend: str, default: str | None) -> dict[str, Any] | None:
    qpu = is_qpu(backend)
    fallback = "ideal" if qpu or default is None else default
    if value is None:
        return None if fallback == "ideal" else {"model": fallback}
    if not isinstance(value, dict):
        raise invalid("noise", "must be an object")
    model, seed = value.get("model", fallback), value.get("seed")
    if not isinstance(model, str) or model not in NOISE_MODELS:
        raise invalid(
            "noise.model",
            f"must be one of [{', '.join(NOISE_MODELS)}] (others have no published rates, so "
            f"there is no physics for them here), not {model!r}",
        )
    if seed is not None and (type(seed) is not int or not -(2**31) <= seed < 2**31):
        raise invalid("noise.seed", "must be a 32-bit integer")
    if qpu and model != "ideal":
        raise invalid("noise", "is for the simulator only")
    return {"model": model} if seed is None else {"model": model, "seed": seed}


def _name(value: Any, behaviour: ServiceBehaviour) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or (behaviour.strict_names and not NAME.fullmatch(value)):
        raise invalid("name", "may only contain letters, digits, spaces, hyphens and underscores")
    return value


def _metadata(value: Any) -> dict[str, str] | None:
    if value is None:
        return None
    if not isinstance(value, dict) or not all(isinstance(v, str) for v in value.values()):
        raise invalid("metadata", "must be an object of strings")
    return value


def _optional(data: Mapping[str, Any], key: str, kind: type) -> Any:
    value = data.get(key)
    if value is not None and not isinstance(value, kind):
        raise invalid(key, f"must be a {kind.__name__}")
    return value
