"""Checks of ``qstore doctor --live``: free jobs on a service's simulator and on the emulator."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from pennylane_qstore.errors import InvalidResponse, JobTimeout

_SHOTS = 1000
_MAX_WAIT_S = 300.0


def live_checks(base_url: str | None) -> dict[str, Callable[[], str]]:
    """Return the checks by name; each sends free jobs, or none.

    Args:
        base_url: of the service; IonQ's by default.

    Returns:
        Functions that return what was found. They raise an error where something is wrong, or
        differs from what the emulator does.
    """
    checks = {
        "Bell pair": _bell,
        "batch": _batch,
        "bit order": _bit_order,
        "dry run": _dry_run,
        "cancelling": _cancel,
        "prices": _prices,
    }
    return {name: _beside_emulator(check, base_url) for name, check in checks.items()}


def _beside_emulator(check: Callable[[Any], Any], base_url: str | None) -> Callable[[], str]:
    def call() -> str:
        found = check(_device(base_url))
        from pennylane_qstore.emulator import Emulator

        with Emulator(seed=1) as emulator:
            expected = check(_device(emulator.url, api_key="emulator"))
        if found != expected:
            raise InvalidResponse(f"{found}; the emulator: {expected}")
        return f"{found}, as the emulator"

    return call


def _device(base_url: str | None, **options: Any) -> Any:
    """Return a device on the free simulator that leaves the user's ledger alone."""
    import pennylane as qml

    from pennylane_qstore.ionq.ledger.ledger import Ledger

    return qml.device(
        "qstore.ionq", wires=3, backend="simulator", base_url=base_url, ledger=Ledger(), seed=1,
        absorb=False,
        job_name="qstore doctor", max_wait=_MAX_WAIT_S, **options,
    )  # fmt: skip


def _tape(device: Any, *ones: int, bell: bool = False) -> Any:
    """Return a tape that measures three qubits after X on some, or after a Bell pair."""
    import pennylane as qml

    gates = [qml.X(wire) for wire in ones]
    if bell:
        gates = [qml.Hadamard(0), qml.CNOT([0, 1])]
    tape = qml.tape.QuantumScript(gates, [qml.probs(wires=range(3))], shots=_SHOTS)
    return device.preprocess_transforms()((tape,))[0][0]


def _outcomes(probabilities: Any) -> list[str]:
    return [f"{i:03b}" for i, p in enumerate(probabilities) if p > 0]


def _bell(device: Any) -> str:
    (result,) = device.execute((_tape(device, bell=True),))
    if abs(result[0] - 0.5) > 0.1:
        raise InvalidResponse(f"A Bell pair gives 00 with probability {result[0]:.3f}.")
    return f"outcomes {', '.join(_outcomes(result))}"


def _batch(device: Any) -> str:
    """Send circuits of one job whose outcomes tell the order of its children."""
    ones = [(), (0,), (1,), (0, 1), (2,), (0, 2), (1, 2), (0, 1, 2)]
    results = device.execute(tuple(_tape(device, *each) for each in ones))
    jobs = device.totals()["jobs"]
    return f"{jobs:.0f} job, children {', '.join(_outcomes(r)[0] for r in results)}"


def _bit_order(device: Any) -> str:
    """Look at the service's own outcome of a circuit that flips qubit 0, as it names it."""
    requests = device.executor.requests((_tape(device, 0, bell=False),))
    (job,) = device.client.run(requests, max_wait=_MAX_WAIT_S)
    (histogram,) = job.histograms
    return f"qubit 0 flipped is outcome {', '.join(str(int(s)) for s in histogram.states)}"


def _dry_run(device: Any) -> str:
    request = replace(device.executor.requests((_tape(device, bell=True),))[0], dry_run=True)
    (job,) = device.client.run([request], max_wait=_MAX_WAIT_S)
    return f"dry run {job.status}, {len(job.histograms)} results"


def _cancel(device: Any) -> str:
    """Cancel a job; one that has ended before is no fault of the service."""
    requests = device.executor.requests((_tape(device, bell=True),))
    try:
        device.client.run(requests, max_wait=0.001)
    except JobTimeout as late:
        state = device.client.cancel(late.job_ids)[late.job_ids[0]]
        if state not in ("canceled", "completed"):
            raise InvalidResponse(f"A cancelled job is {state}.") from None
    return "a job is cancelled, unless it has ended"


def _prices(device: Any) -> str:
    """Ask for a price; a figure that differs from the published list is a difference, no fault."""
    quotes: Mapping[str, Any] = {
        backend: device.client.estimate(
            backend, qubits=4, shots=_SHOTS, gates_1q=2000, gates_2q=1000, circuits=50
        )
        for backend in ("simulator", "qpu.forte-1")
    }
    told = [f"{b} {q.cost_usd if q.cost_usd is None else round(q.cost_usd, 2)} USD"
            for b, q in quotes.items()]  # fmt: skip
    return f"50 circuits: {', '.join(told)}"
