"""Tokens of users, in the gateway's ledger: only their hashes are kept."""

from __future__ import annotations

import hashlib
import re
import secrets
import time
from collections.abc import Callable
from typing import NamedTuple

from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.gateway.store import SPENT, make_tables
from pennylane_qstore.ionq.ledger.ledger import Ledger
from pennylane_qstore.validation import check, check_number

PREFIX = "qsg_"
"""Beginning of every token, by which scanners for leaked secrets know it."""
_FRESH_S = 1.0
_ENTRIES = (
    "SELECT user, substr(sha256, 1, 8), created_at, revoked_at, "  # noqa: S608 (constants)
    f"({SPENT} WHERE gateway_jobs.user = gateway_tokens.user), budget_usd "
    "FROM gateway_tokens LEFT JOIN gateway_users USING (user) ORDER BY created_at"
)
_USER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class TokenEntry(NamedTuple):
    """A token as it is kept.

    Attributes:
        user: name of its user.
        sha256: beginning of its hash, in hex.
        created_at: seconds since the epoch.
        revoked_at: the same; ``None`` while it is valid.
        spent_usd: bills and reservations of the user, in US dollars.
        budget_usd: the user's own limit; ``None`` where the gateway's holds.
    """

    user: str
    sha256: str
    created_at: float
    revoked_at: float | None
    spent_usd: float
    budget_usd: float | None


class Tokens:
    """The tokens of a gateway's users.

    Args:
        ledger: of the gateway.
        monotonic: seconds of a clock that is never set back.
    """

    def __init__(self, ledger: Ledger, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._ledger = ledger
        self._monotonic = monotonic
        self._users: dict[str, str] = {}
        self._read_at = -_FRESH_S
        make_tables(ledger)

    def create(self, user: str, budget_usd: float | None = None) -> str:
        """Create a token; earlier ones of the user stay valid.

        Args:
            user: name of its user.
            budget_usd: the user's limit in US dollars, in place of the gateway's for every user;
                ``None`` leaves it as it is.

        Returns:
            The token, which is not kept.

        Raises:
            ConfigurationError: the name or the limit is not allowed.
        """
        named = isinstance(user, str) and _USER.fullmatch(user) is not None
        check("user", user, named, "up to 64 letters, digits, '.', '-' and '_'")
        check_number("budget_usd", budget_usd, least=0, unit="US dollars", optional=True)
        token = PREFIX + secrets.token_urlsafe(32)
        with self._ledger.changing("gateway token", durable=True) as db:
            db.execute(
                "INSERT INTO gateway_tokens VALUES (?, ?, ?, NULL)",
                (_digest(token), user, time.time()),
            )
            if budget_usd is not None:
                db.execute("INSERT OR REPLACE INTO gateway_users VALUES (?, ?)", (user, budget_usd))
        return token

    def revoke(self, user: str) -> int:
        """Revoke all tokens of a user; a running gateway refuses them within a second.

        Returns:
            The number of tokens that were valid.

        Raises:
            ConfigurationError: the user never had one.
        """
        with self._ledger.changing("gateway token", durable=True) as db:
            if not db.execute("SELECT 1 FROM gateway_tokens WHERE user = ?", (user,)).fetchone():
                raise ConfigurationError(
                    f"No token was ever made for {user!r}: `qstore gateway tokens list` shows all."
                )
            return db.execute(
                "UPDATE gateway_tokens SET revoked_at = ? WHERE user = ? AND revoked_at IS NULL",
                (time.time(), user),
            ).rowcount

    def entries(self) -> list[TokenEntry]:
        """Return all tokens as they are kept, oldest first."""
        with self._ledger.reading() as db:
            rows = db.execute(_ENTRIES)
            return [TokenEntry(*row) for row in rows]

    def user_of(self, token: str) -> str | None:
        """Return the user of a valid token, or ``None``."""
        if self._monotonic() - self._read_at >= _FRESH_S:
            query = "SELECT sha256, user FROM gateway_tokens WHERE revoked_at IS NULL"
            with self._ledger.reading() as db:
                self._users = dict(db.execute(query).fetchall())
            self._read_at = self._monotonic()
        return self._users.get(_digest(token))


def _digest(token: str) -> str:
    # Tokens are 256 random bits: a slow hash, which passwords need, would protect nothing more.
    return hashlib.sha256(token.encode(errors="surrogateescape")).hexdigest()
