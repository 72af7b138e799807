"""Errors that the server answers with IonQ's error bodies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

_TITLES = {
    400: "Bad Request",
    401: "Unauthorized Error",
    402: "Payment Required",
    403: "Forbidden Error",
    404: "Not Found Error",
    405: "Method Not Allowed",
    408: "Request Timeout",
    413: "Request Entity Too Large",
    429: "Too Many Requests",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}


class BadRequest(Exception):  # noqa: N818
    """A request that the service answers with an error status.

    Args:
        message: description of the error, for the ``message`` of the error body.
        status: HTTP status code.
        keys: members of the request that are wrong, for ``validation``.
        retry_after_s: seconds after which the same request may be answered better, if it may.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        keys: Sequence[str] = (),
        retry_after_s: int | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.keys = tuple(keys)
        self.retry_after_s = retry_after_s


class Preflight(BadRequest):
    """A program that the service accepts, and fails when it reads it."""


def invalid(member: str, problem: str) -> BadRequest:
    """Return the error of one member of a request.

    Args:
        member: the member's name, dotted where it is inside another.
        problem: what is wrong with it, a clause without subject and full stop.

    Returns:
        The error, a 400.
    """
    return BadRequest(f'"{member}" {problem}.', keys=[member])


def not_found() -> BadRequest:
    """Return IonQ's 404."""
    return BadRequest(
        "Resource not found. See https://docs.ionq.com/ for details, or email support@ionq.co "
        "for help.",
        status=404,
    )


def error_body(status: int, message: str, keys: Sequence[str] = ()) -> dict[str, Any]:
    """Return IonQ's error body.

    Args:
        status: HTTP status code.
        message: description of the error.
        keys: members of the request that are wrong; shown with a 400 only.

    Returns:
        The JSON object.
    """
    body: dict[str, Any] = {
        "statusCode": status,
        "error": _TITLES.get(status, "Error"),
        "message": message,
    }
    if status == 400 and keys:
        body["validation"] = {"keys": list(keys), "source": "payload"}
    return body
