"""Count the package's code: lines without docstrings, comments and blanks, files, functions.

    python tests/benchmarks/count_code.py [FOLDER]

Prints one row for each room, the totals, and the longest functions.
"""

from __future__ import annotations

import ast
import io
import sys
import tokenize
from collections import Counter
from pathlib import Path

_IGNORED = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT}


def docstring_lines(tree: ast.Module) -> set[int]:
    """Return the numbers of the lines that strings standing alone take."""
    return {
        line
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }


def code_lines(source: str) -> int:
    """Return how many lines hold code."""
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in _IGNORED and token.string:
            lines.update(range(token.start[0], token.end[0] + 1))
    return len(lines - docstring_lines(ast.parse(source)))


def functions(path: Path, tree: ast.Module) -> list[tuple[int, str]]:
    """Return each function's length in lines, docstring included, and its place."""
    return [
        (node.end_lineno - node.lineno + 1, f"{path}:{node.lineno} {node.name}")
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno
    ]


def main(root: Path) -> None:
    """Print the figures of the package below ``root``."""
    rooms: Counter[str] = Counter()
    files: Counter[str] = Counter()
    lengths: list[tuple[int, str]] = []
    for path in sorted(root.rglob("*.py")):
        source = path.read_text()
        room = str(path.relative_to(root).parent)
        rooms[room] += code_lines(source)
        files[room] += 1
        lengths += functions(path.relative_to(root), ast.parse(source))
    for room in sorted(rooms):
        print(f"{rooms[room]:7d} lines {files[room]:4d} files  {room}")
    print(f"{sum(rooms.values()):7d} lines {sum(files.values()):4d} files  in all")
    for length, place in sorted(lengths, reverse=True)[:10]:
        print(f"{length:7d} lines  {place}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "pennylane_qstore"))
