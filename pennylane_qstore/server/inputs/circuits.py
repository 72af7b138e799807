"""IonQ's circuit JSON in, programs out: one gate skeleton with a row of numbers per circuit.

The reader is as lenient as the service has been seen to be (``target`` or ``targets``,
``control`` or ``controls``, ``zz`` with ``phase``, ``z`` with a rotation) and refuses the
rest with a :class:`BadRequest` that names the circuit and the gate.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pennylane_qstore.gateset import FULL_ANGLE, NATIVE, QIS
from pennylane_qstore.server.errors import BadRequest
from pennylane_qstore.server.inputs.alike import NUMERIC, Table, TableRow
from pennylane_qstore.server.inputs.program import COPY, Gate, Program

_NAMES = {"qis": [*QIS, "pauliexp"], "native": [*NATIVE, "nop"]}
_Numbers = NDArray[np.float64]


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
        every = names.names if isinstance(names, Table) else names
        _check_head(own_gateset, own_qubits, every, members[0], copies=copies)
        rows = [circuits[i]["circuit"] for i in members]
        if isinstance(names, Table):
            columns = _table_columns(names, [row.place for row in rows])
            parts = iter([(members, *_skeleton(own_gateset, columns, len(rows)))])
        else:
            parts = _uniform(own_gateset, names, rows, members)
        for index, gates, params in parts:
            own = _count_qubits(gates, own_qubits, index[0])
            if not np.isfinite(params).all():
                raise _refuse("Gate parameters must be finite numbers.")
            if own_gateset == "native" and strict_ranges:
                _check_ranges(gates, params, index)
            programs.append(
                Program(own_gateset, own, gates, params, np.asarray(index, dtype=np.intp))
            )
    return programs


def _gate_names(circuit: Any, position: int) -> tuple[Any, ...] | Table:
    """Return the names of a circuit's gates; the table that the circuit is a row of."""
    if not isinstance(circuit, dict):
        raise _refuse(f'"circuits[{position}]" must be an object.', "input.circuits")
    gates = circuit.get("circuit")
    if isinstance(gates, TableRow):
        return gates.table
    if not isinstance(gates, list):
        raise _refuse(f'"circuits[{position}].circuit" must be an array of gates.')
    try:
        return tuple(map(itemgetter("gate"), gates))
    except (KeyError, TypeError) as error:
        raise _nameless(position) from error


def _check_head(
    gateset: Any, qubits: Any, names: tuple[Any, ...], where: int, *, copies: bool
) -> None:
    if gateset not in _NAMES:
        raise _refuse(f'"gateset" must be "qis" or "native", not {gateset!r}.', "input.gateset")
    if qubits is not None and (type(qubits) is not int or qubits < 1):
        raise _refuse(f'"qubits" must be an integer of at least 1, not {qubits!r}.', "input.qubits")
    allowed = _NAMES[gateset]
    for j, name in enumerate(names):
        if name not in allowed and not (copies and name == COPY):
            raise _refuse(
                f'"circuits[{where}].circuit[{j}].gate" must be one of [{", ".join(allowed)}] '
                f"for gateset {gateset}, not {name!r}."
            )


def _count_qubits(gates: tuple[Gate, ...], qubits: int | None, where: int) -> int:
    used = 1 + max(chain([-1], *(gate.targets + gate.controls for gate in gates)))
    if qubits is None:
        return max(1, used)
    if used > qubits:
        raise _refuse(
            f'"circuits[{where}]" uses qubit {used - 1}, but "qubits" is {qubits}.', "input.qubits"
        )
    return qubits


class _NotUniform(Exception):  # noqa: N818
    """The rows of a group differ in more than numbers, or a number is not one."""


class _Column(NamedTuple):
    """One gate of all rows: the members of its JSON that are the same, and the numbers."""

    where: str
    rows: int
    fixed: dict[str, Any]
    numbers: dict[str, _Numbers]


def _uniform(
    gateset: str, names: tuple[str, ...], rows: list[list[dict[str, Any]]], members: list[int]
) -> Iterator[tuple[list[int], tuple[Gate, ...], _Numbers]]:
    """Yield position, skeleton and numbers of rows that differ in numbers only."""
    try:
        skeleton = _skeleton(gateset, _columns(names, rows), len(rows))
    except _NotUniform:
        for same in _split(rows):
            index = [members[i] for i in same]
            try:
                columns = _columns(names, [rows[i] for i in same])
                skeleton = _skeleton(gateset, columns, len(same))
            except _NotUniform as error:
                raise _refuse(f'"circuits[{index[0]}]" has a malformed gate: {error}.') from error
            yield index, *skeleton
    else:
        yield members, *skeleton


def _skeleton(
    gateset: str, columns: Iterable[tuple[str, _Column]], rows: int
) -> tuple[tuple[Gate, ...], _Numbers]:
    """Return the skeleton and the numbers of rows, from the name and the column of each gate."""
    gates: list[Gate] = []
    params: list[_Numbers] = []
    for name, column in columns:
        if name != "nop":
            gate, numbers = _gate(gateset, name, column)
            gates.append(gate)
            params.extend(numbers)
    table = np.stack(params, axis=1) if params else np.zeros((rows, 0))
    return tuple(gates), table


def _table_columns(table: Table, rows: list[int]) -> Iterator[tuple[str, _Column]]:
    """Yield name and column of each gate of some rows of a table."""
    numbers_of = table.columns(rows)
    for j, (name, gate) in enumerate(zip(table.names, table.gates, strict=True)):
        parts = _Column(f"circuit[{j}] ({name})", len(rows), {}, {})
        for key, value in gate.items():
            if key in NUMERIC and value is not None:
                parts.numbers[key] = numbers_of(value)
            else:
                parts.fixed[key] = value
        yield name, parts


