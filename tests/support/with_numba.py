"""A plugin for pytest: the compiled engine runs from the first circuit on."""

from __future__ import annotations

import pytest

from pennylane_qstore.emulator.simulation import engines


def pytest_configure(config: pytest.Config) -> None:
    """Let the engine be worth loading at once."""
    engines._WORTH_LOADING = 0.0
