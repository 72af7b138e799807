"""mitiq's extrapolation through this device: folds are cancelled or kept, never unsaid."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from pennylane_qstore.emulator import Emulator

pytestmark = pytest.mark.conformance


def entanglers(emulator: Emulator) -> list[int]:
    """ZZ gates of each circuit that was sent, in order."""
    inputs = [orjson.loads(job.request)["input"] for job in emulator.jobs]
    circuits = [one for job in inputs for one in job.get("circuits", [job])]
    return [sum(gate["gate"] == "zz" for gate in one["circuit"]) for one in circuits]


def error(value: float) -> float:
    return abs(value - 1.0)


def test_folds_are_cancelled_with_a_warning_and_zne_halves_the_error(
    run_client: Any, emulator: Emulator
) -> None:
    found = run_client("mitiq", emulator, "compiled")
    assert set(entanglers(emulator)) == {6}
    plain, ours = run_client("mitiq", emulator, "plain_and_zne")
    assert error(ours) < error(plain) / 2
    for theirs, said in found:
        assert error(theirs) > error(plain) / 2
        assert len(said) == 2  # scales 3 and 5
        assert all("qstore.zne" in text for text in said)


def test_folds_are_sent_as_written_in_one_job_of_a_verbatim_device(
    run_client: Any, emulator: Emulator
) -> None:
    value, said = run_client("mitiq", emulator, "verbatim")
    assert said == []
    assert entanglers(emulator) == [6, 18, 30]
    assert len(emulator.jobs) == 1
    plain, _ = run_client("mitiq", emulator, "plain_and_zne")
    assert error(value) < error(plain) / 2
