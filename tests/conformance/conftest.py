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

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PINNED = {
    requirement.split("==")[0].replace("-", "_"): requirement
    for requirement in PROJECT["optional-dependencies"]["conformance"]
}
# Under GPL-3, so in no extra of this project, whose device it drives.
PINNED["mitiq"] = "mitiq[pennylane,qiskit]==1.1.0"
BESIDE = {"mitiq": PROJECT["dependencies"]}
"""What else an environment has: this project's dependencies, where its code is imported."""
CLIENTS = Path(__file__).parent / "clients"
SCENARIOS = Path(__file__).parent / "scenarios.py"
PIP = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]


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
            venv.create(place, clear=True)
            install = [*PIP, "--python", str(python), "install", "--no-compile", requirement]
            install += BESIDE.get(client, [])
            done = subprocess.run(install, capture_output=True, text=True, timeout=900)
            assert done.returncode == 0, done.stderr
            (place / "installed").touch()
        return python

    return make


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with Emulator(seed=11) as running:
        yield running


@pytest.fixture(scope="session")
def client(
    environment: Callable[[str], Path],
) -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    """A function that gives the process that has imported a client, see ``scenarios.py``."""
    clean = {k: v for k, v in os.environ.items() if "IONQ" not in k and k != "PYTHONPATH"}
    clean |= {"IONQ_API_KEY": "conformance", "NO_PROXY": "127.0.0.1"}
    running: dict[str, subprocess.Popen[str]] = {}

    def start(name: str) -> subprocess.Popen[str]:
        if name not in running:
            command = [environment(name), SCENARIOS, CLIENTS / f"use_{name}.py"]
            running[name] = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env=clean | ({"PYTHONPATH": str(ROOT)} if name in BESIDE else {}),
            )
        return running[name]

    yield start
    for process in running.values():
        process.communicate(timeout=60)  # it ends with its input


@pytest.fixture
def run_client(
    client: Callable[[str], subprocess.Popen[str]], tmp_path: Path
) -> Callable[..., Any]:
    """A function that runs one scenario of a client's script and gives what it printed."""

    def run(name: str, emulator: Emulator, scenario: str) -> Any:
        process, out, err = client(name), tmp_path / "out", tmp_path / "err"
        assert process.stdin is not None
        assert process.stdout is not None
        print(
            json.dumps([emulator.url, scenario, str(out), str(err)]), file=process.stdin, flush=True
        )
        status = process.stdout.readline().strip()
        said = out.read_text() if out.exists() else ""
        assert status == "0", f"{said}\n{err.read_text() if err.exists() else 'no scenario ran'}"
        return json.loads(said.splitlines()[-1])

    return run


assert sys.platform != "win32", "the environments are laid out as on POSIX"
