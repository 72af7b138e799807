"""``qstore doctor --live``: free jobs on a service, and what differs from the emulator."""

from __future__ import annotations

import pytest
from support.paid_jobs import ask

from pennylane_qstore.cli import live
from pennylane_qstore.emulator import Emulator

KEY = "sk-live-secret-7"


@pytest.fixture
def emulator(monkeypatch):
    monkeypatch.setenv("IONQ_API_KEY", KEY)
    with Emulator(seed=1) as running:
        yield running


def doctor(emulator, tmp_path, *more, code=0):
    where = ["--ledger", tmp_path / "l", "--base-url", emulator.url]
    return ask("doctor", "--live", *where, *more, code=code)


def test_a_service_like_the_emulator_passes_for_free_and_shows_no_key(emulator, tmp_path):
    told = doctor(emulator, tmp_path, "--json")
    assert all(entry["ok"] for entry in told.values()), told
    checked = ["Bell pair", "batch", "bit order", "dry run", "cancelling", "prices"]
    assert list(told)[-6:] == checked
    assert "children 000, 100, 010, 110, 001, 101, 011, 111" in told["batch"]["detail"]
    assert told["batch"]["detail"].startswith("1 job")
    assert {job.backend for job in emulator.jobs} == {"simulator"}
    assert emulator.stats()["billed_usd"] == 0
    assert KEY not in str(told)
    assert KEY not in doctor(emulator, tmp_path)


def test_a_difference_is_listed(tmp_path, monkeypatch):
    monkeypatch.setenv("IONQ_API_KEY", KEY)
    with Emulator(prices={"qpu.forte-1": "qpu.aria-1"}) as other:
        told = doctor(other, tmp_path, "--json", code=1)
    assert [name for name, entry in told.items() if not entry["ok"]] == ["prices"]
    assert "the emulator: 50 circuits" in told["prices"]["detail"]


def test_a_reversed_bit_order_is_listed(emulator, tmp_path, monkeypatch):
    tape, seen = live._tape, []

    def reversed_first(device, *ones, bell=False):
        seen.append(device)
        foreign = device is seen[0]
        return tape(device, *(2 - w for w in ones) if foreign else ones, bell=bell)

    monkeypatch.setattr(live, "_tape", reversed_first)
    with pytest.raises(live.InvalidResponse, match=r"outcome 4; the emulator: .* outcome 1"):
        live.live_checks(emulator.url)["bit order"]()
