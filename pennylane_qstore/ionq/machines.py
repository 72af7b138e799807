"""Machines that this release does not know: taken as the service describes them."""

from __future__ import annotations

import contextlib
import functools
import warnings
from typing import Any
from urllib.parse import quote

from pennylane_qstore.backends import Backend, add_described
from pennylane_qstore.characterization import Characterization
from pennylane_qstore.errors import InvalidResponse, ServiceError
from pennylane_qstore.ionq.http.api import Api
from pennylane_qstore.ionq.http.transport import Traffic
from pennylane_qstore.ionq.messages.machine import parse_characterizations, parse_machine
from pennylane_qstore.ionq.messages.responses import parse_json


async def read_backends(api: Api, traffic: Traffic) -> list[dict[str, Any]]:
    """Return the service's list of backends.

    Args:
        api: the service.
        traffic: counters.

    Returns:
        Its entries, in IonQ's JSON.
    """
    return await api.request("/backends", _parse_backends, traffic)


async def read_characterization(api: Api, backend: str, traffic: Traffic) -> Characterization:
    """Return how the service last measured a machine.

    Args:
        api: the service.
        backend: IonQ's id.
        traffic: counters.

    Returns:
        Its figures; None for what the service does not tell.
    """
    path = f"/backends/{quote(backend, safe='')}/characterizations?limit=1"
    parse = functools.partial(parse_characterizations, backend=backend)
    return await api.request(path, parse, traffic)


async def read_machine(api: Api, backend: str, traffic: Traffic) -> Backend | None:
    """Return a machine's record as the service describes it; None if it lists none such.

    Args:
        api: the service.
        backend: IonQ's id.
        traffic: counters.

    Returns:
        Qubits, gates and error mitigation; without prices and published figures.

    Raises:
        InvalidResponse: the description cannot be read, or names no gates to send.
        ServiceError, ConnectionFailed: refused, or no response.
    """
    entries = await read_backends(api, traffic)
    entry = next((entry for entry in entries if entry.get("backend") == backend), None)
    if entry is None:
        return None
    measured = Characterization(backend)
    with contextlib.suppress(ServiceError):  # then it tells no pairs
        measured = await read_characterization(api, backend, traffic)
    return parse_machine(entry, measured)


def take_as_described(machine: Backend) -> None:
    """Let the process know a machine, and warn of it, once."""
    if add_described(machine):
        warnings.warn(_described(machine), UserWarning, stacklevel=3)


def _parse_backends(data: bytes) -> list[dict[str, Any]]:
    backends = parse_json(data, "The list of backends")
    if not isinstance(backends, list) or not all(isinstance(entry, dict) for entry in backends):
        raise InvalidResponse("The list of backends is not an array of objects.")
    return backends


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
