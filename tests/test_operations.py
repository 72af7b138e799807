"""Operations and tapes with other parameters are what they were, at other parameters."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
import pennylane as qml
import pytest
from pennylane.operation import Operator

from pennylane_qstore.errors import CompileError
from pennylane_qstore.operations import tape_with_parameters, with_parameters

HAMILTONIAN = qml.Hamiltonian([0.3, -0.7], [qml.X(4) @ qml.Y(5), qml.Z(4)])


class Wide(qml.operation.Operation):
    """A user's operation: a wire of its own, and an option that is an attribute only."""

    num_params = 1
    ndim_params = (0,)

    def __init__(self, phi, wires, axis="X"):
        self.axis = axis
        super().__init__(phi, wires=wires)

    def decomposition(self):
        return [{"X": qml.RX, "Y": qml.RY}[self.axis](self.data[0], self.wires)]

    @property
    def has_decomposition(self):
        return True

    has_matrix = True

    def matrix(self, wire_order=None):
        return qml.matrix(self.decomposition()[0])


OPERATIONS: dict[str, Callable[[float], Operator]] = {
    "RX": lambda x: qml.RX(x, 4),
    "Rot": lambda x: qml.Rot(x, 2 * x, -x, 4),
    "U2": lambda x: qml.U2(x, 2 * x, 4),
    "PhaseShift": lambda x: qml.PhaseShift(x, 4),
    "GlobalPhase": lambda x: qml.GlobalPhase(x, 4),
    "IsingXY": lambda x: qml.IsingXY(x, [4, 5]),
    "PauliRot": lambda x: qml.PauliRot(x, "XY", [4, 5]),
    "MultiRZ": lambda x: qml.MultiRZ(x, [5, 4]),
    "CRX": lambda x: qml.CRX(x, [5, 4]),
    "CRot": lambda x: qml.CRot(x, -x, 0.1, [4, 5]),
    "ControlledPhaseShift": lambda x: qml.ControlledPhaseShift(x, [4, 5]),
    "SingleExcitation": lambda x: qml.SingleExcitation(x, [4, 5]),
    "DoubleExcitationPlus": lambda x: qml.DoubleExcitationPlus(x, [4, 5, 6, 7]),
    "PCPhase": lambda x: qml.PCPhase(x, 2, [4, 5]),
    "QubitUnitary": lambda x: qml.QubitUnitary(qml.matrix(qml.RX(x, 0)), 4),
    "DiagonalQubitUnitary": lambda x: qml.DiagonalQubitUnitary(np.exp([1j * x, 2j * x]), 4),
    "ControlledQubitUnitary on 0": lambda x: qml.ControlledQubitUnitary(
        qml.matrix(qml.RX(x, 0)), [5, 4], control_values=[0]
    ),
    "RZ controlled on 0": lambda x: qml.ctrl(qml.RZ(x, 4), [5], control_values=[0]),
    "Rot controlled on 0, 1, with a work wire": lambda x: qml.ctrl(
        qml.Rot(x, 0.2, -x, 4), [5, 6], control_values=[0, 1], work_wires=[7]
    ),
    "product": lambda x: qml.RX(x, 4) @ qml.CRY(-x, [4, 5]) @ qml.X(5),
    "sum": lambda x: qml.sum(x * qml.X(4), 0.4 * qml.Y(5)),
    "scaled": lambda x: qml.s_prod(np.exp(1j * x), qml.RX(x, 4)),
    "change of basis": lambda x: qml.change_op_basis(qml.RX(x, 4), qml.RY(2 * x, 4)),
    "change of basis, another back": lambda x: qml.change_op_basis(
        qml.RX(x, 4), qml.RY(2 * x, 5), qml.RZ(3 * x, 4)
    ),
    "exponential": lambda x: qml.exp(qml.X(4) @ qml.Y(5), 1j * x),
    "exponential of a scaled word": lambda x: qml.exp(0.5 * qml.X(4), 1j * x),
    "evolution of a word": lambda x: qml.evolve(qml.X(4) @ qml.Z(5), x),
    "evolution of a scaled word": lambda x: qml.evolve(2 * qml.X(4), x),
    "evolution of a Hamiltonian": lambda x: qml.evolve(HAMILTONIAN, x),
    "evolution of a sum": lambda x: qml.evolve(qml.sum(0.3 * qml.X(4), qml.Z(5)), x),
    "Trotter": lambda x: qml.TrotterProduct(HAMILTONIAN, x, n=2, order=2),
    "Trotter of coefficients": lambda x: qml.TrotterProduct(
        qml.dot([x, 0.4 * x], [qml.X(4), qml.Z(4)]), 0.7
    ),
    "approximate evolution": lambda x: qml.ApproxTimeEvolution(HAMILTONIAN, x, 2),
    "commuting evolution": lambda x: qml.CommutingEvolution(
        qml.Hamiltonian([0.3, 0.4], [qml.X(4), qml.X(4) @ qml.X(5)]), x
    ),
    "select": lambda x: qml.Select([qml.RX(x, 4), qml.RY(-x, 4), qml.Z(4)], control=[5, 6]),
    "controlled sequence": lambda x: qml.ControlledSequence(qml.RX(x, 4), control=[5, 6]),
    "amplitudes of a block": lambda x: qml.QSVT(
        qml.QubitUnitary(qml.matrix(qml.RX(x, 0)), 4), [qml.PCPhase(2 * x, 1, 4)]
    ),
    "reflection": lambda x: qml.Reflection(qml.RX(x, 4), 2 * x),
    "quantum signal processing": lambda x: qml.GQSP(
        qml.RX(x, 4), np.array([[x, 2 * x], [0.1, 0.2], [0.3, -x]]), control=5
    ),
    "entangling layers": lambda x: qml.BasicEntanglerLayers(
        [[x, -x]], wires=[4, 5], rotation=qml.RZ
    ),
    "strong layers": lambda x: qml.StronglyEntanglingLayers(
        x * np.arange(12.0).reshape(2, 2, 3), wires=[4, 5], ranges=[1, 1], imprimitive=qml.CZ
    ),
    "angle embedding": lambda x: qml.AngleEmbedding([x, -x], wires=[4, 5], rotation="Y"),
    "IQP embedding": lambda x: qml.IQPEmbedding(
        [x, -x, 0.3], wires=[4, 5, 6], n_repeats=2, pattern=[[4, 6]]
    ),
    "QAOA embedding": lambda x: qml.QAOAEmbedding(
        [x, -x], [[x, 0.1, 0.2]], wires=[4, 5], local_field="Z"
    ),
    "fermionic": lambda x: qml.FermionicSingleExcitation(x, wires=[4, 5]),
    "fermionic double": lambda x: qml.FermionicDoubleExcitation(x, wires1=[4, 5], wires2=[6, 7]),
    "SelectPauliRot": lambda x: qml.SelectPauliRot([x, -x], [5], 4, rot_axis="Y"),
    "SpecialUnitary": lambda x: qml.SpecialUnitary(np.array([x, 0.2, -x]), 4),
    "a user's": lambda x: Wide(x, 4, axis="Y"),
}

