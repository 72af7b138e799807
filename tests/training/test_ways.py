"""One seeded problem, trained in different ways, comes to the same loss; long runs leak nothing."""

from __future__ import annotations

import gc
import os
import resource
import threading

import numpy as np
import pennylane as qml
import pytest
from counting import CountingDevice, GradientDevice
from pennylane import numpy as pnp

from pennylane_qstore.batching import deferred
from pennylane_qstore.training.spsa import SPSAOptimizer

X = np.linspace(-1.2, 1.2, 6)
Y = np.cos(2.0 * X + 0.7)  # what the circuit gives at w = (2, 0.7)
START = (1.6, 0.3)


def circuit_on(dev, **kwargs):
    @qml.qnode(dev, **kwargs)
    def circuit(inputs, w):
        qml.RX(w[0] * inputs, 0)
        qml.RX(w[1], 0)
        return qml.expval(qml.Z(0))

    return circuit


def mean_square(circuit):
    return lambda w: sum((circuit(x, w) - y) ** 2 for x, y in zip(X, Y, strict=True)) / len(X)


def stock():
    dev = CountingDevice(wires=1)
    cost, w = mean_square(circuit_on(dev)), pnp.array(START)
    np.random.seed(3)  # noqa: NPY002 - what the stock optimizer draws from
    opt = qml.SPSAOptimizer(maxiter=150, a=1.0)
    for _ in range(150):
        with deferred.deferred():
            w = opt.step(cost, w)
    assert len(dev.posts) == 150
    return float(cost(w))


def ours():
    dev = CountingDevice(wires=1)
    cost, w = mean_square(circuit_on(dev)), np.array(START)
    opt = SPSAOptimizer(maxiter=150, a=1.0, seed=3)
    for _ in range(150):
        w = opt.step(cost, w)
    assert len(dev.posts) == 150
    return float(cost(w))


def torch_device_gradient():
    torch = pytest.importorskip("torch")
    dev = GradientDevice(wires=1)
    layer = qml.qnn.TorchLayer(
        circuit_on(dev, diff_method="device", interface="torch"), {"w": (2,)}
    ).double()
    with torch.no_grad():
        layer.w.copy_(torch.tensor(START))
    x, y = torch.tensor(X), torch.tensor(Y)
    opt = torch.optim.Adam(layer.parameters(), lr=0.05)

    def loss():
        outputs = deferred.map(dev, lambda sample: layer.qnode(sample, layer.w), x)
        return ((torch.stack(outputs) - y) ** 2).mean()

    for _ in range(100):
        opt.zero_grad()
        loss().backward()
        opt.step()
    assert len(dev.posts) == 100
    with torch.no_grad():
        return loss().item()


@pytest.mark.parametrize("train", [stock, ours, torch_device_gradient])
def test_every_way_of_training_reaches_the_solution(train):
    assert mean_square(circuit_on(CountingDevice(wires=1)))(np.array(START)) > 0.1
    assert train() < 2e-3


def run(dev, steps, measure, after=200):
    """Train for a number of steps; what ``measure`` says early on and at the end."""
    cost = mean_square(circuit_on(dev, shots=100))
    opt, w, measured = SPSAOptimizer(maxiter=steps, seed=1), np.array(START), []
    for step in range(1, steps + 1):
        w = opt.step(cost, w)
        if step in (after, steps):
            gc.collect()
            measured.append(measure())
    return measured


@pytest.mark.soak
def test_two_thousand_steps_keep_neither_objects_nor_memory_nor_threads():
    dev = CountingDevice(wires=1)

    def send(circuits, config):
        return tuple(np.float64(0.5) for _ in circuits)

    def measure():
        megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        return len(gc.get_objects()), megabytes, threading.active_count()

    dev._send = send
    before, after = run(dev, 2000, measure)
    assert after[0] - before[0] < 100
    assert after[1] - before[1] < 10
    assert after[2] == before[2]


@pytest.mark.soak
@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="counts open files by /proc")
def test_two_thousand_steps_over_http_keep_neither_threads_nor_sockets():
    """Memory is left out: the embedded emulator keeps its jobs on purpose."""
    dev = qml.device("qstore.ionq", wires=1)
    before, after = run(
        dev, 2000, lambda: (threading.active_count(), len(os.listdir("/proc/self/fd")))
    )
    assert after[0] <= before[0]
    assert after[1] <= before[1]
    assert dev.stats["batches"] == 2000
