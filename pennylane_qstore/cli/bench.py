"""The command line about measurements: ``qstore bench``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pennylane_qstore.cli.jobs import typed_errors
from pennylane_qstore.errors import ConfigurationError

if TYPE_CHECKING:
    from pennylane_qstore.bench.posts import Cell


def bench(
    only: Annotated[
        str,
        typer.Option(
            help="What to measure. requests: POSTs per training step, by objective and "
            "interface. v34: Q-Store v3.4's performance table, on its own service times. tasks: "
            "wine and breast cancer, our run beside a plain PennyLane loop."
        ),
    ] = "requests",
    scale: Annotated[
        float | None,
        typer.Option(help="Seconds per second of the service times; v34: 1, tasks: 0.1."),
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
        elif only == "tasks":
            if "epochs" in options:
                raise ConfigurationError("--epochs is for --only v34.")
            _bench_tasks(as_json, **options)
        else:
            raise ConfigurationError(
                f"Unknown measurement {only!r}. Allowed: 'requests', 'v34', 'tasks'."
            )


def _bench_v34(as_json: bool, scale: float = 1.0, epochs: int = 5) -> None:
    from pennylane_qstore.bench import v34 as measurements

    found = measurements.v34(
        scale=scale, epochs=epochs, report=lambda what: typer.echo(what, err=True)
    )
    typer.echo(json.dumps(found.as_dict()) if as_json else found.text())


def _bench_tasks(as_json: bool, **options: Any) -> None:
    from dataclasses import asdict

    from pennylane_qstore.bench.tables import compare, text

    rows = compare(**options, report=lambda what: typer.echo(what, err=True))
    typer.echo(json.dumps([asdict(row) for row in rows]) if as_json else text(rows))


def _bench_requests(as_json: bool) -> None:
    from dataclasses import asdict

    import pennylane as qml

    from pennylane_qstore.bench.posts import INTERFACES, SAMPLES, WAYS, installed, table

    cells = table(
        lambda: qml.device("qstore.ionq", wires=2),
        lambda device: int(device.emulator.stats()["posts"]),
    )
    if as_json:
        typer.echo(json.dumps([asdict(cell) for cell in cells]))
        return
    typer.echo(
        f"POSTs of one step_and_cost over {SAMPLES} samples, counted by the embedded emulator; in\n"
        "brackets the most that the dependencies between the circuits ask for. stock: PennyLane's\n"
        "optimizer, step + forward value. difference: of gradient and cost from the plain step.\n"
    )
    columns = "".join(f"{way:>18}" for way in WAYS)
    typer.echo(f"{'objective':<25}{'interface':<10}{columns}  difference")
    for row in zip(*[cells] * len(WAYS), strict=True):  # the table goes way by way
        posts = "".join(f"{_posts(cell):>18}" for cell in row)
        worst = max(cell.difference for cell in row)
        typer.echo(f"{row[0].objective:<25}{row[0].interface:<10}{posts}  {worst:.0e}")
    if missing := [name for name in INTERFACES if not installed(name)]:
        typer.echo(f"\nNot installed: {', '.join(missing)}.")


def _posts(cell: Cell) -> str:
    parts = f"{cell.step} + {cell.posts - cell.step}" if cell.step < cell.posts else f"{cell.posts}"
    return f"{parts} ({cell.allowed})"
