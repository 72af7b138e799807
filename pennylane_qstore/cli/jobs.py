"""Commands about jobs and money: ``qstore jobs``, ``resume`` and ``estimate``."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pennylane_qstore.bench.text import aligned
from pennylane_qstore.cli.errors import typed_errors
from pennylane_qstore.cli.output import Json, labelled, show
from pennylane_qstore.errors import ConfigurationError, QStoreError

if TYPE_CHECKING:
    from pennylane_qstore.ionq.client import IonQClient
    from pennylane_qstore.ionq.ledger.ledger import Ledger, Submission

jobs = typer.Typer(help="Jobs in the ledger.", no_args_is_help=True)

LedgerFile = Annotated[
    Path | None, typer.Option("--ledger", help="Ledger file; by default in the user's data folder.")
]
BaseUrl = Annotated[str | None, typer.Option(help="URL of the service; by default IonQ's.")]
JobsBaseUrl = Annotated[
    str | None,
    typer.Option("--base-url", help="URL of the service; by default that of each job."),
]
JobId = Annotated[str, typer.Argument(help="IonQ's id of the job.")]
AnyId = Annotated[
    str, typer.Argument(metavar="ID", help="IonQ's id of the job, or the submission's number.")
]


@jobs.command("list")
@typed_errors()
def list_jobs(ledger: LedgerFile = None, as_json: Json = False) -> None:
    """List submissions, oldest first."""
    rows = [_described(row) for row in _ledger(ledger).submissions()]
    cells = []
    for row in rows:
        cost = row["estimated_usd"] if row["billed_usd"] is None else row["billed_usd"]
        job = f"{row['circuits']} circuits x {row['shots']} shots"
        names = (row["created"], row["state"], row["job_id"] or "-", row["backend"], job)
        cells.append((str(row["id"]), *names, "" if cost is None else f"${cost:,.2f}"))
    show(as_json, rows, [*aligned(cells, left=5), f"{len(rows)} submission(s)."])


@jobs.command("show")
@typed_errors()
def show_job(job_id: AnyId, ledger: LedgerFile = None, as_json: Json = False) -> None:
    """Show one submission and everything that happened to it."""
    known = _ledger(ledger)
    row = _row(known, job_id)
    fields = _described(row)
    events = [(_time(e.at), e.event, e.detail) for e in known.events(row.id)]
    payload = {
        **fields,
        "events": [dict(zip(("at", "event", "detail"), e, strict=True)) for e in events],
    }
    history = [(at, event, detail or "") for at, event, detail in events]
    show(as_json, payload, [*labelled(fields), *aligned(history, left=3)])


@jobs.command()
@typed_errors()
def results(
    job_id: AnyId,
    ledger: LedgerFile = None,
    base_url: JobsBaseUrl = None,
    max_wait: Annotated[float, typer.Option(help="Seconds to wait for the job.")] = 60.0,
    as_json: Json = False,
) -> None:
    """Print a job's results: from the ledger, or fetched if the job has ended meanwhile."""
    from pennylane_qstore.ionq.jobs.results import unpack

    known = _ledger(ledger)
    row = _row(known, job_id)
    if row.results is None and row.job_id is not None:
        with _client(base_url or row.service, known) as client:
            client.resume(max_wait=max_wait, job_id=row.job_id)
        row = known.get(row.id)
    if row.results is None:
        why = f" ({row.failure})" if row.failure else ""
        raise ConfigurationError(f"Job {job_id} has no results: it is {row.state}{why}.")
    circuits = [
        None
        if h is None
        else dict(zip(map(int, h.states), map(float, h.probabilities), strict=True))
        for h in unpack(row.results)
    ]
    lines = {
        f"circuit {i}": "failed"
        if circuit is None
        else "  ".join(f"{outcome}: {share:.6g}" for outcome, share in circuit.items())
        for i, circuit in enumerate(circuits)
    }
    show(as_json, {"job_id": row.job_id, "probabilities": circuits}, labelled(lines))


@jobs.command()
@typed_errors()
def cancel(
    job_id: JobId, ledger: LedgerFile = None, base_url: JobsBaseUrl = None, as_json: Json = False
) -> None:
    """Cancel a job, unless it has ended: then its results are stored."""
    known = _ledger(ledger)
    row = known.find(job_id)
    with _client(base_url or (None if row is None else row.service), known) as client:
        state = client.cancel([job_id])[job_id]
    show(as_json, {"job_id": job_id, "state": state}, labelled({job_id: state}))
    if state != "canceled":
        typer.echo("qstore: The job was not cancelled.", err=True)
        raise typer.Exit(1)


@jobs.command()
@typed_errors()
def reconcile(
    ledger: LedgerFile = None, base_url: JobsBaseUrl = None, as_json: Json = False
) -> None:
    """Look for jobs whose answers were lost, and for missing bills; nothing is sent again."""
    _everywhere(ledger, base_url, as_json, "looked for", lambda client: client.reconcile())


