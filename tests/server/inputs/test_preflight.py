"""Jobs that are accepted and fail before they run."""

from __future__ import annotations

from typing import Any

import pytest
from support.emulator_wire import Wire, single


@pytest.mark.parametrize(
    ("request_body", "code"),
    [
        (single([{"gate": "x", "target": 29}]), "NotEnoughQubits"),
        (single([{"gate": "x", "target": 25}], noise={"model": "aria-1"}), "NotEnoughQubits"),
        (
            single(
                [{"gate": "ms", "targets": [0, 1], "phases": [0, 0]}],
                "native",
                backend="qpu.forte-1",
            ),
            "UnsupportedGate",
        ),
        (
            single(
                [{"gate": "zz", "targets": [0, 1], "angle": 0.1}], "native", backend="qpu.aria-1"
            ),
            "UnsupportedGate",
        ),
        (single([{"gate": "x", "target": 9, "controls": list(range(8))}]), "TooManyControls"),
        (single(backend="qpu.forte-1", shots=20_000), "TooManyShots"),
        (
            single(
                [
                    {
                        "gate": "pauliexp",
                        "targets": list(range(14)),
                        "terms": ["X" * 14, "Z" * 13 + "I"],
                        "coefficients": [1, 1],
                        "time": 1,
                    }
                ]
            ),
            "QuantumCircuitComplexityError",
        ),
    ],
)
def test_what_the_compiler_finds_fails_the_job(wire: Wire, request_body: Any, code: str) -> None:
    answer = wire("POST", "/jobs", request_body)
    assert answer.status == 201
    job = wire.job(answer.json["id"])
    assert job["status"] == "failed"
    assert job["failure"]["code"] == code
    assert job["failure"]["message"] == job["failure"]["error"]
    assert job["results"] is None
    assert wire("GET", f"/jobs/{job['id']}/results/probabilities").status == 404
