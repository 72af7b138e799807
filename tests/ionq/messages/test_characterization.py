"""Characterizations: what the service tells, and nothing that it does not."""

import json

import pytest

from pennylane_qstore.characterization import Characterization
from pennylane_qstore.errors import InvalidResponse
from pennylane_qstore.ionq.messages.characterization import parse_characterizations

RECORD = {
    "id": "aa54e783", "backend": "qpu.forte-1", "date": "2025-06-16T00:00:00Z", "qubits": 3,
    "connectivity": [[0, 1], [0, 2], [2, 1]],
    "fidelity": {"1q": {"median": 0.9998, "stderr": None}, "2q": {"median": 0.993},
                 "spam": {"median": 0.9962}},
    "timing": {"readout": 0.00015, "reset": 0.00005, "1q": 0.000063, "2q": 0.00065, "t1": 100,
               "t2": 1},
}  # fmt: skip


def read(*records, **changes):
    body = {"characterizations": list(records) or None, "pages": 0} | changes
    return parse_characterizations(json.dumps(body).encode(), "qpu.forte-1")


def test_every_figure_is_read():
    found = read(RECORD)
    assert found == Characterization(
        "qpu.forte-1", "2025-06-16T00:00:00Z", 3, ((0, 1), (0, 2), (2, 1)),
        0.9998, 0.993, 0.9962, 63e-6, 650e-6, 50e-6, 150e-6, 100.0, 1.0,
    )  # fmt: skip
    assert found.lines()["Pairs"] == "all"


def test_the_newest_record_counts():
    newer = RECORD | {"date": "2026-01-01T00:00:00Z", "qubits": 2}
    assert read(RECORD, newer).qubits == 2


@pytest.mark.parametrize("value", [None, 0, -1, "0.99", True, 1.5, {}, []])
def test_damaged_figures_are_unknown(value):
    fidelity = RECORD["fidelity"] | {"2q": {"median": value}}
    found = read(RECORD | {"fidelity": fidelity, "connectivity": [[0, value]], "timing": value})
    assert found.two_qubit is None
    assert found.readout_s is None
    assert found.connectivity is None
    assert found.fidelity(3, 0) is not None
    assert found.fidelity(3, 1) is None
    assert found.shot_s(1, 1) is None
    assert "fidelity unknown, a shot unknown" in found.predicted(3, 1)
    assert found.lines()["Two-qubit gates"] == "unknown"


def test_a_machine_without_records_is_unknown():
    assert read() == Characterization("qpu.forte-1")
    assert "date unknown" in read().predicted(1, 1)


@pytest.mark.parametrize("body", [b"[]", b"{", b'{"characterizations": [1]}'])
def test_no_list_of_records(body):
    with pytest.raises(InvalidResponse):
        parse_characterizations(body, "qpu.forte-1")
