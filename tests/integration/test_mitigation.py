"""Rows on qubits and in frames of their own: the same results, smaller errors, refused by name."""

from __future__ import annotations

from typing import Any

import numpy as np
import pennylane as qml
import pytest

import pennylane_qstore as qstore
from pennylane_qstore.errors import ConfigurationError

QUIET = {"one_qubit": 0, "two_qubit": 0}


def device(**options: Any) -> Any:
    settings = {"wires": 4, "noise_model": "forte-1", "absorb": False, "symmetrize": True}
    return qml.device("qstore.ionq", **(settings | {"seed": 1} | options))


def layers(dev: Any, shots: int | None) -> Any:
    @qml.qnode(dev, shots=shots)
    def circuit(weights: Any) -> Any:
        qml.StronglyEntanglingLayers(weights, wires=range(4))
        return [qml.expval(qml.Z(k)) for k in range(4)], qml.probs(wires=[2, 0])

    return circuit


WEIGHTS = np.random.default_rng(5).uniform(0, 6, (8, 2, 4, 3))


@pytest.mark.parametrize("options", [{}, {"absorb": True}, {"two_qubit": "ms"}])
def test_without_errors_results_stay(options: dict[str, Any]) -> None:
    model = "aria-1" if options.get("two_qubit") else "forte-1"
    dev = device(noise_model=model, emulator={"machine_noise": QUIET}, **options)
    found, probs = layers(dev, 50_000)(WEIGHTS)
    wanted, exact = layers(qml.device("default.qubit"), None)(WEIGHTS)
    np.testing.assert_allclose(found, wanted, atol=0.03)
    np.testing.assert_allclose(probs, exact, atol=0.02)
    assert dev.stats["jobs"] == 1


def test_no_entanglers_are_added_and_each_row_has_its_own_qubits() -> None:
    (tape,), _ = qml.workflow.construct_batch(layers(device(), 100), level="user")(WEIGHTS)
    (own,) = device()._own.requests([tape])
    (plain,) = device(symmetrize=False)._own.requests([tape])
    assert own.size.n_2q == plain.size.n_2q
    assert own.size.n_1q <= plain.size.n_1q + 4 * len(WEIGHTS)
    assert own.shots == plain.shots
    pairs = {circuit.split(b"zz")[1][:30] for circuit in own.circuits}
    assert len(pairs) > 3
    (again,) = device()._own.requests([tape])
    assert again.payload_sha256 == own.payload_sha256
    (other,) = device(seed=2)._own.requests([tape])
    assert other.payload_sha256 != own.payload_sha256


def test_errors_of_readout_directions_average_out_over_rows() -> None:
    noise = QUIET | {"readout": (0.0, 0.3), "seed": 4}
    means = []
    for symmetrize in (False, True):
        dev = device(symmetrize=symmetrize, emulator={"machine_noise": noise})

        @qml.qnode(dev, shots=2_000)
        def flat(angle: Any) -> Any:
            for k in range(4):
                qml.RX(angle, k)
            return [qml.expval(qml.Z(k)) for k in range(4)]

        means.append(np.abs(np.mean(flat(np.full(64, np.pi / 2)), axis=1)).max())
    assert means[1] < means[0] / 3


def test_over_rotation_of_full_entanglers_averages_out_over_rows() -> None:
    wanted, _ = layers(qml.device("default.qubit"), None)(WEIGHTS[0])
    errors = []
    for symmetrize in (False, True):
        noise = QUIET | {"over_rotation": 0.1}
        dev = device(symmetrize=symmetrize, emulator={"machine_noise": noise})
        values, _ = layers(dev, 1_000)(np.stack([WEIGHTS[0]] * 64))
        errors.append(np.sqrt(np.mean((np.mean(values, axis=1) - wanted) ** 2)))
    assert errors[1] < errors[0] / 2


def test_small_circuits_use_all_of_the_devices_wires() -> None:
    dev = device(emulator={"machine_noise": QUIET})

    @qml.qnode(dev, shots=4_000)
    def pair(angle: Any) -> Any:
        qml.RX(angle, 0)
        qml.IsingZZ(0.7, [0, 1])
        qml.RX(angle, 0)
        return qml.expval(qml.Z(0))

    wanted = np.cos(0.4) ** 2 - np.sin(0.4) ** 2 * np.cos(0.7)
    np.testing.assert_allclose(pair(np.full(12, 0.4)), wanted, atol=0.06)
    (tape,), _ = qml.workflow.construct_batch(pair, level="user")(np.full(12, 0.4))
    (request,) = dev._own.requests([tape])
    assert request.qubits == 4


def test_a_rehearsal_has_the_errors_of_its_device() -> None:
    noise = QUIET | {"readout": 0.25}
    dev = device(emulator={"machine_noise": noise})
    assert dev._own.emulated("forte-1").options.emulator == {"machine_noise": noise}
    assert dev._own.emulated().options.emulator is None


def test_it_goes_with_folds() -> None:
    dev = device()
    values, _ = qstore.zne(layers(dev, 20_000), scales=(1, 3))(WEIGHTS[0])
    wanted, _ = layers(qml.device("default.qubit"), None)(WEIGHTS[0])
    np.testing.assert_allclose(values, wanted, atol=0.06)


def test_samples_are_read_in_their_frame() -> None:
    dev = device(emulator={"machine_noise": QUIET})

    @qml.qnode(dev, shots=50)
    def fixed(angle: Any) -> Any:
        qml.RX(angle, 0)
        qml.RX(angle, 2)
        qml.CNOT([0, 1])
        return qml.sample()

    assert (fixed(np.full(10, np.pi)) == [1, 1, 1, 0]).all()


def test_ideal_jobs_ignore_it_and_the_abstract_gateset_is_refused() -> None:
    dev = device(noise_model=None)
    assert dev._own.target.symmetrize is None
    with pytest.raises(ConfigurationError, match="symmetrize=True"):
        device(gateset="qis")
    with pytest.raises(ConfigurationError, match="symmetrize"):
        device(symmetrize="yes")
