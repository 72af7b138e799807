"""One connection pool per service and key, shared by all clients of the process."""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Callable
from typing import NamedTuple

from pennylane_qstore.compat import keep_forever
from pennylane_qstore.ionq.http.api import Api
from pennylane_qstore.ionq.http.api_key import Secret
from pennylane_qstore.ionq.http.event_loop import background_loop
from pennylane_qstore.ionq.http.retry import Clock, RetryPolicy
from pennylane_qstore.ionq.http.transport import Connection, Transport
from pennylane_qstore.ionq.jobs.poller import Poller


class Address(NamedTuple):
    """All that two clients must have in common to share connections."""

    connection: Connection
    key: Secret
    retry_policy: RetryPolicy
    clock: Clock
    rng: random.Random | None


class SharedService(NamedTuple):
    """One service, for every client of the same address: its endpoints, and its watcher."""

    api: Api
    poller: Poller


class _Entry(NamedTuple):
    service: SharedService
    users: set[int]


# Reentrant: a garbage collection inside may release a client's share.
_lock = threading.RLock()
_entries: dict[Address, _Entry] = {}
_next_user = iter(range(2**62))


def acquire(address: Address) -> tuple[SharedService, Callable[[], None]]:
    """Return the shared service of an address, and a call that gives it back.

    The call may be made from any thread, once.
    """
    with _lock:
        entry = _entries.get(address)
        if entry is None:
            transport = Transport(address.connection, address.key)
            rng = address.rng or random.Random()  # noqa: S311  (jitter, no secret)
            api = Api(transport, address.retry_policy, address.clock, rng)
            entry = _entries[address] = _Entry(SharedService(api, Poller(api)), set())
        user = next(_next_user)
        entry.users.add(user)
    pid = os.getpid()
    return entry.service, lambda: _release(address, user, pid)


def _release(address: Address, user: int, pid: int) -> None:
    if pid != os.getpid():
        return  # a forked child has no part in the parent's connections
    with _lock:
        entry = _entries.get(address)
        if entry is None or user not in entry.users:
            return
        entry.users.discard(user)
        if entry.users:
            return
        del _entries[address]
    if entry.service.api.transport.is_open:
        background_loop().submit(entry.service.api.transport.close())


def _forget_after_fork() -> None:
    global _lock
    _lock = threading.RLock()
    for entry in _entries.values():
        # Its sockets are the parent's, and the loop's thread may have been in the midst of a
        # task: nothing of it may be closed, destroyed or complained about here.
        keep_forever(entry.service)
    _entries.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_after_fork)
