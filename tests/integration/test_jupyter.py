"""Steps in a real Jupyter kernel, where an event loop is running already."""

from __future__ import annotations

import sys
import time

import pytest

jupyter_client = pytest.importorskip("jupyter_client")
pytest.importorskip("ipykernel")

pytestmark = pytest.mark.notebook

SETUP = """
import asyncio, threading
import numpy as np, pennylane as qml, pennylane_qstore as qstore

assert asyncio.get_running_loop().is_running()

def circuit_on(dev):
    @qml.qnode(dev)
    def circuit(x):
        qml.RX(x, 0)
        return qml.expval(qml.Z(0))
    return circuit

dev = qml.device("qstore.ionq", wires=1)
circuit = circuit_on(dev)
cost = lambda w: sum((circuit(w[0] * x) - 0.2) ** 2 for x in range(5))
opt = qstore.SPSAOptimizer(maxiter=10, seed=1)
"""
STEPS = """
w, loss = opt.step_and_cost(cost, np.array([0.3]))

async def later():
    await asyncio.sleep(0.01)
    return opt.step(cost, w)

w = await later()
with qstore.deferred():
    value = circuit(0.0)
print(dev.stats["jobs"], isinstance(value, float), value)
"""
SLOW = """
slow = circuit_on(qml.device("qstore.ionq", wires=1, emulator={"profile": "q-store"}))
slow_cost = lambda w: sum(slow(w[0] * x) for x in range(200))
print("waiting")
qstore.SPSAOptimizer(maxiter=10).step(slow_cost, np.array([0.3]))
"""
AFTER = """
print([t.name for t in threading.enumerate() if t.name.startswith("qstore-task")])
print(opt.step(cost, w).shape)
"""


class Kernel:
    def __init__(self):
        self.manager = jupyter_client.KernelManager(kernel_name="python3")
        self.manager.kernel_spec.argv[0] = sys.executable
        self.manager.start_kernel()
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=60)

    def run(self, source, on_output=lambda text: None):
        """What a cell printed, and the name of the error it ended with."""
        message, printed, error = self.client.execute(source), "", None
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            found = self.client.get_iopub_msg(timeout=60)
            content = found["content"]
            if found["parent_header"].get("msg_id") != message:
                continue
            if found["msg_type"] == "stream":
                printed += content["text"]
                on_output(content["text"])
            elif found["msg_type"] == "error":
                error = content["ename"]
            elif found["msg_type"] == "status" and content["execution_state"] == "idle":
                return printed, error
        raise TimeoutError(printed)

    def close(self):
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)


@pytest.fixture(scope="module")
def kernel():
    kernel = Kernel()
    assert kernel.run(SETUP) == ("", None)
    yield kernel
    kernel.close()


def test_steps_and_scopes_run_in_a_kernel(kernel):
    assert kernel.run(STEPS) == ("3 True 1.0\n", None)


def test_interrupting_a_cell_ends_the_step_and_leaves_no_task(kernel):
    def interrupt(text):
        if "waiting" in text:
            time.sleep(0.5)  # so that most often it comes while the cell waits for the service
            kernel.manager.interrupt_kernel()

    started = time.monotonic()
    _, error = kernel.run(SLOW, interrupt)
    assert error == "KeyboardInterrupt"
    assert time.monotonic() - started < 20  # the job takes 50 s
    assert kernel.run(AFTER) == ("[]\n(1,)\n", None)
