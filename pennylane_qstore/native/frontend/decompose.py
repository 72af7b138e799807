"""Decomposition of any operation into elementary gates, which the compiler knows by itself."""

from __future__ import annotations

import copy
from collections.abc import Container, Hashable, Iterator, Sequence
from typing import Any

import numpy as np
import pennylane as qml
from pennylane.operation import Operator
from pennylane.ops import MidMeasure
from pennylane.ops.op_math import Adjoint, Controlled, ControlledOp, Exp, Pow, SymbolicOp
from pennylane.queuing import QueuingManager
from scipy.sparse import issparse

from pennylane_qstore.errors import CompileError
from pennylane_qstore.native.frontend.controlled import controlled, double_excitation
from pennylane_qstore.native.frontend.matrices import matrix_on, unitary
from pennylane_qstore.native.frontend.operation_keys import operation_key
from pennylane_qstore.native.frontend.program import DROPPED, ELEMENTARY
from pennylane_qstore.native.frontend.shannon import shannon
from pennylane_qstore.operations import with_parameters
from pennylane_qstore.validation import is_whole

_ROTATIONS = {"X": qml.RX, "Y": qml.RY, "Z": qml.RZ} | {
    "XX": qml.IsingXX, "YY": qml.IsingYY, "ZZ": qml.IsingZZ
}  # fmt: skip

_MAX_MATRIX_WIRES = 6
"""Operations without a decomposition are synthesised from their matrix up to this size."""


MAX_ELEMENTARY = 300_000
"""Elementary gates of a circuit, twice what a job may have of native ones: each takes a kilobyte
and half a millisecond, and a decomposition may have millions."""

_REPEATS = ("n", "iters")
"""Options that are numbers of repetitions: of steps of Trotter, of an amplification."""

_MANY = 5_000
"""Gates after which all of them are counted before any more are made."""


class UnsupportedOperation(CompileError, qml.exceptions.DeviceError):  # type: ignore[misc]  # noqa: N818
    """An operation that has neither a decomposition nor a small matrix. Nothing was sent."""


class UnknownWire(CompileError, qml.exceptions.WireError):  # type: ignore[misc]  # noqa: N818
    """A decomposition uses a wire that the circuit has not. Nothing was sent.

    Args:
        gate: name of the gate.
        wire: label of the wire.
    """

    def __init__(self, gate: str, wire: Any) -> None:
        super().__init__(
            f"{gate} of a decomposition acts on wire {wire!r}, which is not among those of the "
            "device. Give the device wires that include it. Nothing was sent."
        )
        self.gate, self.wire = gate, wire

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.gate, self.wire)


def elementary(operations: Sequence[Operator], wires: Container[Any]) -> list[Operator]:
    """Decompose until every operation is elementary or a constant unitary of one or two wires.

    Args:
        operations: the operations; neither they nor their arrays are written to.
        wires: labels of the wires there are. Work wires beyond them are done without.

    Returns:
        The gates.

    Raises:
        CompileError: an operation is unknown and has no decomposition, is not unitary, or
            decomposes to gates on other wires, or there are too many gates.
    """
    # A list: a generator that is suspended in here would leave recording stopped, and start it
    # again whenever it is collected.
    gates: list[Operator] = []
    with QueuingManager.stop_recording():
        for op in operations:
            for gate in _decompose(op, 0, wires):
                gates.append(gate)
                if len(gates) == _MANY:
                    _check_all(operations, wires)
                check_gate_count(len(gates), op)
    for gate in gates:
        for wire in gate.wires:
            if wire not in wires:
                raise UnknownWire(gate.name, wire)
    return gates


def check_gate_count(count: int, op: Operator) -> None:
    """Refuse a circuit that decomposes into more gates than a service takes.

    Args:
        count: elementary gates so far.
        op: the operation that the last ones are of.

    Raises:
        UnsupportedOperation: there are more than :data:`MAX_ELEMENTARY`.
    """
    if count > MAX_ELEMENTARY:
        raise UnsupportedOperation(
            f"The circuit is too large for qstore.ionq: at {op.name} on {len(op.wires)} wires it "
            f"decomposes into more than {MAX_ELEMENTARY:,} elementary gates, the most that "
            "are allowed. Use fewer wires, layers or repetitions. Nothing was sent."
        )


