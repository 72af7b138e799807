"""The API key: where it is read from, and how it is kept from being shown."""

from __future__ import annotations

import html
import importlib
import logging
import os
from collections.abc import Callable
from typing import Any, NoReturn
from urllib.parse import quote

import orjson

from pennylane_qstore.errors import ConfigurationError

KEY_VARIABLES = ("IONQ_API_KEY", "PENNYLANE_IONQ_API_KEY")
"""Environment variables an API key is read from, in this order."""
KEYRING = "keyring:"
"""Prefix of the name of a service in the system's keyring, in place of the key itself; the key
is the password of ``api_key`` there."""

_HIDDEN = "***"
_SHORT = 8
_LONG = 16
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
        """Return the text itself, for the one place that sends it."""
        return self._value

    def redact(self, text: str) -> str:
        """Return ``text`` with every occurrence of the secret hidden."""
        return text.replace(self._value, _HIDDEN)

    def redact_bytes(self, data: bytes) -> bytes:
        """Return ``data`` with the secret hidden, also as JSON, a URL or HTML would write it.

        A secret that may be a word stays: ``"simulator"`` as the key of an emulator must not
        change the name of its simulator in a response.
        """
        value = self._value
        if _is_word(value):
            return data
        json = orjson.dumps(value)[1:-1]
        forms = (value.encode(), json, json.replace(b"/", b"\\/"), quote(value, safe="").encode())
        for form in dict.fromkeys((*forms, html.escape(value).encode())):
            if form in data:
                data = data.replace(form, _HIDDEN.encode())
        return data

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
    """Return the key given, or the one in the environment; both may name a keyring's.

    Raises:
        ConfigurationError: there is none, or it cannot be a key.
    """
    if isinstance(api_key, Secret):
        _hide_in_logs(api_key)
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


class _KeyHider:
    """Log record factory that hides API keys, should one slip into a message.

    It is installed when the first key is seen. A logging filter would not do: it sees the
    messages of its own logger, not those of loggers below, and most loggers are made later.
    """

    def __init__(self) -> None:
        self.keys: set[Secret] = set()
        self.make: Callable[..., logging.LogRecord] | None = None

    def add(self, key: Secret) -> None:
        """Hide this key from now on."""
        self.keys.add(key)
        # Without a lock, which a fork could leave held: two threads may both get here, and then
        # both see the same factory. Once only: a factory that is set later may call this one.
        factory = logging.getLogRecordFactory()
        if self.make is None and factory is not self:
            self.make = factory
            logging.setLogRecordFactory(self)

    def __call__(self, *args: Any, **options: Any) -> logging.LogRecord:
        record = (self.make or logging.LogRecord)(*args, **options)
        if str(record.name).partition(".")[0] in _LOGGERS:
            self._clean(record)
        return record

    def _clean(self, record: logging.LogRecord) -> None:
        try:
            text = record.getMessage()
        except Exception:  # noqa: BLE001  (arguments that do not fit are the handler's to report)
            return
        hidden = self._hide(text)
        if hidden != text:
            record.msg, record.args = hidden, None
        if record.exc_info:
            trace = logging.Formatter().formatException(record.exc_info)
            hidden = self._hide(trace)
            if hidden != trace:
                record.exc_text = hidden  # formatters take it as it is

    def _hide(self, text: str) -> str:
        # The longest first: of one that begins with another, the rest would be seen.
        for key in sorted(self.keys, key=lambda key: len(key.reveal()), reverse=True):
            text = key.redact(text)
        return text


_hider = _KeyHider()


def _hide_in_logs(key: Secret) -> None:
    if not _is_word(key.reveal()):
        _hider.add(key)


def _is_word(value: str) -> bool:
    """Return True for a text that is no service's key and may be a word of any other text."""
    return len(value) < _SHORT or (value.isalpha() and len(value) < _LONG)


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
