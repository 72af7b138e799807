"""``qstore gateway``: it serves until it is stopped, and its tokens are made and revoked."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from support.paid_jobs import ask, run
from support.serving import served

from pennylane_qstore.cli.main import app
from pennylane_qstore.emulator import Emulator


def whoami(url: str, token: str) -> Any:
    request = urllib.request.Request(f"{url}/whoami", headers={"Authorization": f"apiKey {token}"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.loads(answer.read())["key_name"]


def test_a_gateway_serves_users_until_they_are_revoked(tmp_path: Path) -> None:
    where = ("--ledger", tmp_path / "g.sqlite3")
    token = ask("gateway", "tokens", "create", "ann", "--budget-usd", 50, *where).strip()
    made = ask("gateway", "tokens", "create", "bob", "--json", *where)
    assert made["user"] == "bob"
    options = ["--base-url", "URL", *map(str, where), "--budget-usd", "100", "--window-s", "0"]
    with Emulator() as emulator:
        options[1] = emulator.url
        with served(*options, command="gateway", IONQ_API_KEY="k") as url:
            assert whoami(url, token) == "ann"
            assert whoami(url, made["token"]) == "bob"
    assert ask("gateway", "tokens", "revoke", "ann", *where) == "1 token(s) of ann revoked.\n"
    listed = ask("gateway", "tokens", "list", "--json", *where)
    assert [(t["user"], t["revoked"] == "valid") for t in listed] == [("ann", False), ("bob", True)]
    assert [(t["spent_usd"], t["budget_usd"]) for t in listed] == [(0, 50), (0, None)]
    header, ann, _, count = ask("gateway", "tokens", "list", *where).splitlines()
    assert header.split()[-3:] == ["spent", "own", "limit"]
    assert (ann.split()[-2:], count) == (["$0.00", "$50.00"], "2 token(s).")
    with (
        Emulator() as emulator,
        served(
            "--base-url", emulator.url, *map(str, where), command="gateway", IONQ_API_KEY="k"
        ) as url,
        pytest.raises(urllib.error.HTTPError, match="401"),
    ):
        whoami(url, token)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--host", "0.0.0.0"], "tls_cert"),
        (["--on-ambiguous", "guess"], "on_ambiguous"),
        (["tokens", "revoke", "an"], "No token"),
    ],
)
def test_mistakes_are_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], problem: str
) -> None:
    monkeypatch.setenv("IONQ_API_KEY", "k")
    result = run(app, ["gateway", *options, "--ledger", str(tmp_path / "g.sqlite3")])
    assert result.exit_code == 1
    assert problem in result.output
    assert result.output.count("\n") == 1
