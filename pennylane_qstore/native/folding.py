"""Compiled circuits with more noise: each followed by its inverse and itself again.

A circuit ``V`` becomes ``V (V† V)^k`` and, for what is left, ``L† L`` of its last gates
(Giurgica-Tiron, Hindy, LaRose, Mari and Zeng, "Digital zero noise extrapolation for quantum error
mitigation", arXiv:2005.10921). Folds of a tape would be compiled away; these are made of native
gates, after the compiler. Outcomes are read as those of ``V``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from pennylane.operation import Operation
from pennylane.tape import QuantumScript

from pennylane_qstore.errors import CompileError
from pennylane_qstore.gateset import ENTANGLERS
from pennylane_qstore.native.template.batch import NativeBlock, native_slots
from pennylane_qstore.validation import check_number

_HALF = 0.5
"""Turns between the axis of a rotation and that of its inverse."""


class NativeFold(Operation):  # type: ignore[misc]
    """A mark in a tape: its compiled circuit is to be folded. Does nothing on other devices.

    Args:
        scale (float): factor of the noise, at least 1.
        wires (Sequence[Any]): none.
    """

    num_wires = 0
    num_params = 0
    grad_method = None

    def __init__(self, scale: float, wires: Any = ()) -> None:
        check_number("scale_factor", scale, least=1)
        super().__init__(wires=wires)
        self._hyperparameters = {"scale": float(scale)}

    @staticmethod
    def compute_decomposition(*_: Any, **__: Any) -> list[Operation]:
        """Return no operations."""
        return []

    def label(self, *_: Any, **__: Any) -> str:
        """Return the text in a drawing."""
        return f"Fold({self.hyperparameters['scale']:g})"

    def adjoint(self) -> NativeFold:
        """Return the same mark."""
        return NativeFold(self.hyperparameters["scale"])


def take_fold(tape: QuantumScript) -> tuple[QuantumScript, float]:
    """Return a tape without its mark, and the scale that it asked for.

    Args:
        tape: any tape.

    Returns:
        The tape, and the factor; 1 where there is no mark.

    Raises:
        CompileError: there is more than one mark.
    """
    if NativeFold not in set(map(type, tape.operations)):
        return tape, 1.0
    marks = [op for op in tape.operations if type(op) is NativeFold]
    if len(marks) > 1:
        raise CompileError("The circuit is folded twice; fold_native or zne goes on it once.")
    rest = [op for op in tape.operations if type(op) is not NativeFold]
    return tape.copy(operations=rest), marks[0].hyperparameters["scale"]


def fold(block: NativeBlock, scale: float) -> NativeBlock:
    """Return rows of one skeleton, folded.

    Args:
        block: the rows.
        scale: factor of the entanglers, or of the pulses where there are none; rounded to what
            whole gates give. Odd numbers are exact.

    Returns:
        The same rows, with more gates.
    """
    counted = [k for k, gate in enumerate(block.gates) if gate[0] in ENTANGLERS]
    counted = counted or list(range(len(block.gates)))
    more, rest = divmod(round((scale - 1) / 2 * len(counted)), max(1, len(counted)))
    if not counted or not (more or rest):
        return block
    slots = native_slots(block.gates)
    inverse = block.params.copy()
    for (name, _), where in zip(block.gates, slots, strict=True):
        if name == "zz":
            inverse[:, where] *= -1
        elif name != "gpi":
            inverse[:, where.start] += _HALF
    gates, parts = list(block.gates), [block.params]
    for first in [0] * more + [counted[-rest]] * bool(rest):
        back = range(len(block.gates) - 1, first - 1, -1)
        gates += [block.gates[k] for k in back]
        gates += block.gates[first:]
        parts += [inverse[:, slots[k]] for k in back]
        parts.append(block.params[:, slots[first].start :])
    return block._replace(gates=tuple(gates), params=np.concatenate(parts, axis=1))
