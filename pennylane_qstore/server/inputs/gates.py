"""Gates in IonQ's JSON, a column for each: one gate of all circuits of a structure.

The reader is as lenient as the service has been seen to be (``target`` or ``targets``,
``control`` or ``controls``, ``zz`` with ``phase``, ``z`` with a rotation) and refuses the
rest with a :class:`BadRequest` that names the circuit and the gate.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pennylane_qstore.gateset import FULL_ANGLE, NATIVE, QIS
from pennylane_qstore.server.errors import BadRequest
from pennylane_qstore.server.inputs.program import COPY, Gate

Numbers = NDArray[np.float64]


class GateColumn(NamedTuple):
    """One gate of all rows: the members of its JSON that are the same, and the numbers."""

    where: str
    rows: int
    fixed: dict[str, Any]
    numbers: dict[str, Numbers]


def read_gates(
    gateset: str, columns: Iterable[tuple[str, GateColumn]], rows: int
) -> tuple[tuple[Gate, ...], Numbers]:
    """Read the gates of circuits.

    Args:
        gateset: ``"qis"`` or ``"native"``.
        columns: name and column of each gate.
        rows: number of circuits.

    Returns:
        The skeleton, and its numbers, shape [rows, slots].

    Raises:
        BadRequest: a gate is not valid.
    """
    gates: list[Gate] = []
    params: list[Numbers] = []
    for name, column in columns:
        if name != "nop":
            gate, numbers = _gate(gateset, name, column)
            gates.append(gate)
            params.extend(numbers)
    table = np.stack(params, axis=1) if params else np.zeros((rows, 0))
    return tuple(gates), table


def _gate(gateset: str, name: str, column: GateColumn) -> tuple[Gate, list[Numbers]]:
    targets = _qubits(column, "target", "targets")
    controls = _qubits(column, "control", "controls")
    if len(set(targets + controls)) != len(targets) + len(controls):
        raise refuse(f'"{column.where}" uses a qubit twice.')
    if name == COPY:
        return Gate(name, targets, controls, 0), []
    if gateset == "native":
        if controls:
            raise refuse(f'"{column.where}": native gates take no controls.')
        return _native(name, targets, column)
    if name == "pauliexp":
        return _pauliexp(targets, controls, column)
    if name == "cnot" and not controls:
        raise refuse(f'"{column.where}" needs "control" or "controls".')
    name = {"not": "x", "cnot": "x"}.get(name, name)
    rotation = column.numbers.get("rotation")
    spec = QIS[name]
    if name == "z" and rotation is not None:
        name, spec = "p", QIS["rz"]
    _check_targets(targets, spec.targets, column.where)
    if not spec.slots:
        return Gate(name, targets, controls, 0), []
    if rotation is None or rotation.ndim != 1:
        raise refuse(f'"{column.where}" needs a "rotation" in radians.')
    return Gate(name, targets, controls, 1), [rotation]


def _qubits(column: GateColumn, one: str, many: str) -> tuple[int, ...]:
    qubits: list[Any] = []
    for key in (one, many):
        value = column.fixed.get(key)
        if value is not None:
            qubits.extend(value if isinstance(value, list) else [value])
    for qubit in qubits:
        if type(qubit) is not int or qubit < 0:
            raise refuse(
                f'"{column.where}.{many}" must hold integers of at least 0, not {qubit!r}.'
            )
    return tuple(qubits)


def _check_targets(targets: tuple[int, ...], wanted: int, where: str) -> None:
    if len(targets) != wanted:
        raise refuse(f'"{where}" acts on {wanted} target(s), not {len(targets)}.')


def _native(name: str, targets: tuple[int, ...], column: GateColumn) -> tuple[Gate, list[Numbers]]:
    where, numbers, spec = column.where, column.numbers, NATIVE[name]
    _check_targets(targets, spec.targets, where)
    if spec.slots == 1:
        (member,) = spec.parameters
        value = numbers.get(member, numbers.get("phase"))  # zz has its angle under either name
        if value is None or value.ndim != 1:
            article = "an" if member == "angle" else "a"
            raise refuse(f'"{where}" needs {article} "{member}" in turns.')
        return Gate(name, targets, (), 1), [value]
    phases = numbers.get("phases")
    if phases is None or phases.shape != (column.rows, 2):
        raise refuse(f'"{where}" needs two "phases" in turns.')
    angle = numbers.get("angle", np.full(column.rows, FULL_ANGLE))
    if angle.ndim != 1:
        raise refuse(f'"{where}.angle" must be a number of turns.')
    return Gate(name, targets, (), 3), [phases[:, 0], phases[:, 1], angle]


def _pauliexp(
    targets: tuple[int, ...], controls: tuple[int, ...], column: GateColumn
) -> tuple[Gate, list[Numbers]]:
    where, time = column.where, column.numbers.get("time")
    terms, coefficients = column.fixed.get("terms"), column.numbers.get("coefficients")
    if not isinstance(terms, list) or not all(
        isinstance(t, str) and len(t) == len(targets) and set(t) <= set("IXYZ") for t in terms
    ):
        raise refuse(f'"{where}.terms" must be Pauli strings, one letter of I, X, Y, Z per target.')
    if coefficients is None or coefficients.shape != (column.rows, len(terms)):
        raise refuse(f'"{where}.coefficients" must hold one real number per term.')
    if time is None or time.ndim != 1 or np.any(time < 0):
        raise refuse(f'"{where}.time" must be a number >= 0.')
    if not targets:
        raise refuse(f'"{where}" needs "targets".')
    gate = Gate("pauliexp", targets, controls, len(terms), tuple(terms))
    return gate, [time * coefficients[:, k] for k in range(len(terms))]


def refuse(message: str, key: str = "input.circuit") -> BadRequest:
    """Return the error for a circuit that is not valid.

    Args:
        message: what is wrong, and what is allowed.
        key: the member of the request.

    Returns:
        The error.
    """
    return BadRequest(message, keys=[key])
