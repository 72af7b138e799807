"""Parameters of a request's query."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from pennylane_qstore.server.errors import invalid


def read_count(
    text: str | None, name: str, default: int, least: int = 0, most: int = 999_999_999
) -> int:
    """Read an integer from a query.

    Args:
        text: value of the parameter, ``None`` if it is not there.
        name: name of the parameter.
        default: value of an absent parameter.
        least: smallest value allowed.
        most: largest value allowed.

    Returns:
        The integer.

    Raises:
        BadRequest: the value is not an integer in the range.
    """
    if text is None:
        return default
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else -1
    if not least <= number <= most:
        raise invalid(name, f"must be an integer from {least} to {most}")
    return number


def read_choice(text: str | None, name: str, allowed: Sequence[str]) -> str:
    """Read one of the allowed values from a query; the first by default.

    Args:
        text: value of the parameter, ``None`` if it is not there.
        name: name of the parameter.
        allowed: values allowed.

    Returns:
        The value.

    Raises:
        BadRequest: the value is not one of them.
    """
    if text is not None and text not in allowed:
        raise invalid(name, f"must be one of [{', '.join(allowed)}]")
    return text or allowed[0]


def read_date(text: str | None, name: str) -> dt.date | None:
    """Read a date from a query.

    Args:
        text: value of the parameter, ``None`` if it is not there.
        name: name of the parameter.

    Returns:
        The date, or ``None`` for an absent parameter.

    Raises:
        BadRequest: the value is not a date.
    """
    if text is None:
        return None
    try:
        return dt.date.fromisoformat(text[:10])
    except ValueError:
        raise invalid(name, "must be a date (YYYY-MM-DD)") from None