def dense(op: Operator) -> Operator:
    """Return the operation with full matrices and vectors in place of SciPy's sparse ones."""
    if not any(issparse(value) for value in op.data):
        return op
    with QueuingManager.stop_recording():
        if not op.has_matrix and op.has_sparse_matrix and len(op.wires) <= _MAX_MATRIX_WIRES:
            return qml.QubitUnitary(op.sparse_matrix(wire_order=op.wires).toarray(), wires=op.wires)
        data = [value.toarray() if issparse(value) else value for value in op.data]
        if isinstance(op, qml.StatePrep):  # a sparse vector is a matrix of one row
            data = [data[0].reshape(-1)]
        return with_parameters(op, data)


def _decompose(op: Operator, depth: int, wires: Container[Any]) -> Iterator[Operator]:
    parts = _expanded(op, depth, wires)
    if parts is None:
        yield op
        return
    for inner in parts:
        yield from _decompose(inner, depth + 1, wires)


def _expanded(op: Operator, depth: int, wires: Container[Any]) -> Sequence[Operator] | None:
    """The operations that an operation is made of; None for a gate."""
    kind = type(op)
    if kind in ELEMENTARY:
        return None
    if kind in DROPPED or _is_phase(op):
        return ()
    if _is_constant_gate(op):
        return None
    if isinstance(op, (qml.DoubleExcitationPlus, qml.DoubleExcitationMinus)):
        return double_excitation(op)
    if _work_wires_beyond(op, wires):
        return [_without_work_wires(op)]
    if depth > 60:
        raise UnsupportedOperation(_unsupported(op))
    if isinstance(op, Controlled) and (gates := controlled(op)) is not None:
        return gates
    return _parts(op)


def _check_all(operations: Sequence[Operator], wires: Container[Any]) -> None:
    """Refuse operations of too many gates without making the gates: most are made of the same."""
    known: dict[Hashable, int] = {}
    count = 0
    for op in operations:
        count += _gate_count(op, 0, wires, known)
        check_gate_count(count, op)


def _gate_count(op: Operator, depth: int, wires: Container[Any], known: dict[Hashable, int]) -> int:
    """Return how many gates an operation has, at most a few more than are allowed."""
    if type(op) in ELEMENTARY:
        return 1
    key = operation_key(op, {wire: i for i, wire in enumerate(op.wires)})
    values = tuple([np.asarray(value).tobytes() for value in op.data])
    same = None if key is None else (key, values, _work_wires_beyond(op, wires))
    if same in known:
        return known[same]
    parts = _expanded(op, depth, wires)
    count = 1 if parts is None else 0
    for inner in parts or ():
        count += _gate_count(inner, depth + 1, wires, known)
        if count > MAX_ELEMENTARY:
            break
    if same is not None:
        known[same] = count
    return count


def _parts(op: Operator) -> Sequence[Operator]:
    """The operations that an operation is made of, or the unitary of its matrix."""
    check_gate_count(_repetitions(op), op)
    if isinstance(op, Exp) and (gate := _pauli_rotation(op)) is not None:
        return [gate]
    if not _has_decomposition(op):
        return _without_decomposition(op)
    base = op
    while isinstance(base, SymbolicOp):
        base = base.base
    if isinstance(base, (qml.QubitUnitary, qml.DiagonalQubitUnitary)):
        matrix = unitary(base)  # PennyLane would decompose whatever it is
        if type(op) is qml.QubitUnitary and matrix.ndim == 2 and len(op.wires) > 2:
            return shannon(matrix, op.wires)
    try:
        parts = _private(op).decomposition()
    except qml.exceptions.DecompositionUndefinedError:
        return _without_decomposition(op)  # of something inside there is none
    except TypeError:  # of a controlled power that is one gate (PennyLane 0.45)
        if not isinstance(op, Controlled):
            raise
        return _without_decomposition(op)
    return [parts] if isinstance(parts, Operator) else list(parts)  # a power's is one gate


def _repetitions(op: Operator) -> int:
    """Return how often PennyLane lists the same operations in a decomposition."""
    if not isinstance(op, Pow):
        counts = [op.hyperparameters.get(name, 0) for name in _REPEATS]
        return max(int(n) for n in counts) if all(map(is_whole, counts)) else 0
    base = op.base
    while isinstance(base, (Adjoint, Controlled)):  # which raise theirs
        base = base.base
    return abs(_whole_power(op) or 0) if type(base).pow is Operator.pow else 0


def _whole_power(op: Pow) -> int | None:
    return int(op.z) if np.isreal(op.z) and float(op.z).is_integer() else None


