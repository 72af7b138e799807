"""A paid backend, emulated, and ``qstore train`` on it."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from pennylane_qstore.cli.main import app
from pennylane_qstore.emulator import Emulator


@pytest.fixture
def pictures():
    """Pictures are drawn in full."""


@pytest.fixture(autouse=True)
def quick_pictures(request, monkeypatch):
    """A figure is put together, but only its file's head is written: most of a run's seconds."""
    if "pictures" not in request.fixturenames:

        def savefig(self, path, **options):
            Path(path).write_bytes(b"\x89PNG")

        monkeypatch.setattr("matplotlib.figure.Figure.savefig", savefig)


@pytest.fixture
def qpu(monkeypatch):
    with Emulator(seed=1) as running:
        monkeypatch.setenv("IONQ_API_URL", running.url)
        monkeypatch.setenv("IONQ_API_KEY", "key")
        yield running


@pytest.fixture
def train(tmp_path, qpu):
    def call(*options, task="bas", steps="2", answer=None):
        steps = [] if steps is None else ["--steps", steps]
        paths = ["--out", str(tmp_path / "out"), "--ledger", str(tmp_path / "ledger")]
        command = ["train", "--task", task, "--backend", "qpu.forte-1", "--shots", "200"]
        return CliRunner().invoke(app, [*command, *steps, *paths, *options], input=answer)

    return call
