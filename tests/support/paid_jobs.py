"""Paid jobs on an emulated QPU: a device, a circuit, jobs in flight, and the command line."""

from __future__ import annotations

import json

import pennylane as qml
import pytest
from typer.testing import CliRunner

from pennylane_qstore.cli.main import app
from pennylane_qstore.errors import JobTimeout

run = CliRunner().invoke


def device(emulator, **options):
    options = {"backend": "qpu.forte-1", "seed": 3, **options}
    return qml.device("qstore.ionq", wires=2, base_url=emulator.url, api_key="k", **options)


def circuit(dev, shots=100):
    @qml.qnode(dev, shots=shots)
    def node(x):
        qml.RX(x, 0)
        qml.CRY(x, [0, 1])
        return qml.expval(qml.X(1)), qml.expval(qml.Z(0))

    return node


def ask(*arguments, code=0):
    """Return what a command prints, read where it is JSON."""
    result = run(app, list(map(str, arguments)))
    assert result.exit_code == code, result.output
    return json.loads(result.stdout) if "--json" in arguments else result.output


def killed(emulator, path, x=0.4, **options):
    """Return the id of a job in flight, in a ledger as a process leaves it that died meanwhile."""
    dev = device(emulator, ledger=path, max_wait=0.01, **options)
    with pytest.raises(JobTimeout, match="qstore resume --ledger"):
        circuit(dev)(x)
    return dev.client.ledger.submissions()[-1].job_id
