"""Commands about jobs and money: ``qstore jobs``, ``resume`` and ``estimate``."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pennylane_qstore.bench.text import aligned
from pennylane_qstore.cli.output import Json, labelled, read_time, show, time_text, typed_errors
from pennylane_qstore.cli.undecided import UNDECIDED, advice, declare_absent, describe
from pennylane_qstore.errors import ConfigurationError, QStoreError
from pennylane_qstore.ionq.jobs.decisions import JOBS_PAGE
from pennylane_qstore.ionq.ledger.rows import UNSENT_STATES, State, whole_run
from pennylane_qstore.validation import check_known

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
AnyId = Annotated[
    str, typer.Argument(metavar="ID", help="IonQ's id of the job, or the submission's number.")
]

Absent = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NUMBER",
        help=f"A submission that has no job on {JOBS_PAGE} either: free its price. Repeatable.",
    ),
]


@jobs.command("list")
@typed_errors()
def list_jobs(
    run: Annotated[
        str | None, typer.Option(help="Only those of a run: its name, or its id in the ledger.")
    ] = None,
    state: Annotated[
        list[str] | None,
        typer.Option(help=f"Only those in a state: {', '.join(State)}. Repeatable."),
    ] = None,
    since: Annotated[
        str | None, typer.Option(help="Only those from a day or time on, UTC.")
    ] = None,
    until: Annotated[str | None, typer.Option(help="Only those up to a day or time, UTC.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only so many, the newest.")] = None,
    ledger: LedgerFile = None,
    as_json: Json = False,
) -> None:
    """List submissions, oldest first."""
    known = _ledger(ledger)
    for name in state or ():
        check_known("state", name, list(State))
    first = -math.inf if since is None else read_time("--since", since)
    last = math.inf if until is None else read_time("--until", until, end=True)
    every = known.changed()
    chosen = [
        row
        for _, row, parts in every
        if (run is None or _is_of(run, row, parts))
        and (not state or row.state in state)
        and first <= row.created_at < last
    ]
    rows = [_described(row) for row in chosen[-limit if limit else 0 :]]
    cells = []
    for row in rows:
        cost = row["estimated_usd"] if row["billed_usd"] is None else row["billed_usd"]
        job = f"{row['circuits']} circuits x {row['shots']} shots"
        names = (row["created"], row["state"], row["job_id"] or "-", row["backend"], job)
        cells.append((str(row["id"]), *names, "" if cost is None else f"${cost:,.2f}"))
    of_all = "" if len(rows) == len(every) else f" of {len(every)}"
    count = f"{len(rows)}{of_all} submission(s)."
    usd, budget_usd = known.spent_usd(), known.budget_usd
    if usd or budget_usd is not None:
        whole = "" if budget_usd is None else f", of the ledger's budget of ${budget_usd:,.2f}"
        count += f" ${usd:,.2f} billed or reserved{whole}."
    show(as_json, rows, [*aligned(cells, left=5), count])


@jobs.command("show")
@typed_errors()
def show_job(job_id: AnyId, ledger: LedgerFile = None, as_json: Json = False) -> None:
    """Show one submission and everything that happened to it."""
    known = _ledger(ledger)
    row = _row(known, job_id)
    fields = _described(row)
    events = [(time_text(e.at), e.event, e.detail) for e in known.events(row.id)]
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
    from pennylane_qstore.ionq.jobs.packing import unpack

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
    job_id: AnyId, ledger: LedgerFile = None, base_url: JobsBaseUrl = None, as_json: Json = False
) -> None:
    """Cancel a job, unless it has ended: then its results are stored."""
    known = _ledger(ledger)
    row = _found(known, job_id)
    if row is not None and row.job_id is None:
        raise ConfigurationError(
            f"Submission {row.id} is {row.state}: no job of it is known. `qstore jobs reconcile` "
            "looks for it."
        )
    name = job_id if row is None else str(row.job_id)  # the service may know it nevertheless
    with _client(base_url or (None if row is None else row.service), known) as client:
        state = client.cancel([name])[name]
    show(as_json, {"job_id": name, "state": state}, labelled({name: state}))
    if state != "canceled":
        typer.echo("qstore: The job was not cancelled.", err=True)
        raise typer.Exit(1)


@jobs.command()
@typed_errors()
def reconcile(
    ledger: LedgerFile = None,
    base_url: JobsBaseUrl = None,
    absent: Absent = None,
    yes: Annotated[bool, typer.Option("--yes", help="Agree to --absent beforehand.")] = False,
    as_json: Json = False,
) -> None:
    """Look for jobs whose answers were lost, and for missing bills; nothing is sent again.

    The exit status is 2 where a job may exist that is not found. Where you have looked yourself,
    and there is none, --absent frees what is reserved for it.
    """
    known = _ledger(ledger)
    rows = [_row(known, number) for number in dict.fromkeys(absent or ())]
    for row in rows:
        if row.state not in UNSENT_STATES:
            raise ConfigurationError(
                f"Submission {row.id} is {row.state}: only one of which no job is known can be "
                "absent. Nothing was changed."
            )

    def look(client: IonQClient) -> list[Submission]:
        named = [row for row in rows if base_url or row.service == client.base_url]
        return declare_absent(client, named, yes=yes)

    _everywhere(ledger, base_url, as_json, "looked for", look)


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
    """Bring the jobs in the ledger to their end and store their results.

    To go on with a training's steps is qstore train --resume. Jobs in flight are waited for, jobs
    whose answers were lost are looked for. Nothing is sent again; the interrupted program, started
    again, finds the results in the ledger. The exit status is 2 where a job may exist that is not
    found.
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
    undecided = [row for row in rows if row.state in UNSENT_STATES]
    if undecided:
        describe(undecided)
        program = "the program with on_ambiguous='resubmit', or `qstore train --resume "
        typer.echo(advice(ledger, f"{program}--on-ambiguous resubmit`,"), err=True)
    raise typer.Exit(int(failed) or (UNDECIDED if undecided else 0))


def _row(ledger: Ledger, job_id: str) -> Submission:
    row = _found(ledger, job_id)
    if row is None:
        raise ConfigurationError(f"The ledger has no job {job_id!r}; see `qstore jobs list`.")
    return row


def _found(ledger: Ledger, name: str) -> Submission | None:
    """Return the row of a job's id, a submission's number or its token; None without one."""
    row = ledger.find(name)
    if row is not None:
        return row
    return next((r for r in ledger.submissions() if name in (str(r.id), r.token)), None)


def _is_of(run: str, row: Submission, parts: Mapping[str, float]) -> bool:
    """Return True for a submission of a run, alone or with others."""
    runs = [whole_run(name) for name in (row.key.run if row.key else "", *parts)]
    return any(run in (name, name.rpartition("-")[0]) for name in runs)


def _described(row: Submission) -> dict[str, Any]:
    """Return a row without its results and without what only the ledger needs."""
    kept = asdict(row)
    for name in ("results", "owner", "lease_until", "part"):
        kept.pop(name)
    kept["key"] = None if row.key is None else list(row.key)
    kept["created"] = time_text(kept.pop("created_at"))
    kept["updated"] = time_text(kept.pop("updated_at"))
    return kept
