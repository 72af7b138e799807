"""Times on the command line: UTC, as ISO 8601 writes them, for people and programs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from pennylane_qstore.errors import ConfigurationError


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
