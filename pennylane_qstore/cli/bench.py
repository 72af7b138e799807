"""The command ``qstore bench``: the tables behind the claims of README."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from typing import Annotated, Any

import typer

from pennylane_qstore.cli.errors import typed_errors
from pennylane_qstore.cli.output import Json, show
from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.validation import check_known


@typed_errors()
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
    as_json: Json = False,
) -> None:
    """Measure on the embedded emulator: requests of training steps, or Q-Store's claims."""
    options = {"scale": scale, "epochs": epochs}
    options = {name: value for name, value in options.items() if value is not None}
    check_known("measurement", only, _MEASUREMENTS)
    measure, allowed = _MEASUREMENTS[only]
    if foreign := [name for name in options if name not in allowed]:
        raise ConfigurationError(f"--{foreign[0]} has no effect on --only {only}. Leave it out.")
    payload, text = measure(**options)
    show(as_json, payload, [text])


def _requests() -> tuple[Any, str]:
    import pennylane as qml

    from pennylane_qstore.bench import posts

    make_device = partial(qml.device, "qstore.ionq", wires=2)
    cells = list(posts.table(make_device, lambda d: int(d.emulator.stats()["posts"])))
    return [asdict(cell) for cell in cells], posts.text(cells)


def _v34(scale: float = 1.0, epochs: int = 5) -> tuple[Any, str]:
    from pennylane_qstore.bench import v34

    report = v34.v34(scale=scale, epochs=epochs, report=_report)
    return report.as_dict(), report.text()


def _tasks(**options: Any) -> tuple[Any, str]:
    from pennylane_qstore.bench import tables

    rows = tables.compare(**options, report=_report)
    return [asdict(row) for row in rows], tables.text(rows)


def _report(text: str) -> None:
    typer.echo(text, err=True)


_MEASUREMENTS: Mapping[str, tuple[Callable[..., tuple[Any, str]], tuple[str, ...]]] = {
    "requests": (_requests, ()),
    "v34": (_v34, ("scale", "epochs")),
    "tasks": (_tasks, ("scale",)),
}
"""Measurements by name, each with the options that it takes."""
