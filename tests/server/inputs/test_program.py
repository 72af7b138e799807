"""Programs: gates as priced, Pauli strings that commute."""

from __future__ import annotations

import numpy as np
import pennylane as qml
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pennylane_qstore.server.inputs.circuits import read_circuits
from pennylane_qstore.server.inputs.program import commute


@pytest.mark.parametrize(
    ("gate", "counts"),
    [
        ({"gate": "h", "target": 0}, (1, 0)),
        ({"gate": "cnot", "target": 0, "control": 1}, (0, 1)),
        ({"gate": "swap", "targets": [0, 1]}, (0, 3)),
        ({"gate": "x", "target": 0, "controls": [1, 2]}, (0, 6)),
        ({"gate": "x", "target": 0, "controls": [1, 2, 3]}, (0, 12)),
        (
            {
                "gate": "pauliexp",
                "targets": [0, 1],
                "terms": ["XX", "ZZ"],
                "coefficients": [1, 1],
                "time": 1,
            },
            (0, 2),
        ),
    ],
)
def test_gates_are_counted_as_priced(gate, counts) -> None:
    (program,) = read_circuits([{"circuit": [gate]}], gateset="qis")
    assert program.gate_counts() == counts


def test_a_part_keeps_rows_and_their_positions_together() -> None:
    circuits = [{"circuit": [{"gate": "rx", "target": 0, "rotation": k}]} for k in range(7)]
    (program,) = read_circuits(circuits, gateset="qis")
    part = program.part(slice(1, None, 2))
    assert (program.rows, part.rows) == (7, 3)
    np.testing.assert_array_equal(part.params[:, 0], part.index)


@given(st.lists(st.text("IXYZ", min_size=3, max_size=3), max_size=4))
def test_strings_commute_as_their_matrices_do(terms: list[str]) -> None:
    words = [qml.pauli.PauliWord({k: p for k, p in enumerate(term) if p != "I"}) for term in terms]
    expected = all(a.commutes_with(b) for a in words for b in words)
    assert commute(tuple(terms)) == expected
