"""Values that the answers of every service share: account ids and the form of a time."""

from __future__ import annotations

from datetime import UTC, datetime

SUBMITTER = "66841feb7addb210ae6214c2"
PROJECT = "31a4dc21-9b52-4a51-89db-c62f1f77f356"
ORGANIZATION = "5d3c1a2e-6f0b-4b5c-9a77-0a1b2c3d4e5f"
KEY_ID = "0f1e2d3c-4b5a-4978-8695-a4b3c2d1e0f9"


def timestamp(seconds: float) -> str:
    """Return a time in IonQ's form: ISO 8601, UTC, milliseconds, ``Z``.

    >>> timestamp(0.25)
    '1970-01-01T00:00:00.250Z'
    """
    moment = datetime.fromtimestamp(round(seconds * 1000) / 1000, UTC)
    return moment.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"
