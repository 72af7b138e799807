"""A process that submits a batch, writes the handle down, and dies of kill -9 at once.

``python submit_child.py URL LEDGER HANDLE CIRCUITS_PER_JOB``
"""

import os
import pickle
import signal
import sys
from pathlib import Path

import numpy as np
import pennylane as qml


def tapes():
    dev = qml.device("default.qubit", wires=2)

    @qml.qnode(dev, shots=300)
    def circuit(x):
        qml.RX(x, 0)
        m = qml.measure(0)
        qml.cond(m, qml.X)(1)
        return qml.expval(qml.Z(1)), qml.counts(2 * m), qml.probs(wires=[0, 1])

    return qml.workflow.construct_batch(circuit, level="user")(np.array([0.0, np.pi]))[0]


def main(url, ledger, handle, circuits):
    dev = qml.device(
        "qstore.ionq", wires=3, backend="qpu.forte-1", base_url=url, api_key="k", ledger=ledger,
        max_circuits_per_job=int(circuits),
    )  # fmt: skip
    submitted = dev.submit(tapes())
    Path(handle).write_bytes(pickle.dumps(submitted))
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main(*sys.argv[1:])
