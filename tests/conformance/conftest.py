"""Each official client in its own virtual environment, unmodified, against an emulator."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
import venv
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pennylane_qstore.emulator import Emulator

PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"
PINNED = {
    requirement.split("==")[0].replace("-", "_"): requirement
    for requirement in tomllib.loads(PYPROJECT.read_text())["project"]["optional-dependencies"][
        "conformance"
    ]
}
CLIENTS = Path(__file__).parent / "clients"


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A function that gives the Python of a client's environment, made when first asked for.

    ``QSTORE_CONFORMANCE_ENVS`` names a directory in which environments are kept.
    """
    kept = os.environ.get("QSTORE_CONFORMANCE_ENVS")
    base = Path(kept) if kept else tmp_path_factory.mktemp("environments")

    def make(client: str) -> Path:
        requirement = PINNED[client]
        place = base / requirement.replace("==", "-")
        python = place / "bin" / "python"
        if not (place / "installed").exists():
            venv.create(place, with_pip=True, clear=True)
            install = [str(python), "-m", "pip", "install", "--quiet", requirement]
            done = subprocess.run(install, capture_output=True, text=True, timeout=900)
            assert done.returncode == 0, done.stderr
            (place / "installed").touch()
        return python

    return make


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with Emulator(seed=11) as running:
        yield running


@pytest.fixture
def run_client(environment: Callable[[str], Path]) -> Callable[..., Any]:
    """A function that runs one scenario of a client's script and gives what it printed."""

    def run(client: str, emulator: Emulator, scenario: str) -> Any:
        clean = {k: v for k, v in os.environ.items() if "IONQ" not in k and k != "PYTHONPATH"}
        clean |= {
            "IONQ_API_URL": emulator.url,
            "IONQ_API_KEY": "conformance",
            "NO_PROXY": "127.0.0.1",
        }
        command = [environment(client), CLIENTS / f"use_{client}.py", emulator.url, scenario]
        done = subprocess.run(
            [str(part) for part in command], capture_output=True, text=True, env=clean, timeout=240
        )
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        return json.loads(done.stdout.splitlines()[-1])

    return run


assert sys.platform != "win32", "the environments are laid out as on POSIX"
