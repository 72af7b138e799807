"""Options that need another one, or a backend, are refused by name."""

from __future__ import annotations

from typing import Any

import pennylane as qml
import pytest

from pennylane_qstore.errors import ConfigurationError


def test_a_device_is_given_it_and_measures_it() -> None:
    noise = {"one_qubit": 0, "two_qubit": 0, "readout": 0.25}
    device = qml.device(
        "qstore.ionq", wires=1, noise_model="forte-1", seed=1, emulator={"machine_noise": noise}
    )

    @qml.qnode(device, shots=20_000)
    def zero(angle: float) -> Any:
        qml.RX(angle, wires=0)
        return qml.expval(qml.Z(0))

    assert zero(0.0) == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"backend": "simulator", "api_key": "key"}, "machine_noise"),
        ({"backend": "qpu.forte-1", "api_key": "key"}, "backend='emulator'"),
        ({}, "noise_model='forte-1'"),
    ],
)
def test_a_device_without_a_noisy_emulator_refuses_it_by_name(
    options: dict[str, Any], message: str
) -> None:
    settings = {"machine_noise": {"readout": 0.01}}
    with pytest.raises(ConfigurationError, match="machine_noise") as error:
        qml.device("qstore.ionq", wires=1, emulator=settings, **options)
    assert message in str(error.value)
