"""The account's routes are passed on, and nothing else is reached by them."""

from __future__ import annotations

from collections.abc import Callable

from support.emulator_wire import Wire
from support.gateways import KEY, Site

from pennylane_qstore.emulator import Fault


def test_answers_are_ionqs(site: Callable[..., Site]) -> None:
    here = site()
    ann, direct = here.user(), Wire(here.emulator, "apiKey x")
    here.wires.append(direct)
    for path in ("/backends/qpu.forte-1", "/jobs/estimate?backend=qpu.forte-1&shots=9"):
        via, own = ann("GET", path).json, direct("GET", path).json
        assert via.keys() == own.keys()
    assert ann("GET", "/backends/nonsense").status == 404
    opened = ann("POST", "/sessions", {"backend": "qpu.forte-1"})
    assert opened.status == 201
    session = opened.json["id"]
    assert ann("GET", f"/sessions/{session}").json["active"]
    assert ann("POST", f"/sessions/{session}/end").json["status"] == "ended"
    assert direct("GET", f"/sessions/{session}").json["status"] == "ended"


def test_only_plain_paths_are_passed_on(site: Callable[..., Site]) -> None:
    here = site()
    ann = here.user()
    before = here.emulator.stats()["requests"]
    for path in ("/backends/..%2Fjobs", "/backends/%2e%2e", "/backends/a%3Fb", "/sessions/.x"):
        assert ann("GET", path).status == 404
    assert here.emulator.stats()["requests"] == before


def test_failures_and_pauses_are_passed_on(site: Callable[..., Site]) -> None:
    throttled = Fault("status", route="backends", status=429, retry_after=7)
    here = site({"faults": [throttled, Fault("truncate", route="backends")]})
    ann = here.user()
    answer = ann("GET", "/backends")
    assert (answer.status, answer.headers["Retry-After"]) == (429, "7")
    assert ann("GET", "/backends").status == 502
    here.emulator.close()
    away = ann("GET", "/backends")
    assert (away.status, away.headers["Retry-After"]) == (503, "5")
    assert KEY not in away.body.decode()
