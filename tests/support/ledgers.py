"""Intents for the tests of the ledger."""

from __future__ import annotations

from pennylane_qstore.ionq.ledger.ledger import Intent

SERVICE = "https://api.ionq.co/v0.4"


def intent(key=None, sha="a" * 64, **options):
    """An intent of three circuits on a QPU."""
    return Intent(SERVICE, "qpu.forte-1", 100, 3, 2, sha, key=key, **options)
