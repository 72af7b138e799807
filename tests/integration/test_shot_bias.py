"""Few shots bias a curved loss; the schedule of shots keeps the bias of the gradient small."""

from __future__ import annotations

import numpy as np
import pennylane as qml
import pytest

from pennylane_qstore.training.step_shape import FIRST_SHOTS, LAST_SHOTS, least_shots

TARGET, ANGLE, SIZE, ROWS = 0.2, 1.1, 0.3, 1500


@pytest.fixture(scope="module")
def slopes():
    """Return a function of shots: slopes of a squared loss along a direction, one a sample."""
    device = qml.device("qstore.ionq", wires=1, seed=1)

    @qml.set_shots(100)
    @qml.qnode(device, diff_method=None)
    def circuit(x):
        qml.RY(x, 0)
        return qml.expval(qml.Z(0))

    def measured(shots):
        angles = np.repeat([ANGLE + SIZE, ANGLE - SIZE], ROWS if shots else 1)
        with device.job_scope(shots=shots) if shots else device.exact_scope():
            losses = (np.asarray(circuit(angles)) - TARGET) ** 2
        plus, minus = np.split(losses, 2)
        return (plus - minus) / (2 * SIZE)

    return measured


def test_the_bias_of_a_squared_loss_falls_with_the_shots(slopes) -> None:
    """The mean of a squared loss is too large by (1 - z^2) / shots, whose slope is the bias."""
    (exact,) = slopes(None)
    z = np.cos([ANGLE + SIZE, ANGLE - SIZE])
    spread = np.subtract(*(1 - z**2)) / (2 * SIZE)
    for shots in (2, FIRST_SHOTS, LAST_SHOTS):
        found = slopes(shots)
        error = found.std() / np.sqrt(ROWS)
        assert found.mean() - exact == pytest.approx(spread / shots, abs=4 * error)
        if shots == 2:
            assert abs(found.mean() - exact) > 4 * error, "it would be seen"


def test_the_schedule_keeps_the_bias_below_the_gradient(slopes) -> None:
    (exact,) = slopes(None)
    first, last = (slopes(least_shots(step, 40)) for step in (1, 40))
    error = max(found.std() for found in (first, last)) / np.sqrt(ROWS)
    assert abs(first.mean() - exact) < 0.2 * abs(exact) + 4 * error
    assert abs(last.mean() - exact) < 0.07 * abs(exact) + 4 * error
