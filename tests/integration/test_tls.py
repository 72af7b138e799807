"""Certificates are checked, own authorities are taken, proxies only when asked for."""

from __future__ import annotations

import shutil
import ssl
import subprocess

import pytest
from support.answering import Answering

from pennylane_qstore.errors import ConnectionFailed
from pennylane_qstore.ionq.client import IonQClient
from pennylane_qstore.ionq.ledger.ledger import Ledger


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    if shutil.which("openssl") is None:
        pytest.skip("no openssl to make a certificate with")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
         "-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context, str(folder / "cert.pem")


def client_of(url, **options):
    return IonQClient("canary-key", base_url=url, ledger=Ledger(), **options)


def test_an_unknown_certificate_is_refused_at_once_and_hears_no_key(certificate):
    context, _ = certificate
    with (
        Answering(context) as server,
        client_of(f"https://localhost:{server.port}/v0.4") as client,
    ):
        with pytest.raises(ConnectionFailed, match=r"[Cc]ertificate"):
            client.whoami()
        assert client.stats["requests"] == 1
    assert not [heard for heard in server.heard if isinstance(heard, bytes) and b"canary" in heard]


def test_an_own_authority_is_taken(certificate):
    context, bundle = certificate
    with (
        Answering(context) as server,
        client_of(f"https://localhost:{server.port}/v0.4", ca_bundle=bundle) as client,
    ):
        assert client.whoami() == {"key_id": "x"}
    assert b"Authorization: apiKey canary-key" in server.heard[0]


def test_a_proxy_is_used_when_it_is_given():
    with (
        Answering() as proxy,
        client_of("http://127.0.0.1:9/v0.4", proxy=f"http://127.0.0.1:{proxy.port}") as client,
    ):
        assert client.whoami() == {"key_id": "x"}
    assert proxy.heard[0].startswith(b"GET http://127.0.0.1:9/v0.4/whoami ")


def test_the_environments_proxy_and_passwords_are_not_used(monkeypatch, tmp_path):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login user password canary-password\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    with Answering() as proxy, Answering() as server:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        with client_of(f"http://127.0.0.1:{server.port}/v0.4") as client:
            assert client.whoami() == {"key_id": "x"}
    assert proxy.heard == []
    assert b"canary-password" not in server.heard[0]
    assert b"Basic" not in server.heard[0]
