"""The command line about measurements: ``qstore bench``."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from pennylane_qstore.cli_jobs import typed_errors
from pennylane_qstore.errors import ConfigurationError


def bench(
    only: Annotated[
        str,
        typer.Option(
            help="What to measure. requests: POSTs per training step, by objective and "
            "interface. v34: Q-Store v3.4's performance table, on its own service times."
        ),
    ] = "requests",
    scale: Annotated[
        float | None,
        typer.Option(help="v34: seconds per second of the service times, by default 1."),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(help="v34: epochs to run; by default 5, which take three minutes."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure on the embedded emulator: requests of training steps, or Q-Store's claims."""
    with typed_errors():
        options: dict[str, Any] = {"scale": scale, "epochs": epochs}
        options = {name: value for name, value in options.items() if value is not None}
        if only == "requests":
            if options:
                raise ConfigurationError(f"--{next(iter(options))} is for --only v34.")
            _bench_requests(as_json)
        elif only == "v34":
            _bench_v34(as_json, **options)
        else:
            raise ConfigurationError(f"Unknown measurement {only!r}. Allowed: 'requests', 'v34'.")


def _bench_v34(as_json: bool, scale: float = 1.0, epochs: int = 5) -> None:
    from pennylane_qstore import bench as measurements

    found = measurements.v34(
        scale=scale, epochs=epochs, report=lambda what: typer.echo(what, err=True)
    )
    typer.echo(json.dumps(found.as_dict()) if as_json else found.text())


def _bench_requests(as_json: bool) -> None:
    from dataclasses import asdict

    import pennylane as qml

    from pennylane_qstore.training.requests import SAMPLES, table

    cells = table(
        lambda: qml.device("qstore.ionq", wires=2), lambda device: int(device.stats["jobs"])
    )
    if as_json:
        typer.echo(json.dumps([asdict(cell) for cell in cells]))
        return
    typer.echo(f"POSTs of one step_and_cost over {SAMPLES} samples, on the embedded emulator\n")
    typer.echo(f"{'objective':<28}{'interface':<10}{'way':<16}{'plain':>6}{'POSTs':>7}  difference")
    for cell in cells:
        typer.echo(
            f"{cell.objective:<28}{cell.interface:<10}{cell.way:<16}{cell.plain:>6}"
            f"{cell.batches:>7}  {cell.difference:.0e}"
        )
