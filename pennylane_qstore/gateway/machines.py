"""Machines that this release does not know: IonQ describes them to the gateway, too."""

from __future__ import annotations

from pennylane_qstore.backends import described, is_qpu
from pennylane_qstore.errors import InvalidResponse, QStoreError
from pennylane_qstore.ionq.http.api import Api
from pennylane_qstore.ionq.http.transport import Traffic
from pennylane_qstore.ionq.machines import read_machine, take_as_described
from pennylane_qstore.server.errors import BadRequest
from pennylane_qstore.server.inputs.submission import parse_json

_BUSY_S = 10


async def learn_machine(api: Api, traffic: Traffic, body: bytes, error: BadRequest) -> None:
    """Ask IonQ for the machine of a request that was refused because nobody here knows it.

    Args:
        api: IonQ.
        traffic: counters.
        body: of the request.
        error: of its refusal.

    Raises:
        BadRequest: the refusal had another reason, or IonQ does not describe the machine.
    """
    name = parse_json(body).get("backend") if error.keys == ("backend",) else None
    if not isinstance(name, str) or not is_qpu(name) or described(name) is not None:
        raise error
    try:
        machine = await read_machine(api, name, traffic)
    except InvalidResponse as problem:
        raise BadRequest(str(problem), keys=["backend"]) from None
    except QStoreError as problem:
        message = f"{error.message} IonQ was asked in vain: {problem}"
        raise BadRequest(message, status=503, retry_after_s=_BUSY_S) from None
    if machine is None:
        raise error
    take_as_described(machine)
