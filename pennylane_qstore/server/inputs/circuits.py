"""IonQ's circuit JSON in, programs out: one gate skeleton with a row of numbers per circuit.

The reader is as lenient as the service has been seen to be (``target`` or ``targets``,
``control`` or ``controls``, ``zz`` with ``phase``, ``z`` with a rotation) and refuses the
rest with a :class:`BadRequest` that names the circuit and the gate.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from operator import itemgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pennylane_qstore.gateset import FULL_ANGLE, NATIVE, QIS
from pennylane_qstore.server.errors import BadRequest
from pennylane_qstore.server.inputs.program import COPY, Gate, Program

MAX_CONTROLS = 7
"""Most controls on one QIS gate."""
PAULIEXP_MAX_QUBITS = 10
"""Most qubits of one ``pauliexp`` whose terms do not commute."""

_NAMES = {"qis": [*QIS, "pauliexp"], "native": [*NATIVE, "nop"]}
_NUMERIC = ("phase", "phases", "angle", "rotation", "time", "coefficients")


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
        gateset: what applies to circuits without their own.
        qubits: the same; ``None``: as many as the gates need.
        strict_ranges: refuse native phases outside [-1, 1] and angles outside what the
            machine takes.
        copies: take :data:`COPY` for a gate.

    Raises:
        BadRequest: a circuit is not valid; the message says which and why.
    """
    groups: dict[Any, list[int]] = {}
    for position, circuit in enumerate(circuits):
        if not isinstance(circuit, Mapping):
            raise BadRequest(f'"circuits[{position}]" must be an object.', keys=["input.circuits"])
        gates = circuit.get("circuit")
        if not isinstance(gates, list):
            raise BadRequest(
                f'"circuits[{position}].circuit" must be an array of gates.', keys=["input.circuit"]
            )
        try:
            names = tuple(map(itemgetter("gate"), gates))
            key = (circuit.get("gateset", gateset), circuit.get("qubits", qubits), names)
            groups.setdefault(key, []).append(position)
        except (KeyError, TypeError) as error:
            raise BadRequest(
                f'"circuits[{position}]": every gate must be an object with a "gate" name.',
                keys=["input.circuit"],
            ) from error
    programs: list[Program] = []
    for (own_gateset, own_qubits, names), members in groups.items():
        _check_head(own_gateset, own_qubits, names, members[0], copies=copies)
        rows = [circuits[i]["circuit"] for i in members]
        try:
            skeleton, params = _columns(own_gateset, names, rows)
        except _NotUniform:
            for same in _split(rows):
                picked = [rows[i] for i in same]
                try:
                    skeleton, params = _columns(own_gateset, names, picked)
                except _NotUniform as error:
                    raise BadRequest(
                        f'"circuits[{members[same[0]]}]" has a malformed gate: {error}.',
                        keys=["input.circuit"],
                    ) from error
                programs.append(
                    _program(
                        own_gateset,
                        own_qubits,
                        skeleton,
                        params,
                        [members[i] for i in same],
                        strict_ranges,
                    )
                )
            continue
        programs.append(_program(own_gateset, own_qubits, skeleton, params, members, strict_ranges))
    return programs


class _NotUniform(Exception):  # noqa: N818
    """The rows of a group differ in more than numbers, or a number is not one."""


def _check_head(
    gateset: Any, qubits: Any, names: tuple[Any, ...], where: int, *, copies: bool
) -> None:
    if gateset not in _NAMES:
        raise BadRequest(
            f'"gateset" must be "qis" or "native", not {gateset!r}.', keys=["input.gateset"]
        )
    if qubits is not None and (type(qubits) is not int or qubits < 1):
        raise BadRequest(
            f'"qubits" must be an integer of at least 1, not {qubits!r}.', keys=["input.qubits"]
        )
    allowed = _NAMES[gateset]
    for j, name in enumerate(names):
        if name not in allowed and not (copies and name == COPY):
            raise BadRequest(
                f'"circuits[{where}].circuit[{j}].gate" must be one of [{", ".join(allowed)}] '
                f"for gateset {gateset}, not {name!r}.",
                keys=["input.circuit"],
            )


