"""Tokens: made, known, revoked; only their hashes are kept."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.gateways import make_job

from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.gateway.store import Limits, Store
from pennylane_qstore.gateway.tokens import PREFIX, Tokens
from pennylane_qstore.ionq.ledger.ledger import Ledger


def test_tokens_are_known_until_they_are_revoked(tmp_path: Path) -> None:
    now = [0.0]
    ledger = Ledger(tmp_path / "g.sqlite3")
    tokens = Tokens(ledger, monotonic=lambda: now[0])
    first, second, other = tokens.create("ann"), tokens.create("ann"), tokens.create("bob", 5.0)
    assert first.startswith(PREFIX)
    assert [tokens.user_of(t) for t in (first, second, other)] == ["ann", "ann", "bob"]
    assert tokens.user_of("nonsense") is None
    assert tokens.revoke("ann") == 2
    now[0] += 1.0
    assert [tokens.user_of(t) for t in (first, second, other)] == [None, None, "bob"]
    assert tokens.revoke("ann") == 0
    assert [(e.user, e.revoked_at is None) for e in tokens.entries()] == [
        ("ann", False), ("ann", False), ("bob", True),
    ]  # fmt: skip
    ledger.close()
    kept = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert not any(t.encode() in kept for t in (first, second, other))


def test_entries_tell_what_a_user_spent_of_which_limit(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "g.sqlite3")
    tokens, store = Tokens(ledger), Store(ledger, Limits())
    for user, limit in (("ann", None), ("bob", 5.0), ("ann", None)):
        tokens.create(user, limit)
    billed, reserved = make_job(id="a", sequence=0), make_job(id="b", sequence=1)
    for job in (billed, reserved, make_job(id="c", sequence=2, user="cat")):
        store.insert(job, b"", 8.0)
    billed.billed_usd, billed.is_billed = 1.5, True
    store.save([billed])
    assert [(e.user, e.spent_usd, e.budget_usd) for e in tokens.entries()] == [
        ("ann", 9.5, None), ("bob", 0.0, 5.0), ("ann", 9.5, None),
    ]  # fmt: skip
    ledger.close()


@pytest.mark.parametrize("user", ["", "a b", "a\n", "-a", "x" * 65, None])
def test_names_that_are_none_are_refused(tmp_path: Path, user: str) -> None:
    ledger = Ledger(tmp_path / "g.sqlite3")
    with pytest.raises(ConfigurationError, match="user"):
        Tokens(ledger).create(user)
    ledger.close()
