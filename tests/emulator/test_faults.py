"""Everything that can go wrong goes wrong when asked to, and only then."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pennylane_qstore.emulator import Emulator, Fault, Faults
from pennylane_qstore.emulator.faults import KINDS, read_faults
from pennylane_qstore.errors import ConfigurationError


def test_skip_chance_and_seed() -> None:
    plan = Faults([Fault("status", "submit", skip=2)])
    assert [plan.transport("submit") is not None for _ in range(4)] == [False, False, True, False]

    def drawn(seed: int) -> list[bool]:
        plan = Faults([Fault("status", chance=0.3, times=None)], seed=seed)
        return [plan.transport("job") is not None for _ in range(200)]

    assert drawn(1) == drawn(1) != drawn(2)
    assert 30 < sum(drawn(1)) < 90


def test_a_plan_from_a_file(tmp_path: Path) -> None:
    toml = tmp_path / "plan.toml"
    toml.write_text('seed = 7\n[[faults]]\nkind = "status"\nroute = "submit"\nstatus = 429\n')
    assert read_faults(toml).pending() == [Fault("status", "submit", status=429)]
    as_json = tmp_path / "plan.json"
    as_json.write_text('[{"kind": "reset", "times": null}]')
    with Emulator(faults=as_json) as emulator:
        assert emulator.faults.pending() == [Fault("reset", times=None)]


@pytest.mark.parametrize(
    "text", ["faults = 3", "nonsense = 1", "[[", '[[faults]]\nkind = "odd"', "seed = 'x'"]
)
def test_a_bad_file_is_a_clear_error(tmp_path: Path, text: str) -> None:
    path = tmp_path / "plan.toml"
    path.write_text(text)
    with pytest.raises(ConfigurationError):
        read_faults(path)
    with pytest.raises(ConfigurationError, match="Cannot read"):
        read_faults(tmp_path / "none.toml")


@pytest.mark.parametrize(
    "bad",
    [
        {"kind": "odd"},
        {"kind": "status", "route": "odd"},
        {"kind": "status", "when": "during"},
        {"kind": "status", "chance": 2},
        {"kind": "status", "times": 0},
        {"kind": "status", "status": 99},
        {"kind": "shuffle_children", "what": "odd"},
        {"route": "job"},
        {"kind": "status", "odd": 1},
        {"kind": "status", "chance": "x"},
        {"kind": "status", "status": 429.5},
        {"kind": "status", "skip": -1},
        {"kind": "status", "retry_after": "3\r\nX-Other: 1"},
        {"kind": "status", "retry_after": {}},
        {"kind": "redirect", "location": "/a\nb"},
        {"kind": "delay", "delay_s": "x"},
        {"kind": "delay", "delay_s": True},
        {"kind": "clock_skew", "delay_s": 1e300},
        {"kind": "clock_skew", "delay_s": float("nan")},
        {"kind": "job_status", "value": 7},
        {"kind": ["status"]},
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        Faults([bad])


def test_every_kind_has_documentation() -> None:
    from pennylane_qstore.emulator import faults

    assert faults.__doc__ is not None
    assert all(f"``{kind}``" in faults.__doc__ for kind in KINDS)
