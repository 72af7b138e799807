"""Questions to IonQ before a submission is taken: prices, remembered by size, and machines."""

from __future__ import annotations

from collections import OrderedDict

from pennylane_qstore.backends import described, is_qpu
from pennylane_qstore.errors import InvalidResponse, QStoreError
from pennylane_qstore.ionq.http.api import Api
from pennylane_qstore.ionq.http.transport import Traffic
from pennylane_qstore.ionq.jobs.cost import read_estimate
from pennylane_qstore.ionq.machines import read_machine, take_as_described
from pennylane_qstore.prices import JobSize
from pennylane_qstore.server.errors import BadRequest
from pennylane_qstore.server.inputs.submission import Submission, parse_json

_KEPT = 1024
_BUSY_S = 10


class PriceCache:
    """Prices that IonQ was asked for.

    Args:
        api: IonQ.
        traffic: counters.
    """

    def __init__(self, api: Api, traffic: Traffic) -> None:
        self._api, self._traffic = api, traffic
        self._prices: OrderedDict[tuple[str, JobSize], float | None] = OrderedDict()

    async def of(self, submission: Submission) -> float | None:
        """Return the estimated price, in US dollars; None where it cannot be told.

        Raises:
            BadRequest: IonQ cannot be asked.
        """
        if not is_qpu(submission.backend):
            return 0.0
        qubits = max(circuit.qubits for circuit in submission.circuits)
        if not qubits:  # a program that only IonQ may be able to read
            return None
        key = (submission.backend, submission.size)
        if key not in self._prices:
            try:
                found = await read_estimate(
                    self._api, submission.backend, submission.size, qubits, self._traffic
                )
            except QStoreError as error:
                message = f"IonQ does not tell the price: {error}"
                raise BadRequest(message, status=503, retry_after_s=_BUSY_S) from None
            self._prices[key] = found.cost_usd
            if len(self._prices) > _KEPT:
                self._prices.popitem(last=False)
        return self._prices[key]


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
