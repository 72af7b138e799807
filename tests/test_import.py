"""What importing the package costs, and its public names."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

import pennylane_qstore

HEAVY = ("aiohttp", "sklearn", "matplotlib", "typer", "torch", "jax")


FRESH = """
import json, logging, sys, autoray, pennylane as qml, autoray.autoray as inside
registries = [k for k in vars(inside) if k.isupper() and "CACHE" not in k]
filled_by_use = {"_FUNCS", "_DISPATCHERS", "_DTYPE_MAP"}
def state():
    return (
        logging.getLogRecordFactory(), logging.getLoggerClass(),
        {k: dict(vars(inside)[k]) for k in registries
         if isinstance(vars(inside)[k], dict) and k not in filled_by_use},
        dict(vars(qml.numpy.tensor)), dict(vars(qml.QNode)), dict(vars(qml.tape.QuantumScript)),
    )
before, modules = state(), set(sys.modules)
def added():
    return sorted(set(sys.modules) - modules)
import pennylane_qstore
found = {"of the package": added()}
import pennylane_qstore.emulator
found["of the emulator"] = added()
for name in pennylane_qstore.__all__:
    getattr(pennylane_qstore, name)
import pennylane_qstore.v34, pennylane_qstore.ionq.client
from pennylane_qstore.compat import interfaces, pennylane, python
found["changes nothing"] = state() == before
from pennylane_qstore.ionq.http.api_key import find_key
find_key("a-key-of-a-service-1")
found["a key hides itself"] = logging.getLogRecordFactory() is not before[0]
qml.device("qstore.ionq", wires=1)
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def fresh():
    """The findings of a process that imports the package, part by part."""
    done = subprocess.run([sys.executable, "-c", FRESH], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


@pytest.mark.parametrize("part", ["the package", "the emulator"])
def test_importing_it_imports_nothing_heavy(fresh, part):
    assert set(fresh[f"of {part}"]) & set(HEAVY) == set()


def test_importing_the_package_changes_nothing_global(fresh):
    """Registries, PennyLane's tensor class and the log record factory stay as they are."""
    assert fresh["changes nothing"]
    assert fresh["a key hides itself"], "the log record factory is another one once a key is seen"


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


@pytest.mark.parametrize("name", ["ionq.client", "cli.main"])
def test_the_client_and_the_command_line_import_no_pennylane(name):
    code = f"""
import sys
import pennylane_qstore.{name}
print([m for m in ("pennylane", "autograd", "autoray") if m in sys.modules])
"""
    command = [sys.executable, "-c", code]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "[]\n"
