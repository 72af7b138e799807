"""OpenQASM 3 text as a syntax tree: plain gates by a pattern, the rest by the reference parser.

The reference parser takes a second for every 15,000 characters, and a text may have a million. Most
of a long one are lines of gates on single qubits, whose numbers are literals: these are read here.
In the text for the parser one mark stands for a run of such lines.
"""

from __future__ import annotations

import re
from typing import Any

from pennylane_qstore.server.inputs.qasm_gates import GATE_NAMES, refused

_MAX_PARSED = 60_000
"""Characters for the reference parser; it takes about four seconds."""
_MARK = "qstore_plain_gates_"
# One way only to match each character: no text takes more than linear time.
_NAME = "[A-Za-z_][A-Za-z0-9_]*"
_NUMBER = r"-?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
_QUBIT = rf"{_NAME}\[[0-9]+\]"
_GATE = re.compile(
    rf"[ \t]*({_NAME})(?:[ \t]*\([ \t]*({_NUMBER}(?:[ \t]*,[ \t]*{_NUMBER})*)[ \t]*\)[ \t]*"
    r"|[ \t]+)"
    rf"({_QUBIT}(?:[ \t]*,[ \t]*{_QUBIT})*)[ \t]*;[ \t]*"
)
_DEFINED = re.compile(rf"^[ \t]*gate[ \t]+({_NAME})", re.MULTILINE)


def parse(text: str) -> Any:
    """Parse a program.

    Raises:
        Preflight: more of it than the parser can take is not plain gates.
        Exception: of the parser's, for text that is no program.
    """
    rest, runs = ([text], []) if "/*" in text or _MARK in text else _without_plain_gates(text)
    remaining = "".join(rest)
    if len(remaining) > _MAX_PARSED:
        raise refused(
            f"has {len(remaining)} characters beside lines of plain gates, as 'rx(0.5) q[0];' is "
            f"one, and {_MAX_PARSED} are the most"
        )
    program = _parse_all(remaining)
    program.statements = [gate for node in program.statements for gate in _in_place(node, runs)]
    return program


def _without_plain_gates(text: str) -> tuple[list[str], list[list[Any]]]:
    """Return the lines of a text, with a mark for each run of plain gates, and the runs."""
    known = GATE_NAMES.union(_DEFINED.findall(text))
    rest: list[str] = []
    runs: list[list[Any]] = []
    depth, is_complete, in_run = 0, True, False
    for line in text.splitlines(keepends=True):
        code = line.partition("//")[0]
        gates = _gates_of(code, known) if depth == 0 and is_complete else None
        if gates is None:
            rest.append(line)
            depth += code.count("{") - code.count("}")
            is_complete = code.rstrip().endswith((";", "}")) if code.strip() else is_complete
            in_run = in_run and not code.strip()
            continue
        if not in_run:
            rest.append(f"{_MARK}{len(runs)} q;")
            runs.append([])
            in_run = True
        rest.append("\n")  # lines of errors stay what they are
        runs[-1] += gates
    return rest, runs


def _gates_of(code: str, known: frozenset[str]) -> list[Any] | None:
    """Return the gates of a line; None if anything else is in it."""
    gates, end, code = [], 0, code.rstrip()
    while end < len(code):
        match = _GATE.match(code, end)
        if match is None or match[1] not in known:
            return None
        gates.append(_gate(*match.groups()))
        end = match.end()
    return gates or None


def _gate(name: str, numbers: str | None, qubits: str) -> Any:
    """Return a gate as the reference parser does, without places in the text."""
    from openqasm3 import ast

    operands = []
    for qubit in qubits.split(","):
        register, _, index = qubit.strip().rstrip("]").partition("[")
        indices = [[ast.IntegerLiteral(int(index))]]
        operands.append(ast.IndexedIdentifier(ast.Identifier(register), indices))
    arguments = [_literal(number.strip()) for number in numbers.split(",")] if numbers else []
    return ast.QuantumGate([], ast.Identifier(name), arguments, operands)


def _literal(number: str) -> Any:
    from openqasm3 import ast

    digits = number.removeprefix("-")
    literal = (
        ast.IntegerLiteral(int(digits)) if digits.isdecimal() else ast.FloatLiteral(float(digits))
    )
    minus = ast.UnaryOperator["-"]
    return literal if digits == number else ast.UnaryExpression(minus, literal)


def _in_place(node: Any, runs: list[list[Any]]) -> list[Any]:
    """Return the gates that a mark stands for, or the node itself."""
    name = getattr(getattr(node, "name", None), "name", None)
    if isinstance(name, str) and name.startswith(_MARK) and runs:
        return runs[int(name.removeprefix(_MARK))]
    return [node]


def _parse_all(text: str) -> Any:
    """Parse a program; unlike ``openqasm3.parse``, print no errors to standard error."""
    from antlr4 import CommonTokenStream, InputStream
    from antlr4.error.ErrorListener import ErrorListener
    from antlr4.error.ErrorStrategy import BailErrorStrategy
    from openqasm3.parser import QASM3ParsingError, QASMNodeVisitor, qasm3Lexer, qasm3Parser

    class Raise(ErrorListener):  # type: ignore[misc]
        def syntaxError(  # noqa: N802 - ANTLR's name
            self, _: Any, symbol: Any, line: int, column: int, message: str, error: Any
        ) -> None:
            raise QASM3ParsingError(f"line {line}, column {column}: {message}")

    lexer = qasm3Lexer(InputStream(text))
    parser = qasm3Parser(CommonTokenStream(lexer))
    for part in (lexer, parser):
        part.removeErrorListeners()
        part.addErrorListener(Raise())
    parser._errHandler = BailErrorStrategy()
    return QASMNodeVisitor().visitProgram(parser.program())
