"""Readings of results and ledgers, for tests of the client."""

from __future__ import annotations

import numpy as np


def outcomes(result):
    """The outcome of each circuit of a marked request."""
    return [int(h.states[np.argmax(h.probabilities)]) for h in result.histograms]


def states(client):
    """The states of a client's rows, oldest first."""
    return [row.state for row in client.ledger.submissions()]
