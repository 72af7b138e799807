"""Scenarios for pennylane-ionq. Usage: python use_pennylane_ionq.py URL SCENARIO."""

import json
import sys
import warnings

import pennylane as qml
from pennylane import numpy as pnp
from pennylane_ionq import api_client, ops

warnings.simplefilter("ignore")

api_client.APIClient.BASE_URL = sys.argv[1]
SHOTS = 20_000


def circuit(x):
    qml.Hadamard(0)
    qml.RX(x, wires=1)
    qml.CNOT([0, 1])
    qml.RY(0.3, wires=0)
    qml.IsingZZ(0.7, wires=[0, 1])
    qml.SX(1)
    return qml.expval(qml.Z(1))


def single():
    device = qml.device("ionq.simulator", wires=2, shots=SHOTS)
    return float(qml.QNode(circuit, device)(0.4))


def batch():
    device = qml.device("ionq.simulator", wires=2, shots=SHOTS)
    tapes = [qml.workflow.construct_tape(qml.QNode(circuit, device))(x) for x in (0.1, 0.5, 0.9)]
    return [float(r) for r in device.batch_execute(tapes)]


def gradient():
    device = qml.device("ionq.simulator", wires=2, shots=SHOTS)
    node = qml.QNode(circuit, device, diff_method="parameter-shift")
    return float(qml.grad(node)(pnp.array(0.4, requires_grad=True)))


def native():
    device = qml.device("ionq.simulator", wires=2, shots=SHOTS, gateset="native")

    @qml.qnode(device)
    def node():
        ops.GPI2(0.1, wires=[0])
        ops.GPI(0.35, wires=[1])
        ops.MS(0.05, 0.2, 0.15, wires=[0, 1])
        ops.GPI2(0.6, wires=[0])
        return qml.probs(wires=[0, 1])

    return [float(p) for p in node()]


def evolution():
    device = qml.device("ionq.simulator", wires=2, shots=SHOTS)

    @qml.qnode(device)
    def node():
        qml.Hadamard(0)
        qml.evolve(0.3 * qml.X(0) @ qml.X(1) + 0.2 * qml.Z(0), 0.7)
        return qml.probs(wires=[0, 1])

    return [float(p) for p in node()]


def noisy():
    device = qml.device("ionq.simulator", wires=2, shots=2000, noise_model="aria-1", noise_seed=5)
    return float(qml.QNode(circuit, device)(0.4))


def failure():
    device = qml.device("ionq.simulator", wires=30, shots=100)
    try:
        qml.QNode(circuit, device)(0.4)
    except Exception as error:
        return [type(error).__name__, str(error)]
    return None


def dry_run():
    device = qml.device("ionq.simulator", wires=2, shots=100, dry_run=True)
    tape = qml.workflow.construct_tape(qml.QNode(circuit, device))(0.1)
    return device.batch_execute([tape, tape])


def qpu():
    device = qml.device("ionq.qpu", wires=2, shots=1000, backend="aria-1")
    return float(qml.QNode(circuit, device)(0.4))


print(json.dumps(globals()[sys.argv[2]]()))
