"""The API key, in a wrapper that does not show it."""

from __future__ import annotations

import os
from typing import NoReturn

from pennylane_qstore.errors import ConfigurationError

KEY_VARIABLES = ("IONQ_API_KEY", "PENNYLANE_IONQ_API_KEY")
"""Environment variables an API key is read from, in this order."""

_HIDDEN = "***"


class Secret:
    """A text that is not shown by ``repr``, ``str`` or ``format``, and does not pickle."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        # The key goes into a header: a line break in it would let it write further headers.
        if not isinstance(value, str) or not value.isascii() or not value.isprintable():
            raise ConfigurationError("An API key is printable ASCII text without line breaks.")
        if not value.strip():
            raise ConfigurationError("The API key is empty.")
        self._value = value.strip()

    def reveal(self) -> str:
        """The text itself, for the one place that sends it."""
        return self._value

    def redact(self, text: str) -> str:
        """``text`` with every occurrence of the secret hidden."""
        return text.replace(self._value, _HIDDEN)

    def __repr__(self) -> str:
        return f"Secret({_HIDDEN})"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __reduce__(self) -> NoReturn:
        raise TypeError("An API key is not pickled; read it again from the environment.")


def find_key(api_key: str | Secret | None = None) -> Secret:
    """The key given, or the one in the environment.

    Raises:
        ConfigurationError: there is none, or it cannot be a key.
    """
    if isinstance(api_key, Secret):
        return api_key
    if api_key is not None:
        return Secret(api_key)
    for variable in KEY_VARIABLES:
        value = os.environ.get(variable)
        if value:
            return Secret(value)
    raise ConfigurationError(
        "No IonQ API key: pass api_key=, or set the environment variable "
        f"{KEY_VARIABLES[0]} (get a key at https://cloud.ionq.com/settings/keys)."
    )
