"""The OpenQASM 3 that IonQ takes, read by the ``openqasm3`` reference parser.

Virtual registers, the gates of ``stdgates.inc`` that IonQ's JSON can say, ``ctrl @``,
``inv @``, constant expressions, broadcasting over registers, ``barrier``, and measurements
at the end. Physical qubits, control flow, mid-circuit measurement and ``reset`` are refused.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from pennylane_qstore.emulator.circuits import BadRequest

_PLAIN = {
    "x": "x",
    "y": "y",
    "z": "z",
    "h": "h",
    "s": "s",
    "sdg": "si",
    "t": "t",
    "tdg": "ti",
    "sx": "v",
}
_TURNING = {"rx": "rx", "ry": "ry", "rz": "rz", "p": "z", "phase": "z", "u1": "z"}
_CONTROLLED = {"cx": "x", "CX": "x", "cy": "y", "cz": "z", "ch": "h", "ccx": "x", "cswap": "swap"}
_CONTROLLED_TURNING = {"crx": "rx", "cry": "ry", "crz": "rz", "cp": "z", "cphase": "z"}
_PAIRS = {"rxx": "xx", "ryy": "yy", "rzz": "zz"}
_INVERSE = {"s": "si", "si": "s", "t": "ti", "ti": "t", "v": "vi", "vi": "v"}
_CONSTANTS = {
    "pi": math.pi,
    "π": math.pi,
    "tau": math.tau,
    "τ": math.tau,
    "euler": math.e,
    "ℇ": math.e,
}


def read_qasm(text: str) -> dict[str, Any]:
    """A circuit in IonQ's JSON from OpenQASM 3 text.

    Returns:
        ``circuit``, ``qubits`` and the ``registers`` that measurements fill.

    Raises:
        BadRequest: the text is not valid, or uses what IonQ does not take; 501 where the
            parser is not installed.
    """
    try:
        import openqasm3
    except ImportError as error:
        raise BadRequest(
            "OpenQASM 3 jobs need the parser: pip install 'pennylane-qstore[qasm]'.", status=501
        ) from error
    try:
        program = _parse(text)
    except Exception as error:
        raise _bad(f"cannot be parsed: {error or type(error).__name__}") from error
    return _Reader(openqasm3.ast).read(program)


def _parse(text: str) -> Any:
    """As ``openqasm3.parse``, without its printing what is wrong to standard error."""
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


class _Reader:
    """Walks one program."""

    def __init__(self, ast: Any) -> None:
        self._ast = ast
        self._qubits: dict[str, list[int]] = {}
        self._bits: dict[str, list[int | None]] = {}
        self._values: dict[str, float] = dict(_CONSTANTS)
        self._measured: set[int] = set()
        self._count = 0
        self._gates: list[dict[str, Any]] = []

    def read(self, program: Any) -> dict[str, Any]:
        for statement in program.statements:
            self._statement(statement)
        if not self._count:
            raise _bad("declares no qubits")
        return {
            "circuit": self._gates,
            "qubits": self._count,
            "registers": {n: b for n, b in self._bits.items() if any(q is not None for q in b)},
        }

    def _statement(self, node: Any) -> None:
        ast = self._ast
        if isinstance(node, ast.Include):
            if node.filename not in ("stdgates.inc", "qelib1.inc"):
                raise _bad(f"includes {node.filename!r}; only stdgates.inc is known")
        elif isinstance(node, ast.QubitDeclaration):
            size = 1 if node.size is None else self._index(node.size)
            self._declare(node.qubit.name, size)
        elif isinstance(node, ast.ClassicalDeclaration):
            self._classical(node)
        elif isinstance(node, ast.ConstantDeclaration):
            self._values[node.identifier.name] = self._number(node.init_expression)
        elif isinstance(node, ast.QuantumGate):
            self._gate(node)
        elif isinstance(node, ast.QuantumMeasurementStatement):
            self._measure(node.measure.qubit, node.target)
        elif isinstance(node, ast.QuantumBarrier | ast.Pragma):
            return
        else:
            raise _bad(f"uses {type(node).__name__}, which is not supported")

    def _declare(self, name: str, size: int) -> None:
        if size < 1:
            raise _bad(f"declares {size} qubits in {name!r}")
        if self._count + size > 64:
            raise _bad("declares more than 64 qubits")
        self._qubits[name] = list(range(self._count, self._count + size))
        self._count += size

    def _classical(self, node: Any) -> None:
        ast = self._ast
        name = node.identifier.name
        if isinstance(node.type, ast.BitType):
            size = 1 if node.type.size is None else self._index(node.type.size)
            if not 1 <= size <= 4096:
                raise _bad(f"declares {size} bits in {name!r}")
            self._bits[name] = [None] * size
            if isinstance(node.init_expression, ast.QuantumMeasurement):
                self._measure(node.init_expression.qubit, node.identifier)
        elif isinstance(node.type, ast.FloatType | ast.IntType | ast.AngleType):
            if node.init_expression is None:
                raise _bad(f"leaves {name!r} without a value")
            self._values[name] = self._number(node.init_expression)
        else:
            raise _bad(f"declares {name!r} of a type that is not supported")

    def _gate(self, node: Any) -> None:
        ast = self._ast
        controls, inverse = 0, False
        for modifier in node.modifiers:
            if modifier.modifier == ast.GateModifierName.ctrl:
                controls += 1 if modifier.argument is None else self._index(modifier.argument)
            elif modifier.modifier == ast.GateModifierName.inv:
                inverse = not inverse
            else:
                raise _bad(f"uses the modifier {modifier.modifier.name}, which is not supported")
        numbers = [self._number(a) for a in node.arguments]
        operands = [self._operand(q) for q in node.qubits]
        length = max(map(len, operands))
        if any(len(o) not in (1, length) for o in operands):
            raise _bad(f"broadcasts {node.name.name} over registers of different sizes")
        for k in range(length):
            qubits = [o[k] if len(o) > 1 else o[0] for o in operands]
            if self._measured & set(qubits):
                raise _bad("acts on a qubit after its measurement, which is not supported")
            self._emit(node.name.name, numbers, qubits, controls, inverse=inverse)

    def _emit(
        self, name: str, numbers: Sequence[float], qubits: list[int], extra: int, *, inverse: bool
    ) -> None:
        own = 2 if name == "ccx" else 1 if name in _CONTROLLED or name in _CONTROLLED_TURNING else 0
        controls, targets = qubits[: extra + own], qubits[extra + own :]
        if name in ("id", "gphase", "U", "u3", "u2"):
            self._rotation(name, numbers, controls, targets, inverse=inverse)
            return
        turning = {**_TURNING, **_CONTROLLED_TURNING, **_PAIRS}
        gate: dict[str, Any] = {"targets": targets}
        if controls:
            gate["controls"] = controls
        if name in turning:
            _take(name, numbers, 1)
            gate |= {"gate": turning[name], "rotation": -numbers[0] if inverse else numbers[0]}
        elif name == "swap" or name in _PLAIN or name in _CONTROLLED:
            _take(name, numbers, 0)
            plain = _PLAIN.get(name) or _CONTROLLED.get(name) or name
            gate["gate"] = _INVERSE.get(plain, plain) if inverse else plain
        else:
            raise _bad(f"uses the gate {name!r}, which is not supported")
        self._gates.append(gate)

    def _rotation(
        self,
        name: str,
        numbers: Sequence[float],
        controls: list[int],
        targets: list[int],
        *,
        inverse: bool,
    ) -> None:
        """The gates that IonQ's JSON has no name for. Controlled ones would need a phase."""
        if name == "id":
            return
        if name == "gphase" and not controls:
            return
        if name == "gphase" or controls:
            raise _bad(f"controls {name!r}, which is not supported")
        _take(name, numbers, 2 if name == "u2" else 3)
        theta, phi, lam = (math.pi / 2, *numbers) if name == "u2" else numbers
        if inverse:
            theta, phi, lam = -theta, -lam, -phi
        for gate, angle in (("rz", lam), ("ry", theta), ("rz", phi)):
            self._gates.append({"gate": gate, "targets": targets, "rotation": angle})

    def _measure(self, qubit: Any, target: Any) -> None:
        places = self._operand(qubit)
        self._measured.update(places)
        if target is None:
            return
        name, indices = self._reference(target)
        if name not in self._bits:
            raise _bad(f"measures into {name!r}, which is no bit register")
        bits = self._bits[name]
        chosen = list(range(len(bits))) if indices is None else indices
        if len(chosen) != len(places) or any(not 0 <= b < len(bits) for b in chosen):
            raise _bad(f"measures {len(places)} qubit(s) into {len(chosen)} bit(s)")
        for bit, place in zip(chosen, places, strict=True):
            bits[bit] = place

    def _operand(self, node: Any) -> list[int]:
        name, indices = self._reference(node)
        if name.startswith("$"):
            raise _bad("uses physical qubits, which are not supported")
        if name not in self._qubits:
            raise _bad(f"uses {name!r}, which is no qubit register")
        register = self._qubits[name]
        if indices is None:
            return register
        if any(not -len(register) <= i < len(register) for i in indices):
            raise _bad(f"uses a qubit of {name!r} that does not exist")
        return [register[i] for i in indices]

    def _reference(self, node: Any) -> tuple[str, list[int] | None]:
        ast = self._ast
        if isinstance(node, ast.Identifier):
            return node.name, None
        if isinstance(node, ast.IndexedIdentifier) and len(node.indices) == 1:
            index = node.indices[0]
            if isinstance(index, list) and len(index) == 1:
                return node.name.name, [self._index(index[0])]
        raise _bad("uses an index that is not supported")

    def _index(self, node: Any) -> int:
        value = self._number(node)
        if not float(value).is_integer():
            raise _bad(f"uses {value!r} where an integer belongs")
        return int(value)

    def _number(self, node: Any) -> float:
        ast = self._ast
        if isinstance(node, ast.IntegerLiteral | ast.FloatLiteral):
            return float(node.value)
        if isinstance(node, ast.Identifier) and node.name in self._values:
            return self._values[node.name]
        if isinstance(node, ast.UnaryExpression) and node.op.name == "-":
            return -self._number(node.expression)
        if isinstance(node, ast.BinaryExpression):
            left, right = self._number(node.lhs), self._number(node.rhs)
            try:
                return {
                    "+": lambda: left + right,
                    "-": lambda: left - right,
                    "*": lambda: left * right,
                    "/": lambda: left / right,
                    "**": lambda: float(left**right),
                }[node.op.name]()
            except (KeyError, ArithmeticError, TypeError) as error:
                raise _bad(f"has an expression that cannot be evaluated: {error}") from error
        raise _bad("has an expression that is not supported")


def _take(name: str, numbers: Sequence[float], wanted: int) -> None:
    if len(numbers) != wanted:
        raise _bad(f"gives {name!r} {len(numbers)} parameter(s), it takes {wanted}")


def _bad(what: str) -> BadRequest:
    return BadRequest(f'"input.data" {what}.', keys=["input.data"])