AROUND: dict[str, Callable[[Operator], Operator]] = {
    "alone": lambda op: op,
    "adjoint": qml.adjoint,
    "adjoint, lazy": lambda op: qml.adjoint(op, lazy=False),
    "squared": lambda op: qml.pow(op, 2),
    "power -1": lambda op: qml.pow(op, -1, lazy=True),
    "controlled": lambda op: qml.ctrl(op, 0),
    "controlled on 0": lambda op: qml.ctrl(op, 0, control_values=0),
    "controlled on 0 and 1": lambda op: qml.ctrl(op, [0, 1], control_values=[0, 1]),
    "product": lambda op: qml.prod(qml.X(0), op, qml.RZ(0.2, 4)),
    "adjoint of controlled on 0": lambda op: qml.adjoint(qml.ctrl(op, 0, control_values=0)),
    "controlled on 0, adjoint inside": lambda op: qml.ctrl(qml.adjoint(op), 0, control_values=0),
    "squared, controlled on 0": lambda op: qml.pow(qml.ctrl(op, 0, control_values=0), 2),
    "scaled": lambda op: 0.5 * op,
    "changed basis": lambda op: qml.change_op_basis(qml.RX(0.3, 4), op, qml.RY(0.1, 4)),
}


@functools.cache
def made(operation: str, around: str, x: float) -> Operator | None:
    """The operation of that name; None where PennyLane refuses the combination."""
    with qml.QueuingManager.stop_recording():
        try:
            return AROUND[around](OPERATIONS[operation](x))
        except Exception:
            return None


