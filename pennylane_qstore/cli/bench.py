"""The command ``qstore bench``: the tables behind the claims of README."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from pennylane_qstore.cli.errors import typed_errors
from pennylane_qstore.errors import ConfigurationError


def bench(
    only: Annotated[
        str,
        typer.Option(
            help="The measurement. requests: POSTs per training step, by objective and "
            "interface. v34: Q-Store v3.4's performance table, on its own service times. tasks: "
            "wine and breast cancer, our run beside a plain PennyLane loop."
        ),
    ] = "requests",
    scale: Annotated[
        float | None,
        typer.Option(help="Factor of the service's times; by default 1 for v34, 0.1 for tasks."),
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
                raise ConfigurationError(
                    f"--{next(iter(options))} has no effect on --only requests. Leave it out."
                )
            _bench_requests(as_json)
        elif only == "v34":
            _bench_v34(as_json, **options)
        elif only == "tasks":
            if "epochs" in options:
                raise ConfigurationError("--epochs has no effect on --only tasks. Leave it out.")
            _bench_tasks(as_json, **options)
        else:
            raise ConfigurationError(
                f"Unknown measurement {only!r}. Allowed: 'requests', 'v34', 'tasks'."
            )


def _bench_v34(as_json: bool, scale: float = 1.0, epochs: int = 5) -> None:
    from pennylane_qstore.bench import v34 as measurements

    measured = measurements.v34(scale=scale, epochs=epochs, report=_report)
    typer.echo(json.dumps(measured.as_dict()) if as_json else measured.text())


def _bench_tasks(as_json: bool, **options: Any) -> None:
    from dataclasses import asdict

    from pennylane_qstore.bench.tables import compare, text

    rows = compare(**options, report=_report)
    typer.echo(json.dumps([asdict(row) for row in rows]) if as_json else text(rows))


def _bench_requests(as_json: bool) -> None:
    from dataclasses import asdict

    import pennylane as qml

    from pennylane_qstore.bench import posts

    cells = posts.table(
        lambda: qml.device("qstore.ionq", wires=2),
        lambda device: int(device.emulator.stats()["posts"]),
    )
    typer.echo(json.dumps([asdict(cell) for cell in cells]) if as_json else posts.text(cells))


def _report(text: str) -> None:
    typer.echo(text, err=True)
