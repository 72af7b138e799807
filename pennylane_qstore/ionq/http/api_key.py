"""The API key: where it is read from, and how it is kept from being shown."""

from __future__ import annotations

import importlib
import logging
import os
from collections.abc import Callable
from typing import Any, cast

from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.secret import KEYRING, Secret

KEY_VARIABLES = ("IONQ_API_KEY", "PENNYLANE_IONQ_API_KEY")
"""Environment variables an API key is read from, in this order."""

_LOGGERS = frozenset({"pennylane_qstore", "pennylane", "aiohttp", "asyncio"})


def find_key(api_key: str | Secret | None = None) -> Secret:
    """Return the key given, or the one in the environment; both may name a keyring's.

    Raises:
        ConfigurationError: there is none, or it cannot be a key.
    """
    key = api_key = Secret.hold(api_key)
    if key is None:
        held = (Secret.hold(os.environ.get(name)) for name in KEY_VARIABLES)
        key = next(filter(None, held), None)
    if key is None:
        raise ConfigurationError(
            "No IonQ API key: pass api_key=, or set the environment variable "
            f"{KEY_VARIABLES[0]} (get a key at https://cloud.ionq.com/settings/keys)."
        )
    if key.keyring_service is not None:
        key = _from_keyring(key.keyring_service)
    key.check()
    _hide_in_logs(key)
    return cast(Secret, key)


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
    if not key.is_word:
        _hider.add(key)


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
    value = Secret.hold(value)
    if not value:
        raise ConfigurationError(
            f"The keyring has no key of {service!r}: `keyring set {service} api_key` puts it there."
        )
    return cast(Secret, value)
