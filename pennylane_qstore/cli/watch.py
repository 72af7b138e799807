"""The command ``qstore watch``: a page of the jobs in a ledger."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pennylane_qstore.cli.jobs import JobsBaseUrl, LedgerFile
from pennylane_qstore.cli.output import typed_errors
from pennylane_qstore.cli.serve import Runs, serve_until_stopped
from pennylane_qstore.errors import ConfigurationError


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
