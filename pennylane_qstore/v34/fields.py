"""Fields of v3.4's settings: descriptors that check a value as it is assigned."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.secret import Secret
from pennylane_qstore.validation import check, check_number, check_one_of

logger = logging.getLogger(__name__)

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")

KINDS: Mapping[str, str] = {
    "all": "turns others on",
    "device": "read by device()",
    "optimizer": "read by optimizer()",
    "model": "read by the model of run()",
    "run": "read by run()",
    "log": "read by device() and run(), for the log",
    "nothing": "accepted, without meaning here",
}
"""The reader of the fields of each kind."""

Check = Callable[[str, Any], Any]


class OptimizerName(str):
    """The field ``optimizer``, which is also the method: calling it makes the optimizer."""

    make: Callable[..., Any]

    def __call__(self, **options: Any) -> Any:
        """Return the optimizer of the configuration; see :func:`.optimizers.make_optimizer`.

        Args:
            **options: further arguments of the optimizer.
        """
        return self.make(**options)


class Setting:
    """One field: a descriptor that checks values as they are assigned.

    Args:
        kind: of its reader, see :data:`KINDS`.
        default: value of the field when it is not given.
        check: returns a value as it is kept, or raises.
        meaning: effect of the field, for people.
    """

    name: str

    def __init__(self, kind: str, default: Any, check: Check, meaning: str) -> None:
        self.kind, self.default, self.check, self.meaning = kind, default, check, meaning

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, settings: Any, owner: type) -> Any:
        return self if settings is None else settings.value_of(self.name)

    def __set__(self, settings: Any, value: Any) -> None:
        value = self.check(self.name, value.item() if isinstance(value, np.generic) else value)
        if self.kind == "nothing":
            logger.debug("%s is accepted and has no effect: %s", self.name, self.meaning)
        settings.given[self.name] = value


def text(name: str, value: Any) -> str:
    """Return a text that is not empty.

    Args:
        name: of the field.
        value: to be checked.

    Returns:
        The value as it is kept.
    """
    check(name, value, isinstance(value, str) and bool(value), "a text")
    return str(value)


def optional_text(name: str, value: Any) -> str | None:
    """Return a text that is not empty, or None.

    Args:
        name: of the field.
        value: to be checked.

    Returns:
        The value as it is kept.
    """
    return None if value is None else text(name, value)


def secret(name: str, value: Any) -> Secret | None:
    """Return an API key as a secret, or None.

    Args:
        name: of the field.
        value: to be checked.

    Returns:
        The value as it is kept.

    Raises:
        ConfigurationError: it is neither; the message does not show it.
    """
    key: Secret | None = Secret.hold(value)
    del value  # a traceback may show local variables
    if key is not None and not key.is_text:
        raise ConfigurationError(f"{name}=... is not allowed. Allowed: a text, or None.")
    if key is not None:
        key.check()
    return key


def level(name: str, value: Any) -> str | None:
    """Return a level of the log in capitals, or None.

    Args:
        name: of the field.
        value: to be checked.

    Returns:
        The value as it is kept.
    """
    level = value.upper() if isinstance(value, str) else value
    return check_one_of(name, level, (None, *LEVELS))  # type: ignore[no-any-return]


def one_of(*allowed: Any) -> Check:
    """Return the check of a value that is one of a few."""
    return partial(check_one_of, allowed=allowed)


positive = partial(check_number, above=0)
seconds = partial(check_number, above=0, unit="seconds")
share = partial(check_number, least=0, below=1)
