"""Backends and characterizations as IonQ shows them."""

from __future__ import annotations

import pytest

from pennylane_qstore.backends import BACKENDS, NOISE_MODELS
from pennylane_qstore.server.backends import backend_json, characterizations

DAY_S = 86_400
QPUS = [b for b in BACKENDS.values() if b.is_qpu]


@pytest.mark.parametrize("backend", BACKENDS.values(), ids=lambda b: b.name)
def test_a_backend_says_what_it_takes(backend) -> None:
    shown = backend_json(backend, 10 * DAY_S, 2.5)
    assert (shown["backend"], shown["qubits"]) == (backend.name, backend.qubits)
    assert shown["status"] == ("retired" if backend.retired else "available")
    assert shown["average_queue_time"] == 2500
    assert shown["supported_native_gates"] == list(backend.native_gates)
    assert "pauliexp" not in shown["supported_gates"]
    assert ("noise_models" in shown) == (not backend.is_qpu)


def test_the_simulator_lists_its_noise_models_and_has_no_characterization() -> None:
    simulator = BACKENDS["simulator"]
    assert backend_json(simulator, 0.0, 0.0)["noise_models"] == list(NOISE_MODELS)
    assert characterizations(simulator, 0.0) == []


@pytest.mark.parametrize("backend", QPUS, ids=lambda b: b.name)
def test_a_machine_has_a_characterization_for_each_day(backend) -> None:
    records = characterizations(backend, 100.5 * DAY_S)
    days = [record["date"][:10] for record in records]
    assert days == sorted(set(days), reverse=True)
    assert backend_json(backend, 100.5 * DAY_S, 0.0)["characterization_id"] == records[0]["id"]
    later = characterizations(backend, 101.5 * DAY_S)
    assert later[1] == records[0]
    assert len(records[0]["connectivity"]) == backend.qubits * (backend.qubits - 1) // 2
    assert records[0]["timing"]["2q"] == backend.timing.two_qubit_s
