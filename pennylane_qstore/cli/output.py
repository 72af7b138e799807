"""Output of commands: JSON for programs, aligned lines for people, times, errors."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from pennylane_qstore.bench.text import aligned
from pennylane_qstore.errors import AmbiguousSubmission, ConfigurationError, QStoreError

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def show(as_json: bool, payload: Any, lines: Iterable[str]) -> None:
    """Print the outcome of a command.

    Args:
        as_json: print one line of JSON.
        payload: the outcome, ready for JSON.
        lines: the same for people; not looked at for JSON.
    """
    typer.echo(json.dumps(payload) if as_json else "\n".join(lines))


def labelled(values: Mapping[str, Any]) -> list[str]:
    """Return one line for each value, after its label."""
    return aligned([(label, str(value)) for label, value in values.items()], left=2)


def is_terminal() -> bool:
    """Return whether somebody is there to answer a question."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def time_text(seconds: float) -> str:
    """Return a time (seconds since the epoch) as it is printed: ``2026-05-25 14:03:00Z``."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def read_time(option: str, text: str, *, end: bool = False) -> float:
    """Return a time that was given, in seconds since the epoch.

    Args:
        option: by which, for the message.
        text: a day or a time; UTC, unless it names another zone.
        end: of a day alone, take the end.

    Returns:
        Seconds.

    Raises:
        ConfigurationError: it is neither.
    """
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ConfigurationError(
            f"{option} {text!r} is no time. Allowed: a day, 2026-05-25, or a time in UTC, "
            "2026-05-25 14:03."
        ) from None
    if end and len(text.strip()) <= len("2026-05-25"):
        moment += timedelta(days=1)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


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
