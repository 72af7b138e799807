"""Prices are asked for once, for each size and backend."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest
from support.emulator_wire import single
from support.gateways import paid

from pennylane_qstore.errors import ConnectionFailed
from pennylane_qstore.gateway import price_cache
from pennylane_qstore.gateway.price_cache import PriceCache
from pennylane_qstore.ionq.http.transport import Traffic
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
    monkeypatch.setattr(price_cache, "_KEPT", 2)
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