def _pauli_rotation(op: Exp) -> Operator | None:
    """exp(i c P) of a Pauli word P as its rotation, for which PennyLane tries all its gates."""
    sentence = op.base.pauli_rep
    if sentence is None or len(sentence) != 1:
        return None
    ((word, factor),) = sentence.items()
    angle = 2j * np.asarray(op.scalar) * factor
    if not word or np.any(np.imag(angle)):
        return None
    axes = "".join(word.values())
    kind = _ROTATIONS.get(axes)
    return kind(angle.real, [*word]) if kind else qml.PauliRot(angle.real, axes, [*word])


def _has_decomposition(op: Operator) -> bool:
    try:
        return bool(_private(op).has_decomposition)
    except TypeError:  # of powers of a controlled Exp (PennyLane 0.45)
        if not isinstance(op, Pow):
            raise
        return False


def _without_decomposition(op: Operator) -> Sequence[Operator]:
    """The operations that one is made of which PennyLane does not decompose."""
    base = op.base if isinstance(op, (Pow, Controlled)) else op
    if type(op) in (Controlled, ControlledOp) and isinstance(base, Pow):
        return [_with_controls(op, part) for part in _parts(base)]
    power = _whole_power(op) if isinstance(op, Pow) else None
    if power is None:
        return [_from_matrix(op)]
    if type(base) in (Controlled, ControlledOp):
        return [_with_controls(base, qml.pow(base.base, op.z))]
    check_gate_count(abs(power), op)
    return [base if power > 0 else qml.adjoint(base)] * abs(power)


def _with_controls(op: Controlled, base: Operator) -> Operator:
    return Controlled(base, op.control_wires, op.control_values, op.work_wires, op.work_wire_type)


def _from_matrix(op: Operator) -> Operator:
    """The unitary of an operation's matrix."""
    if not op.has_matrix or len(op.wires) > _MAX_MATRIX_WIRES:
        raise UnsupportedOperation(_unsupported(op))
    matrix = matrix_on(_private(op), op.wires)
    if matrix.ndim > 2 and op.batch_size is None:
        raise UnsupportedOperation(
            f"{op.name} on wires {op.wires.tolist()} is not supported on qstore.ionq as it is: "
            "its matrix is a batch of matrices, but the class does not tell how many "
            "dimensions one parameter has. Give it ndim_params, (0,) for one number."
        )
    if matrix.shape[-1] != 2 ** len(op.wires):
        raise UnsupportedOperation(
            f"{op.name} on wires {op.wires.tolist()} is not supported on qstore.ionq: it is no "
            "operation on qubits."
        )
    return qml.QubitUnitary(matrix, wires=op.wires)


def _private(op: Operator) -> Operator:
    """An operation with arrays of its own, for one question to PennyLane.

    ``Exp.has_decomposition`` multiplies its coefficient in place: by every question the values
    become others, and the array is the user's.
    """
    return copy.deepcopy(op) if any(isinstance(d, np.ndarray) for d in op.data) else op


def _work_wires_beyond(op: Operator, wires: Container[Any]) -> bool:
    return isinstance(op, Controlled) and any(wire not in wires for wire in op.work_wires)


def _without_work_wires(op: Controlled) -> Operator:
    if isinstance(op, qml.MultiControlledX):
        return qml.MultiControlledX(op.wires, control_values=op.control_values)
    if isinstance(op, qml.ControlledQubitUnitary):
        (matrix,) = op.data
        return qml.ControlledQubitUnitary(matrix, op.wires, control_values=op.control_values)
    return type(op)(op.base, op.control_wires, op.control_values)


def _is_phase(op: Operator) -> bool:
    """Return whether it is exp(i c) of the identity, of which PennyLane decomposes no batch."""
    return (
        isinstance(op, Exp) and isinstance(op.base, qml.Identity) and not np.any(np.real(op.scalar))
    )


def _is_constant_gate(op: Operator) -> bool:
    if isinstance(op, qml.QubitUnitary):
        return len(op.wires) <= 2 and np.ndim(op.data[0]) == 2
    return isinstance(op, Adjoint) and type(op.base) in (qml.S, qml.T, qml.SX)


def _unsupported(op: Operator) -> str:
    where = op.wires.tolist()
    if isinstance(op, MidMeasure):
        return (
            f"The mid-circuit measurement on wires {where} cannot be run on an IonQ machine, which "
            "measures at the end only. Apply qml.defer_measurements first (a qstore.ionq device "
            "does that by itself where it can be done)."
        )
    return (
        f"{op.name} on wires {where} is not supported on qstore.ionq: PennyLane has no "
        "decomposition of it into gates. Write it with gates of qml.ops.qubit, or decompose "
        "it before the QNode runs."
    )
