"""What importing the package costs, and who imports whom."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import pennylane_qstore

ROOT = Path(pennylane_qstore.__file__).parent

HEAVY = ("aiohttp", "sklearn", "matplotlib", "typer", "torch", "jax")
FORBIDDEN = {
    "native": ("ionq", "batching", "measure", "device", "training", "v34", "cli", "emulator"),
    "ionq": ("native", "batching", "measure", "device", "training", "v34", "cli", "emulator"),
    "batching": ("device", "training", "v34", "cli"),
    "emulator": ("device", "batching", "measure", "training", "v34", "cli"),
}


def test_importing_the_package_imports_nothing_heavy():
    code = (
        "import sys, pennylane; before = set(sys.modules); import pennylane_qstore; "
        f"print([m for m in {HEAVY} if m in sys.modules and m not in before])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


@pytest.mark.parametrize("name", pennylane_qstore.__all__)
def test_every_public_name_is_there(name):
    assert name in dir(pennylane_qstore)
    assert getattr(pennylane_qstore, name) is not None


@pytest.mark.parametrize("room", FORBIDDEN)
def test_rooms_import_only_what_is_below_them(room):
    for path in (ROOT / room).rglob("*.py"):
        for module in imported(path):
            inside = module.removeprefix("pennylane_qstore.").split(".")[0]
            if module.startswith("pennylane_qstore."):
                assert inside not in FORBIDDEN[room] or allowed(room, path, module), (path, module)


def allowed(room, path, module):
    """batching starts the emulator the device asks for; the emulator never sees the client."""
    return room == "batching" and path.name == "options.py" and module.endswith(".emulator")


def test_the_wire_knows_nothing_of_pennylane():
    for path in (ROOT / "ionq").rglob("*.py"):
        assert not any(m.split(".")[0] == "pennylane" for m in imported(path)), path


def test_the_emulator_never_uses_the_client():
    for path in (ROOT / "emulator").rglob("*.py"):
        used = [m for m in imported(path) if m.startswith("pennylane_qstore.ionq")]
        assert all(m == "pennylane_qstore.ionq.backends" for m in used), (path, used)


def imported(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