def _columns(
    names: tuple[str, ...], rows: list[list[dict[str, Any]]]
) -> Iterator[tuple[str, _Column]]:
    """Yield name and column of each gate of rows that differ in numbers only.

    The loops run over columns (a gate of all rows): the work per gate and row happens in C.
    """
    count = len(rows)
    for j, (name, column) in enumerate(zip(names, zip(*rows, strict=True), strict=True)):
        first = column[0]
        size = len(first)
        if list(map(len, column)).count(size) != count:
            raise _NotUniform(f"gate {j}")
        parts = _Column(f"circuit[{j}] ({name})", count, {}, {})
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


def _numbers(key: str, values: list[Any], j: int) -> _Numbers:
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


def _gate(gateset: str, name: str, column: _Column) -> tuple[Gate, list[_Numbers]]:
    targets = _qubits(column, "target", "targets")
    controls = _qubits(column, "control", "controls")
    if len(set(targets + controls)) != len(targets) + len(controls):
        raise _refuse(f'"{column.where}" uses a qubit twice.')
    if name == COPY:
        return Gate(name, targets, controls, 0), []
    if gateset == "native":
        if controls:
            raise _refuse(f'"{column.where}": native gates take no controls.')
        return _native(name, targets, column)
    if name == "pauliexp":
        return _pauliexp(targets, controls, column)
    if name == "cnot" and not controls:
        raise _refuse(f'"{column.where}" needs "control" or "controls".')
    name = {"not": "x", "cnot": "x"}.get(name, name)
    rotation = column.numbers.get("rotation")
    spec = QIS[name]
    if name == "z" and rotation is not None:
        name, spec = "p", QIS["rz"]
    _check_targets(targets, spec.targets, column.where)
    if not spec.slots:
        return Gate(name, targets, controls, 0), []
    if rotation is None or rotation.ndim != 1:
        raise _refuse(f'"{column.where}" needs a "rotation" in radians.')
    return Gate(name, targets, controls, 1), [rotation]


def _qubits(column: _Column, one: str, many: str) -> tuple[int, ...]:
    qubits: list[Any] = []
    for key in (one, many):
        value = column.fixed.get(key)
        if value is not None:
            qubits.extend(value if isinstance(value, list) else [value])
    for qubit in qubits:
        if type(qubit) is not int or qubit < 0:
            raise _refuse(
                f'"{column.where}.{many}" must hold integers of at least 0, not {qubit!r}.'
            )
    return tuple(qubits)


def _check_targets(targets: tuple[int, ...], wanted: int, where: str) -> None:
    if len(targets) != wanted:
        raise _refuse(f'"{where}" acts on {wanted} target(s), not {len(targets)}.')


def _native(name: str, targets: tuple[int, ...], column: _Column) -> tuple[Gate, list[_Numbers]]:
    where, numbers, spec = column.where, column.numbers, NATIVE[name]
    _check_targets(targets, spec.targets, where)
    if spec.slots == 1:
        (member,) = spec.parameters
        value = numbers.get(member, numbers.get("phase"))  # zz has its angle under either name
        if value is None or value.ndim != 1:
            article = "an" if member == "angle" else "a"
            raise _refuse(f'"{where}" needs {article} "{member}" in turns.')
        return Gate(name, targets, (), 1), [value]
    phases = numbers.get("phases")
    if phases is None or phases.shape != (column.rows, 2):
        raise _refuse(f'"{where}" needs two "phases" in turns.')
    angle = numbers.get("angle", np.full(column.rows, FULL_ANGLE))
    if angle.ndim != 1:
        raise _refuse(f'"{where}.angle" must be a number of turns.')
    return Gate(name, targets, (), 3), [phases[:, 0], phases[:, 1], angle]


def _pauliexp(
    targets: tuple[int, ...], controls: tuple[int, ...], column: _Column
) -> tuple[Gate, list[_Numbers]]:
    where, time = column.where, column.numbers.get("time")
    terms, coefficients = column.fixed.get("terms"), column.numbers.get("coefficients")
    if not isinstance(terms, list) or not all(
        isinstance(t, str) and len(t) == len(targets) and set(t) <= set("IXYZ") for t in terms
    ):
        raise _refuse(
            f'"{where}.terms" must be Pauli strings, one letter of I, X, Y, Z per target.'
        )
    if coefficients is None or coefficients.shape != (column.rows, len(terms)):
        raise _refuse(f'"{where}.coefficients" must hold one real number per term.')
    if time is None or time.ndim != 1 or np.any(time < 0):
        raise _refuse(f'"{where}.time" must be a number >= 0.')
    if not targets:
        raise _refuse(f'"{where}" needs "targets".')
    gate = Gate("pauliexp", targets, controls, len(terms), tuple(terms))
    return gate, [time * coefficients[:, k] for k in range(len(terms))]


def _check_ranges(gates: Iterable[Gate], params: NDArray[np.float64], index: Sequence[int]) -> None:
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
        raise _refuse(
            f'"circuits[{index[row]}]" has a native parameter {float(params[row, column])}: phases '
            "are turns in [-1, 1], the angle of ms is 0 to 0.25 turns, of zz -1 to 1."
        )


def _nameless(position: int) -> BadRequest:
    return _refuse(f'"circuits[{position}]": every gate must be an object with a "gate" name.')


def _refuse(message: str, key: str = "input.circuit") -> BadRequest:
    return BadRequest(message, keys=[key])
