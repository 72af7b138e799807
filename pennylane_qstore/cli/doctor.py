"""The command ``qstore doctor``: versions, ledger, key, service and clock, checked."""

from __future__ import annotations

import sqlite3
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pennylane_qstore._version import __version__
from pennylane_qstore.bench.text import aligned
from pennylane_qstore.cli.jobs import BaseUrl, LedgerFile
from pennylane_qstore.cli.output import Json, show
from pennylane_qstore.errors import ConfigurationError, InvalidResponse, JobTimeout, QStoreError

if TYPE_CHECKING:
    from pennylane_qstore.ionq.client import IonQClient

NO_KEY = "none"
"""Sent in the place of a key where the service answers everybody."""


Live = Annotated[
    bool,
    typer.Option(
        "--live",
        help="Run free jobs on the service's simulator too, and compare with the emulator.",
    ),
]


def doctor(
    ledger: LedgerFile = None, base_url: BaseUrl = None, live: Live = False, as_json: Json = False
) -> None:
    """Check key, reachability, clock, ledger and versions; with --live, the service itself."""
    checks: dict[str, Callable[[], str]] = {
        "versions": _versions,
        "ledger": lambda: _writable(ledger),
        "key": lambda: _key(base_url),
        "service": lambda: _reached(base_url),
        "clock": lambda: _clock(base_url),
    }
    if live:
        checks |= live_checks(base_url)
    report = {name: _checked(check) for name, check in checks.items()}
    cells = [("ok" if e["ok"] else "FAIL", name, e["detail"]) for name, e in report.items()]
    show(as_json, report, aligned(cells, left=3))
    if not all(entry["ok"] for entry in report.values()):
        raise typer.Exit(1)


def _checked(check: Callable[[], str]) -> dict[str, Any]:
    try:
        return {"ok": True, "detail": check()}
    except (QStoreError, OSError, sqlite3.Error) as error:
        return {"ok": False, "detail": str(error)}


def _versions() -> str:
    from importlib.metadata import version

    names = ("pennylane", "numpy", "aiohttp", "orjson")
    installed = ", ".join(f"{name} {version(name)}" for name in names)
    return f"pennylane-qstore {__version__}, Python {sys.version.split()[0]}, {installed}"


def _writable(path: Path | None) -> str:
    from pennylane_qstore.ionq.ledger.database import default_path
    from pennylane_qstore.ionq.ledger.ledger import OPEN_STATES, Ledger

    ledger = Ledger(path or default_path())
    ledger.check_writable()
    rows = ledger.submissions()
    unsettled = sum(row.state in OPEN_STATES for row in rows)
    return f"{ledger.path}, {len(rows)} submission(s), {unsettled} of them open"


def _key(base_url: str | None) -> str:
    with _client(base_url) as client:
        client.whoami()
    return "found, and the service accepts it"


def _reached(base_url: str | None) -> str:
    with _client(base_url, NO_KEY) as client:
        start = time.perf_counter()
        names = [str(backend.get("backend")) for backend in client.backends()]
        took_ms = 1e3 * (time.perf_counter() - start)
        return f"{client.base_url} answers in {took_ms:.0f} ms and offers {', '.join(names)}"


def _clock(base_url: str | None) -> str:
    from pennylane_qstore.ionq.jobs.job_finder import SKEW_S

    with _client(base_url, NO_KEY) as client:
        ahead_s = client.clock_ahead_s()
    if ahead_s is None:
        return "the service does not tell the time"
    if abs(ahead_s) > SKEW_S:
        raise ConfigurationError(
            f"This machine's clock is {ahead_s:+,.0f} s off the service's. Set it: jobs whose "
            "answers were lost are looked for by their time."
        )
    return f"{ahead_s:+.0f} s off the service's"


def _client(base_url: str | None, key: str | None = None) -> IonQClient:
    """Return a client that asks once and leaves the user's ledger alone."""
    from pennylane_qstore.ionq.client import IonQClient
    from pennylane_qstore.ionq.ledger.ledger import Ledger

    return IonQClient(key, base_url=base_url, ledger=Ledger(), retry_attempts=1)


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
