"""``settings`` of a job, and the gates its circuits are compiled to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pennylane_qstore.backends import NOISE_MODELS, NoiseModel, is_debiased, is_qpu
from pennylane_qstore.backends import backend as known_backend
from pennylane_qstore.gateset import ENTANGLERS
from pennylane_qstore.server.errors import BadRequest, invalid

_SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "error_mitigation": {"debiasing": bool, "symmetry_verification": bool},
    "compilation": {
        "opt": (int, float), "precision": str, "gate_basis": str, "service_version": str
    },
}  # fmt: skip


def read_settings(
    value: Any,
    backend: str,
    noise: Mapping[str, Any] | None,
    gateset: str,
    shots: int,
    *,
    compiled: bool,
) -> dict[str, Any]:
    """Return the settings in force: those asked for that are known, and the defaults.

    Args:
        value: ``settings`` of the request.
        backend: of the job.
        noise: of the job, as IonQ's JSON has it.
        gateset: of the job.
        shots: of the job.
        compiled: whether jobs of this type take settings of the compiler.

    Returns:
        ``settings`` in IonQ's JSON.

    Raises:
        BadRequest: a known setting has a value it cannot have.
    """
    known = {name: _known(value, name, kinds) for name, kinds in _SETTINGS.items()}
    asked = known["error_mitigation"].get("debiasing")
    debiasing = is_debiased(backend, gateset, shots, asked)
    out: dict[str, Any] = {"error_mitigation": known["error_mitigation"] | {"debiasing": debiasing}}
    if compiled and gateset == "qis":
        native = native_gates(backend, noise)
        defaults: dict[str, Any] = {"opt": 1, "precision": "1E-3"}
        if not set(native).isdisjoint(ENTANGLERS):
            defaults["gate_basis"] = entangler(native).upper()
        out["compilation"] = defaults | known["compilation"]
    elif compiled and known["compilation"]:
        out["compilation"] = known["compilation"]
    return out


def native_gates(backend: str, noise: Mapping[str, Any] | None) -> tuple[str, ...]:
    """Return the native gates of a job's machine, or of the one its noise model stands for.

    Args:
        backend: name of the backend.
        noise: ``noise`` of the job, as IonQ's JSON has it.

    Returns:
        Names of the gates.
    """
    if is_qpu(backend):
        return known_backend(backend).native_gates
    return model_of(noise).native_gates


def model_of(noise: Mapping[str, Any] | None) -> NoiseModel:
    """Return the noise model of a simulator's job from its ``noise`` in IonQ's JSON."""
    return NOISE_MODELS[(noise or {}).get("model", "ideal")]


def entangler(native: tuple[str, ...]) -> str:
    """Return the two-qubit gate to compile to; ZZ where both work."""
    return next(name for name in ENTANGLERS if name in native)


def debiased(settings: Mapping[str, Any]) -> bool:
    """Return whether jobs with these settings in force are debiased."""
    return bool(settings.get("error_mitigation", {}).get("debiasing"))


def _known(settings: Any, name: str, kinds: Mapping[str, Any]) -> dict[str, Any]:
    """Return the known members of one kind of settings; others are ignored."""
    settings = {} if settings is None else settings
    if not isinstance(settings, dict):
        raise invalid("settings", "must be an object")
    part = {} if settings.get(name) is None else settings[name]
    if not isinstance(part, dict):
        raise BadRequest(f'"settings.{name}" must be an object.', keys=["settings"])
    known = {key: part[key] for key in kinds if part.get(key) is not None}
    for key, value in known.items():
        if not isinstance(value, kinds[key]) or isinstance(value, bool) != (kinds[key] is bool):
            raise BadRequest(f'"settings.{name}.{key}" is not valid.', keys=["settings"])
    return known
