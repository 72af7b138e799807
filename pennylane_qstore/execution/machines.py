"""Machines that this release does not know: the service is asked for them."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from pennylane_qstore.backends import Backend, add_described, backend
from pennylane_qstore.errors import ConfigurationError, QStoreError
from pennylane_qstore.ionq.http.api_key import find_key


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
    if add_described(machine):
        warnings.warn(_described(machine), UserWarning, stacklevel=2)
    return backend(name)


def _ask(name: str, connection: Mapping[str, Any]) -> Backend | None:
    from pennylane_qstore.ionq.client import IonQClient
    from pennylane_qstore.ionq.ledger.ledger import Ledger

    with IonQClient(**connection, ledger=Ledger()) as client:
        return client.machine(name)


def _described(machine: Backend) -> str:
    compiled = f"native gates {', '.join(machine.native_gates)}"
    if machine.qasm_only:
        compiled = (
            "OpenQASM 3 only, which IonQ compiles. The service has no multi-circuit job for it: "
            "each circuit is a job of its own, at a floor price of its own"
        )
    elif not machine.takes_native:
        why = "no native gates known here" if machine.all_to_all else "no gate for some pairs"
        compiled = f"{why}, so that circuits are sent in IonQ's abstract gates (gateset='qis')"
    return (
        f"This release does not know {machine.name!r}. It is taken as the service describes it: "
        f"{machine.qubits} qubits, {compiled}. Its prices, times and noise are not known here; a "
        "budget is kept by the service's own estimates. (Said once.)"
    )
