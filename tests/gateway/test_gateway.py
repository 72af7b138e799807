"""The gateway as an object: options, HTTPS, its key, our own client in front of it."""

from __future__ import annotations

import http.client
import json
import logging
import pickle
import shutil
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pennylane as qml
import pytest
from support.gateways import KEY, Site

from pennylane_qstore.errors import ConfigurationError, QStoreError
from pennylane_qstore.gateway.gateway import Gateway, gateway_path
from pennylane_qstore.gateway.store import Limits
from pennylane_qstore.ionq.ledger.ledger import Ledger


@pytest.mark.parametrize(
    "options",
    [
        {"host": "0.0.0.0"},
        {"tls_cert": "nowhere.pem"},
        {"tls_cert": "nowhere.pem", "tls_key": "nowhere.key"},
        {"window_s": -1},
        {"max_open": 0},
        {"on_ambiguous": "guess"},
        {"limits": Limits(user_usd=-1)},
        {"base_url": "http://example.org/v0.4"},
        {"ledger": Ledger()},
    ],
    ids=str,
)
def test_options_that_are_not_allowed(tmp_path: Path, options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        Gateway(KEY, **{"ledger": tmp_path / "g.sqlite3", **options})


def test_it_does_not_show_its_key(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    gateway = Gateway(KEY, base_url="http://127.0.0.1:9/v0.4", ledger=tmp_path / "g.sqlite3")
    with gateway, pytest.raises(QStoreError):
        Gateway(KEY, port=int(gateway.address.rpartition(":")[2]), ledger=gateway.ledger).start()
    assert KEY not in repr(gateway) + repr(vars(gateway)) + caplog.text
    with pytest.raises(TypeError, match="pickle"):
        pickle.dumps(gateway)
    assert gateway_path().name == "gateway.sqlite3"
    assert gateway.jobs == []


def test_our_device_trains_through_it(site: Callable[..., Site]) -> None:
    here = site(window_s=0)
    token = here.gateway.tokens.create("ann")
    dev = qml.device(
        "qstore.ionq", wires=2, backend="qpu.forte-1", base_url=here.gateway.url, api_key=token
    )

    @qml.qnode(dev, shots=500)
    def circuit(x: float) -> Any:
        qml.RX(x, 0)
        qml.CNOT([0, 1])
        return qml.expval(qml.Z(1))

    assert float(circuit(0.3)) > 0.7
    grad = qml.gradients.param_shift(circuit)(qml.numpy.array(0.3, requires_grad=True))
    assert abs(float(grad)) < 0.7
    assert len(here.emulator.jobs) == 2
    assert dev.stats["cost_usd"] == here.emulator.stats()["billed_usd"]


def test_https(tmp_path: Path, site: Callable[..., Site]) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl makes the certificate")
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
               "-keyout", key, "-out", cert, "-days", "1", "-nodes", "-subj", "/CN=localhost",
               "-addext", "subjectAltName=IP:127.0.0.1"]  # fmt: skip
    subprocess.run([str(part) for part in command], check=True, capture_output=True)
    here = site(tls_cert=cert, tls_key=key)
    assert here.gateway.url.startswith("https://127.0.0.1:")
    token = here.gateway.tokens.create("ann")
    context = ssl.create_default_context(cafile=str(cert))
    address = here.gateway.address.removeprefix("https://")
    connection = http.client.HTTPSConnection(address, context=context, timeout=20)
    connection.request("GET", "/v0.4/whoami", headers={"Authorization": f"apiKey {token}"})
    assert json.loads(connection.getresponse().read())["key_name"] == "ann"
    connection.close()
