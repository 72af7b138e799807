"""Tests of results, not of circuits, need no search for better circuits."""

from __future__ import annotations

import pytest

from pennylane_qstore.execution import circuits


@pytest.fixture
def unsearched(monkeypatch):
    """Circuits are compiled without a search for better ones."""
    monkeypatch.setattr(circuits, "_SEARCHED", 0)