def matrix(op: Operator) -> np.ndarray | None:
    """The operation's matrix by PennyLane; None where it has none."""
    try:
        return qml.matrix(op) if len(op.wires) < 5 else None
    except Exception:
        return None


@pytest.mark.parametrize("around", AROUND)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_the_matrix_is_the_one_at_the_new_parameters(operation: str, around: str) -> None:
    here, there = made(operation, around, 0.3), made(operation, around, 1.1)
    if here is None or there is None:
        pytest.skip("PennyLane has no such operation")
    moved = with_parameters(here, there.data)
    assert type(moved) is type(there)
    assert moved.wires == there.wires
    assert moved.name == there.name
    for new, old in zip(moved.data, there.data, strict=True):
        np.testing.assert_array_equal(new, old)
    want = matrix(there)
    if want is not None:
        got = matrix(moved)
        assert got is not None
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-12)


def test_parameters_may_gain_and_lose_a_batch() -> None:
    batch = np.array([0.1, 0.2])
    op = qml.ctrl(qml.ControlledQubitUnitary(np.eye(2), [1, 0], control_values=[0]), 2)
    wide = with_parameters(op, [qml.RX(batch, 0).matrix()])
    assert wide.batch_size == 2
    row = with_parameters(wide, [wide.data[0][1]])
    assert row.batch_size is None
    assert list(row.control_values) == list(op.control_values)
    np.testing.assert_allclose(qml.matrix(row), qml.matrix(wide)[1])


def test_nothing_is_queued_nor_written_to() -> None:
    angle = np.array(0.3)
    angle.setflags(write=False)
    op = qml.exp(2 * qml.X(0), 1j * 0.5)
    with qml.queuing.AnnotatedQueue() as queue:
        with_parameters(op, [angle, np.array(2.0)])
    assert not queue.queue
    assert op.data == (0.5j, 2)


def test_another_number_of_parameters_is_refused() -> None:
    with pytest.raises(CompileError, match="1 parameters; 2 cannot"):
        with_parameters(qml.RX(0.3, 0), [0.1, 0.2])


def test_an_operation_that_holds_others_and_does_not_tell_is_refused() -> None:
    class Around(qml.operation.Operation):
        def __init__(self, first, wires):
            self.hyperparameters["first"] = first
            super().__init__(*first.data, wires=wires)

    with pytest.raises(CompileError, match="_unflatten"):
        with_parameters(Around(qml.RX(0.3, 0), wires=0), [0.4])


def test_a_tape_with_other_parameters_keeps_all_else() -> None:
    tape = qml.tape.QuantumScript(
        [
            qml.ControlledQubitUnitary(np.eye(2), [1, 0], control_values=[0]),
            qml.evolve(2 * qml.X(0), 0.3),
        ],
        [qml.counts(0.5 * qml.Z(0), all_outcomes=True), qml.probs(wires=1)],
        shots=100,
        trainable_params=[1],
    )
    new = tape_with_parameters(tape, [0.7, 0.4], [2, 1])
    assert new.get_parameters(trainable_only=False)[1:] == [0.4, 0.7]
    assert new[0].control_values == [False]
    assert new.measurements[0].all_outcomes
    assert (new.shots, new.trainable_params) == (tape.shots, [1])
    assert tape.get_parameters(trainable_only=False)[1:] == [0.3, 0.5]
    every = tape_with_parameters(tape, tape.get_parameters(trainable_only=False))
    qml.assert_equal(every, tape)
