"""Names and runs of a job, as they travel with it. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

import orjson

RUNS_KEY = "qstore_runs"
"""Entry of a job's metadata with the runs that share it."""
TOKEN_LENGTH = 32
"""Characters of a token."""
NAME = re.compile(r"[A-Za-z0-9 _-]*")
"""Pattern of the names that IonQ takes."""
_MAX_NAME = 100
_MAX_RUNS_BYTES = 20_000
_TOKEN_AT_END = re.compile(rf" ?[0-9a-f]{{{TOKEN_LENGTH}}}$")
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9 _-]")


def in_job_names(run: str) -> str:
    """Return the name of a run as IonQ takes it in the name of a job.

    >>> in_job_names("H2/sto-3g")
    'H2_sto-3g'
    """
    return _NOT_IN_NAMES.sub("_", run)[: _MAX_NAME - 1 - TOKEN_LENGTH].strip()


def marked_name(name: str | None, token: str) -> str:
    """Return the name of a job with the token at its end, by which it is found again.

    Args:
        name: of the job, or ``None``.
        token: of the submission.

    Returns:
        A name that is not too long.
    """
    return f"{(name or 'qstore')[: _MAX_NAME - 1 - len(token)]} {token}"


def run_of(name: str | None) -> str | None:
    """Return the run that a job belongs to: its name without the token at the end, or ``None``.

    >>> run_of("vqe 0123456789abcdef0123456789abcdef")
    'vqe'
    """
    return _TOKEN_AT_END.sub("", name or "") or None


def runs_entry(fractions: Mapping[str, float]) -> dict[str, str]:
    """Return the entry of metadata that names the runs of a job.

    Args:
        fractions: the part of the job's bill that each run pays, by its name.

    Returns:
        One entry; none where the names are too long for it.
    """
    text = orjson.dumps({run: round(part, 6) for run, part in fractions.items()})
    return {RUNS_KEY: text.decode()} if len(text) <= _MAX_RUNS_BYTES else {}


def runs_of(name: str | None, metadata: Mapping[str, str] | None) -> dict[str, float]:
    """Return the runs of a job.

    Args:
        name: of the job.
        metadata: of the job, as whoever sent it has written it.

    Returns:
        The part of the bill that each run pays, by its name; empty for a job without a run.
    """
    try:
        found = orjson.loads((metadata or {}).get(RUNS_KEY, "null"))
    except orjson.JSONDecodeError:
        found = None
    if isinstance(found, dict) and found:
        parts = [part for part in found.values() if isinstance(part, int | float)]
        if len(parts) == len(found) and min(parts) >= 0 and abs(sum(parts) - 1) < 1e-3:
            return {run: float(part) for run, part in found.items()}
    run = run_of(name)
    return {} if run is None else {run: 1.0}
