"""What importing the package costs, and who imports whom."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import pennylane_qstore

ROOT = Path(pennylane_qstore.__file__).parent

HEAVY = ("aiohttp", "sklearn", "matplotlib", "typer", "torch", "jax")
GROUND = {"_version", "backends", "errors"}
ALLOWED = {
    "native": {"native"},
    "ionq": {"ionq"},
    "batching": {"batching", "native", "ionq", "measure", "analysis"},
    "emulator": {"emulator", "native"},
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


@pytest.mark.parametrize("room", ALLOWED)
def test_rooms_import_only_what_is_below_them(room):
    for path in (ROOT / room).rglob("*.py"):
        for module in imported(path):
            house, _, inside = module.partition(".")
            if house == "pennylane_qstore":
                known = inside.split(".")[0] in GROUND | ALLOWED[room]
                assert known or starts_the_emulator(room, path, module), (path, module)


def starts_the_emulator(room, path, module):
    """A device that asks for the emulator gets it; nothing else of batching knows of it."""
    return room == "batching" and path.name == "service.py" and module.endswith(".emulator")


def test_the_wire_knows_nothing_of_pennylane():
    for path in (ROOT / "ionq").rglob("*.py"):
        assert not any(m.split(".")[0] == "pennylane" for m in imported(path)), path


def imported(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
