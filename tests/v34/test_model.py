"""The built-in model."""

import numpy as np
import pennylane as qml
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.v34_runs import X, Y, small

from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.v34.model import make_circuit, pairs, squared_error_model, weights_shape
from pennylane_qstore.v34.settings import ENTANGLEMENTS


def test_too_many_features_are_refused(emulator):
    with pytest.raises(ConfigurationError, match="n_qubits"):
        small(n_qubits=1).run(data=(X, Y), device=small(n_qubits=1).device(emulator=emulator))


@given(st.sampled_from(ENTANGLEMENTS), st.integers(1, 6))
def test_pairs_are_different_wires_each_pair_once(entanglement, wires):
    found = pairs(entanglement, wires)
    assert all(a != b and {a, b} <= set(range(wires)) for a, b in found)
    assert len({frozenset(pair) for pair in found}) == len(found)
    if entanglement == "full":
        assert len(found) == wires * (wires - 1) // 2


@pytest.mark.parametrize("hardware_efficient", [True, False])
def test_the_squared_error_is_that_of_the_circuit_s_expectations(hardware_efficient):
    settings = small(hardware_efficient_ansatz=hardware_efficient, gradient_method="spsa")
    device = qml.device("default.qubit", wires=2, seed=1)
    cost, weights = squared_error_model(settings, device, np.random.default_rng(1))
    assert weights.shape == weights_shape(settings) == (1, 2, 2 if hardware_efficient else 3)
    exact = qml.set_shots(make_circuit(settings, device), None)
    expected = np.mean((exact(X, weights) - Y) ** 2)
    assert float(cost(weights, X, Y)) == pytest.approx(float(expected), abs=0.2)
