"""The table of machines and noise models."""

from __future__ import annotations

import pytest

from pennylane_qstore.backends import BACKENDS, NOISE_MODELS, backend, noise_model
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
