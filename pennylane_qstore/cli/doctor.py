"""The command ``qstore doctor``: versions, ledger, key, service and clock, checked."""

from __future__ import annotations

import sqlite3
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pennylane_qstore._version import __version__
from pennylane_qstore.bench.text import aligned
from pennylane_qstore.cli.jobs import BaseUrl, LedgerFile
from pennylane_qstore.cli.live import live_checks
from pennylane_qstore.cli.output import Json, show
from pennylane_qstore.errors import ConfigurationError, QStoreError

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
