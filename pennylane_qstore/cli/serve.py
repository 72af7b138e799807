"""The commands ``qstore serve``, the emulator for any client, and ``qstore watch``, a page."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Annotated, Any

import typer

from pennylane_qstore.cli.jobs import JobsBaseUrl, LedgerFile
from pennylane_qstore.cli.output import typed_errors
from pennylane_qstore.errors import ConfigurationError

Token = Annotated[
    str | None,
    typer.Option(
        envvar="QSTORE_TOKEN",
        help="API key that clients must present. Other users of this machine see the command "
        "line; they do not see the environment variable.",
    ),
]
Profile = Annotated[
    str,
    typer.Option(
        help="Latency: none, q-store, ionq-simulator, qpu, the seconds a job runs (2.5), or "
        "single times (queue_s=60,execution_s=5,jitter=0.2)."
    ),
]
NoiseModel = Annotated[
    str | None,
    typer.Option(help="Noise of simulator jobs that give none: ideal, aria-1, aria-2 or forte-1."),
]
Simulator = Annotated[
    str | None,
    typer.Option(
        help="PennyLane device that runs ideal circuits, such as lightning.gpu or lightning.kokkos."
    ),
]
BudgetUsd = Annotated[
    float | None,
    typer.Option(
        "--budget-usd",
        "--budget",
        help="US dollars; jobs that would exceed them fail as QuotaExhaustedError.",
    ),
]
Processes = Annotated[
    int | None,
    typer.Option(
        help="Processes that large jobs are divided over: one per core by default, 0 for none."
    ),
]

Runs = Annotated[
    list[Path] | None,
    typer.Option(help="Folder of checkpoints, whose loss curves the page shows. Repeatable."),
]


def serve(
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8123,
    host: Annotated[
        str, typer.Option(help="Address; beyond loopback only with --token.")
    ] = "127.0.0.1",
    token: Token = None,
    profile: Profile = "none",
    noise_model: NoiseModel = None,
    simulator: Simulator = None,
    budget_usd: BudgetUsd = None,
    processes: Processes = None,
    seed: Annotated[int | None, typer.Option(help="Seed of noise, latency and faults.")] = None,
    faults: Annotated[Path | None, typer.Option(help="TOML or JSON file of faults.")] = None,
    state: Annotated[Path | None, typer.Option(help="File that keeps jobs.")] = None,
    runs: Runs = None,
) -> None:
    """Serve the emulator of IonQ's API to any client."""
    from pennylane_qstore.emulator import Emulator
    from pennylane_qstore.secret import Secret

    secret = Secret.hold(token)
    token = None  # a traceback may show local variables
    with typed_errors():
        emulator = Emulator(
            host=host,
            port=port,
            token=secret,
            profile=_profile(profile),
            noise_model=noise_model,
            simulator=simulator,
            budget_usd=budget_usd,
            processes=processes,
            seed=seed,
            faults=faults,
            state=state,
            runs=runs or (),
        )
        key = "any API key" if secret is None else "the token as API key"
        serve_until_stopped(
            emulator,
            lambda: f"IonQ emulator on {emulator.url} ({key}).\nIts jobs: {emulator.address}/",
        )


def serve_until_stopped(
    server: AbstractContextManager[Any], announcement: Callable[[], str]
) -> None:
    """Serve until Ctrl-C or SIGTERM.

    Args:
        server: runs while it is entered.
        announcement: gives what is printed once it runs; its first line has the address.
    """
    stopped = threading.Event()
    before = {
        number: signal.signal(number, lambda *_: stopped.set())
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        with server:
            first, *further = announcement().splitlines()
            typer.echo("\n".join([f"{first} Ctrl-C stops it.", *further]))
            sys.stdout.flush()
            stopped.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    typer.echo("Stopped.")


def _profile(text: str) -> str | float | dict[str, Any]:
    """Read a name, a number of seconds, or fields of a latency profile."""
    if "=" not in text:
        try:
            return float(text)
        except ValueError:
            return text
    fields: dict[str, Any] = {}
    for pair in text.split(","):
        name, _, value = (part.strip() for part in pair.partition("="))
        try:
            fields[name] = int(value) if name == "concurrency" else float(value)
        except ValueError:
            raise ConfigurationError(
                f"--profile {text!r}: {name}={value!r} is not allowed. Allowed: a number."
            ) from None
    return fields


@typed_errors()
def watch(
    ledger: LedgerFile = None,
    runs: Runs = None,
    base_url: JobsBaseUrl = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 0,
) -> None:
    """Show runs and jobs of a ledger on a page, on this machine: loss, dollars, queue, cancelling.

    Only cancelling asks IonQ, with the key in IONQ_API_KEY.
    """
    from pennylane_qstore.ionq.ledger.database import default_path
    from pennylane_qstore.ionq.ledger.ledger import Ledger
    from pennylane_qstore.watch.watch import Watch

    place = ledger or default_path()
    if not place.exists():
        raise ConfigurationError(f"There is no ledger at {place}.")
    page = Watch(Ledger(place), runs=runs or [Path()], base_url=base_url, port=port)
    serve_until_stopped(page, lambda: f"Jobs of {place} on {page.address}.\n{page.page}")