@jobs.command()
@typed_errors()
def export(
    out: Annotated[Path, typer.Argument(help="File to write; - is standard output.")] = Path("-"),
    ledger: LedgerFile = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Has no effect: the form is always JSON.")
    ] = True,
) -> None:
    """Write the whole ledger, events included, as JSON."""
    del as_json
    known = _ledger(ledger)
    rows = [
        {**_described(row), "events": [e._asdict() for e in known.events(row.id)]}
        for row in known.submissions()
    ]
    text = json.dumps(rows, indent=1)
    if str(out) == "-":
        typer.echo(text)
    else:
        out.write_text(text)


@typed_errors()
def resume(
    ledger: LedgerFile = None,
    base_url: JobsBaseUrl = None,
    max_wait: Annotated[float | None, typer.Option(help="Seconds to wait for each job.")] = None,
    as_json: Json = False,
) -> None:
    """Bring the jobs of interrupted runs to their end and store their results.

    Jobs in flight are waited for, jobs whose answers were lost are looked for. Nothing is sent
    again; the interrupted program, started again, finds the results in the ledger.
    """
    from pennylane_qstore.ionq.progress import ProgressBar

    with ProgressBar() as bar:
        _everywhere(
            ledger,
            base_url,
            as_json,
            "resumed",
            lambda client: client.resume(max_wait=max_wait, progress=bar),
        )


@typed_errors()
def estimate(
    backend: Annotated[str, typer.Option(help="IonQ's backend id.")] = "qpu.forte-1",
    qubits: Annotated[int, typer.Option(min=1, help="Qubits of a circuit.")] = 4,
    shots: Annotated[int, typer.Option(min=1, help="Shots per circuit.")] = 500,
    gates_1q: Annotated[
        int, typer.Option("--1q-gates", min=0, help="One-qubit gates per circuit.")
    ] = 20,
    gates_2q: Annotated[
        int, typer.Option("--2q-gates", min=0, help="Two-qubit gates per circuit.")
    ] = 8,
    circuits: Annotated[int, typer.Option(min=1, help="Circuits of the job.")] = 1,
    debiasing: Annotated[bool, typer.Option(help="Price a job with debiasing.")] = False,
    base_url: BaseUrl = None,
    as_json: Json = False,
) -> None:
    """Ask the service what a job would cost. Nothing is submitted."""
    quote = _client(base_url, None).estimate(
        backend,
        qubits=qubits,
        shots=shots,
        gates_1q=gates_1q * circuits,
        gates_2q=gates_2q * circuits,
        circuits=circuits,
        error_mitigation=debiasing,
    )
    price = "not in US dollars" if quote.cost_usd is None else f"${quote.cost_usd:,.2f}"
    predicted = {"execution": quote.execution_s, "queue": quote.queue_s}
    lines = [f"{backend}: {price} for {circuits} circuit(s) x {shots} shots"]
    lines += [f"predicted {k}: {s:,.1f} s" for k, s in predicted.items() if s is not None]
    show(as_json, quote._asdict(), lines)


# --- private -------------------------------------------------------------------------------


def _ledger(path: Path | None) -> Ledger:
    """Open the ledger to read; looking into one that is not there does not make it."""
    from pennylane_qstore.ionq.ledger.database import default_path
    from pennylane_qstore.ionq.ledger.ledger import Ledger

    if path is not None and not path.exists():
        raise ConfigurationError(f"There is no ledger at {path}.")
    place = path or default_path()
    return Ledger(place if place.exists() else None)


def _client(base_url: str | None, ledger: Ledger | None) -> IonQClient:
    from pennylane_qstore.ionq.client import IonQClient

    return IonQClient(base_url=base_url, ledger=ledger)


def _everywhere(
    path: Path | None,
    base_url: str | None,
    as_json: bool,
    verb: str,
    call: Callable[[IonQClient], list[Submission]],
) -> None:
    """Call every service in the ledger, print the rows, and exit; 1 where one could not be asked.

    The bar of ``resume`` ends with its ``with``, after the rows are printed; it writes to
    standard error.
    """
    ledger = _ledger(path)
    services = [base_url] if base_url else dict.fromkeys(r.service for r in ledger.submissions())
    rows: list[Submission] = []
    failed = False
    for service in services:
        try:
            with _client(service, ledger) as client:
                rows += call(client)
        except QStoreError as error:
            typer.echo(f"qstore: {service}: {error}", err=True)
            failed = True
    lines = aligned([(row.job_id or str(row.token), row.state) for row in rows], left=2)
    payload = [_described(row) for row in rows]
    show(as_json, payload, [*lines, f"{len(rows)} submission(s) {verb}."])
    raise typer.Exit(int(failed))


def _row(ledger: Ledger, job_id: str) -> Submission:
    row = ledger.find(job_id)
    if row is None and job_id.isascii() and job_id.isdecimal():
        row = next((r for r in ledger.submissions() if r.id == int(job_id)), None)
    if row is None:
        raise ConfigurationError(f"The ledger has no job {job_id!r}; see `qstore jobs list`.")
    return row


def _described(row: Submission) -> dict[str, Any]:
    """Return a row without its results and without what only the ledger needs."""
    kept = asdict(row)
    for name in ("results", "owner", "lease_until", "part"):
        kept.pop(name)
    kept["key"] = None if row.key is None else list(row.key)
    kept["created"] = _time(kept.pop("created_at"))
    kept["updated"] = _time(kept.pop("updated_at"))
    return kept


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
