"""Machines as a service describes them: what is read, and what cannot be used."""

from __future__ import annotations

import json

import pytest

from pennylane_qstore.backends import BACKENDS, MAX_QUBITS, Backend
from pennylane_qstore.characterization import Characterization
from pennylane_qstore.errors import InvalidResponse
from pennylane_qstore.ionq.messages.machine import parse_characterizations, parse_machine
from pennylane_qstore.server.backends import backend_json

ENTRY = {
    "backend": "qpu.new-1", "status": "available", "qubits": 3,
    "supported_gates": ["x", "cnot"], "supported_native_gates": ["gpi", "gpi2", "zz"],
    "supported_error_mitigations": ["debiasing"],
}  # fmt: skip


def read(pairs=None, **changes):
    return parse_machine(ENTRY | changes, Characterization("qpu.new-1", connectivity=pairs))


def test_what_the_service_tells_is_taken_and_the_rest_is_unknown():
    machine = read()
    assert machine == Backend(
        "qpu.new-1", 3, ("gpi", "gpi2", "zz"), noise="", error_mitigations=("debiasing",)
    )
    assert machine.is_qpu
    assert machine.takes_native
    assert machine.published == Characterization("qpu.new-1", "published", 3)
    assert read(status="retired").retired
    assert read(qubits=100).qubits == MAX_QUBITS


@pytest.mark.parametrize("known", BACKENDS.values(), ids=lambda b: b.name)
def test_a_known_one_is_described_with_its_own_figures(known):
    machine = parse_machine(backend_json(known, 0.0, 0.0), Characterization(known.name))
    assert (machine.qubits, machine.native_gates) == (known.qubits, known.native_gates)
    assert machine.error_mitigations == known.error_mitigations
    assert machine.takes_native


@pytest.mark.parametrize(
    ("pairs", "every"),
    [
        (((0, 1), (0, 2), (1, 2)), True),
        (((0, 1), (1, 0), (0, 2), (2, 0), (2, 1)), True),
        (((0, 1), (1, 2)), False),
        (((0, 1), (1, 0), (1, 2)), False),
        (((0, 1), (0, 2), (0, 3)), False),  # the last one is none of its pairs
        ((), True),
    ],
)
def test_all_pairs_or_some(pairs, every):
    machine = read(pairs)
    assert machine.all_to_all is machine.takes_native is every


@pytest.mark.parametrize("gates", [None, [], "zz", ["gpi", "zz"], ["gpi", "gpi2", "xx"], [1]])
def test_without_native_gates_known_here_abstract_ones_are_needed(gates):
    assert not read(supported_native_gates=gates).takes_native
    with pytest.raises(InvalidResponse, match="OpenQASM 3"):
        read(supported_native_gates=gates, supported_gates=[])


@pytest.mark.parametrize("gates", [[], ["gpi", "gpi2", "zz"]])
def test_a_tempo_takes_openqasm_whatever_gates_it_has(gates):
    machine = read(backend="qpu.tempo-1", supported_native_gates=gates, supported_gates=[])
    assert machine.qasm_only
    assert not machine.takes_native
    assert not read().qasm_only


@pytest.mark.parametrize("qubits", [None, "3", 0, -1, True, 1e9, float("nan")])
def test_a_machine_of_no_number_of_qubits_cannot_be_used(qubits):
    with pytest.raises(InvalidResponse, match="how many qubits"):
        read(qubits=qubits)


RECORD = {
    "id": "aa54e783", "backend": "qpu.forte-1", "date": "2025-06-16T00:00:00Z", "qubits": 3,
    "connectivity": [[0, 1], [0, 2], [2, 1]],
    "fidelity": {"1q": {"median": 0.9998, "stderr": None}, "2q": {"median": 0.993},
                 "spam": {"median": 0.9962}},
    "timing": {"readout": 0.00015, "reset": 0.00005, "1q": 0.000063, "2q": 0.00065, "t1": 100,
               "t2": 1},
}  # fmt: skip


def read_figures(*records, **changes):
    body = {"characterizations": list(records) or None, "pages": 0} | changes
    return parse_characterizations(json.dumps(body).encode(), "qpu.forte-1")


def test_every_figure_is_read():
    found = read_figures(RECORD)
    assert found == Characterization(
        "qpu.forte-1", "2025-06-16T00:00:00Z", 3, ((0, 1), (0, 2), (2, 1)),
        0.9998, 0.993, 0.9962, 63e-6, 650e-6, 50e-6, 150e-6, 100.0, 1.0,
    )  # fmt: skip
    assert found.lines()["Pairs"] == "all"


def test_the_newest_record_counts():
    newer = RECORD | {"date": "2026-01-01T00:00:00Z", "qubits": 2}
    assert read_figures(RECORD, newer).qubits == 2


@pytest.mark.parametrize("value", [None, 0, -1, "0.99", True, 1.5, {}, []])
def test_damaged_figures_are_unknown(value):
    fidelity = RECORD["fidelity"] | {"2q": {"median": value}}
    found = read_figures(
        RECORD | {"fidelity": fidelity, "connectivity": [[0, value]], "timing": value}
    )
    assert found.two_qubit is None
    assert found.readout_s is None
    assert found.connectivity is None
    assert found.fidelity(3, 0) is not None
    assert found.fidelity(3, 1) is None
    assert found.shot_s(1, 1) is None
    assert "fidelity unknown, a shot unknown" in found.predicted(3, 1)
    assert found.lines()["Two-qubit gates"] == "unknown"


def test_a_machine_without_records_is_unknown():
    assert read_figures() == Characterization("qpu.forte-1")
    assert "date unknown" in read_figures().predicted(1, 1)


@pytest.mark.parametrize("body", [b"[]", b"{", b'{"characterizations": [1]}'])
def test_no_list_of_records(body):
    with pytest.raises(InvalidResponse):
        parse_characterizations(body, "qpu.forte-1")
