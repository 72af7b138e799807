"""Canned responses to single requests, by aioresponses: no service, no socket.

What it cannot show is tested against the emulator over real HTTP: connections, bodies as they are
written, time limits, tracing.
"""

from __future__ import annotations

import asyncio
import random
from unittest.mock import Mock

import aiohttp
import pytest

from pennylane_qstore.ionq.client import IonQClient
from pennylane_qstore.ionq.http.api import Api
from pennylane_qstore.ionq.http.endpoint import Connection, Endpoint
from pennylane_qstore.ionq.http.retry import RetryPolicy
from pennylane_qstore.ionq.http.transport import Transport
from pennylane_qstore.ionq.ledger.ledger import Ledger
from pennylane_qstore.secret import Secret

URL = "http://127.0.0.1:9/v0.4"


class CannedResponse(aiohttp.ClientResponse):
    """A response as aiohttp 3.14 wants it; aioresponses 0.7.9 makes those of older versions."""

    def __init__(self, *args, **options):
        super().__init__(*args, stream_writer=Mock(output_size=0), **options)


class Canned:
    """Responses to requests, to be registered before; every request is noted.

    Anything that is not registered is answered like a service that is not there.
    """

    def __init__(self, mock, clock):
        self._mock = mock
        self._clock = clock

    def add(self, method, path, body=b"", *, status=200, **options):
        """Answer ``method`` on ``path`` (below the base URL) once, or always by ``repeat=True``."""
        self._mock.add(
            URL + path, method, status=status, body=body, response_class=CannedResponse, **options
        )

    @property
    def sent(self):
        """Method and path of every request, in no particular order."""
        prefix = len("/v0.4")
        return [
            (method, url.raw_path_qs[prefix:])
            for (method, url), calls in self._mock.requests.items()
            for _ in calls
        ]

    def body(self, method, path):
        """The body of the last request to a place."""
        (calls,) = [
            calls
            for (m, url), calls in self._mock.requests.items()
            if (m, str(url)) == (method, URL + path)
        ]
        return calls[-1].kwargs["data"]

    def ask(self, call, *, policy=None):
        """Run ``call(api)`` on a loop of its own, with an API object of its own."""

        async def once():
            transport = Transport(Connection(Endpoint(URL)), Secret("canary-key"))
            quick = policy or RetryPolicy(attempts=3, throttled_attempts=3)
            try:
                return await call(Api(transport, quick, self._clock.clock(), random.Random(0)))
            finally:
                await transport.close()

        return asyncio.run(once())


@pytest.fixture
def canned(fake_clock):
    from aioresponses import aioresponses

    with aioresponses() as mock:
        yield Canned(mock, fake_clock)


@pytest.fixture
def canned_client(canned, fake_clock):
    """A client whose every request is answered by ``canned``."""
    policy = RetryPolicy(attempts=2, throttled_attempts=2)
    with IonQClient(
        "canary-key", base_url=URL, ledger=Ledger(), retry_policy=policy, clock=fake_clock.clock()
    ) as client:
        yield client