def _columns(
    gateset: str, names: tuple[str, ...], rows: list[list[dict[str, Any]]]
) -> tuple[tuple[Gate, ...], NDArray[np.float64]]:
    """The skeleton and the numbers of rows that differ in numbers only.

    The loops run over columns (one gate of all rows) so that the work per gate and row
    happens in C.
    """
    count = len(rows)
    gates: list[Gate] = []
    columns: list[NDArray[np.float64]] = []
    for j, (name, column) in enumerate(zip(names, zip(*rows, strict=True), strict=True)):
        first = column[0]
        size = len(first)
        if list(map(len, column)).count(size) != count:
            raise _NotUniform(f"gate {j}")
        fixed: dict[str, Any] = {}
        numbers: dict[str, NDArray[np.float64]] = {}
        for key in first:
            try:
                values = list(map(itemgetter(key), column))
            except KeyError:
                raise _NotUniform(f"gate {j}, {key!r}") from None
            if key in _NUMERIC and values[0] is not None:
                numbers[key] = _numbers(key, values, j)
            elif values.count(values[0]) != count:
                raise _NotUniform(f"gate {j}, {key!r}")
            else:
                fixed[key] = values[0]
        gate, params = _gate(gateset, name, fixed, numbers, count, j)
        if gate is not None:
            gates.append(gate)
            columns.extend(params)
    table = np.stack(columns, axis=1) if columns else np.zeros((count, 0))
    return tuple(gates), table


def _numbers(key: str, values: list[Any], j: int) -> NDArray[np.float64]:
    """A column of numbers [rows], or of equally long lists of numbers [rows, length]."""
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
    """Rows of one sequence of names, grouped by everything that is not a number."""
    groups: dict[Any, list[int]] = {}
    for i, row in enumerate(rows):
        groups.setdefault(tuple(map(_form, row)), []).append(i)
    return list(groups.values())


