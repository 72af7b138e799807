"""A plugin for pytest: compiled code runs from the first circuit on."""

from __future__ import annotations

import pytest

from pennylane_qstore import compiled


def pytest_configure(config: pytest.Config) -> None:
    """Let compiled code be worth its import at once."""
    compiled._IMPORT_S = 0.0
