"""IonQ's circuit JSON in, programs out: one gate skeleton with a row of numbers per circuit.

What is wrong is refused with a :class:`BadRequest` that names the circuit and the gate.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import chain
from operator import itemgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pennylane_qstore.gateset import FULL_ANGLE, NATIVE, QIS
from pennylane_qstore.server.errors import BadRequest
from pennylane_qstore.server.inputs.alike import NUMERIC, Structure, Table
from pennylane_qstore.server.inputs.gates import GateColumn, Numbers, read_gates, refuse
from pennylane_qstore.server.inputs.program import COPY, Gate, Program

_NAMES = {"qis": [*QIS, "pauliexp"], "native": [*NATIVE, "nop"]}
_Positions = Sequence[int] | NDArray[np.intp]


def read_circuits(
    circuits: Sequence[Any],
    *,
    gateset: str | None = None,
    qubits: int | None = None,
    strict_ranges: bool = True,
    copies: bool = False,
) -> list[Program]:
    """Group circuits by gate skeleton.

    Args:
        circuits: mappings with ``circuit`` and optionally ``gateset``, ``qubits``.
        gateset: applies to circuits without their own.
        qubits: the same; ``None``: as many as the gates need.
        strict_ranges: refuse native phases outside [-1, 1] and angles outside the machine's
            range.
        copies: take :data:`COPY` for a gate.

    Returns:
        The programs; ``Program.index`` holds the positions of its circuits.

    Raises:
        BadRequest: a circuit is not valid; the message says which and why.
    """
    groups: dict[Any, list[int]] = {}
    for position, circuit in enumerate(circuits):
        names = _gate_names(circuit, position)
        key = (circuit.get("gateset", gateset), circuit.get("qubits", qubits), names)
        try:
            groups.setdefault(key, []).append(position)
        except TypeError as error:  # a name that cannot be hashed
            raise _nameless(position) from error
    programs: list[Program] = []
    for (own_gateset, own_qubits, names), members in groups.items():
        _check_head(own_gateset, own_qubits, names, members[0], copies=copies)
        rows = [circuits[i]["circuit"] for i in members]
        for index, gates, params in _uniform(own_gateset, names, rows, members):
            programs.append(_program(own_gateset, own_qubits, gates, params, index, strict_ranges))
    return programs


def read_tables(
    tables: Iterable[Table], *, gateset: Any, qubits: Any, strict_ranges: bool = True
) -> list[Program]:
    """Return the programs of circuits that are read already; see :func:`read_circuits`.

    Args:
        tables: circuits by structure.
        gateset: of all circuits.
        qubits: the same; ``None``: as many as the gates need.
        strict_ranges: refuse native phases and angles outside their range.

    Returns:
        A program for each table.

    Raises:
        BadRequest: a circuit is not valid; the message says which and why.
    """
    programs: list[Program] = []
    for structure, numbers, positions in tables:
        names = tuple(gate["gate"] for gate in structure.gates)
        _check_head(gateset, qubits, names, int(positions[0]), copies=False)
        gates, places = _found_skeleton(gateset, structure)
        if places is None:
            gates, params = read_gates(gateset, _table_columns(structure, numbers), len(numbers))
        else:
            params = numbers[:, places]
        programs.append(_program(gateset, qubits, gates, params, positions, strict_ranges))
    return programs


def _program(
    gateset: str,
    qubits: int | None,
    gates: tuple[Gate, ...],
    params: Numbers,
    index: _Positions,
    strict_ranges: bool,
) -> Program:
    own = _count_qubits(gates, qubits, int(index[0]))
    if not np.isfinite(params).all():
        raise refuse("Gate parameters must be finite numbers.")
    if gateset == "native" and strict_ranges:
        _check_ranges(gates, params, index)
    return Program(gateset, own, gates, params, np.asarray(index, dtype=np.intp))


def _gate_names(circuit: Any, position: int) -> tuple[Any, ...]:
    if not isinstance(circuit, dict):
        raise refuse(f'"circuits[{position}]" must be an object.', "input.circuits")
    gates = circuit.get("circuit")
    if not isinstance(gates, list):
        raise refuse(f'"circuits[{position}].circuit" must be an array of gates.')
    try:
        return tuple(map(itemgetter("gate"), gates))
    except (KeyError, TypeError) as error:
        raise _nameless(position) from error


def _check_head(
    gateset: Any, qubits: Any, names: tuple[Any, ...], where: int, *, copies: bool
) -> None:
    if gateset not in _NAMES:
        raise refuse(f'"gateset" must be "qis" or "native", not {gateset!r}.', "input.gateset")
    if qubits is not None and (type(qubits) is not int or qubits < 1):
        raise refuse(f'"qubits" must be an integer of at least 1, not {qubits!r}.', "input.qubits")
    allowed = _NAMES[gateset]
    for j, name in enumerate(names):
        if name not in allowed and not (copies and name == COPY):
            raise refuse(
                f'"circuits[{where}].circuit[{j}].gate" must be one of [{", ".join(allowed)}] '
                f"for gateset {gateset}, not {name!r}."
            )


def _count_qubits(gates: tuple[Gate, ...], qubits: int | None, where: int) -> int:
    used = 1 + max(chain([-1], *(gate.targets + gate.controls for gate in gates)))
    if qubits is None:
        return max(1, used)
    if used > qubits:
        raise refuse(
            f'"circuits[{where}]" uses qubit {used - 1}, but "qubits" is {qubits}.', "input.qubits"
        )
    return qubits


class _NotUniform(Exception):  # noqa: N818
    """The rows of a group differ in more than numbers, or a number is not one."""


def _uniform(
    gateset: str, names: tuple[str, ...], rows: list[list[dict[str, Any]]], members: list[int]
) -> Iterator[tuple[list[int], tuple[Gate, ...], Numbers]]:
    """Yield position, skeleton and numbers of rows that differ in numbers only."""
    try:
        skeleton = read_gates(gateset, _columns(names, rows), len(rows))
    except _NotUniform:
        for same in _split(rows):
            index = [members[i] for i in same]
            try:
                columns = _columns(names, [rows[i] for i in same])
                skeleton = read_gates(gateset, columns, len(same))
            except _NotUniform as error:
                raise refuse(f'"circuits[{index[0]}]" has a malformed gate: {error}.') from error
            yield index, *skeleton
    else:
        yield members, *skeleton


@lru_cache(maxsize=16)
def _found_skeleton(
    gateset: str, structure: Structure
) -> tuple[tuple[Gate, ...], NDArray[np.intp] | None]:
    """Return the skeleton of a structure, and which of a row's numbers its parameters are.

    These are found from two rows whose numbers tell their places; ``None`` where a parameter is
    none of a row's numbers as it is there.

    Raises:
        BadRequest: the gates are not valid.
    """
    places = np.arange(2.0 * structure.places).reshape(2, -1)
    gates, params = read_gates(gateset, _table_columns(structure, places), 2)
    alike = (params[1] - params[0] == structure.places).all()
    # a time is checked, and multiplied by the coefficients
    timed = any(gate.name == "pauliexp" for gate in gates)
    if not structure.places or not alike or timed:
        return gates, None
    return gates, params[0].astype(np.intp)


def _table_columns(structure: Structure, numbers: Numbers) -> Iterator[tuple[str, GateColumn]]:
    """Yield name and column of each gate of rows of a table."""

    def column(value: Any) -> Numbers:
        if isinstance(value, list):
            return np.array([column(v) for v in value]).reshape(-1, len(numbers)).T
        return (
            numbers[:, int(value)] if type(value) is float else np.full(len(numbers), value * 1.0)
        )

    for j, gate in enumerate(structure.gates):
        parts = GateColumn(f"circuit[{j}] ({gate['gate']})", len(numbers), {}, {})
        for key, value in gate.items():
            if key in NUMERIC and value is not None:
                parts.numbers[key] = column(value)
            else:
                parts.fixed[key] = value
        yield gate["gate"], parts


def _columns(
    names: tuple[str, ...], rows: list[list[dict[str, Any]]]
) -> Iterator[tuple[str, GateColumn]]:
    """Yield name and column of each gate of rows that differ in numbers only.

    The loops run over columns (a gate of all rows): the work per gate and row happens in C.
    """
    count = len(rows)
    for j, (name, column) in enumerate(zip(names, zip(*rows, strict=True), strict=True)):
        first = column[0]
        size = len(first)
        if list(map(len, column)).count(size) != count:
            raise _NotUniform(f"gate {j}")
        parts = GateColumn(f"circuit[{j}] ({name})", count, {}, {})
        for key in first:
            try:
                values = list(map(itemgetter(key), column))
            except KeyError:
                raise _NotUniform(f"gate {j}, {key!r}") from None
            if key in NUMERIC and values[0] is not None:
                parts.numbers[key] = _numbers(key, values, j)
            elif values.count(values[0]) != count:
                raise _NotUniform(f"gate {j}, {key!r}")
            else:
                parts.fixed[key] = values[0]
        yield name, parts


def _numbers(key: str, values: list[Any], j: int) -> Numbers:
    """Return a column of numbers [rows], or of equally long lists of numbers [rows, length]."""
    kinds = set(map(type, values))
    if kinds <= {int, float}:
        return np.asarray(values, dtype=np.float64)
    if kinds == {list}:
        lengths = set(map(len, values))
        inner = set(map(type, chain.from_iterable(values)))
        if len(lengths) == 1 and inner <= {int, float}:
            return np.asarray(values, dtype=np.float64).reshape(len(values), lengths.pop())
    raise _NotUniform(f'"circuit[{j}].{key}" must be a number (or an array of numbers)')


def _split(rows: list[list[dict[str, Any]]]) -> list[list[int]]:
    """Group rows of one sequence of names by everything that is not a number."""
    groups: dict[Any, list[int]] = {}
    for i, row in enumerate(rows):
        groups.setdefault(tuple(map(_form, row)), []).append(i)
    return list(groups.values())


def _form(gate: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(
        (key, len(value) if isinstance(value, list) else None)
        if key in NUMERIC
        else (key, repr(value))
        for key, value in sorted(gate.items())
    )


def _check_ranges(gates: Iterable[Gate], params: Numbers, index: _Positions) -> None:
    slot, low, high = 0, np.empty(params.shape[1]), np.empty(params.shape[1])
    for gate in gates:
        low[slot : slot + gate.slots], high[slot : slot + gate.slots] = -1.0, 1.0
        if gate.name == "ms":
            low[slot + 2], high[slot + 2] = 0.0, FULL_ANGLE
        slot += gate.slots
    margin = 1e-12  # a phase computed as 1 + rounding is 1
    wrong = (params < low - margin) | (params > high + margin)
    if wrong.any():
        row, column = map(int, np.argwhere(wrong)[0])
        raise refuse(
            f'"circuits[{index[row]}]" has a native parameter {float(params[row, column])}: phases '
            "are turns in [-1, 1], the angle of ms is 0 to 0.25 turns, of zz -1 to 1."
        )


def _nameless(position: int) -> BadRequest:
    return refuse(f'"circuits[{position}]": every gate must be an object with a "gate" name.')
