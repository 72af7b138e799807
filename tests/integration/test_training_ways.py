"""One seeded problem, trained in different ways, comes to the same loss; long runs leak nothing."""

from __future__ import annotations

import contextlib
import gc
import os
import re
import resource
import subprocess
import sys
import threading
import tracemalloc
from collections import deque
from pathlib import Path

import numpy as np
import pennylane as qml
import pytest
from pennylane import numpy as pnp
from support.counting import CountingDevice

from pennylane_qstore.deferral import scope as deferred
from pennylane_qstore.training.spsa import SPSAOptimizer

X = np.linspace(-1.2, 1.2, 6)
TRUE, START = (2.0, 0.7), (1.2, 0.1)


def circuit_on(dev, **kwargs):
    @qml.qnode(dev, **kwargs)
    def circuit(inputs, w):
        qml.RX(inputs[..., 0], 0)
        qml.RY(w[0], 0)
        qml.RX(inputs[..., 0], 0)
        qml.RY(w[1], 0)
        return qml.expval(qml.Z(0))

    return circuit


Y = circuit_on(qml.device("default.qubit"))(X[:, None], np.array(TRUE))


def mean_square(circuit):
    rows = list(zip(X[:, None], Y, strict=True))
    return lambda w: sum((circuit(x, w) - y) ** 2 for x, y in rows) / len(rows)


@contextlib.contextmanager
def posts(dev, wanted):
    before = dev.emulator.stats()["posts"]
    yield
    assert dev.emulator.stats()["posts"] - before == wanted


def stock():
    dev = qml.device("qstore.ionq", wires=1)
    cost, w = mean_square(circuit_on(dev)), pnp.array(START)
    np.random.seed(3)  # noqa: NPY002 - what the stock optimizer draws from
    opt = qml.SPSAOptimizer(maxiter=150, a=1.0)
    with posts(dev, 150):
        for _ in range(150):
            with deferred.deferred():
                w = opt.step(cost, w)
    return float(cost(w))


def ours():
    dev = qml.device("qstore.ionq", wires=1)
    cost, w = mean_square(circuit_on(dev)), np.array(START)
    opt = SPSAOptimizer(maxiter=150, a=1.0, seed=3)
    with posts(dev, 150):
        for _ in range(150):
            w = opt.step(cost, w)
    return float(cost(w))


def torch_device_gradient():
    torch = pytest.importorskip("torch")
    dev = qml.device("qstore.ionq", wires=1)
    circuit = circuit_on(dev, diff_method="device", interface="torch")
    layer = qml.qnn.TorchLayer(circuit, {"w": (2,)}).double()
    with torch.no_grad():
        layer.w.copy_(torch.tensor(START))
    x, y = torch.tensor(X[:, None]), torch.tensor(Y)
    opt = torch.optim.Adam(layer.parameters(), lr=0.05)
    with posts(dev, 150):
        for _ in range(150):
            opt.zero_grad()
            torch.nn.functional.mse_loss(layer(x), y).backward()
            opt.step()
    with torch.no_grad():
        return torch.nn.functional.mse_loss(layer(x), y).item()


@pytest.mark.parametrize(
    "train", [stock, ours, pytest.param(torch_device_gradient, marks=pytest.mark.ml)]
)
def test_every_way_of_training_reaches_the_same_loss_with_one_post_a_step(train):
    """The least is 0, which the circuit that made the labels has."""
    assert mean_square(circuit_on(CountingDevice(wires=1)))(np.array(START)) > 0.1
    assert train() < 5e-4


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
def test_many_steps_keep_neither_objects_nor_memory_nor_threads():
    dev = CountingDevice(wires=1)

    def send(circuits, tracker):
        return tuple(np.float64(0.5) for _ in circuits)

    def measure():
        return len(gc.get_objects()), tracemalloc.get_traced_memory()[0], threading.active_count()

    dev.run = send
    dev.configs = deque(maxlen=1)  # what the device notes for other tests
    tracemalloc.start()  # the process as a whole grows by what other tests left behind, too
    try:
        before, after = run(dev, 800, measure)
    finally:
        tracemalloc.stop()
    assert after[0] - before[0] < 100
    assert after[1] - before[1] < 40_000
    assert after[2] == before[2]


@pytest.fixture
def service():
    """The emulator in a process of its own: what it keeps does not count here."""
    command = [sys.executable, "-m", "pennylane_qstore.cli.main", "serve", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        yield re.search(r"http://\S+", process.stdout.readline())[0]
        process.terminate()
        process.wait(30)


@pytest.mark.soak
@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="counts open files by /proc")
def test_two_thousand_steps_over_http_keep_neither_threads_nor_sockets_nor_memory(
    service, tmp_path
):
    dev = qml.device(
        "qstore.ionq",
        wires=1,
        backend="simulator",
        api_key="key",
        base_url=service,
        ledger=tmp_path / "ledger.db",
    )

    def measure():
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        megabytes = pages * resource.getpagesize() / 1e6
        return threading.active_count(), len(os.listdir("/proc/self/fd")), megabytes

    before, after = run(dev, 2000, measure)
    print(before, after)
    assert after[0] <= before[0]
    assert after[1] <= before[1]
    assert after[2] - before[2] < 15
    assert dev.stats["batches"] == 2000
