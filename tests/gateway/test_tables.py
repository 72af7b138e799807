"""The gateway's tables beside the ledger's own."""

from __future__ import annotations

from pathlib import Path

from pennylane_qstore.gateway.tables import make_tables
from pennylane_qstore.ionq.ledger.ledger import Ledger


def test_tables_are_made_once_and_kept(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "g.sqlite3")
    make_tables(ledger)
    with ledger.changing("test") as db:
        db.execute("INSERT INTO gateway_users VALUES ('ann', 5.0)")
    make_tables(ledger)
    with ledger.reading() as db:
        assert db.execute("SELECT * FROM gateway_users").fetchall() == [("ann", 5.0)]
    ledger.close()
