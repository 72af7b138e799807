"""Texts that are not shown: API keys, tokens, a proxy's password."""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import Any
from urllib.parse import SplitResult, quote, urlsplit, urlunsplit

import orjson

from pennylane_qstore.errors import ConfigurationError

KEYRING = "keyring:"
"""Prefix of the name of a service in the system's keyring, in place of the key itself; the key
is the password of ``api_key`` there."""

_HIDDEN = "***"
_SHORT = 8
_LONG = 16


class Secret:
    """A text that is not shown by ``repr``, ``str`` or ``format``, and does not pickle."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value: Any = value.strip() if isinstance(value, str) else value
        del value  # a traceback that shows locals shows those of this frame, too
        self.check()

    @classmethod
    def hold(cls, value: Any) -> Any:
        """Hide a value before anything can raise; :meth:`check` tells later whether it will do.

        The first line of whoever is given a key: a traceback may show the local variables of
        every frame that an error passes, and its arguments are among them.

        Args:
            value: anything that was given as a secret.

        Returns:
            The value as a secret; None and secrets as they are.
        """
        if value is None or isinstance(value, Secret):
            return value
        secret = cls.__new__(cls)
        secret._value = value.strip() if isinstance(value, str) else value
        return secret

    def check(self) -> None:
        """Check that this can be an API key.

        Raises:
            ConfigurationError: it cannot; the message does not show it.
        """
        # The key goes into a header: a line break in it would let it write further headers.
        text = isinstance(self._value, str)
        if not text or not self._value.isascii() or not self._value.isprintable():
            raise ConfigurationError("An API key is printable ASCII text without line breaks.")
        if not self._value:
            raise ConfigurationError("The API key is empty.")

    @property
    def is_text(self) -> bool:
        """True for a text, which a key has to be."""
        return isinstance(self._value, str)

    @property
    def is_word(self) -> bool:
        """True for a text that is no service's key and may be a word of any other text."""
        value = self.reveal()
        return len(value) < _SHORT or (value.isalpha() and len(value) < _LONG)

    @property
    def keyring_service(self) -> str | None:
        """Name of the service in the system's keyring, where this names one."""
        named = isinstance(self._value, str) and self._value.startswith(KEYRING)
        return self._value.removeprefix(KEYRING) if named else None

    def __bool__(self) -> bool:
        return bool(self._value)

    def reveal(self) -> str:
        """Return the text itself, for the one place that sends it."""
        return str(self._value)

    def redact(self, text: str) -> str:
        """Return ``text`` with every occurrence of the secret hidden."""
        return text.replace(self._value, _HIDDEN)

    def redact_bytes(self, data: bytes) -> bytes:
        """Return ``data`` with the secret hidden, also as JSON, a URL or HTML would write it.

        A secret that may be a word stays: ``"simulator"`` as the key of an emulator must not
        change the name of its simulator in a response.
        """
        value = self._value
        if self.is_word:
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

    def __reduce__(self) -> Any:
        raise TypeError("An API key is not pickled; read it again from the environment.")


class ProxyUrl(Secret):
    """URL of an HTTP proxy. What is shown and pickled has no user and no password."""

    __slots__ = ()

    def check(self) -> None:
        """Check that this is the URL of an HTTP proxy.

        Raises:
            ConfigurationError: it is not; the message shows no user and no password.
        """
        if self._parts() is None:
            raise ConfigurationError("proxy= is an http:// or https:// URL, or None.")

    @property
    def public(self) -> str:
        """The URL without user and password."""
        parts = self._parts()
        if parts is None:
            return _HIDDEN
        return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))

    def _parts(self) -> SplitResult | None:
        try:
            parts = urlsplit(self.reveal())
            known = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        except ValueError:
            return None
        return parts if known else None

    def __repr__(self) -> str:
        return f"ProxyUrl({self.public!r})"

    __str__ = __repr__

    def __reduce__(self) -> Any:
        return ProxyUrl, (self.public,)


def hide_secrets(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options of a device or an emulator, those hidden that nobody may see.

    Args:
        options: keywords as they were given. Nothing is checked, so that nothing raises.

    Returns:
        The keywords, with keys and tokens as :class:`Secret` and proxies as :class:`ProxyUrl`.
    """
    hidden = {}
    for name, value in options.items():
        kind = _kind(name)
        hidden[name] = value if kind is None else kind.hold(value)
    if isinstance(hidden.get("emulator"), Mapping):
        hidden["emulator"] = hide_secrets(hidden["emulator"])
    return hidden


def _kind(name: str) -> type[Secret] | None:
    """Return how an option of this name is hidden; misspelt names (``apikey``) are, too."""
    if name == "proxy":
        return ProxyUrl
    return Secret if "key" in name or "token" in name else None
