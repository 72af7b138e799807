"""The house: who imports whom, one way only, without circles."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import pennylane_qstore

ROOT = Path(pennylane_qstore.__file__).parent
PACKAGE = ROOT.name

GROUND = {
    *("_version", "errors", "secret", "validation", "gateset", "backends", "prices", "compat"),
    *("characterization", "operations", "run_names", "compiled", "fixed_decimals", "text_kernel"),
}
"""What every room may import. Among themselves these files only import the ones before them."""

ROOMS = {
    "native": set(),
    "ionq": set(),
    "server": set(),
    "emulator": {"server", "native.gates", "native.compiler"},
    "gateway": {"server", "ionq"},
    "watch": {"server", "ionq"},
    "deferral": set(),
    "measurement": {"native"},
    "execution": {"deferral", "measurement", "native", "ionq", "emulator"},
    "device": {"execution", "deferral", "measurement", "native", "ionq.client"},
    "drawing": {"device", "native"},
    "transforms": {"native", "measurement"},
    "training": {"deferral", "emulator.service.latency"},
    "sweeps": {"training", "execution", "deferral", "ionq.ledger.rows"},
    "estimators": {"training"},
    "v34": {"training", "device", "drawing", "execution", "deferral", "native", "ionq"},
    "bench": {
        "v34", "training", "device", "execution", "deferral", "native", "ionq", "emulator",
        "server.inputs", "server.errors",
    },
    "cli": {
        "bench", "v34", "sweeps", "training", "device", "execution", "native", "ionq",
        "emulator", "gateway", "watch",
    },
}  # fmt: skip
"""What each room may import beside itself and the ground; a dotted name allows that module."""

LATE = {("execution", "emulator")}
"""Arrows that run only inside functions: whoever asks for the emulator gets it."""


def module_of(path: Path) -> str:
    """Return a file's dotted name below the package; a folder's for its ``__init__``."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {module_of(path): path for path in sorted(ROOT.rglob("*.py"))}


def imported(name: str) -> list[tuple[str, bool]]:
    """Return the package's modules that a file imports, and whether at its top level.

    Imports inside functions and under ``TYPE_CHECKING`` count like the others.
    """
    tree = ast.parse(FILES[name].read_text())
    found = []
    late = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}: imports are absolute in this package"
            full = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [
                f if f.removeprefix(f"{PACKAGE}.") in FILES else str(node.module) for f in full
            ]
        else:
            continue
        for module in names:
            if module.split(".")[0] == PACKAGE:
                found.append((module.removeprefix(PACKAGE).removeprefix("."), id(node) not in late))
    return found


def room_of(module: str) -> str:
    return module.split(".")[0]


def allowed(room: str, module: str) -> bool:
    target = room_of(module)
    return target in GROUND | {room} or any(
        module == known or module.startswith(f"{known}.") for known in ROOMS[room]
    )


INSIDE = [name for name in FILES if name and room_of(name) not in GROUND | {"__main__"}]


@pytest.mark.parametrize("name", INSIDE)
def test_a_room_imports_only_what_is_below_it(name: str) -> None:
    room = room_of(name)
    wrong = [module for module, _ in imported(name) if not allowed(room, module)]
    assert wrong == []


@pytest.mark.parametrize(("room", "target"), sorted(LATE))
def test_some_arrows_are_late(room: str, target: str) -> None:
    early = [
        name
        for name in INSIDE
        if room_of(name) == room
        for module, top in imported(name)
        if top and room_of(module) == target
    ]
    assert early == []


def test_the_ground_imports_nothing_above_it() -> None:
    for name in FILES:
        if room_of(name) in GROUND:
            assert {room_of(module) for module, _ in imported(name)} <= GROUND


def test_no_circles() -> None:
    """Every file stands above all that it imports."""
    arrows = {name: {m for m, _ in imported(name) if m and m != name} for name in FILES}
    left = dict(arrows)
    while free := [name for name, below in left.items() if not below & left.keys()]:
        for name in free:
            del left[name]
    assert not left, {name: sorted(below & left.keys()) for name, below in left.items()}


def test_the_client_knows_nothing_of_pennylane() -> None:
    for name in FILES:
        if room_of(name) == "ionq":
            tree = ast.parse(FILES[name].read_text())
            modules = [a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names]
            modules += [str(n.module) for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)]
            assert not [m for m in modules if room_of(m) == "pennylane"], name


PRIVATE = ("_src", "_getframe", "_current_frames", "_DummyThread", "pythonapi", "_qfunc_output")


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=lambda p: str(p.relative_to(ROOT)))
def test_nobody_else_uses_a_private_hook(path):
    """Private names of other libraries are imported, and looked up, in ``compat`` alone."""
    if path.parent == ROOT / "compat":
        return
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert not str(node.module).startswith("autograd.")
            own = str(node.module).startswith("pennylane_qstore")
            assert own or not [a.name for a in node.names if a.name.startswith("_")]
        if isinstance(node, ast.Attribute):
            assert node.attr not in PRIVATE, node.lineno
