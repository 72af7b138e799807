"""Machines that this release does not know: the service is asked for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pennylane_qstore.backends import Backend, backend
from pennylane_qstore.errors import ConfigurationError, QStoreError
from pennylane_qstore.ionq.http.api_key import find_key
from pennylane_qstore.ionq.machines import take_as_described


def find_backend(name: str, connection: Mapping[str, Any] | None) -> Backend:
    """Return a backend of this release, or else a machine that the service describes.

    A machine is asked for once in a process, and only where there is a key. Its id begins with
    ``qpu.``: of anything else it would not be known that it costs money.

    Args:
        name: IonQ's id.
        connection: the service, as ``IonQClient`` takes it; None where there is none.

    Returns:
        The backend.

    Raises:
        ConfigurationError: neither this release nor the service knows it, or the service cannot
            be asked.
    """
    try:
        return backend(name)
    except ConfigurationError as error:
        unknown = ConfigurationError(f"{error} Or 'emulator', which needs no key.")
    if connection is None or not name.startswith("qpu."):
        raise unknown
    try:
        find_key(connection["api_key"])
    except ConfigurationError:
        raise unknown from None
    try:
        machine = _ask(name, connection)
    except QStoreError as error:
        reason = f"{unknown} The service was asked in vain: {error}"
        raise ConfigurationError(reason) from None
    if machine is None:
        raise ConfigurationError(f"{unknown} The service does not know it, either.")
    take_as_described(machine)
    return backend(name)


def _ask(name: str, connection: Mapping[str, Any]) -> Backend | None:
    from pennylane_qstore.ionq.client import IonQClient
    from pennylane_qstore.ionq.ledger.ledger import Ledger

    with IonQClient(**connection, ledger=Ledger()) as client:
        return client.machine(name)