def _form(gate: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(
        (key, len(value) if isinstance(value, list) else None)
        if key in _NUMERIC
        else (key, repr(value))
        for key, value in sorted(gate.items())
    )


def _gate(
    gateset: str,
    name: str,
    fixed: Mapping[str, Any],
    numbers: dict[str, NDArray[np.float64]],
    count: int,
    j: int,
) -> tuple[Gate | None, list[NDArray[np.float64]]]:
    where = f"circuit[{j}] ({name})"
    if name == "nop":
        return None, []
    targets = _qubits(fixed, "target", "targets", where)
    controls = _qubits(fixed, "control", "controls", where)
    if len(set(targets + controls)) != len(targets) + len(controls):
        raise BadRequest(f'"{where}" uses a qubit twice.', keys=["input.circuit"])
    if name == COPY:
        return Gate(name, targets, controls, 0), []
    if gateset == "native":
        if controls:
            raise BadRequest(f'"{where}": native gates take no controls.', keys=["input.circuit"])
        return _native(name, targets, numbers, count, where)
    if name == "pauliexp":
        return _pauliexp(targets, controls, fixed, numbers, count, where)
    if name == "cnot" and not controls:
        raise BadRequest(f'"{where}" needs "control" or "controls".', keys=["input.circuit"])
    name = {"not": "x", "cnot": "x"}.get(name, name)
    rotation = numbers.get("rotation")
    spec = QIS[name]
    if name == "z" and rotation is not None:
        name, spec = "p", QIS["rz"]
    _arity(targets, spec.targets, where)
    if not spec.slots:
        return Gate(name, targets, controls, 0), []
    if rotation is None or rotation.ndim != 1:
        raise BadRequest(f'"{where}" needs a "rotation" in radians.', keys=["input.circuit"])
    return Gate(name, targets, controls, 1), [rotation]


def _qubits(fixed: Mapping[str, Any], one: str, many: str, where: str) -> tuple[int, ...]:
    found: list[Any] = []
    for key in (one, many):
        value = fixed.get(key)
        if value is not None:
            found.extend(value if isinstance(value, list) else [value])
    for qubit in found:
        if type(qubit) is not int or qubit < 0:
            raise BadRequest(
                f'"{where}.{many}" must hold integers of at least 0, not {qubit!r}.',
                keys=["input.circuit"],
            )
    return tuple(found)


def _arity(targets: tuple[int, ...], wanted: int, where: str) -> None:
    if len(targets) != wanted:
        raise BadRequest(
            f'"{where}" acts on {wanted} target(s), not {len(targets)}.', keys=["input.circuit"]
        )


def _native(
    name: str,
    targets: tuple[int, ...],
    numbers: dict[str, NDArray[np.float64]],
    count: int,
    where: str,
) -> tuple[Gate, list[NDArray[np.float64]]]:
    spec = NATIVE[name]
    _arity(targets, spec.targets, where)
    if spec.parameters == ("phase",):
        phase = numbers.get("phase")
        if phase is None or phase.ndim != 1:
            raise BadRequest(f'"{where}" needs a "phase" in turns.', keys=["input.circuit"])
        return Gate(name, targets, (), 1), [phase]
    if spec.parameters == ("angle",):
        angle = numbers.get("angle", numbers.get("phase"))
        if angle is None or angle.ndim != 1:
            raise BadRequest(f'"{where}" needs an "angle" in turns.', keys=["input.circuit"])
        return Gate(name, targets, (), 1), [angle]
    phases = numbers.get("phases")
    if phases is None or phases.shape != (count, 2):
        raise BadRequest(f'"{where}" needs two "phases" in turns.', keys=["input.circuit"])
    angle = numbers.get("angle", np.full(count, FULL_ANGLE))
    if angle.ndim != 1:
        raise BadRequest(f'"{where}.angle" must be a number of turns.', keys=["input.circuit"])
    return Gate(name, targets, (), 3), [phases[:, 0], phases[:, 1], angle]


def _pauliexp(
    targets: tuple[int, ...],
    controls: tuple[int, ...],
    fixed: Mapping[str, Any],
    numbers: dict[str, NDArray[np.float64]],
    count: int,
    where: str,
) -> tuple[Gate, list[NDArray[np.float64]]]:
    terms, time = fixed.get("terms"), numbers.get("time")
    coefficients = numbers.get("coefficients")
    if not isinstance(terms, list) or not all(
        isinstance(t, str) and len(t) == len(targets) and set(t) <= set("IXYZ") for t in terms
    ):
        raise BadRequest(
            f'"{where}.terms" must be Pauli strings, one letter of I, X, Y, Z per target.',
            keys=["input.circuit"],
        )
    if coefficients is None or coefficients.shape != (count, len(terms)):
        raise BadRequest(
            f'"{where}.coefficients" must hold one real number per term.', keys=["input.circuit"]
        )
    if time is None or time.ndim != 1 or np.any(time < 0):
        raise BadRequest(f'"{where}.time" must be a number >= 0.', keys=["input.circuit"])
    if not targets:
        raise BadRequest(f'"{where}" needs "targets".', keys=["input.circuit"])
    gate = Gate("pauliexp", targets, controls, len(terms), tuple(terms))
    return gate, [time * coefficients[:, k] for k in range(len(terms))]


def _program(
    gateset: str,
    qubits: int | None,
    gates: tuple[Gate, ...],
    params: NDArray[np.float64],
    index: list[int],
    strict_ranges: bool,
) -> Program:
    used = 1 + max(chain([-1], *(gate.targets + gate.controls for gate in gates)))
    if qubits is None:
        qubits = max(1, used)
    elif used > qubits:
        raise BadRequest(
            f'"circuits[{index[0]}]" uses qubit {used - 1}, but "qubits" is {qubits}.',
            keys=["input.qubits"],
        )
    if not np.isfinite(params).all():
        raise BadRequest("Gate parameters must be finite numbers.", keys=["input.circuit"])
    if gateset == "native" and strict_ranges:
        _check_ranges(gates, params, index)
    return Program(gateset, qubits, gates, params, np.asarray(index, dtype=np.intp))


def _check_ranges(gates: Iterable[Gate], params: NDArray[np.float64], index: Sequence[int]) -> None:
    slot = 0
    low, high = np.empty(params.shape[1]), np.empty(params.shape[1])
    for gate in gates:
        low[slot : slot + gate.slots], high[slot : slot + gate.slots] = -1.0, 1.0
        if gate.name == "ms":
            low[slot + 2], high[slot + 2] = 0.0, FULL_ANGLE
        slot += gate.slots
    margin = 1e-12  # a phase computed as 1 + rounding is 1
    wrong = (params < low - margin) | (params > high + margin)
    if wrong.any():
        row, column = map(int, np.argwhere(wrong)[0])
        raise BadRequest(
            f'"circuits[{index[row]}]" has a native parameter {float(params[row, column])}: phases '
            "are turns in [-1, 1], the angle of ms is 0 to 0.25 turns, of zz -1 to 1.",
            keys=["input.circuit"],
        )
