"""Errors of commands: one line on standard error, and an exit status."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import typer

from pennylane_qstore.errors import AmbiguousSubmission, QStoreError


@contextmanager
def typed_errors() -> Iterator[None]:
    """Show an error in one line, without a traceback, with the ids of its jobs.

    Raises:
        typer.Exit: with status 1 after an error, 2 where a job may exist unseen, 130 after Ctrl-C.
    """
    try:
        yield
    except (QStoreError, OSError) as error:
        ids = [i for i in getattr(error, "job_ids", ()) if i not in str(error)]
        known = f" (jobs: {', '.join(ids)})" if ids else ""
        typer.echo(f"qstore: {error}{known}", err=True)
        raise typer.Exit(2 if isinstance(error, AmbiguousSubmission) else 1) from None
    except KeyboardInterrupt as stop:
        typer.echo(f"qstore: {str(stop) or 'Interrupted.'}", err=True)
        raise typer.Exit(130) from None
