"""Source of functions: the same for the same function, and none where it is not certain."""

from __future__ import annotations

import ast
import importlib.util
import json
import subprocess
import sys
from functools import wraps
from pathlib import Path

import numpy as np
import pytest

import pennylane_qstore
from pennylane_qstore.training.function_source import is_installed, is_users, source_of


def module_of(path, text):
    """Return a module that is imported from a file."""
    path.write_text(text)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def digests(path, *texts):
    """Return the digests of ``f`` in several texts, each imported from a file of its own."""
    modules = [module_of(path / f"m{i}.py", text) for i, text in enumerate(texts)]
    return [source_of(module.f).digest for module in modules]


PLAIN = "def f(out, y):\n    return ((out - y) ** 2).mean()\n"


@pytest.mark.parametrize(
    "same",
    [
        "\n\nimport os\n" + PLAIN,
        'def f(out, y):\n    """Square."""\n    # comment\n    return ((out - y)**2).mean()\n',
        "def f(out: float, y: list[int]) -> float:\n    return ((out - y) ** 2).mean()\n",
        "def g(out, y):\n    return (\n        (out - y) ** 2\n    ).mean()\nf = g\n",
        "from functools import cache\n@cache\n" + PLAIN + "f = f.__wrapped__\n",
        "class A:\n    @staticmethod\n    def f(out, y):\n        return ((out - y) ** 2).mean()\n"
        "f = A.f\n",
    ],
)
def test_lines_comments_types_and_names_make_no_difference(same, tmp_path):
    first, second = digests(tmp_path, PLAIN, same)
    assert first == second


@pytest.mark.parametrize(
    "other",
    [
        "def f(out, y):\n    return ((out + y) ** 2).mean()\n",
        "def f(out, y):\n    return ((out - y) ** 2.0).mean()\n",
        "def f(out, y):\n    return ((out - y) ** 2).sum()\n",
        "def f(out, y, w=1):\n    return ((out - y) ** 2).mean()\n",
        "def f(y, out):\n    return ((out - y) ** 2).mean()\n",
        "f = lambda out, y: ((out - y) ** 2).mean()\n",
    ],
)
def test_what_returns_something_else_is_another(other, tmp_path):
    first, second = digests(tmp_path, PLAIN, other)
    assert first != second


def test_lambdas_of_one_line_are_told_apart(tmp_path):
    text = "a, f = (lambda x: x + 1), (lambda x: (lambda z: z * 2)(x) + 1)\ng = f.__code__\n"
    module = module_of(tmp_path / "m.py", text)
    inside = next(c for c in module.f.__code__.co_consts if hasattr(c, "co_code"))
    functions = module.a, module.f, type(module.f)(inside, vars(module))
    found = [source_of(function).digest for function in functions]
    alone = digests(
        tmp_path,
        "f = lambda x: x + 1\n",
        "f = lambda x: (lambda z: z * 2)(x) + 1\n",
        "f = lambda z: z * 2\n",
    )
    assert found == alone


def test_a_file_that_was_edited_since_is_not_its_source(tmp_path):
    module = module_of(tmp_path / "m.py", PLAIN)
    (tmp_path / "m.py").write_text(PLAIN.replace("-", "+   "))  # of another size
    assert source_of(module.f) is None


def test_a_function_without_a_file_has_no_source():
    space: dict = {}
    exec("f = lambda x: x", space)
    assert source_of(space["f"]) is None


def test_names_are_those_that_it_reads(tmp_path):
    text = (
        "import math\nA, B, C, x = 1, 2, 3, 4\n"
        "def outer(k):\n    def f(x):\n        C = 1\n"
        "        return A * x + k + math.pi + sum(B * i for i in [C])\n    return f\nf = outer(2)\n"
    )
    source = source_of(module_of(tmp_path / "m.py", text).f)
    assert set(source.names) == {"A", "k", "math", "sum", "B"}
    assert source.attributes == (("math", "pi"),)


SCRIPT = """
import json, sys
sys.path[:0] = [{root!r}, {folder!r}]
import m
from pennylane_qstore.training.function_source import source_of
print(json.dumps([source_of(f).digest for f in (m.f, m.g)]))
"""

SYNTAX = """
def f(p, /, y, *args, w=0.1, **kw):
    "Doc."
    match p:
        case [1, *rest] if rest:
            return f"{p!r:>{10}} {y=}"
        case {"a": x, **k}:
            return ...
    d = {k: v for k, v in zip(p, y)}
    with open(p) as q, open(y):
        assert (n := len(d)), "text"
    return {1, 2, *y} and [i for i in p if i] @ y[..., ::2] + 1e-300 + 3j
g = (lambda p,
       y: p)
"""


def test_another_process_finds_the_same(tmp_path):
    """So do Python 3.11.7, 3.12.1 and 3.13.0, whose digests of these lines are kept here."""
    (tmp_path / "m.py").write_text(SYNTAX)
    script = SCRIPT.format(
        root=str(Path(pennylane_qstore.__file__).parents[1]), folder=str(tmp_path)
    )
    ran = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    assert json.loads(ran.stdout) == ["9c56406f2d7da8f7", "5586e67e7394d8f9"]


def test_installed_packages_are_told_from_the_user_s_program():
    @wraps(np.mean)
    def mine(x):
        return x

    mine.__module__ = "program"
    assert is_users(mine)
    assert not is_users(np.mean)
    assert not is_users(json.dumps)
    assert not is_users(source_of)
    assert is_installed("/p/.venv/lib/python3.12/site-packages/a.py")
    assert not is_installed("/home/user/a.py")


def test_cells_are_compiled_apart(tmp_path):
    """As IPython does: code then does not know that ``np`` was imported in the same cell."""
    text = "import numpy as np\n" + PLAIN.replace("(out - y)", "np.abs(out - y)")
    path = tmp_path / "cell.py"
    path.write_text(text)
    space: dict = {}
    for node in ast.parse(text).body:
        exec(compile(ast.Module([node], []), str(path), "exec"), space)
    module = module_of(tmp_path / "m.py", text)
    assert source_of(space["f"]) == source_of(module.f)
