"""Circuits as dictionaries, as Q-Store v3.4 and IonQ's abstract gateset write them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pennylane as qml
from pennylane.operation import Operator
from pennylane.queuing import QueuingManager
from pennylane.tape import QuantumScript

from pennylane_qstore.backends import MAX_QUBITS
from pennylane_qstore.errors import CompileError
from pennylane_qstore.gateset import FULL_ANGLE, NATIVE, QIS, GateSpec
from pennylane_qstore.native.gates import NATIVE_GATES, QIS_GATES
from pennylane_qstore.validation import is_whole

_ALLOWED = sorted([*QIS_GATES, "cnot", "cz"])


def tape_from_json(circuit: Mapping[str, Any]) -> QuantumScript:
    """Return the tape of ``{"qubits": n, "circuit": [gates]}``.

    A gate is ``{"gate": "ry", "target": 0, "rotation": 0.3}`` (radians),
    ``{"gate": "cnot", "control": 0, "target": 1}``, ``{"gate": "swap", "targets": [0, 1]}``,
    with ``controls`` for more than one; native gates (``gpi``, ``gpi2``, ``ms``, and ``zz``
    with an ``angle``) have their phases in turns. All qubits are measured.

    Raises:
        CompileError: a gate is unknown, or lacks a target or an angle; it is named.
    """
    fields = circuit if isinstance(circuit, Mapping) else {}
    gates: Any = fields.get("circuit")
    qubits: Any = fields.get("qubits")
    listed = isinstance(gates, Sequence) and all(isinstance(gate, Mapping) for gate in gates)
    if not listed or not is_whole(qubits) or not 1 <= qubits <= MAX_QUBITS:
        raise CompileError(
            f'A circuit is {{"qubits": n, "circuit": [gates]}}, with n from 1 to {MAX_QUBITS}, '
            'and a gate is a dictionary like {"gate": "h", "target": 0}.'
        )
    with QueuingManager.stop_recording():
        operations = [_operation(i, gate, int(qubits)) for i, gate in enumerate(gates)]
        return QuantumScript(operations, [qml.probs(wires=range(qubits))])


def _operation(i: int, gate: Mapping[str, Any], qubits: int) -> Operator:
    name = str(gate.get("gate", "")).lower()
    where = f"Gate {i} ({name or 'without a name'})"
    targets = _wires(gate, "target", "targets")
    controls = _wires(gate, "control", "controls")
    for wire in (*targets, *controls):
        if not is_whole(wire) or not 0 <= wire < qubits:
            raise CompileError(f"{where} acts on qubit {wire!r}; allowed are 0 to {qubits - 1}.")
    targets, controls = [int(wire) for wire in targets], [int(wire) for wire in controls]
    if len({*targets, *controls}) < len(targets) + len(controls):
        raise CompileError(f"{where} uses a qubit twice.")
    if name in NATIVE and (name not in QIS or "angle" in gate):
        if controls:
            raise CompileError(f"{where} is a native gate, which takes no controls.")
        return _native(NATIVE[name], gate, targets, where)
    if name in ("cnot", "cz"):
        if not controls and len(targets) == 2:
            controls, targets = targets[:1], targets[1:]
        if not controls:
            raise CompileError(f'{where} needs a "control" and a "target".')
    op = _abstract(name, gate, targets, where)
    return qml.ctrl(op, control=controls) if controls else op


def _abstract(name: str, gate: Mapping[str, Any], targets: list[int], where: str) -> Operator:
    name = {"cnot": "x", "cz": "z"}.get(name, name)
    if name not in QIS_GATES:
        raise CompileError(f"{where} is unknown. Allowed: {', '.join(_ALLOWED)}, gpi, gpi2, ms.")
    spec = QIS[name]
    _check_count(targets, spec.targets, where)
    if name == "z" and gate.get("rotation") is not None:  # as IonQ writes a phase gate
        return qml.PhaseShift(_number(gate["rotation"], where), wires=targets)
    if not spec.slots:
        return QIS_GATES[name](wires=targets)
    rotation = gate.get("rotation", gate.get("angle"))
    if rotation is None:
        raise CompileError(f'{where} needs a "rotation" in radians.')
    return QIS_GATES[name](_number(rotation, where), wires=targets)


def _native(spec: GateSpec, gate: Mapping[str, Any], targets: list[int], where: str) -> Operator:
    _check_count(targets, spec.targets, where)
    phases = _listed(gate.get("phases")) or _listed(gate.get("phase"))
    angles = [gate.get("angle", FULL_ANGLE)] if "angle" in spec.parameters else []
    wanted = spec.slots - len(angles)
    if len(phases) < wanted:
        raise CompileError(f"{where} lacks its phase{'s' * (wanted > 1)} in turns.")
    if len(phases) > wanted:
        raise CompileError(f"{where} needs {wanted} phase{'s' * (wanted != 1)}, not {len(phases)}.")
    numbers = [_number(value, where) for value in (*phases, *angles)]
    return NATIVE_GATES[spec.name](*numbers, wires=targets)


def _check_count(targets: Sequence[int], count: int, where: str) -> None:
    if len(targets) != count:
        raise CompileError(f"{where} needs {count} target{'s' * (count > 1)}, not {len(targets)}.")


def _number(value: Any, where: str) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise CompileError(
            f"{where} has the angle or phase {value!r}. Allowed: a number."
        ) from None


def _wires(gate: Mapping[str, Any], one: str, many: str) -> list[Any]:
    return _listed(gate.get(many)) or _listed(gate.get(one))


def _listed(value: Any) -> list[Any]:
    """Return a list as it is, one value as a list of it, None as an empty one."""
    if isinstance(value, Sequence | np.ndarray) and not isinstance(value, str):
        return list(value)
    return [] if value is None else [value]
