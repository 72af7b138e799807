"""Source of a user's function, in a form that other releases of Python give as well."""

from __future__ import annotations
import __future__

import ast
import hashlib
import linecache
import sys
import sysconfig
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

_OURS = __name__.partition(".")[0]
_INSTALLED = tuple(
    Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib", "purelib", "platlib")
)
_FUTURE = 0
for _feature in __future__.all_feature_names:
    _FUTURE |= getattr(__future__, _feature).compiler_flag

_WITHOUT_EFFECT = frozenset(
    ("annotation", "returns", "type_comment", "type_params", "ctx", "kind", "decorator_list")
)
"""Fields of Python's syntax trees that do not change what a function returns.

Decorators do; but PennyLane's and JAX's are settings, which are compared by themselves.
"""

_Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


@dataclass(frozen=True, slots=True)
class Source:
    """The source of a function.

    Attributes:
        digest: of its syntax tree, without positions, its name, comments and annotations.
        names: that it reads and does not bind itself.
        attributes: that it reads of a name, as (name, attribute).
    """

    digest: str
    names: tuple[str, ...]
    attributes: tuple[tuple[str, str], ...]


def is_installed(file: str | None) -> bool:
    """Return True for a file of the standard library or of an installed package.

    Args:
        file: path of the source; None for what has none, as modules written in C.
    """
    if file is None or file.startswith("<frozen"):
        return True
    path = Path(file)
    if {"site-packages", "dist-packages"} & set(path.parts):
        return True
    return any(path.is_relative_to(folder) for folder in _INSTALLED)


def is_users(made: Any) -> bool:
    """Return True for a function, class or module of the user's program, not of a package.

    Args:
        made: the function, class or module.
    """
    if isinstance(made, FunctionType):
        module, file = str(made.__module__), str(made.__code__.co_filename)
    else:
        module = str(made.__module__ if isinstance(made, type) else made.__name__)
        file = getattr(sys.modules.get(module), "__file__", "<frozen>")
        if module == "__main__":
            return True
    return module.partition(".")[0] != _OURS and not is_installed(file)


def is_ours(made: Any) -> bool:
    """Return True for a function or class of this package."""
    return str(getattr(made, "__module__", "")).partition(".")[0] == _OURS


def source_of(function: FunctionType) -> Source | None:
    """Return the source of a function; None where it cannot be told for certain.

    The text that Python finds is compiled and compared with the function: a file that was edited
    since it was imported is not taken for its source.

    Args:
        function: of Python.
    """
    code = function.__code__
    linecache.checkcache(code.co_filename)
    text = "".join(linecache.getlines(code.co_filename, function.__globals__))
    found: list[_Function] = []
    for apart in (False, True):
        try:
            functions, codes = _parsed(text, code.co_flags & _FUTURE, apart)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None
        if any(_is_same(code, other) for other in codes.get(code.co_firstlineno, ())):
            found = [node for node in functions.get(code.co_firstlineno, ()) if _holds(node, code)]
            break
    if not found:
        return None
    node = min(found, key=lambda node: len(list(ast.walk(node))))  # the innermost one
    body = node.body if isinstance(node.body, list) else [node.body]
    shown = f"{_shown(node.args)} {_shown(body)}"
    known = {*code.co_freevars, *(name for inner in _nested(code) for name in inner.co_names)}
    names: dict[str, None] = {}
    attributes: dict[tuple[str, str], None] = {}
    for inner in (inner for part in body for inner in ast.walk(part)):
        if isinstance(inner, ast.Name) and inner.id in known:
            names[inner.id] = None
        elif isinstance(inner, ast.Attribute) and isinstance(inner.value, ast.Name):
            attributes[inner.value.id, inner.attr] = None
    digest = hashlib.sha256(shown.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return Source(digest, tuple(names), tuple(attributes))


@lru_cache(maxsize=64)
def _parsed(
    text: str, flags: int, apart: bool
) -> tuple[dict[int, list[_Function]], dict[int, list[CodeType]]]:
    """Return the functions of a text, and their code, by the number of their first line.

    IPython compiles the statements of a cell apart. Python's code of a function differs by that:
    it depends on the imports beside it.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Python has warned when it compiled the program
        tree = ast.parse(text)
        trees = [ast.Module([node], []) for node in tree.body] if apart else [tree]
        compiled = [compile(t, "<source>", "exec", flags, dont_inherit=True) for t in trees]
    functions: dict[int, list[_Function]] = {}
    codes: dict[int, list[CodeType]] = {}
    for node in ast.walk(tree):
        if isinstance(node, _Function):
            first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", ()))])
            functions.setdefault(first, []).append(node)
    for code in (inner for one in compiled for inner in _nested(one)):
        codes.setdefault(code.co_firstlineno, []).append(code)
    return functions, codes


def _nested(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _nested(constant)


def _is_same(code: CodeType, other: CodeType) -> bool:
    names = ("co_name", "co_code", "co_names", "co_varnames", "co_freevars", "co_cellvars")
    counts = ("co_argcount", "co_posonlyargcount", "co_kwonlyargcount")
    if any(getattr(code, name) != getattr(other, name) for name in (*names, *counts)):
        return False
    constants, others = code.co_consts, other.co_consts
    return len(constants) == len(others) and all(
        _is_same(mine, its)
        if isinstance(mine, CodeType) and isinstance(its, CodeType)
        else type(mine) is type(its) and (mine == its or repr(mine) == repr(its))
        for mine, its in zip(constants, others, strict=True)
    )


def _holds(node: _Function, code: CodeType) -> bool:
    """Return True where code may be that of a function: by its name, or by where a lambda ends."""
    if not isinstance(node, ast.Lambda):
        return node.name == code.co_name
    if code.co_name != "<lambda>":
        return False
    body = node.body
    begin = body.lineno, body.col_offset
    end = body.end_lineno or 0, body.end_col_offset or 0
    return all(
        begin <= (line, column) and (end_line, end_column) <= end
        for line, end_line, column, end_column in code.co_positions()
        if line is not None and end_line is not None
        if column is not None
        and end_column is not None
        and (line, column) != (end_line, end_column)
    )


def _shown(node: Any) -> str:
    """Return a syntax tree as text: not ast.dump's, which changes from release to release."""
    if isinstance(node, list):
        # Docstrings, and other constants that stand alone, do nothing.
        kept = [n for n in node if not (isinstance(n, ast.Expr) and _is_constant(n.value))]
        return f"[{' '.join(_shown(item) for item in kept)}]"
    if not isinstance(node, ast.AST):
        return repr(node)
    if isinstance(node, ast.JoinedStr):  # Python 3.12 splits them in another way; they are messages
        return "JoinedStr"
    fields = {n: getattr(node, n, None) for n in node._fields if n not in _WITHOUT_EFFECT}
    if isinstance(node, ast.Constant):
        return f"Constant({node.value!r})"
    shown = [f"{n}={_shown(v)}" for n, v in fields.items() if v is not None and v != []]
    return f"{type(node).__name__}({' '.join(shown)})"


def _is_constant(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant)
