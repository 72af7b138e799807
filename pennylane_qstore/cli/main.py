"""The command line ``qstore``: its commands and ``--version``."""

from __future__ import annotations

from typing import Annotated

import typer

from pennylane_qstore._version import __version__
from pennylane_qstore.cli import (
    bench,
    doctor,
    estimate,
    gateway,
    jobs,
    predict,
    rehearse,
    serve,
    train,
)

app = typer.Typer(
    name="qstore",
    help="Train quantum models on IonQ's computers, one request a step.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

for command in (
    train.train,
    predict.predict,
    rehearse.rehearse,
    serve.serve,
    serve.watch,
    bench.bench,
    jobs.resume,
    estimate.estimate,
    doctor.doctor,
):
    app.command()(command)
app.add_typer(jobs.jobs, name="jobs")
app.add_typer(gateway.gateway, name="gateway")


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"pennylane-qstore {__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Train quantum models on IonQ's computers, one request a step."""


if __name__ == "__main__":
    app()
