"""Marks do nothing elsewhere, and are taken out of their tape."""

from __future__ import annotations

from typing import Any

import pennylane as qml
import pytest

from pennylane_qstore.errors import CompileError
from pennylane_qstore.native.marks import CORRECT, FOLD, Mark, take_marks


def test_a_mark_does_nothing_on_other_devices() -> None:
    @qml.qnode(qml.device("default.qubit"))
    def circuit() -> Any:
        qml.Hadamard(0)
        Mark(FOLD, 3)
        return qml.expval(qml.X(0))

    assert circuit() == pytest.approx(1)
    assert "Fold(3)" in qml.draw(circuit)()


def test_marks_are_taken_out_of_their_tape() -> None:
    with qml.queuing.QueuingManager.stop_recording():
        gate, fold, correct = qml.X(0), Mark(FOLD, 1.5), Mark(CORRECT, 8)
    tape = qml.tape.QuantumScript([gate, correct, fold], [qml.expval(qml.Z(0))], shots=5)
    plain, wanted = take_marks(tape)
    assert (plain.operations, plain.shots) == ([gate], tape.shots)
    assert wanted == {FOLD: 1.5, CORRECT: 8}
    assert take_marks(plain) == (plain, {})
    with pytest.raises(CompileError, match="two marks of 'fold'"):
        take_marks(tape.copy(operations=[gate, fold, correct, fold.adjoint()]))
