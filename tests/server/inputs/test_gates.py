"""The reader of gates: lenient where the service is, exact everywhere else."""

from __future__ import annotations

from typing import Any

import pytest

from pennylane_qstore.server.errors import BadRequest
from pennylane_qstore.server.inputs.circuits import read_circuits


def read(*circuits: list[dict[str, Any]], gateset: str = "qis", **more: Any) -> Any:
    return read_circuits([{"circuit": c} for c in circuits], gateset=gateset, **more)


def test_spellings_of_one_gate_are_one_gate() -> None:
    forms: list[dict[str, Any]] = [
        {"gate": "cnot", "control": 0, "target": 1},
        {"gate": "cnot", "controls": [0], "targets": [1]},
        {"gate": "x", "targets": [1], "controls": [0]},
        {"gate": "not", "target": 1, "control": 0, "rotation": None},
    ]
    programs = read(*([form] for form in forms))
    assert len({p.gates for p in programs}) == 1


def test_zz_takes_phase_for_angle_and_ms_has_a_default() -> None:
    (a,) = read([{"gate": "zz", "targets": [0, 1], "phase": 0.1}], gateset="native")
    (b,) = read([{"gate": "zz", "targets": [0, 1], "angle": 0.1}], gateset="native")
    (c,) = read([{"gate": "ms", "targets": [0, 1], "phases": [0, 0.5]}], gateset="native")
    assert a.params.tolist() == b.params.tolist() == [[0.1]]
    assert c.params.tolist() == [[0, 0.5, 0.25]]


def test_nop_and_integers_for_numbers_are_fine() -> None:
    (program,) = read(
        [{"gate": "nop", "time": 10.0}, {"gate": "gpi", "target": 0, "phase": 0}], gateset="native"
    )
    assert [g.name for g in program.gates] == ["gpi"]


@pytest.mark.parametrize(
    ("gate", "says"),
    [
        ({"target": 0}, '"gate" name'),
        ({"gate": "cx", "control": 0, "target": 1}, "must be one of"),
        ({"gate": "gpi", "target": 0, "phase": 0.1}, "must be one of"),
        ({"gate": "cnot", "target": 1}, "needs"),
        ({"gate": "rx", "target": 0}, '"rotation"'),
        ({"gate": "rx", "target": 0, "rotation": "0.5"}, "must be a number"),
        ({"gate": "rx", "target": 0, "rotation": True}, "must be a number"),
        ({"gate": "h"}, "acts on 1 target"),
        ({"gate": "h", "target": -1}, "integers of at least 0"),
        ({"gate": "h", "target": 1.0}, "integers of at least 0"),
        ({"gate": "h", "target": True}, "integers of at least 0"),
        ({"gate": "swap", "targets": [0, 0]}, "twice"),
        ({"gate": "x", "target": 0, "controls": [0]}, "twice"),
        ({"gate": "h", "target": 9}, "uses qubit 9"),
        (
            {"gate": "pauliexp", "targets": [0], "terms": ["XX"], "coefficients": [1], "time": 1},
            "terms",
        ),
        (
            {"gate": "pauliexp", "targets": [0], "terms": ["X"], "coefficients": [], "time": 1},
            "coeff",
        ),
        (
            {"gate": "pauliexp", "targets": [0], "terms": ["X"], "coefficients": [1], "time": -1},
            "time",
        ),
        ("h", "must be an object"),
    ],
)
def test_a_malformed_gate_is_refused_by_name(gate: Any, says: str) -> None:
    with pytest.raises(BadRequest, match=says):
        read([gate], qubits=4)
