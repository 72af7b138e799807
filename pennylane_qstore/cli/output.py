"""Output of commands: JSON for programs, aligned lines for people."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from typing import Annotated, Any

import typer

from pennylane_qstore.bench.text import aligned

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
