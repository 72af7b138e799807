"""The OpenQASM 3 that IonQ takes, read by the ``openqasm3`` reference parser.

Virtual registers, ``stdgates.inc``, IonQ's native gates (in turns, without an include), gate
definitions, ``ctrl @``, ``inv @``, constant expressions, broadcasting over registers,
``barrier``, measurement anywhere and ``reset``. Physical qubits and control flow are refused.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from pennylane_qstore.backends import MAX_QUBITS
from pennylane_qstore.server.errors import BadRequest, Preflight
from pennylane_qstore.server.inputs.qasm_gates import CircuitBuilder, check_numbers, refused
from pennylane_qstore.server.inputs.qasm_parser import parse

_MAX_GATES = 200_000
_MAX_WORK = 2_000_000
"""Steps of reading a program: a part of an expression, a qubit, a gate of a definition. A short
text may ask for very many, by gates that are defined by gates; a million take about a second."""
_MAX_TEXT = 1_000_000
"""Characters."""
_CONSTANTS = {
    "pi": math.pi,
    "π": math.pi,
    "tau": math.tau,
    "τ": math.tau,
    "euler": math.e,
    "ℇ": math.e,
}

_OPERATORS = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "**": operator.pow,
}


def read_qasm(text: str, inputs: Sequence[float] = ()) -> dict[str, Any]:
    """Read OpenQASM 3 text as a circuit in IonQ's JSON.

    Args:
        text: the program.
        inputs: values of its ``input`` variables, in the order they are declared.

    Returns:
        ``circuit``, ``gateset``, ``qubits``, ``recorded`` (how many of the qubits, the last
        ones, are there for what happened on the way) and the ``registers`` that measurements
        fill.

    Raises:
        Preflight: the text is not valid, or uses what IonQ does not take.
        BadRequest: 501, the parser is not installed.
    """
    try:
        import openqasm3
    except ImportError as error:
        raise BadRequest(
            "OpenQASM 3 jobs need the parser: pip install 'pennylane-qstore[qasm]'.", status=501
        ) from error
    if len(text) > _MAX_TEXT:
        raise refused(f"is longer than {_MAX_TEXT} characters, too long for the parser")
    try:
        program = parse(text)
    except Preflight:
        raise
    except Exception as error:
        raise refused(f"cannot be parsed: {error or type(error).__name__}") from error
    try:
        return _Reader(openqasm3.ast, inputs).read(program)
    except (RecursionError, OverflowError) as error:
        raise refused(f"cannot be read: {error}") from error


class _Reader:
    """Walks one program."""

    def __init__(self, ast: Any, inputs: Sequence[float]) -> None:
        self._ast = ast
        self._inputs = list(inputs)[::-1]
        self._qubits: dict[str, list[int]] = {}
        self._bits: dict[str, list[int | None]] = {}
        self._values: dict[str, float] = dict(_CONSTANTS)
        self._definitions: dict[str, Any] = {}
        self._ranks: dict[str, int] = {}  # of definitions, in their order
        self._visible = math.inf  # definitions of a lower rank are known where a gate is played
        self._qubit_count = 0
        self._gates = self._steps = 0
        self._circuit = CircuitBuilder()

    def read(self, program: Any) -> dict[str, Any]:
        for statement in program.statements:
            self._work(1)
            self._statement(statement)
        if not self._qubits:
            raise refused("declares no qubits")
        if self._inputs:
            raise refused(f"leaves {len(self._inputs)} parameter(s) without an input")
        return self._circuit.finish(self._bits)

    def _work(self, steps: int) -> None:
        """Count steps of work, and refuse a program that takes too many."""
        self._steps += steps
        if self._steps > _MAX_WORK:
            raise refused(f"takes more than {_MAX_WORK} steps to read")

    def _statement(self, node: Any) -> None:
        ast = self._ast
        if isinstance(node, ast.Include):
            if node.filename not in ("stdgates.inc", "qelib1.inc"):
                raise refused(f"includes {node.filename!r}; only stdgates.inc is known")
        elif isinstance(node, ast.QubitDeclaration):
            size = 1 if node.size is None else self._index(node.size)
            self._declare(node.qubit.name, size)
        elif isinstance(node, ast.ClassicalDeclaration):
            self._classical(node)
        elif isinstance(node, ast.ConstantDeclaration):
            self._values[node.identifier.name] = self._number(node.init_expression)
        elif isinstance(node, ast.IODeclaration) and node.io_identifier.name == "input":
            if not self._inputs:
                raise refused(
                    f"has the input {node.identifier.name!r}, for which there is no value"
                )
            self._values[node.identifier.name] = self._inputs.pop()
        elif isinstance(node, ast.QuantumGateDefinition):
            self._definitions[node.name.name] = node
            self._ranks.setdefault(node.name.name, len(self._ranks))
        elif isinstance(node, ast.QuantumGate | ast.QuantumPhase):
            self._broadcast(node)
        elif isinstance(node, ast.QuantumMeasurementStatement):
            self._measure(node.measure.qubit, node.target)
        elif isinstance(node, ast.QuantumReset):
            self._circuit.reset(self._operand(node.qubits))
        elif not isinstance(node, ast.QuantumBarrier | ast.Pragma):
            raise refused(f"uses {type(node).__name__}, which is not supported")

    def _declare(self, name: str, size: int) -> None:
        if size < 1:
            raise refused(f"declares {size} qubits in {name!r}")
        self._qubit_count += size
        if self._qubit_count > MAX_QUBITS:
            raise refused(f"declares more than {MAX_QUBITS} qubits")
        self._qubits[name] = self._circuit.declare(size)

    def _classical(self, node: Any) -> None:
        ast = self._ast
        name = node.identifier.name
        if isinstance(node.type, ast.BitType):
            size = 1 if node.type.size is None else self._index(node.type.size)
            if not 1 <= size <= 4096:
                raise refused(f"declares {size} bits in {name!r}")
            self._bits[name] = [None] * size
            if isinstance(node.init_expression, ast.QuantumMeasurement):
                self._measure(node.init_expression.qubit, node.identifier)
        elif isinstance(node.type, ast.FloatType | ast.IntType | ast.AngleType):
            if node.init_expression is None:
                raise refused(f"leaves {name!r} without a value")
            self._values[name] = self._number(node.init_expression)
        else:
            raise refused(f"declares {name!r} of a type that is not supported")

    def _broadcast(self, node: Any) -> None:
        """Play a gate on qubits, or on registers of one size."""
        operands = [self._operand(q) for q in node.qubits]
        length = max(map(len, operands), default=1)
        if any(len(o) not in (1, length) for o in operands):
            raise refused("broadcasts a gate over registers of different sizes")
        for k in range(length):
            qubits = [o[k] if len(o) > 1 else o[0] for o in operands]
            self._apply(node, self._values, qubits, inverse=False)

    def _apply(
        self, node: Any, values: dict[str, float], qubits: list[int], *, inverse: bool
    ) -> None:
        """Play a gate or a ``gphase``, defined or known, on single qubits."""
        ast = self._ast
        self._gates += 1
        self._work(1 + len(qubits) + len(node.modifiers))
        if self._gates > _MAX_GATES:
            raise refused(f"has more than {_MAX_GATES} gates")
        controls = 0
        for modifier in node.modifiers:
            if modifier.modifier == ast.GateModifierName.ctrl:
                controls += 1 if modifier.argument is None else self._index(modifier.argument)
            elif modifier.modifier == ast.GateModifierName.inv:
                inverse = not inverse
            else:
                raise refused(f"uses the modifier {modifier.modifier.name}, which is not supported")
        phase = isinstance(node, ast.QuantumPhase)
        name = "gphase" if phase else node.name.name
        arguments = [node.argument] if phase else node.arguments
        numbers = [self._number(a, values) for a in arguments]
        if not 0 <= controls <= len(qubits) or (phase and controls < len(qubits)):
            raise refused(f"controls {name!r} with {controls} of {len(qubits)} qubits")
        if self._ranks.get(name, math.inf) < self._visible:
            self._expand(name, numbers, qubits, controls, inverse=inverse)
        else:
            self._circuit.play(name, numbers, qubits, controls, inverse=inverse)

    def _expand(
        self, name: str, numbers: list[float], qubits: list[int], controls: int, *, inverse: bool
    ) -> None:
        """Play the body of a defined gate; with controls, each gate of it has them."""
        ast, definition = self._ast, self._definitions[name]
        own = qubits[controls:]
        check_numbers(name, numbers, len(definition.arguments))
        if len(own) != len(definition.qubits):
            raise refused(f"gives {name!r} {len(own)} qubit(s), it takes {len(definition.qubits)}")
        values = dict(_CONSTANTS) | {
            a.name: v for a, v in zip(definition.arguments, numbers, strict=True)
        }
        places = {q.name: p for q, p in zip(definition.qubits, own, strict=True)}
        # a body sees what was defined before it: no gate contains itself
        visible, self._visible = self._visible, self._ranks[name]
        for node in definition.body[::-1] if inverse else definition.body:
            self._work(1)
            if isinstance(node, ast.QuantumBarrier):
                continue
            if not isinstance(node, ast.QuantumGate | ast.QuantumPhase):
                raise refused(f"has {type(node).__name__} in the gate {name!r}")
            names = [getattr(q, "name", None) for q in node.qubits]
            if any(q not in places for q in names):
                raise refused(f"uses a qubit in the gate {name!r} that is none of its own")
            inner = qubits[:controls] + [places[q] for q in names]
            ctrl = ast.QuantumGateModifier(ast.GateModifierName.ctrl, ast.IntegerLiteral(controls))
            controlled = replace(node, modifiers=[ctrl, *node.modifiers])
            self._apply(controlled, values, inner, inverse=inverse)
        self._visible = visible

    def _measure(self, qubit: Any, target: Any) -> None:
        places = self._circuit.measure(self._operand(qubit))
        if target is None:
            return
        name, indices = self._reference(target)
        if name not in self._bits:
            raise refused(f"measures into {name!r}, which is no bit register")
        bits = self._bits[name]
        chosen = list(range(len(bits))) if indices is None else indices
        if len(chosen) != len(places) or any(not 0 <= b < len(bits) for b in chosen):
            raise refused(f"measures {len(places)} qubit(s) into {len(chosen)} bit(s)")
        for bit, place in zip(chosen, places, strict=True):
            bits[bit] = place

    def _operand(self, node: Any) -> list[int]:
        name, indices = self._reference(node)
        if name.startswith("$"):
            raise refused("uses physical qubits, which are not supported")
        if name not in self._qubits:
            raise refused(f"uses {name!r}, which is no qubit register")
        register = self._qubits[name]
        if indices is None:
            return register
        if any(not -len(register) <= i < len(register) for i in indices):
            raise refused(f"uses a qubit of {name!r} that does not exist")
        return [register[i] for i in indices]

    def _reference(self, node: Any) -> tuple[str, list[int] | None]:
        ast = self._ast
        if isinstance(node, ast.Identifier):
            return node.name, None
        if isinstance(node, ast.IndexedIdentifier) and len(node.indices) == 1:
            index = node.indices[0]
            if isinstance(index, list) and len(index) == 1:
                return node.name.name, [self._index(index[0])]
        raise refused("uses an index that is not supported")

    def _index(self, node: Any) -> int:
        value = self._number(node)
        if not float(value).is_integer():
            raise refused(f"uses {value!r} where an integer belongs")
        return int(value)

    def _number(self, node: Any, values: dict[str, float] | None = None) -> float:
        ast = self._ast
        known = self._values if values is None else values
        self._work(1)
        if isinstance(node, ast.IntegerLiteral | ast.FloatLiteral):
            return float(node.value)
        if isinstance(node, ast.Identifier) and node.name in known:
            return known[node.name]
        if isinstance(node, ast.UnaryExpression) and node.op.name == "-":
            return -self._number(node.expression, known)
        if isinstance(node, ast.BinaryExpression):
            left, right = self._number(node.lhs, known), self._number(node.rhs, known)
            try:
                return float(_OPERATORS[node.op.name](left, right))
            except (KeyError, ArithmeticError, TypeError) as error:
                raise refused(f"has an expression that cannot be evaluated: {error}") from error
        raise refused("has an expression that is not supported")
