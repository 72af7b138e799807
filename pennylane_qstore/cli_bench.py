"""The command line about measurements: ``qstore bench``."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from pennylane_qstore.cli_jobs import typed_errors
from pennylane_qstore.errors import ConfigurationError


def bench(
    only: Annotated[str, typer.Option(help="What to measure: requests.")] = "requests",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure on the embedded emulator: POSTs per training step, by objective and interface."""
    with typed_errors():
        if only not in _BENCHES:
            raise ConfigurationError(
                f"Unknown measurement {only!r}. Allowed: {', '.join(map(repr, _BENCHES))}."
            )
        _BENCHES[only](as_json)


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


_BENCHES = {"requests": _bench_requests}
