"""Postponed calls: made together where the value of one is looked at."""

from __future__ import annotations

import numpy as np
import pennylane as qml
import pytest
from support.counting import CountingDevice

from pennylane_qstore.deferral.postponed import Postponed
from pennylane_qstore.deferral.scope import deferred


@pytest.fixture
def device():
    return CountingDevice(wires=1)


@pytest.fixture
def looking(device):
    """A function that looks at each of its circuits before it goes on."""
    node = qml.QNode(lambda x: qml.RX(x, 0) and qml.expval(qml.Z(0)), device)
    return lambda *xs: float(sum(float(node(x)) for x in xs))


def test_calls_are_made_together_once_and_in_order(device, looking):
    with deferred():
        later = Postponed(looking)
        a, b = later(0.1, 0.2), later(0.3, 0.4)
        total = a - 2 * b
        assert device.posts == []
        assert float(total) == pytest.approx(np.cos([0.1, 0.2, 0.3, 0.4]) @ [1, 1, -2, -2])
        assert device.posts == [2, 2]
        assert float(later(0.5)) == pytest.approx(np.cos(0.5))
        assert float(a) == pytest.approx(np.cos([0.1, 0.2]).sum())
    assert device.posts == [2, 2, 1]


def test_they_go_with_what_else_is_pending(device, looking):
    node = qml.QNode(lambda x: qml.RX(x, 0) and qml.expval(qml.Z(0)), device)
    with deferred():
        other = node(0.7)
        value = Postponed(looking)(0.1)
        float(value)
        assert device.posts == [2]
        assert float(other) == pytest.approx(np.cos(0.7))
    assert device.posts == [2]


def test_an_error_is_that_of_every_call_and_nothing_is_called_again():
    calls = []

    def refuse(x):
        calls.append(x)
        raise ValueError(f"no {x}")

    with deferred():
        later = Postponed(refuse)
        values = [later(1), later(2)]
        for value in values:
            with pytest.raises(ValueError, match="no 1"):
                float(value)
    assert calls == [1]
