"""The house style: what docstrings say, tests beside modules, short functions and files."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import pennylane_qstore

ROOT = Path(pennylane_qstore.__file__).parent
TESTS = Path(__file__).parent
FILES = {str(path.relative_to(ROOT)): path for path in sorted(ROOT.rglob("*.py"))}

LONGEST_FUNCTION = 60
LONGEST_FILE = 350

LONG_FILES: dict[str, str] = {
    "device.py": "the docstring of the device lists all of its options",
    "training/spsa.py": "one class of PennyLane's interface; a quarter is the list of its options",
}
"""Files over the limit of lines, with the reason."""

NO_TEST: dict[str, str] = {}
"""Modules without a test file of their own, with the reason."""


RIDDLE = re.compile(r"(What|Whether|Of|That|Who|Those|Nobody|Where|Why|How|Which)\b")
"""First words of a docstring that neither name a thing nor tell what is done."""


def public_functions(tree: ast.Module) -> list[tuple[ast.FunctionDef | ast.AsyncFunctionDef, str]]:
    """Return the functions and methods that others may call, with their dotted names."""
    found = []

    def visit(node: ast.AST, prefix: str) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.ClassDef) and not child.name.startswith("_"):
                visit(child, f"{prefix}{child.name}.")
            elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                if not child.name.startswith("_") and not _is_silent(child):
                    found.append((child, f"{prefix}{child.name}"))
            elif isinstance(child, ast.If | ast.Try):
                visit(child, prefix)

    visit(tree, "")
    return found


def _is_silent(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Return True for overloads and properties' setters, which their first definition documents."""
    names = [ast.unparse(decorator) for decorator in node.decorator_list]
    return any(name.endswith(("overload", ".setter")) for name in names)


def parameters(node: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    """Return the names of a function's parameters, without ``self``, ``cls`` and private ones."""
    arguments = node.args
    names = [a.arg for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
    names += [a.arg for a in (arguments.vararg, arguments.kwarg) if a]
    return [n for n in names if n not in ("self", "cls") and not n.startswith("_")]


def sections(docstring: str) -> dict[str, str]:
    """Return the parts of a Google docstring by their titles; the text before them under ``""``."""
    parts = re.split(
        r"^(Args|Returns|Yields|Raises|Attributes|Example):\s*$", docstring, flags=re.M
    )
    return {"": parts[0], **dict(zip(parts[1::2], parts[2::2], strict=True))}


def documented(section: str) -> set[str]:
    """Return the names that an ``Args`` section describes."""
    entries = re.findall(
        r"^    ?(?! )\s*([*\w, ]+?)\s*(?:\([^\n]*?\))?(?:, [*\w]+ \([^\n]*?\))*:", section, re.M
    )
    return {name.strip(" *") for entry in entries for name in entry.split(",")}


def _own(node: ast.AST) -> list[ast.AST]:
    """Return what a function's body holds, without functions inside it."""
    inside = []
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            inside += [child, *_own(child)]
    return inside


def returns_something(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    annotation = "" if node.returns is None else ast.unparse(node.returns)
    return annotation not in ("", "None", "NoReturn", "Never")


def raises(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Return True where the body raises something of its own (not only raises again)."""
    errors = [child.exc for child in _own(node) if isinstance(child, ast.Raise) and child.exc]
    return any(ast.unparse(error) != "NotImplementedError" for error in errors)


def faults(node: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    """Return what a public function's docstring leaves out."""
    docstring = ast.get_docstring(node)
    if docstring is None:
        return ["no docstring"]
    parts, names, found = sections(docstring), parameters(node), []
    if len(names) >= 2:
        left_out = set(names) - documented(parts.get("Args", ""))
        if left_out:
            found.append(f"Args leaves out {sorted(left_out)}")
        if returns_something(node) and not {"Returns", "Yields"} & parts.keys():
            found.append("no Returns")
    if raises(node) and "Raises" not in parts:
        found.append("no Raises")
    return found


@pytest.mark.parametrize("name", [name for name in FILES if not name.startswith("cli/")])
def test_public_functions_document_what_goes_in_and_out(name: str) -> None:
    """But for commands, whose options say in their declaration what ``--help`` shows."""
    functions = public_functions(ast.parse(FILES[name].read_text()))
    assert {dotted: found for node, dotted in functions if (found := faults(node))} == {}


@pytest.mark.parametrize("name", FILES)
def test_docstrings_begin_with_a_verb_or_the_name_of_the_thing(name: str) -> None:
    tree = ast.parse(FILES[name].read_text())
    kinds = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    firsts = [
        (ast.get_docstring(node) or "").split("\n")[0]
        for node in ast.walk(tree)
        if isinstance(node, kinds)
    ]
    assert [first for first in firsts if RIDDLE.match(first)] == []


@pytest.mark.parametrize("name", FILES)
def test_functions_are_short(name: str) -> None:
    tree = ast.parse(FILES[name].read_text())
    lengths = {
        node.name: node.end_lineno - node.lineno + 1
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno
    }
    assert {n: length for n, length in lengths.items() if length > LONGEST_FUNCTION} == {}


def test_files_are_short() -> None:
    long = {name for name, path in FILES.items() if path.read_text().count("\n") > LONGEST_FILE}
    assert long == set(LONG_FILES)


def has_behaviour(path: Path) -> bool:
    """Return True where a module defines a function, or a class with a method."""
    return any(
        isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(ast.parse(path.read_text()))
    )


def test_every_module_has_its_tests() -> None:
    """``tests/x/test_y.py`` for ``x/y.py``; a table names what has none, and why."""
    without = {
        name
        for name, path in FILES.items()
        if path.name != "__init__.py"
        and has_behaviour(path)
        and not (TESTS / Path(name).parent / f"test_{path.name}").exists()
    }
    assert without == set(NO_TEST)


def test_every_test_file_has_its_module() -> None:
    free = {"integration", "benchmarks", "conformance", "notebooks", "support"}
    tests = [path.relative_to(TESTS) for path in TESTS.rglob("test_*.py")]
    homeless = [
        str(path)
        for path in tests
        if path.parts[0] not in free
        and not (ROOT / path.parent / path.name.removeprefix("test_")).exists()
    ]
    assert sorted(homeless) == ["test_architecture.py", "test_import.py", "test_style.py"]
