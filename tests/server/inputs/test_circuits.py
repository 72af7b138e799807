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
