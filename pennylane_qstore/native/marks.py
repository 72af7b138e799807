"""Marks in a tape: what its compiled circuit is wanted for, which no gate says."""

from __future__ import annotations

from typing import Any

from pennylane.operation import Operation
from pennylane.tape import QuantumScript

from pennylane_qstore.errors import CompileError

FOLD = "fold"
"""The factor to which the noise of the compiled circuit is folded."""
CORRECT = "correct readout"
"""The number of circuits that calibrate the readout."""


class Mark(Operation):  # type: ignore[misc]
    """A mark in a tape that the device takes up. Does nothing on other devices.

    Args:
        wish (str): :data:`FOLD` or :data:`CORRECT`.
        value (float): its number.
        wires (Sequence[Any]): none.
    """

    num_wires = 0
    num_params = 0
    grad_method = None

    def __init__(self, wish: str, value: float, wires: Any = ()) -> None:
        super().__init__(wires=wires)
        self._hyperparameters = {"wish": wish, "value": value}

    @staticmethod
    def compute_decomposition(*_: Any, **__: Any) -> list[Operation]:
        """Return no operations."""
        return []

    def label(self, *_: Any, **__: Any) -> str:
        """Return the text in a drawing."""
        return f"{self.hyperparameters['wish'].capitalize()}({self.hyperparameters['value']:g})"

    def adjoint(self) -> Mark:
        """Return the same mark."""
        return Mark(**self.hyperparameters)


def take_marks(tape: QuantumScript) -> tuple[QuantumScript, dict[str, Any]]:
    """Return a tape without its marks, and their numbers by wish.

    Args:
        tape: any tape.

    Returns:
        The tape, and what is wanted of it.

    Raises:
        CompileError: the same is wanted twice.
    """
    if Mark not in set(map(type, tape.operations)):
        return tape, {}
    wanted: dict[str, Any] = {}
    for op in tape.operations:
        if type(op) is Mark:
            wish = op.hyperparameters["wish"]
            if wish in wanted:
                raise CompileError(
                    f"The circuit has two marks of {wish!r}: fold_native or zne, and "
                    "correct_readout, go on it once each."
                )
            wanted[wish] = op.hyperparameters["value"]
    rest = [op for op in tape.operations if type(op) is not Mark]
    return tape.copy(operations=rest), wanted
