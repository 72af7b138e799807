"""Ledgers for the tests of this room."""

from __future__ import annotations

import pytest

from pennylane_qstore.ionq.ledger.ledger import Ledger


@pytest.fixture(params=["memory", "file"])
def ledger(request, tmp_path):
    made = Ledger(None if request.param == "memory" else tmp_path / "a" / "ledger.sqlite3")
    yield made
    made.close()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "folder" / "ledger.sqlite3"
