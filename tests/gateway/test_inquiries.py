"""Prices are asked for once, by size and backend; machines that no release knows, too."""

from __future__ import annotations

import asyncio
import json
import warnings
from typing import Any

import orjson
import pennylane as qml
import pytest
from support.emulator_wire import Wire, single
from support.gateways import Site, Window, paid
from support.renamed_machine import NAME, QASM, TEMPO

from pennylane_qstore import backends
from pennylane_qstore.errors import ConnectionFailed
from pennylane_qstore.gateway import inquiries
from pennylane_qstore.gateway.inquiries import PriceCache
from pennylane_qstore.ionq.http.transport import Traffic
from pennylane_qstore.ionq.ledger.ledger import Ledger
from pennylane_qstore.server.errors import BadRequest
from pennylane_qstore.server.inputs.submission import Submission, read_submission
from pennylane_qstore.server.service import ServiceBehaviour

X = [{"gate": "x", "target": 0}]


class Api:
    """Answers with the number of the question; reachable or not."""

    def __init__(self) -> None:
        self.asked, self.reachable = 0, True

    async def read_object(self, path: str, what: str, traffic: Traffic) -> dict[str, Any]:
        if not self.reachable:
            raise ConnectionFailed("It is away.")
        self.asked += 1
        return {"estimated_total_cost": float(self.asked), "estimated_unit": "usd"}


def price(prices: PriceCache, body: dict[str, Any]) -> float | None:
    read: Submission = read_submission(orjson.dumps(body), ServiceBehaviour())
    return asyncio.run(prices.of(read))


def test_a_size_is_asked_for_once_and_what_is_free_never(monkeypatch: pytest.MonkeyPatch) -> None:
    api = Api()
    prices = PriceCache(api, Traffic())  # type: ignore[arg-type]
    bodies = [single(X), paid(X, name="a"), paid(X, name="b"), paid([*X, *X]), paid(X)]
    assert [price(prices, body) for body in bodies] == [0.0, 1.0, 1.0, 2.0, 1.0]
    monkeypatch.setattr(inquiries, "_KEPT", 2)
    assert price(prices, paid(X, shots=300)) == 3.0
    assert price(prices, paid(X)) == 4.0  # the oldest is forgotten


def test_no_price_is_no_job() -> None:
    api = Api()
    api.reachable = False
    prices = PriceCache(api, Traffic())  # type: ignore[arg-type]
    with pytest.raises(BadRequest, match="IonQ does not tell the price: It is away") as no:
        price(prices, paid(X))
    assert no.value.status == 503
    api.reachable = True
    assert price(prices, paid(X)) == 1.0


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
