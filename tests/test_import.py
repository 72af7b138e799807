"""What importing the package costs, and its public names."""

import subprocess
import sys

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
