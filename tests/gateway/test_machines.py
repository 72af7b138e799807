"""Requests of clients: machines that no release knows are asked for at IonQ, as devices do."""

from __future__ import annotations

import json
import warnings

import pennylane as qml
import pytest
from support.emulator_wire import Wire
from support.gateways import Site, Window, paid
from support.renamed_machine import NAME, QASM, TEMPO

from pennylane_qstore import backends
from pennylane_qstore.ionq.ledger.ledger import Ledger


@pytest.fixture
def behind(renamed_machine, tmp_path):
    """A function that starts a gateway in front of the machine's service."""
    sites: list[Site] = []

    def start() -> Site:
        path = tmp_path / "gateway.sqlite3"
        sites.append(Site(path, Window(), renamed_machine, window_s=0.0))
        return sites[-1]

    renamed_machine.close = lambda: None
    yield start
    for one in sites:
        one.close()


def refused(wire: Wire, backend: str) -> dict:
    answer = wire("POST", "/jobs", paid(backend=backend))
    return {"status": answer.status, **json.loads(answer.body)}


def test_a_machine_that_ionq_describes_is_taken_and_warned_of_once(behind, renamed_machine):
    ann = behind().user()
    with pytest.warns(UserWarning, match=NAME):
        job_id = ann.post(paid(backend=NAME))
    assert ann.probabilities(job_id)
    assert ann.job(job_id)["backend"] == NAME
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert ann.probabilities(ann.post(paid(backend=NAME, shots=300)))
    assert [job["backend"] for job in renamed_machine.posted] == [NAME] * 2


def test_what_ionq_does_not_know_or_is_no_machine_is_refused(behind, renamed_machine):
    ann = behind().user()
    for name in ("qpu.fort-1", "simulater"):
        answer = refused(ann, name)
        assert answer["status"] == 400
        assert "must be one of" in answer["message"]
    renamed_machine.entry = {"supported_native_gates": [], "supported_gates": []}
    answer = refused(ann, NAME)
    assert answer["status"] == 400
    assert "native gates" in answer["message"]
    assert not renamed_machine.posted


def test_ionq_that_is_away_is_asked_again_later(behind, renamed_machine, monkeypatch):
    ann = behind().user()
    monkeypatch.setattr(renamed_machine, "told", lambda path, answer: b"[[")
    assert refused(ann, NAME)["status"] in (400, 503)
    monkeypatch.undo()
    monkeypatch.setattr(backends, "_described", {})
    with pytest.warns(UserWarning, match=NAME):
        ann.post(paid(backend=NAME))


def test_a_device_behind_the_gateway_sends_openqasm_to_a_tempo(behind, renamed_machine):
    pytest.importorskip("openqasm3")
    renamed_machine.name = TEMPO
    renamed_machine.entry = {"supported_native_gates": [], "supported_gates": []}
    here = behind()
    token = here.gateway.tokens.create("ann")
    with pytest.warns(UserWarning, match="OpenQASM 3 only"):
        dev = qml.device(
            "qstore.ionq", wires=2, backend=TEMPO, base_url=here.gateway.url, api_key=token,
            ledger=Ledger(),
        )  # fmt: skip

    @qml.set_shots(200)
    @qml.qnode(dev)
    def circuit(x):
        qml.RX(x, 0)
        qml.PauliX(1)
        return qml.probs(wires=[0, 1])

    found = circuit([0.0, 3.14159])
    assert found.argmax(axis=1).tolist() == [1, 3]
    assert {job["type"] for job in renamed_machine.posted} == {QASM}
    assert dev.spent_usd == pytest.approx(renamed_machine.emulator.stats()["billed_usd"])
