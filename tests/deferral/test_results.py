"""Deferred results: nested and shaped as PennyLane nests and shapes a device's own."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pennylane as qml
import pytest

from pennylane_qstore.deferral.operands import is_deferred
from pennylane_qstore.deferral.requests import Request
from pennylane_qstore.deferral.results import deferred_results, is_deferrable
from pennylane_qstore.errors import InvalidResponse

MEASUREMENTS = {
    "one number": [qml.expval(qml.Z(0))],
    "probabilities": [qml.probs(wires=[0, 1])],
    "several": [qml.var(qml.Z(1)), qml.probs(wires=0), qml.expval(qml.X(0))],
}


class Scope:
    """A scope that sends a request when it is looked at."""

    closed = False

    def track(self, node):
        pass

    def settle(self):
        pass

    def obtain(self, request):
        request.succeed(tuple(request.device.executor.run(request.circuits, None)))
        return request.result()


def tape(measurements, shots=None, batch=None):
    angle = 0.3 if batch is None else np.linspace(0, 1, batch)
    operations = [qml.RX(angle, 0), qml.CNOT([0, 1])]
    return qml.tape.QuantumScript(operations, measurements, shots=shots)


def make(circuit, run=None):
    device = qml.device("default.qubit", wires=2, seed=1)
    device.executor = SimpleNamespace(run=run or (lambda circuits, _: device.execute(circuits)))
    return Request(device, (circuit,), None)


def shapes(tree):
    return tuple(shapes(t) for t in tree) if isinstance(tree, tuple) else np.shape(tree)


@pytest.mark.parametrize("kind", MEASUREMENTS)
@pytest.mark.parametrize("shots", [None, 10, (10, 20)], ids=["exact", "shots", "shot vector"])
@pytest.mark.parametrize("batch", [None, 3], ids=["alone", "broadcast"])
def test_they_have_the_form_of_the_devices_results(kind, shots, batch):
    circuit = tape(MEASUREMENTS[kind], shots, batch)
    request = make(circuit)
    results = deferred_results(Scope(), request, 0, batch, np.float64(1))
    wanted = request.device.execute([circuit])[0]
    assert shapes(results) == shapes(wanted)
    if shots is None:
        np.testing.assert_allclose(
            np.hstack([np.ravel(r) for r in flat(results)]),
            np.hstack([np.ravel(w) for w in flat(wanted)]),
        )


def flat(tree):
    return [leaf for t in tree for leaf in flat(t)] if isinstance(tree, tuple) else [tree]


def test_nothing_is_sent_before_a_value_is_looked_at():
    sent = []
    request = make(tape(MEASUREMENTS["several"]), lambda c, _: sent.append(c))
    results = deferred_results(Scope(), request, 0, None, np.float64(1))
    assert all(is_deferred(result) for result in results)
    assert sent == []


def test_a_result_of_another_shape_is_refused():
    request = make(tape(MEASUREMENTS["probabilities"]), lambda c, _: (np.ones(2),))
    result = deferred_results(Scope(), request, 0, None, np.float64(1))
    with pytest.raises(InvalidResponse, match=r"shape \(2,\) where \(4,\) was expected"):
        result.fetch()


@pytest.mark.parametrize(
    ("measurement", "deferrable"),
    [
        (qml.expval(qml.Z(0)), True), (qml.var(qml.Z(0)), True), (qml.probs(wires=0), True),
        (qml.probs(), False), (qml.counts(), False), (qml.sample(), False),
    ],
)  # fmt: skip
def test_only_floats_of_known_shape_can_come_late(measurement, deferrable):
    assert is_deferrable(tape([measurement], 10)) is deferrable
    assert not is_deferrable(tape([]))
