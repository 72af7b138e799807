"""``qstore doctor``: each check, and what it says when something is wrong."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest
from support.paid_jobs import ask

from pennylane_qstore.cli import doctor as checks
from pennylane_qstore.emulator import Emulator
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


KEY = "sk-live-secret-7"


@pytest.fixture
def live(monkeypatch):
    monkeypatch.setenv("IONQ_API_KEY", KEY)
    with Emulator(seed=1) as running:
        yield running


def doctor_live(emulator, tmp_path, *more, code=0):
    where = ["--ledger", tmp_path / "l", "--base-url", emulator.url]
    return ask("doctor", "--live", *where, *more, code=code)


def test_a_service_like_the_emulator_passes_for_free_and_shows_no_key(live, tmp_path):
    told = doctor_live(live, tmp_path, "--json")
    assert all(entry["ok"] for entry in told.values()), told
    checked = ["Bell pair", "batch", "bit order", "dry run", "cancelling", "prices"]
    assert list(told)[-6:] == checked
    assert "children 000, 100, 010, 110, 001, 101, 011, 111" in told["batch"]["detail"]
    assert told["batch"]["detail"].startswith("1 job")
    assert {job.backend for job in live.jobs} == {"simulator"}
    assert live.stats()["billed_usd"] == 0
    assert KEY not in str(told)
    assert KEY not in doctor_live(live, tmp_path)


def test_a_difference_is_listed(tmp_path, monkeypatch):
    monkeypatch.setenv("IONQ_API_KEY", KEY)
    with Emulator(prices={"qpu.forte-1": "qpu.aria-1"}) as other:
        told = doctor_live(other, tmp_path, "--json", code=1)
    assert [name for name, entry in told.items() if not entry["ok"]] == ["prices"]
    assert "the emulator: 50 circuits" in told["prices"]["detail"]


def test_a_reversed_bit_order_is_listed(live, tmp_path, monkeypatch):
    tape, seen = checks._tape, []

    def reversed_first(device, *ones, bell=False):
        seen.append(device)
        foreign = device is seen[0]
        return tape(device, *(2 - w for w in ones) if foreign else ones, bell=bell)

    monkeypatch.setattr(checks, "_tape", reversed_first)
    with pytest.raises(checks.InvalidResponse, match=r"outcome 4; the emulator: .* outcome 1"):
        checks.live_checks(live.url)["bit order"]()
