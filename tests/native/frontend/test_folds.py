"""Folded tapes are recognised, and what only looks like them is not."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pennylane as qml
import pytest

from pennylane_qstore.native.frontend.folds import is_folded, warn_of_folds


def circuit(x: Any = 0.3) -> list[Any]:
    return [qml.Hadamard(0), qml.CNOT([0, 1]), qml.RY(x, 1), qml.IsingZZ(x, [1, 2]), qml.S(2)]


WEIGHTS = np.arange(12.0).reshape(1, 4, 3)


def local(ops: list[Any]) -> list[Any]:
    """Fold each gate on its own, as mitiq does."""
    return [g for op in ops for g in (op, qml.adjoint(op, lazy=False), op)]


SOME = [
    *[(ops, scale) for ops in (circuit(), circuit(np.array([0.1, 0.2]))) for scale in (2, 2.5, 3)],
    ([qml.StronglyEntanglingLayers(WEIGHTS, wires=range(4))], 3),
    ([qml.StronglyEntanglingLayers(WEIGHTS, wires=range(4))], 5),
]


@pytest.mark.parametrize(("operations", "scale"), SOME)
def test_global_folds_are_found(operations: list[Any], scale: float) -> None:
    tape = qml.tape.QuantumScript(operations, [qml.expval(qml.Z(0))])
    (folded,), _ = qml.noise.fold_global(tape, scale)
    assert is_folded(folded.operations)


def test_local_folds_are_found() -> None:
    assert is_folded(local(circuit()))


@pytest.mark.parametrize("same", [local, lambda ops: [*ops, *map(qml.adjoint, ops[::-1]), *ops]])
def test_folds_are_found_among_gates_on_other_wires(same: Any) -> None:
    """Moment by moment, as mitiq writes a circuit."""
    one, other = (same([qml.CNOT(w), qml.RX(0.3, w[1]), qml.CNOT(w)]) for w in ([0, 1], [2, 3]))
    assert is_folded([op for pair in zip(one, other, strict=True) for op in pair])


def test_a_product_and_its_inverse_written_out_are_found() -> None:
    product = qml.prod(qml.S(2), qml.RX(0.3, 1), qml.CNOT([2, 0]))
    inverse = qml.prod(qml.CNOT([2, 0]), qml.RX(-0.3, 1), qml.adjoint(qml.S(2)))
    assert is_folded([product, inverse, product])


@pytest.mark.parametrize(
    "operations",
    [
        circuit(),
        circuit() * 3,
        [*circuit(), *[qml.adjoint(op) for op in circuit()[::-1]]],  # a kernel's
        [qml.CNOT([0, 1]), qml.CNOT([1, 2]), qml.CNOT([1, 2]), qml.CNOT([0, 1]), qml.CNOT([0, 1])],
        [qml.CNOT([0, 1]), qml.CNOT([0, 1]), qml.T(1), qml.CNOT([0, 1])],
        [qml.Hadamard(0), qml.Hadamard(0), qml.Hadamard(0), qml.CNOT([0, 1])],
        [qml.CNOT([0, 1]), qml.RZ(0.3, 1), qml.CNOT([0, 1])],
        [qml.QubitUnitary(np.array([[0, 1j], [1j, 0]], dtype=object), 0), qml.X(0), qml.X(0)],
        [],
    ],
)
def test_other_circuits_are_not(operations: list[Any]) -> None:
    assert not is_folded(operations)


def test_a_warning_names_the_way_out() -> None:
    with pytest.warns(UserWarning, match=r"qstore\.zne"):
        warn_of_folds(local(circuit()))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_folds(circuit())
