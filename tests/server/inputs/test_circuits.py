"""The reader of circuits: lenient where the service is, exact everywhere else."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pennylane_qstore.server.errors import BadRequest
from pennylane_qstore.server.inputs.circuits import read_circuits


def read(*circuits: list[dict[str, Any]], gateset: str = "qis", **more: Any) -> Any:
    return read_circuits([{"circuit": c} for c in circuits], gateset=gateset, **more)


def test_rows_that_differ_in_numbers_share_a_program() -> None:
    (program,) = read(*([{"gate": "rx", "target": 0, "rotation": 0.1 * k}] for k in range(5)))
    assert program.params[:, 0] == pytest.approx(0.1 * np.arange(5))
    assert program.index.tolist() == [0, 1, 2, 3, 4]


def test_rows_that_differ_in_targets_do_not() -> None:
    programs = read(*([{"gate": "rx", "target": k % 2, "rotation": 0.1 * k}] for k in range(5)))
    assert [p.index.tolist() for p in programs] == [[0, 2, 4], [1, 3]]


def test_spellings_of_one_gate_are_one_gate() -> None:
    forms: list[dict[str, Any]] = [
        {"gate": "cnot", "control": 0, "target": 1},
        {"gate": "cnot", "controls": [0], "targets": [1]},
        {"gate": "x", "targets": [1], "controls": [0]},
        {"gate": "not", "target": 1, "control": 0, "rotation": None},
    ]
    programs = read(*([form] for form in forms))
    assert len({p.gates for p in programs}) == 1


def test_own_gateset_and_qubits_win_over_the_job() -> None:
    programs = read_circuits(
        [
            {"circuit": [{"gate": "h", "target": 0}]},
            {
                "circuit": [{"gate": "gpi", "target": 0, "phase": 0}],
                "gateset": "native",
                "qubits": 5,
            },
        ],
        gateset="qis",
        qubits=2,
    )
    assert [(p.gateset, p.qubits) for p in programs] == [("qis", 2), ("native", 5)]


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


@pytest.mark.parametrize(
    ("gate", "says"),
    [
        (
            {"gate": "gpi", "target": 0, "phase": 1.01},
            r"native parameter 1.01: phases are turns in \[-1, 1\]",
        ),
        ({"gate": "ms", "targets": [0, 1], "phases": [0, 0], "angle": 0.3}, "0 to 0.25"),
        ({"gate": "ms", "targets": [0, 1], "phases": [0, 0], "angle": -0.1}, "0 to 0.25"),
        ({"gate": "ms", "targets": [0, 1], "phases": [0]}, "two"),
        ({"gate": "gpi", "target": 0, "phase": 0, "controls": [1]}, "no controls"),
        ({"gate": "h", "target": 0}, "must be one of"),
    ],
)
def test_native_gates_have_ranges(gate: Any, says: str) -> None:
    with pytest.raises(BadRequest, match=says):
        read([gate], gateset="native")


def test_ranges_can_be_switched_off() -> None:
    gate = {"gate": "gpi", "target": 0, "phase": 7.5}
    (program,) = read([gate], gateset="native", strict_ranges=False)
    assert program.params.tolist() == [[7.5]]


def test_swap_and_toffoli_are_priced_as_what_they_compile_to() -> None:
    (program,) = read(
        [
            {"gate": "h", "target": 0},
            {"gate": "swap", "targets": [0, 1]},
            {"gate": "x", "target": 0, "controls": [1, 2]},
        ]
    )
    assert program.gate_counts() == (1, 9)
