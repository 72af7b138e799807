"""The command line: ``qstore train``, ``serve``, ``jobs`` ... A thin face over the rooms."""

from __future__ import annotations

from typing import Annotated

import typer

from pennylane_qstore._version import __version__
from pennylane_qstore.cli import bench as cli_bench
from pennylane_qstore.cli import jobs as cli_jobs
from pennylane_qstore.cli import serve as cli_serve
from pennylane_qstore.cli import train as cli_train

app = typer.Typer(
    name="qstore",
    help="Train quantum models on IonQ's computers, one request a step.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


app.command()(cli_train.train)
app.command()(cli_serve.serve)
app.command()(cli_bench.bench)
app.add_typer(cli_jobs.jobs, name="jobs")
app.command()(cli_jobs.resume)
app.command()(cli_jobs.estimate)
app.command()(cli_jobs.doctor)


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
