"""Access to a gateway: by tokens of its users, who see their own jobs, or by its own for all."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any
from weakref import ref

from pennylane_qstore.gateway.tokens import Tokens
from pennylane_qstore.secret import Secret
from pennylane_qstore.server.access import Access

if TYPE_CHECKING:
    from aiohttp import web

CALLER: ContextVar[str] = ContextVar("caller", default="")
"""User whose request is being answered; empty for requests that need no token."""
EVERYBODY = "*"
"""The caller with the gateway's own token, who sees the jobs of all users."""
CONNECTION: ContextVar[ref[Any] | None] = ContextVar("connection", default=None)
"""The user's own connection; None behind a proxy, where many users may share one."""
_FORWARDED = ("Via", "Forwarded", "X-Forwarded-For", "X-Real-IP")


class TokenAccess(Access):
    """Decides which requests are answered, and notes whose they are.

    Args:
        tokens: of the users.
        own: the gateway's own token.
    """

    refusal = "The gateway has no such token, or it was revoked: ask who runs the gateway for one."

    def __init__(self, tokens: Tokens, own: Secret) -> None:
        super().__init__(own)
        self._tokens = tokens

    def authorize(self, request: web.Request) -> bool:
        """Return whether a request carries the token it needs, and note whose it is."""
        CALLER.set("")  # a connection serves one request after another
        proxied = any(name in request.headers for name in _FORWARDED)
        own = None if proxied or request.transport is None else ref(request.transport)
        CONNECTION.set(own)
        return super().authorize(request)

    def admits(self, key: str) -> bool:
        """Return whether a key is a valid token."""
        user = EVERYBODY if super().admits(key) else self._tokens.user_of(key)
        CALLER.set(user or "")
        return user is not None
