"""Decomposition of any operation into elementary gates, which the compiler knows by itself."""

from __future__ import annotations

import copy
from collections.abc import Container, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pennylane as qml
from pennylane.operation import Operator
from pennylane.ops import MidMeasure
from pennylane.ops.op_math import Adjoint, Controlled, Exp, SymbolicOp
from pennylane.queuing import QueuingManager
from scipy.sparse import issparse

from pennylane_qstore.errors import CompileError
from pennylane_qstore.native.frontend.controlled import controlled, double_excitation
from pennylane_qstore.native.gates import GPI, GPI2, MS, ZZ
from pennylane_qstore.operations import with_parameters

ELEMENTARY: Mapping[type, int] = {
    **dict.fromkeys((qml.RX, qml.RY, qml.RZ, qml.PhaseShift, qml.U1, GPI, GPI2, ZZ), 1),
    **dict.fromkeys((qml.IsingXX, qml.IsingYY, qml.IsingZZ), 1),
    **dict.fromkeys((qml.CRX, qml.CRY, qml.CRZ, qml.ControlledPhaseShift), 1),
    **dict.fromkeys((qml.Rot, qml.U3, MS), 3),
    qml.U2: 2,
    **dict.fromkeys((qml.Hadamard, qml.PauliX, qml.PauliY, qml.PauliZ, qml.S, qml.T, qml.SX), 0),
    **dict.fromkeys((qml.CNOT, qml.CZ, qml.CY, qml.SWAP, qml.Identity), 0),
}
"""Gates the compiler knows by itself, with their numbers of angles."""

DROPPED = (qml.Barrier, qml.GlobalPhase, qml.Snapshot, qml.WireCut)
"""Operations without effect on the outcome of a circuit."""

_MAX_MATRIX_WIRES = 6
"""Operations without a decomposition are synthesised from their matrix up to this size."""


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
            decomposes to gates on other wires.
    """
    # A list: a generator that is suspended in here would leave recording stopped, and start it
    # again whenever it is collected.
    with QueuingManager.stop_recording():
        gates = [gate for op in operations for gate in _decompose(op, 0, wires)]
    for gate in gates:
        for wire in gate.wires:
            if wire not in wires:
                raise UnknownWire(gate.name, wire)
    return gates


def unitary(op: Operator) -> npt.NDArray[np.complex128]:
    """Return the checked matrix of a QubitUnitary, or diagonal of a DiagonalQubitUnitary.

    Raises:
        CompileError: it is not unitary (or not finite).
    """
    matrix = np.asarray(op.data[0], dtype=complex)
    if isinstance(op, qml.DiagonalQubitUnitary):
        fine = np.allclose(np.abs(matrix) ** 2, 1, atol=1e-5)
    else:
        product = matrix @ np.swapaxes(matrix.conj(), -1, -2)
        fine = np.allclose(product, np.eye(matrix.shape[-1]), atol=1e-5)
    if not fine:
        raise CompileError(
            f"{op.name} on wires {op.wires.tolist()} has a matrix that is not unitary. Nothing "
            "was sent."
        )
    return matrix


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
    kind = type(op)
    if kind in ELEMENTARY:
        yield op
    elif kind in DROPPED or _is_phase(op):
        return
    elif _is_constant_gate(op):
        yield op
    elif isinstance(op, (qml.DoubleExcitationPlus, qml.DoubleExcitationMinus)):
        for inner in double_excitation(op):
            yield from _decompose(inner, depth + 1, wires)
    elif _work_wires_beyond(op, wires):
        yield from _decompose(_without_work_wires(op), depth + 1, wires)
    elif depth > 60:
        raise UnsupportedOperation(_unsupported(op))
    elif isinstance(op, Controlled) and (gates := controlled(op)) is not None:
        for inner in gates:
            yield from _decompose(inner, depth + 1, wires)
    else:
        for inner in _parts(op):
            yield from _decompose(inner, depth + 1, wires)


def _parts(op: Operator) -> Sequence[Operator]:
    """The operations that an operation is made of, or the unitary of its matrix."""
    if not _private(op).has_decomposition:
        return [_from_matrix(op)]
    base = op
    while isinstance(base, SymbolicOp):
        base = base.base
    if isinstance(base, (qml.QubitUnitary, qml.DiagonalQubitUnitary)):
        unitary(base)  # PennyLane would decompose whatever it is
    try:
        parts = _private(op).decomposition()
    except qml.exceptions.DecompositionUndefinedError:
        return [_from_matrix(op)]  # a decomposition of something inside that there is not
    return [parts] if isinstance(parts, Operator) else list(parts)  # a power's is one gate


def _from_matrix(op: Operator) -> Operator:
    """The unitary of an operation's matrix."""
    if not op.has_matrix or len(op.wires) > _MAX_MATRIX_WIRES:
        raise UnsupportedOperation(_unsupported(op))
    matrix = _private(op).matrix()
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
