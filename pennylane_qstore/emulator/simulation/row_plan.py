"""Programs as the row engine reads them without matrices: gates that have one parameter or none.

An entry of such a gate's matrix is a + b cos(kp) + c sin(kp), p being the parameter and k that of
its kind of gate. The kernel computes it where it is needed, so that binding a program is a cosine
and a sine of each number. What has no such form is left to :mod:`.fusion`.
"""

from __future__ import annotations

from functools import cache, lru_cache
from types import ModuleType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pennylane_qstore.emulator.simulation.fusion import OPERATIONS, constant_matrix
from pennylane_qstore.native.gates import TURN
from pennylane_qstore.server.inputs.program import Gate, Program

_FREQUENCIES = {
    "native": {"gpi": 1.0, "gpi2": 1.0, "zz": 0.5},
    "qis": {"p": 1 / TURN} | dict.fromkeys(("rx", "ry", "rz", "xx", "yy", "zz"), 0.5 / TURN),
}
"""Turns per unit of the parameter, by gateset and name."""
_POINTS = np.array([0.0, 0.25, 0.5])
"""Turns at which a matrix tells its entries' forms."""


class RowPlan(NamedTuple):
    """A skeleton as the kernel reads it.

    Args:
        gates: shape [gates, 8]; see :func:`.kernel.run_angles`.
        targets: qubits of the gates, one after the other.
        entries: a, b and c of their entries, real and imaginary, shape [E, 6].
        frequencies: turns per unit of each slot, shape [slots].
    """

    gates: NDArray[np.int64]
    targets: NDArray[np.int64]
    entries: NDArray[np.float64]
    frequencies: NDArray[np.float64]

    def angles(self, program: Program, width: int) -> NDArray[np.float64]:
        """Return zeros, and the angles of a program in turns, one row per slot.

        Args:
            program: with the plan's gates.
            width: rows are filled up to a multiple of it.

        Returns:
            Shape [1 + slots, rows].
        """
        rows = -(-program.rows // width) * width
        angles = np.zeros((1 + len(self.frequencies), rows))
        np.multiply(program.params.T, self.frequencies[:, None], out=angles[1:, : program.rows])
        return angles


class _Form(NamedTuple):
    kind: int
    flips: bool
    entries: NDArray[np.float64]


@lru_cache(maxsize=64)
def row_plan(gateset: str, gates: tuple[Gate, ...], kernel: ModuleType) -> RowPlan | None:
    """Return the plan of a skeleton; ``None`` where a gate has no form for it.

    Args:
        gateset: ``"qis"`` or ``"native"``.
        gates: the skeleton; at least one gate.
        kernel: :mod:`.kernel`, which is there only with Numba.

    Returns:
        The plan.
    """
    rows: list[tuple[int, ...]] = []
    targets: list[int] = []
    entries: list[NDArray[np.float64]] = []
    frequencies: list[float] = []
    for gate in gates:
        form = None if gate.terms else _form(gateset, gate.name, kernel)
        if form is None:
            return None
        if gate.slots:
            frequencies.append(_FREQUENCIES[gateset][gate.name])
        controls = sum(1 << qubit for qubit in gate.controls)
        acted = sum(1 << qubit for qubit in gate.targets)
        places = len(targets), len(gate.targets), sum(map(len, entries))
        angle = len(frequencies) if gate.slots else 0
        flip = acted if form.flips else 0
        rows.append((form.kind, controls, flip, *places, angle, acted | controls))
        targets.extend(gate.targets)
        entries.append(form.entries)
    table, qubits = np.array(rows, np.int64), np.array(targets, np.int64)
    return RowPlan(table, qubits, np.concatenate(entries), np.array(frequencies))


@cache
def _form(gateset: str, name: str, kernel: ModuleType) -> _Form | None:
    """Return the form of a gate: what its matrix is at three angles."""
    if name in _FREQUENCIES[gateset]:
        points = _POINTS / _FREQUENCIES[gateset][name]
        matrices = np.asarray(OPERATIONS[gateset][name].compute_matrix(points), dtype=complex)
    elif gateset == "qis" and name in OPERATIONS["qis"] and name != "swap":
        matrices = np.stack([constant_matrix(name)[..., 0]] * 3)
    else:
        return None
    first, middle, last = matrices
    constant = (first + last) / 2
    parts = np.stack([constant, first - constant, middle - constant])
    corners = np.arange(len(constant))
    straight, across = parts[:, corners, corners], parts[:, corners, corners[::-1]]
    if len(corners) > 2 and not across.any():
        kind, flips, entries = kernel.DIAGONAL, False, straight
    else:
        kind, flips, entries = kernel.PAIR, True, np.concatenate([straight, across], axis=1)
    return _Form(kind, flips, entries.T.copy().view(np.float64))
