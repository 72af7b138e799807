"""One connection pool per service and key, shared by all clients of the process."""

from __future__ import annotations

import os
import random
import threading
import weakref
from dataclasses import dataclass, field
from typing import NamedTuple

from pennylane_qstore.compat import keep_forever
from pennylane_qstore.ionq.http.api import Api
from pennylane_qstore.ionq.http.endpoint import Connection
from pennylane_qstore.ionq.http.event_loop import background_loop
from pennylane_qstore.ionq.http.retry import Clock, RetryPolicy
from pennylane_qstore.ionq.http.transport import Transport
from pennylane_qstore.ionq.jobs.poller import Poller
from pennylane_qstore.secret import Secret


class Address(NamedTuple):
    """All that two clients must have in common to share connections."""

    connection: Connection
    key: Secret
    retry_policy: RetryPolicy
    clock: Clock
    rng: random.Random | None


@dataclass(frozen=True, eq=False)
class SharedService:
    """One service: its endpoints and the poller of its jobs.

    Clients hold it; its connections are closed when the last of them lets it go.
    """

    api: Api
    poller: Poller
    pid: int = field(default_factory=os.getpid)


_lock = threading.Lock()
_services: weakref.WeakValueDictionary[Address, SharedService] = weakref.WeakValueDictionary()


def shared_service(address: Address) -> SharedService:
    """Return the service of this address, a new one if no client of this process holds it."""
    with _lock:
        service = _services.get(address)
        if service is None:
            transport = Transport(address.connection, address.key)
            rng = address.rng or random.Random()  # noqa: S311  (jitter, no secret)
            api = Api(transport, address.retry_policy, address.clock, rng)
            service = _services[address] = SharedService(api, Poller(api))
            closing = weakref.finalize(service, _close, transport, service.pid)
            closing.atexit = False  # by then the loop has closed everything
        return service


def _close(transport: Transport, pid: int) -> None:
    # A forked child has no part in the parent's connections.
    if pid == os.getpid() and transport.is_open:
        background_loop().submit(transport.close())


def _forget_after_fork() -> None:
    global _lock, _services
    _lock = threading.Lock()
    for service in _services.values():
        # Its sockets are the parent's, and the loop's thread may have been in the midst of a
        # task: nothing of it may be closed, destroyed or complained about here.
        keep_forever(service)
    _services = weakref.WeakValueDictionary()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_after_fork)
