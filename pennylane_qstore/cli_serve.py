"""The command line about the emulator: ``qstore serve``."""

from __future__ import annotations

import signal
import sys
import threading
from pathlib import Path
from typing import Annotated

import typer

from pennylane_qstore.cli_jobs import typed_errors


def serve(
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8123,
    host: Annotated[str, typer.Option(help="Other than loopback only with --token.")] = "127.0.0.1",
    token: Annotated[str | None, typer.Option(help="API key that clients must present.")] = None,
    profile: Annotated[
        str, typer.Option(help="Latency: none, q-store, ionq-simulator or qpu.")
    ] = "none",
    seed: Annotated[int | None, typer.Option(help="Seed of noise, latency and faults.")] = None,
    faults: Annotated[Path | None, typer.Option(help="TOML or JSON file of faults.")] = None,
    state: Annotated[Path | None, typer.Option(help="File that keeps jobs.")] = None,
) -> None:
    """Serve the emulator of IonQ's API to any client."""
    from pennylane_qstore.emulator import Emulator

    with typed_errors():
        emulator = Emulator(
            host=host,
            port=port,
            token=token,
            profile=profile,
            seed=seed,
            faults=faults,
            state=state,
        )
        stopped = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stopped.set())
        key = "any API key" if token is None else "the token as API key"
        with emulator:
            typer.echo(f"IonQ emulator on {emulator.url} ({key}). Ctrl-C stops it.")
            sys.stdout.flush()
            stopped.wait()
        typer.echo("Stopped.")
