"""The API key, in a wrapper that does not show it."""

from __future__ import annotations

import importlib
import logging
import os
from typing import NoReturn

from pennylane_qstore.errors import ConfigurationError

KEY_VARIABLES = ("IONQ_API_KEY", "PENNYLANE_IONQ_API_KEY")
"""Environment variables an API key is read from, in this order."""
KEYRING = "keyring:"
"""Begins a key that is not the key itself, but the name of a service in the system's keyring,
under which it is kept as the password of ``api_key``."""

_HIDDEN = "***"
_SHORT = 8
_LOGGERS = frozenset({"pennylane_qstore", "pennylane", "aiohttp", "asyncio"})


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
    """The key given, or the one in the environment; both may name the keyring's.

    Raises:
        ConfigurationError: there is none, or it cannot be a key.
    """
    if isinstance(api_key, Secret):
        return api_key
    values = (api_key, *map(os.environ.get, KEY_VARIABLES))
    value = next((v for v in values if v or v is api_key is not None), None)
    if value is None:
        raise ConfigurationError(
            "No IonQ API key: pass api_key=, or set the environment variable "
            f"{KEY_VARIABLES[0]} (get a key at https://cloud.ionq.com/settings/keys)."
        )
    named = isinstance(value, str) and value.startswith(KEYRING)
    key = _from_keyring(value.removeprefix(KEYRING)) if named else Secret(value)
    _hide_in_logs(key)
    return key


class _KeyFilter(logging.Filter):
    """A second net: no code here logs a key, and should one slip through, it is not shown."""

    def __init__(self) -> None:
        super().__init__()
        self.keys: set[Secret] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        try:
            text = record.getMessage()
        except (TypeError, ValueError):
            return True  # arguments that do not fit are the handler's to report
        hidden = self._hide(text)
        if hidden != text:
            record.msg, record.args = hidden, None
        if record.exc_info:
            trace = logging.Formatter().formatException(record.exc_info)
            hidden = self._hide(trace)
            if hidden != trace:
                record.exc_text = hidden  # formatters take it as it is
        return True

    def _hide(self, text: str) -> str:
        for key in self.keys:
            text = key.redact(text)
        return text


_filter = _KeyFilter()


def _hide_in_logs(key: Secret) -> None:
    if len(key.reveal()) < _SHORT:
        return  # no key of a service, and a word of every other message
    _filter.keys.add(key)
    # A filter sees what its own logger is told, not what comes from loggers below it.
    for name in list(logging.root.manager.loggerDict):
        if name.partition(".")[0] in _LOGGERS:
            logging.getLogger(name).addFilter(_filter)


def _from_keyring(service: str) -> Secret:
    try:
        keyring = importlib.import_module("keyring")
    except ImportError:
        raise ConfigurationError(
            f"api_key {KEYRING}{service} needs the package keyring: pip install keyring."
        ) from None
    try:
        value = keyring.get_password(service, "api_key")
    except keyring.errors.KeyringError as error:
        raise ConfigurationError(f"The keyring cannot be read: {error}.") from None
    if not value:
        raise ConfigurationError(
            f"The keyring has no key of {service!r}: `keyring set {service} api_key` puts it there."
        )
    return Secret(value)
