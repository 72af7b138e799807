"""The gateway's tables in its ledger's file."""

from __future__ import annotations

from pennylane_qstore.ionq.ledger.ledger import Ledger

# Sums of money are taken from the index: rows hold bodies of megabytes before their prices.
_TABLES = """
CREATE TABLE IF NOT EXISTS gateway_jobs (
    id TEXT PRIMARY KEY, sequence INTEGER NOT NULL UNIQUE, user TEXT NOT NULL, run TEXT,
    record TEXT NOT NULL, request BLOB NOT NULL, estimated_usd REAL, billed_usd REAL,
    "group" INTEGER, settled INTEGER NOT NULL, changing TEXT NOT NULL, deleted INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS gateway_jobs_by_user
    ON gateway_jobs (user, run, billed_usd, estimated_usd);
CREATE TABLE IF NOT EXISTS gateway_holder (one INTEGER PRIMARY KEY, owner TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS gateway_tokens (
    sha256 TEXT PRIMARY KEY, user TEXT NOT NULL, created_at REAL NOT NULL, revoked_at REAL
);
CREATE TABLE IF NOT EXISTS gateway_users (user TEXT PRIMARY KEY, budget_usd REAL)
"""


def make_tables(ledger: Ledger) -> None:
    """Make the tables that a ledger does not have yet."""
    with ledger.changing("gateway tables") as db:
        for statement in _TABLES.split(";"):
            db.execute(statement)
