"""Decomposition of any operation into elementary gates, which the compiler knows by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pennylane as qml
from pennylane.operation import Operator
from pennylane.ops import MidMeasure
from pennylane.ops.op_math import Adjoint, Controlled, ControlledOp, Evolution, Exp, SymbolicOp
from pennylane.queuing import QueuingManager
from scipy.sparse import issparse

from pennylane_qstore.errors import CompileError
from pennylane_qstore.native.frontend.controlled import controlled, double_excitation
from pennylane_qstore.native.gates import GPI, GPI2, MS, ZZ

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


def elementary(operations: Sequence[Operator]) -> Iterator[Operator]:
    """Decompose until every operation is elementary or a constant unitary of one or two wires.

    Raises:
        CompileError: an operation is unknown and has no decomposition, or is not unitary.
    """
    with QueuingManager.stop_recording():
        for op in operations:
            yield from _decompose(op, depth=0)


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
        return rebound(op, data)


def rebound(op: Operator, data: Sequence[Any]) -> Operator:
    """Return the operation with other parameters.

    Args:
        op: the operation.
        data: its parameters, in the order of ``op.data``.

    Returns:
        A new operation.
    """
    if isinstance(op, Evolution):  # where PennyLane takes its parameter for one of the generator
        return Evolution(op.base, *data)
    if isinstance(op, Adjoint):
        return Adjoint(rebound(op.base, data))
    if type(op) is ControlledOp:
        base = rebound(op.base, data)
        return ControlledOp(base, op.control_wires, op.control_values, op.work_wires)
    rebuild: Callable[..., Operator] = qml.ops.functions.bind_new_parameters
    return rebuild(op, data)


def _decompose(op: Operator, depth: int) -> Iterator[Operator]:
    kind = type(op)
    if kind in ELEMENTARY:
        yield op
    elif kind in DROPPED or _is_phase(op):
        return
    elif _is_constant_gate(op):
        yield op
    elif isinstance(op, (qml.DoubleExcitationPlus, qml.DoubleExcitationMinus)):
        for inner in double_excitation(op):
            yield from _decompose(inner, depth + 1)
    elif not op.has_decomposition and op.has_matrix and len(op.wires) <= _MAX_MATRIX_WIRES:
        matrix = op.matrix()
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
        yield from _decompose(qml.QubitUnitary(matrix, wires=op.wires), depth + 1)
    elif depth > 60 or not op.has_decomposition:
        raise UnsupportedOperation(_unsupported(op))
    elif isinstance(op, Controlled) and (gates := controlled(op)) is not None:
        for inner in gates:
            yield from _decompose(inner, depth + 1)
    else:
        base = op
        while isinstance(base, SymbolicOp):
            base = base.base
        if isinstance(base, (qml.QubitUnitary, qml.DiagonalQubitUnitary)):
            unitary(base)  # PennyLane would decompose whatever it is
        parts = op.decomposition()
        for inner in [parts] if isinstance(parts, Operator) else parts:  # a power's is one gate
            yield from _decompose(inner, depth + 1)


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
