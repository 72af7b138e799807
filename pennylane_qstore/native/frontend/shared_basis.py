"""The one basis all measurements of a tape share, qubit by qubit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pennylane.measurements import (
    CountsMP,
    ExpectationMP,
    MeasurementProcess,
    ProbabilityMP,
    SampleMP,
    VarianceMP,
)
from pennylane.ops.qubit.observables import BasisStateProjector

from pennylane_qstore.errors import CompileError
from pennylane_qstore.native.frontend.program import Gate

_MEASURED = (CountsMP, ExpectationMP, ProbabilityMP, SampleMP, VarianceMP)


def shared_basis(
    measurements: Sequence[MeasurementProcess], wires: Mapping[Any, int]
) -> tuple[list[Gate], list[int]]:
    """Return gates that turn all measurements to the Z basis, and the wires measured.

    Args:
        measurements: expval, var, probs, counts or sample, of wires or of Pauli words.
        wires: index of each wire label.

    Returns:
        The gates, and the indices of the wires in the order in which they first appear.

    Raises:
        CompileError: two measurements need one wire in two bases, or an observable is not
            made of Pauli words.
    """
    axes: dict[Any, str] = {}
    for m in measurements:
        for label, axis in _axes(m, wires):
            known = axes.setdefault(label, axis)
            if known != axis:
                raise CompileError(
                    f"The measurements need wire {label!r} both in the {known} and in the {axis} "
                    "basis; one circuit measures one basis. Compile one tape per basis "
                    "(qml.transforms.split_non_commuting), or run the QNode on a qstore.ionq "
                    "device, which does that by itself."
                )
    gates: list[Gate] = []
    for label, axis in axes.items():
        if axis == "Y":
            gates.append(Gate("Adjoint(S)", (wires[label],)))
        if axis != "Z":
            gates.append(Gate("Hadamard", (wires[label],)))
    return gates, [wires[label] for label in axes]


def _axes(m: MeasurementProcess, wires: Mapping[Any, int]) -> list[tuple[Any, str]]:
    if not isinstance(m, _MEASURED):
        raise CompileError(
            f"{m} cannot be measured on a machine. Allowed: expval, var, probs, counts and "
            "sample, of wires or of Pauli words."
        )
    if m.obs is None or isinstance(m.obs, BasisStateProjector):
        if m.mv is not None:
            raise CompileError(
                "A mid-circuit measurement is left in the tape; apply qml.defer_measurements first."
            )
        return [(label, "Z") for label in (m.wires or wires)]
    sentence = m.obs.pauli_rep
    if sentence is None:
        raise CompileError(
            f"{m.obs} is not made of Pauli words; diagonalise it first, or run the QNode on a "
            "qstore.ionq device."
        )
    return [(label, axis) for word in sentence for label, axis in word.items()]
