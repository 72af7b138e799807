"""Checks of the values of single device options."""

from __future__ import annotations

import inspect
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pennylane import default_config

from pennylane_qstore.backends import DEBIASING_MIN_SHOTS, Backend
from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.secret import Secret
from pennylane_qstore.validation import check, check_known


def is_text(value: Any) -> bool:
    """Return True for a text that is not empty."""
    return isinstance(value, str) and value != ""


def is_path(value: Any) -> bool:
    """Return True for a path."""
    return is_text(value) or isinstance(value, os.PathLike)


def check_ledger(ledger: Any) -> None:
    """Refuse what is neither a ledger nor a path."""
    if ledger is None or is_path(ledger):
        return
    from pennylane_qstore.ionq.ledger.ledger import Ledger  # which most devices do not need yet

    check("ledger", ledger, isinstance(ledger, Ledger), "a Ledger, a path, or None")


def check_emulator(settings: Any) -> None:
    """Refuse what is neither an emulator nor its settings.

    Raises:
        ConfigurationError: it is neither, or a setting is not allowed.
    """
    if settings is None:
        return
    from pennylane_qstore.emulator import Emulator

    if isinstance(settings, Emulator):
        return
    valid = isinstance(settings, Mapping)
    check("emulator", settings, valid, "an Emulator, a mapping of its settings, or None")
    known = inspect.signature(Emulator).parameters
    for name in settings:
        check_known("setting", name, known, of="the emulator")
    try:
        Emulator(**settings)  # which is not started
    except (TypeError, ValueError, AttributeError, OSError) as error:
        raise ConfigurationError(f"emulator={settings!r} is not allowed: {error}") from error


def check_machine_noise(settings: Any, cloud: str | None, noise_model: str | None) -> None:
    """Refuse the emulator's errors by qubit and pair where they would have no effect.

    Args:
        settings: of the emulator.
        cloud: the backend in words, where it is not the emulator.
        noise_model: of the device.

    Raises:
        ConfigurationError: the backend is a service, or jobs are ideal.
    """
    if not isinstance(settings, Mapping) or settings.get("machine_noise") is None:
        return
    if cloud is not None:
        raise ConfigurationError(
            f"emulator={{'machine_noise': ...}} is not allowed with {cloud}: only the emulator "
            "of this process imitates such errors. Allowed: backend='emulator'."
        )
    if (noise_model or settings.get("noise_model")) in (None, "ideal"):
        raise ConfigurationError(
            "emulator={'machine_noise': ...} comes beside a noise model, and there is none: "
            "ideal jobs stay ideal. Give noise_model='forte-1', or another one."
        )


def check_config_file(key: Secret) -> None:
    """Refuse a key from a configuration file of PennyLane that others may read.

    Raises:
        ConfigurationError: others may read it.
    """
    sections = ("main", "qstore.global", "qstore.ionq")
    keys = [Secret.hold(default_config[name].get("api_key")) for name in sections]
    if os.name != "posix" or key not in keys:
        return
    path = Path(default_config.path)
    if path.stat().st_mode & 0o077:
        raise ConfigurationError(
            f"The API key is in {path}, which others can read: `chmod 600 {path}`, or keep it in "
            "the environment variable IONQ_API_KEY."
        )


def check_mitigation(mitigation: Any, machine: Backend, described: str) -> None:
    """Refuse error mitigation that a backend does not offer.

    Args:
        mitigation: names, each switched on or off; or None.
        machine: figures of the backend.
        described: the backend, for messages.

    Raises:
        ConfigurationError: it is no such mapping, or has another name.
    """
    if mitigation is None:
        return
    valid = isinstance(mitigation, Mapping) and all(
        isinstance(name, str) and isinstance(value, bool) for name, value in mitigation.items()
    )
    check("error_mitigation", mitigation, valid, "a mapping of names to True or False")
    for name in mitigation:
        if name not in machine.error_mitigations:
            known = ", ".join(map(repr, machine.error_mitigations)) or "none"
            raise ConfigurationError(
                f"error_mitigation {name!r} is not offered by {described}. "
                f"Allowed: {known} (debiasing needs {DEBIASING_MIN_SHOTS} shots)."
            )
