r"""IonQ's gates as PennyLane operations. Matrices of native gates stand here and nowhere else.

All parameters are in **turns** (1 turn = 2π radians). With
:math:`G(\phi) = \cos(2\pi\phi) X + \sin(2\pi\phi) Y`:

- ``GPI(φ)`` is :math:`G(\phi)`,
- ``GPI2(φ)`` is :math:`\exp(-i \frac{\pi}{4} G(\phi))`,
- ``MS(φ0, φ1, θ)`` is :math:`\exp(-i \pi\theta\, G(\phi_0) \otimes G(\phi_1))`,
- ``ZZ(θ)`` is :math:`\exp(-i \pi\theta\, Z \otimes Z)`.

Source: IonQ's guide "Getting started with native gates". The operations work on every
PennyLane device, batch over their parameters and have parameter-shift rules.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np
import pennylane as qml
from pennylane.operation import Operation, Operator
from pennylane.wires import WiresLike

TURN = 2 * np.pi
"""Radians in one turn."""


def _phase(turns: Any) -> Any:
    """Return exp(2πi · turns), complex."""
    angle = qml.math.cast(TURN * turns, "complex128") if _is_tensor(turns) else TURN * turns + 0j
    return qml.math.exp(1j * angle)


def _is_tensor(value: Any) -> bool:
    return qml.math.get_interface(value) in ("torch", "jax")


def _matrix(rows: list[list[Any]]) -> Any:
    """Stack entries of shape () or (batch,) into a matrix of shape (..., d, d)."""
    if {np.ndarray, np.complex128}.issuperset(type(entry) for row in rows for entry in row):
        # rows of a batch contiguous, as the emulator takes them
        shape = np.broadcast_shapes(*(entry.shape for row in rows for entry in row))
        table = np.empty((len(rows), len(rows), *shape), dtype=np.complex128)
        for i, row in enumerate(rows):
            for j, entry in enumerate(row):
                table[i, j] = entry
        return np.moveaxis(table, (0, 1), (-2, -1))
    shape = 0 * sum(entry for row in rows for entry in row)  # differentiable broadcasting
    return qml.math.stack(
        [qml.math.stack([entry + shape for entry in row], axis=-1) for row in rows], axis=-2
    )


class _Pulse(Operation):  # type: ignore[misc]
    """A rotation of one wire about an axis in the equator of the Bloch sphere."""

    num_wires = 1
    num_params = 1
    ndim_params = (0,)
    grad_method = "A"

    def __init__(self, phase: Any, wires: WiresLike) -> None:
        super().__init__(phase, wires=wires)


class GPI(_Pulse):
    r"""A π rotation about an axis in the equator of the Bloch sphere.

    Args:
        phase (float): azimuth of the axis in turns; shape () or (batch,).
        wires (Sequence[Any] or Any): the wire it acts on.

    **Example**

    >>> import numpy as np
    >>> bool(np.allclose(GPI(0.0, wires=0).matrix(), [[0, 1], [1, 0]]))
    True
    """

    parameter_frequencies: ClassVar = [(2 * TURN,)]

    @staticmethod
    def compute_matrix(phase: Any) -> Any:
        """Return the matrix, shape (2, 2) or (batch, 2, 2); ``phase`` in turns."""
        e = _phase(phase)
        zero = 0 * e
        return _matrix([[zero, qml.math.conj(e)], [e, zero]])

    @staticmethod
    def compute_decomposition(phase: Any, wires: WiresLike) -> list[Operation]:
        """Decompose into RZ(-4πφ), then X.

        Args:
            phase: azimuth of the axis in turns; shape () or (batch,).
            wires: the wire.

        Returns:
            Operations in time order.
        """
        return [qml.RZ(-2 * TURN * phase, wires=wires), qml.X(wires)]

    def adjoint(self) -> GPI:
        """Return the same gate: a π rotation is its own inverse, up to a global phase."""
        return GPI(self.data[0], wires=self.wires)


class GPI2(_Pulse):
    r"""A π/2 rotation about an axis in the equator of the Bloch sphere.

    Args:
        phase (float): azimuth of the axis in turns; shape () or (batch,).
        wires (Sequence[Any] or Any): the wire it acts on.
    """

    parameter_frequencies: ClassVar = [(TURN, 2 * TURN)]

    @staticmethod
    def compute_matrix(phase: Any) -> Any:
        """Return the matrix, shape (2, 2) or (batch, 2, 2); ``phase`` in turns."""
        e = _phase(phase)
        one = qml.math.ones_like(e)
        return _matrix([[one, -1j * qml.math.conj(e)], [-1j * e, one]]) / np.sqrt(2)

    @staticmethod
    def compute_decomposition(phase: Any, wires: WiresLike) -> list[Operation]:
        """Decompose into RX(π/2) in the frame turned by the phase.

        Args:
            phase: azimuth of the axis in turns; shape () or (batch,).
            wires: the wire.

        Returns:
            Operations in time order.
        """
        return [
            qml.RZ(-TURN * phase, wires=wires),
            qml.RX(np.pi / 2, wires=wires),
            qml.RZ(TURN * phase, wires=wires),
        ]

    def adjoint(self) -> GPI2:
        """Return the rotation about the opposite axis."""
        return GPI2(self.data[0] + 0.5, wires=self.wires)


class MS(Operation):  # type: ignore[misc]
    r"""The (partial) Mølmer-Sørensen gate.

    Args:
        phase0 (float): azimuth on the first wire in turns; shape () or (batch,).
        phase1 (float): azimuth on the second wire in turns; shape () or (batch,).
        angle (float): interaction angle in turns, 0.25 (the default) entangles fully.
            IonQ takes 0 to 0.25; a negative angle is half a turn more on one phase.
        wires (Sequence[Any]): the two wires.
    """

    num_wires = 2
    num_params = 3
    ndim_params = (0, 0, 0)
    grad_method = "A"
    parameter_frequencies: ClassVar = [(TURN, 2 * TURN), (TURN, 2 * TURN), (TURN,)]

    def __init__(
        self, phase0: Any, phase1: Any, angle: Any = 0.25, wires: WiresLike = None
    ) -> None:
        super().__init__(phase0, phase1, angle, wires=wires)

    @staticmethod
    def compute_matrix(phase0: Any, phase1: Any, angle: Any = 0.25) -> Any:
        """Return the matrix.

        Args:
            phase0: azimuth on the first wire in turns; shape () or (batch,).
            phase1: azimuth on the second wire in turns; shape () or (batch,).
            angle: interaction angle in turns; shape () or (batch,).

        Returns:
            Shape (4, 4) or (batch, 4, 4).
        """
        both, between = _phase(phase0 + phase1), _phase(phase0 - phase1)
        turn = _phase(angle / 2)
        c = (turn + qml.math.conj(turn)) / 2
        s = (qml.math.conj(turn) - turn) / 2  # -i sin(πθ)
        zero = 0 * c
        return _matrix(
            [
                [c, zero, zero, s * qml.math.conj(both)],
                [zero, c, s * qml.math.conj(between), zero],
                [zero, s * between, c, zero],
                [s * both, zero, zero, c],
            ]
        )

    @staticmethod
    def compute_decomposition(
        phase0: Any, phase1: Any, angle: Any = 0.25, wires: WiresLike = None
    ) -> list[Operation]:
        """Decompose into IsingXX in the frames turned by the phases.

        Args:
            phase0: azimuth on the first wire in turns; shape () or (batch,).
            phase1: azimuth on the second wire in turns; shape () or (batch,).
            angle: interaction angle in turns; shape () or (batch,).
            wires: the two wires.

        Returns:
            Operations in time order.
        """
        a, b = qml.wires.Wires(wires)
        return [
            qml.RZ(-TURN * phase0, wires=a),
            qml.RZ(-TURN * phase1, wires=b),
            qml.IsingXX(TURN * angle, wires=[a, b]),
            qml.RZ(TURN * phase0, wires=a),
            qml.RZ(TURN * phase1, wires=b),
        ]

    def adjoint(self) -> MS:
        """Return the interaction about the opposite axis of the first ion."""
        phase0, phase1, angle = self.data
        return MS(phase0 + 0.5, phase1, angle, wires=self.wires)


class ZZ(Operation):  # type: ignore[misc]
    r"""The (partial) ZZ gate of the Forte family.

    Args:
        angle (float): interaction angle in turns, 0.25 entangles fully; shape () or (batch,).
        wires (Sequence[Any]): the two wires.
    """

    num_wires = 2
    num_params = 1
    ndim_params = (0,)
    grad_method = "A"
    parameter_frequencies: ClassVar = [(TURN,)]

    def __init__(self, angle: Any = 0.25, wires: WiresLike = None) -> None:
        super().__init__(angle, wires=wires)

    @staticmethod
    def compute_matrix(angle: Any = 0.25) -> Any:
        """Return the matrix, shape (4, 4) or (batch, 4, 4); ``angle`` in turns."""
        e = _phase(angle / 2)
        minus, zero = qml.math.conj(e), 0 * e
        return _matrix(
            [
                [minus, zero, zero, zero],
                [zero, e, zero, zero],
                [zero, zero, e, zero],
                [zero, zero, zero, minus],
            ]
        )

    @staticmethod
    def compute_decomposition(angle: Any = 0.25, wires: WiresLike = None) -> list[Operation]:
        """Decompose into IsingZZ.

        Args:
            angle: interaction angle in turns; shape () or (batch,).
            wires: the two wires.

        Returns:
            One operation.
        """
        return [qml.IsingZZ(TURN * angle, wires=wires)]

    def adjoint(self) -> ZZ:
        """Return the gate of the opposite angle."""
        return ZZ(-self.data[0], wires=self.wires)


NATIVE_GATES: Mapping[str, type[Operation]] = {"gpi": GPI, "gpi2": GPI2, "ms": MS, "zz": ZZ}
"""The operations by IonQ's names."""

QIS_GATES: Mapping[str, Callable[..., Operator]] = {
    "x": qml.PauliX,
    "y": qml.PauliY,
    "z": qml.PauliZ,
    "not": qml.PauliX,
    "h": qml.Hadamard,
    "s": qml.S,
    "si": qml.adjoint(qml.S),
    "t": qml.T,
    "ti": qml.adjoint(qml.T),
    "v": qml.SX,
    "vi": qml.adjoint(qml.SX),
    "swap": qml.SWAP,
    "rx": qml.RX,
    "ry": qml.RY,
    "rz": qml.RZ,
    "xx": qml.IsingXX,
    "yy": qml.IsingYY,
    "zz": qml.IsingZZ,
}
"""PennyLane's operations for the gates of IonQ's abstract gateset; angles in radians.

Controls are added by ``qml.ctrl``, as for ``cnot``, which is an ``x``.
"""
