"""``qstore doctor``: each check, and what it says when something is wrong."""

import time
from types import SimpleNamespace

from support.paid_jobs import ask

from pennylane_qstore.ionq.http import transport


def test_doctor_tells_a_clock_that_is_wrong_and_a_missing_key(emulator, tmp_path, monkeypatch):
    for name in ("IONQ_API_KEY", "PENNYLANE_IONQ_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    where = ["--ledger", tmp_path / "l", "--base-url", emulator.url, "--json"]
    told = ask("doctor", *where, code=1)
    assert {name: entry["ok"] for name, entry in told.items()} == {
        "versions": True, "ledger": True, "key": False, "service": True, "clock": True,
    }  # fmt: skip
    monkeypatch.setenv("IONQ_API_KEY", "k")
    fast = SimpleNamespace(time=lambda: time.time() + 3600)
    monkeypatch.setattr(transport, "time", fast)
    told = ask("doctor", *where, code=1)
    assert told["key"]["ok"]
    assert not told["clock"]["ok"]
    assert "clock is +3,60" in told["clock"]["detail"]


def test_checks_are_lines_for_people(emulator, tmp_path, monkeypatch):
    monkeypatch.setenv("IONQ_API_KEY", "k")
    text = ask("doctor", "--ledger", tmp_path / "l", "--base-url", emulator.url)
    lines = [line.split(maxsplit=2) for line in text.splitlines()]
    assert [line[:2] for line in lines] == [
        ["ok", name] for name in ("versions", "ledger", "key", "service", "clock")
    ]
    assert lines[3][2].startswith(f"{emulator.url} answers in")


def test_a_service_that_is_away_fails_without_a_traceback(tmp_path, monkeypatch):
    monkeypatch.setenv("IONQ_API_KEY", "k")
    where = ["--ledger", tmp_path / "l", "--base-url", "http://127.0.0.1:1"]
    text = ask("doctor", *where, code=1)
    assert [line.split()[0] for line in text.splitlines()] == ["ok", "ok", "FAIL", "FAIL", "FAIL"]
