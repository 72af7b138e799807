"""Decomposition into elementary gates, and what is refused."""

import numpy as np
import pennylane as qml
import pytest

from pennylane_qstore import IonQNativeGateCompiler
from pennylane_qstore.errors import CompileError


def test_an_operation_without_decomposition_is_named():
    class Odd(qml.operation.Operation):
        num_wires = 1

    with pytest.raises(CompileError, match=r"Odd on wires \[0\] is not supported"):
        IonQNativeGateCompiler().compile(qml.tape.QuantumScript([Odd(wires=0)]))


@pytest.mark.parametrize(
    "op",
    [
        qml.QubitUnitary(np.ones((2, 2)), "a"),
        qml.QubitUnitary(np.ones((8, 8)), ["a", "b", "c"]),
        qml.QubitUnitary(np.full((2, 2), np.nan), "a"),
        qml.ControlledQubitUnitary(np.ones((2, 2)), ["b", "a"]),
        qml.adjoint(qml.ctrl(qml.QubitUnitary(np.ones((2, 2)), "a"), ["b", "c"])),
        qml.DiagonalQubitUnitary([1, 2], "a"),
        qml.ctrl(qml.DiagonalQubitUnitary([1, 0], "a"), "b"),
    ],
    ids=str,
)
def test_a_matrix_that_is_not_unitary_is_refused(op):
    with pytest.raises(CompileError, match=r"Unitary on wires \['a'.*is not unitary"):
        IonQNativeGateCompiler().compile(qml.tape.QuantumScript([op]))
