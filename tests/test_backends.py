"""The table of machines and noise models."""

from __future__ import annotations

import pytest

from pennylane_qstore import backends
from pennylane_qstore.backends import (
    BACKENDS,
    NOISE_MODELS,
    Backend,
    add_described,
    backend,
    noise_model,
)
from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.gateset import NATIVE


@pytest.mark.parametrize("name", BACKENDS)
def test_a_backend_is_found_by_its_id(name):
    assert backend(name).name == name
    assert backend(name).is_qpu == name.startswith("qpu.")


@pytest.mark.parametrize("name", NOISE_MODELS)
def test_a_noise_model_is_found_by_its_name(name):
    model = noise_model(name)
    assert model.name == name
    assert 0 <= model.r1 <= model.r2 < 0.05


def test_every_machine_has_a_noise_model_gates_and_times():
    for machine in BACKENDS.values():
        assert machine.noise in NOISE_MODELS
        assert set(machine.native_gates) <= set(NATIVE)
        assert (machine.timing is not None) == (machine.fidelity is not None) == machine.is_qpu


@pytest.mark.parametrize(
    ("look_up", "name", "near"),
    [(backend, "qpu.forte1", "qpu.forte-1"), (noise_model, "aria1", "aria-1")],
)
def test_a_name_that_is_unknown_is_refused_with_the_nearest(look_up, name, near):
    with pytest.raises(ConfigurationError, match=f"Did you mean '{near}'"):
        look_up(name)


def test_the_tables_cannot_be_changed():
    with pytest.raises(TypeError):
        BACKENDS["mine"] = BACKENDS["simulator"]
    with pytest.raises(TypeError):
        NOISE_MODELS["mine"] = NOISE_MODELS["ideal"]


def test_predictions_are_products_and_sums():
    machine = backend("qpu.forte-1").published
    assert machine.fidelity(4, 2, 3) == pytest.approx(0.9998**4 * 0.993**2 * 0.9962**3)
    assert machine.shot_s(4, 2) == pytest.approx(50e-6 + 4 * 63e-6 + 2 * 650e-6 + 150e-6)
    assert machine.predicted(4, 2, 3).startswith("predicted for qpu.forte-1 (published)")
    assert "Two-qubit gates: fidelity 0.993, 0.00065 s" in str(machine)
    assert backend("simulator").published.fidelity(1, 0) is None


def test_a_machine_that_is_described_is_found_in_this_process(monkeypatch):
    monkeypatch.setattr(backends, "_described", {})
    new = Backend("qpu.new-1", 3, ("gpi", "gpi2", "zz"), noise="")
    assert add_described(new)
    assert not add_described(Backend("qpu.new-1", 99, ()))
    assert backend("qpu.new-1") is new
    assert "qpu.new-1" not in BACKENDS
    assert not add_described(Backend("qpu.forte-1", 99, ()))
    assert backend("qpu.forte-1") is BACKENDS["qpu.forte-1"]


@pytest.mark.parametrize(
    ("gates", "pairs", "takes"),
    [
        (("gpi", "gpi2", "ms"), True, True),
        (("gpi", "gpi2", "zz"), False, False),
        (("gpi", "zz"), True, False),
        (("gpi", "gpi2"), True, False),
        ((), True, False),
    ],
)
def test_native_circuits_need_pulses_an_entangler_and_all_pairs(gates, pairs, takes):
    assert Backend("qpu.new-1", 3, gates, all_to_all=pairs).takes_native is takes
    assert all(machine.takes_native for machine in BACKENDS.values())
