"""The command line about jobs and money: ``qstore jobs``, ``resume``, ``estimate``, ``doctor``."""

from __future__ import annotations

import json
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pennylane_qstore._version import __version__
from pennylane_qstore.errors import ConfigurationError, QStoreError

if TYPE_CHECKING:
    from pennylane_qstore.ionq.client import IonQBatchClient
    from pennylane_qstore.ionq.ledger import Ledger, Submission

jobs = typer.Typer(help="What the ledger knows of jobs.", no_args_is_help=True)

LedgerFile = Annotated[
    Path | None, typer.Option("--ledger", help="Ledger file; by default in the user's data folder.")
]
BaseUrl = Annotated[str | None, typer.Option(help="Of the service; by default IonQ's.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
JobId = Annotated[str, typer.Argument(help="IonQ's id of the job.")]


@contextmanager
def typed_errors() -> Iterator[None]:
    """What is wrong, in one line, without a traceback."""
    try:
        yield
    except QStoreError as error:
        known = f" (jobs: {', '.join(error.job_ids)})" if error.job_ids else ""
        typer.echo(f"qstore: {error}{known}", err=True)
        raise typer.Exit(1) from None


@jobs.command("list")
def list_jobs(ledger: LedgerFile = None, as_json: Json = False) -> None:
    """List submissions, oldest first."""
    with typed_errors():
        rows = [_described(row) for row in _ledger(ledger).submissions()]
    if as_json:
        typer.echo(json.dumps(rows))
        return
    for row in rows:
        cost = row["billed_usd"] if row["billed_usd"] is not None else row["estimated_usd"]
        typer.echo(
            f"{row['created']}  {row['state']:<10} {row['job_id'] or '-':<36} {row['backend']:<14} "
            f"{row['circuits']:>5} circuits x {row['shots']} shots"
            + (f"  ${cost:,.2f}" if cost is not None else "")
        )
    typer.echo(f"{len(rows)} submission(s).")


@jobs.command()
def show(job_id: JobId, ledger: LedgerFile = None, as_json: Json = False) -> None:
    """Show one submission and everything that happened to it."""
    with typed_errors():
        book = _ledger(ledger)
        row = _found(book, job_id)
        events = [
            {"at": _time(e.at), "event": e.event, "detail": e.detail} for e in book.events(row.id)
        ]
    if as_json:
        typer.echo(json.dumps({**_described(row), "events": events}))
        return
    for name, value in _described(row).items():
        typer.echo(f"{name:<16} {value}")
    for event in events:
        typer.echo(f"{event['at']}  {event['event']}  {event['detail'] or ''}")


@jobs.command()
def results(
    job_id: JobId, ledger: LedgerFile = None, base_url: BaseUrl = None, as_json: Json = False
) -> None:
    """Print a job's results: from the ledger, or fetched if the job has ended meanwhile."""
    from pennylane_qstore.ionq.collect import unpack

    with typed_errors():
        book = _ledger(ledger)
        row = _found(book, job_id)
        if row.results is None:
            client = _client(base_url, book)
            client.resume(max_wait=60)
            row = book.get(row.id)
        if row.results is None:
            raise ConfigurationError(f"Job {job_id} has no results: it is {row.state}.")
        circuits = [
            None
            if h is None
            else dict(zip(map(int, h.states), map(float, h.probabilities), strict=True))
            for h in unpack(row.results)
        ]
    if as_json:
        typer.echo(json.dumps({"job_id": job_id, "probabilities": circuits}))
        return
    for i, circuit in enumerate(circuits):
        text = (
            "failed" if circuit is None else "  ".join(f"{k}: {v:.6g}" for k, v in circuit.items())
        )
        typer.echo(f"circuit {i}  {text}")


@jobs.command()
def cancel(
    job_id: JobId, ledger: LedgerFile = None, base_url: BaseUrl = None, as_json: Json = False
) -> None:
    """Cancel a job."""
    with typed_errors():
        _client(base_url, _ledger(ledger)).cancel([job_id])
    typer.echo(json.dumps({"canceled": job_id}) if as_json else f"Cancelled {job_id}.")


@jobs.command()
def reconcile(ledger: LedgerFile = None, base_url: BaseUrl = None, as_json: Json = False) -> None:
    """Look for jobs whose answers were lost; nothing is sent again."""
    with typed_errors():
        rows = _client(base_url, _ledger(ledger)).reconcile()
    _print_rows(rows, as_json, "looked for")


@jobs.command()
def export(
    out: Annotated[Path, typer.Argument(help="File to write; - is standard output.")] = Path("-"),
    ledger: LedgerFile = None,
    as_json: Json = True,
) -> None:
    """Write the whole ledger, events included, as JSON."""
    del as_json  # there is no other form
    with typed_errors():
        book = _ledger(ledger)
        rows = [
            {**_described(row), "events": [e._asdict() for e in book.events(row.id)]}
            for row in book.submissions()
        ]
    text = json.dumps(rows, indent=1)
    if str(out) == "-":
        typer.echo(text)
    else:
        out.write_text(text)


def resume(
    ledger: LedgerFile = None,
    base_url: BaseUrl = None,
    max_wait: Annotated[float | None, typer.Option(help="Seconds to wait for each job.")] = None,
    as_json: Json = False,
) -> None:
    """Wait for jobs in flight and store their results. Nothing is sent again."""
    from pennylane_qstore.ionq.progress import ProgressBar

    with typed_errors(), ProgressBar(disable=None) as bar:
        rows = _client(base_url, _ledger(ledger)).resume(max_wait=max_wait, progress=bar)
    _print_rows(rows, as_json, "resumed")


def estimate(
    backend: Annotated[str, typer.Option(help="IonQ's backend id.")] = "qpu.forte-1",
    qubits: Annotated[int, typer.Option(min=1)] = 4,
    shots: Annotated[int, typer.Option(min=1)] = 500,
    gates_1q: Annotated[int, typer.Option("--1q-gates", min=0, help="Per circuit.")] = 20,
    gates_2q: Annotated[int, typer.Option("--2q-gates", min=0, help="Per circuit.")] = 8,
    circuits: Annotated[int, typer.Option(min=1)] = 1,
    debiasing: Annotated[bool, typer.Option(help="With error mitigation.")] = False,
    base_url: BaseUrl = None,
    as_json: Json = False,
) -> None:
    """Ask the service what a job would cost. Nothing is submitted."""
    with typed_errors():
        found = _client(base_url, None).estimate(
            backend,
            qubits=qubits,
            shots=shots,
            gates_1q=gates_1q * circuits,
            gates_2q=gates_2q * circuits,
            circuits=circuits,
            error_mitigation=debiasing,
        )
    if as_json:
        typer.echo(json.dumps(found._asdict()))
        return
    price = "not in US dollars" if found.cost_usd is None else f"${found.cost_usd:,.2f}"
    typer.echo(f"{backend}: {price} for {circuits} circuit(s) x {shots} shots")
    for name, value in (("execution", found.execution_s), ("queue", found.queue_s)):
        if value is not None:
            typer.echo(f"predicted {name}: {value:,.1f} s")


def doctor(ledger: LedgerFile = None, base_url: BaseUrl = None, as_json: Json = False) -> None:
    """Check key, reachability, clock, ledger and versions."""
    checks = {
        "versions": _versions,
        "ledger": lambda: repr(_ledger(ledger)),
        "key": lambda: _key(),
        "service": lambda: _reached(base_url),
    }
    report = {name: _checked(check) for name, check in checks.items()}
    if as_json:
        typer.echo(json.dumps(report))
    else:
        for name, entry in report.items():
            typer.echo(f"{'ok  ' if entry['ok'] else 'FAIL'} {name:<9} {entry['detail']}")
    if not all(entry["ok"] for entry in report.values()):
        raise typer.Exit(1)


# --- private -------------------------------------------------------------------------------


def _ledger(path: Path | None) -> Ledger:
    from pennylane_qstore.ionq.ledger import Ledger
    from pennylane_qstore.ionq.ledger_file import default_path

    return Ledger(path or default_path())


def _client(base_url: str | None, ledger: Ledger | None) -> IonQBatchClient:
    from pennylane_qstore.ionq.client import IonQBatchClient

    return IonQBatchClient(base_url=base_url, ledger=ledger)


def _found(ledger: Ledger, job_id: str) -> Submission:
    row = ledger.find(job_id)
    if row is None:
        raise ConfigurationError(f"The ledger has no job {job_id!r}; see `qstore jobs list`.")
    return row


def _described(row: Submission) -> dict[str, Any]:
    """A row without its results and without what only the ledger needs."""
    kept = asdict(row)
    for name in ("results", "owner", "lease_until", "part"):
        kept.pop(name)
    kept["key"] = None if row.key is None else list(row.key)
    kept["created"] = _time(kept.pop("created_at"))
    kept["updated"] = _time(kept.pop("updated_at"))
    return kept


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _print_rows(rows: list[Submission], as_json: bool, verb: str) -> None:
    if as_json:
        typer.echo(json.dumps([_described(row) for row in rows]))
        return
    for row in rows:
        typer.echo(f"{row.job_id or row.token}  {row.state}")
    typer.echo(f"{len(rows)} submission(s) {verb}.")


def _checked(check: Callable[[], str]) -> dict[str, Any]:
    try:
        return {"ok": True, "detail": check()}
    except (QStoreError, OSError, sqlite3.Error) as error:
        return {"ok": False, "detail": str(error)}


def _versions() -> str:
    from importlib.metadata import version

    names = ("pennylane", "numpy", "aiohttp", "orjson")
    found = ", ".join(f"{name} {version(name)}" for name in names)
    return f"pennylane-qstore {__version__}, Python {sys.version.split()[0]}, {found}"


def _key() -> str:
    from pennylane_qstore.ionq.secret import find_key

    find_key()
    return "found in the environment"


def _reached(base_url: str | None) -> str:
    client = _client(base_url, None)
    start = time.perf_counter()
    client.whoami()
    took = time.perf_counter() - start
    return f"{base_url or 'the service'} answers in {1e3 * took:.0f} ms and accepts the key"
