"""What importing the package costs, and its public names."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import pennylane_qstore

HEAVY = ("aiohttp", "sklearn", "matplotlib", "typer", "torch", "jax")


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


def test_type_checkers_see_the_names_that_are_there():
    """The imports under ``TYPE_CHECKING`` and the table of modules say the same."""
    tree = ast.parse(Path(pennylane_qstore.__file__).read_text())
    typed = {
        alias.name: str(node.module).removeprefix("pennylane_qstore.")
        for block in tree.body
        if isinstance(block, ast.If)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert typed == pennylane_qstore._MODULES
