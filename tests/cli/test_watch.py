"""``qstore watch``: it serves the page of a ledger until it is stopped."""

from __future__ import annotations

import urllib.request
from pathlib import Path

import pytest
from support.serving import served
from typer.testing import CliRunner

from pennylane_qstore.cli.main import app
from pennylane_qstore.ionq.ledger.ledger import Ledger


def test_the_page_is_served_until_it_is_stopped(tmp_path: Path) -> None:
    Ledger(tmp_path / "ledger").close()
    options = ("--ledger", str(tmp_path / "ledger"), "--runs", str(tmp_path))
    with (
        served(*options, command="watch") as address,
        pytest.raises(urllib.error.HTTPError, match="401"),
    ):
        urllib.request.urlopen(address.rstrip("."), timeout=30)


def test_a_ledger_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["watch", "--ledger", str(tmp_path / "none")])
    assert result.exit_code == 1
    assert "There is no ledger" in result.output
    assert not (tmp_path / "none").exists()
