"""The choice of the engine that simulates pure states.

Measured by ``qstore bench --only engine`` and, at few states, by CPU time of the same circuits (two
shared cores with AVX-512, November 2026). The row engine treats sixteen states in the time of one:
it wins from as many states on as :data:`FEWEST_STATES` says. NumPy runs below, and where Numba is
not installed or not worth its import; lightning.qubit where states are large. Density matrices are
chosen in :mod:`.noise`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from pennylane_qstore.compiled import pays
from pennylane_qstore.emulator.simulation.fusion import FusedGate
from pennylane_qstore.emulator.simulation.rows import load, runs
from pennylane_qstore.server.inputs.program import Gate

ROWS, NUMPY, LIGHTNING = "rows", "numpy", "lightning.qubit"
ENGINES = (ROWS, NUMPY, LIGHTNING)
DENSITY = "density matrix"
LARGE = 13
"""Qubits from which lightning.qubit simulates row by row, where the row engine does not."""
FEWEST_STATES: Mapping[int, int] = MappingProxyType(
    {**dict.fromkeys(range(15), 1), 15: 2, 16: 4, 17: 10}
)
"""By qubits: the states from which on the row engine is fastest. Above, its blocks fit no cache.

CPU ms of one block of the row engine, and of one state elsewhere (NumPy to 12 qubits, then
lightning.qubit): 10 qubits 1.3, 1.6; 11: 1.7, 2.0; 12: 2.7, 2.7; 13: 4.7, 7.8; 14: 8.4, 9.2;
15: 17, 10; 16: 55, 14; 17: 187, 19; 18: 392, 33.
"""
_SAVED_S = 4e-9
"""Seconds that NumPy takes longer for an amplitude of a gate.

The few microseconds of a gate itself are not counted: values differ in the last digit by engine,
and a small training that starts again is to have the same ones."""


def choose(gates: Sequence[Gate] | Sequence[FusedGate], n: int, states: int) -> str:
    """Return the engine that is fastest for pure states.

    Args:
        gates: their gates.
        n: number of qubits.
        states: how many there are.

    Returns:
        Its name.
    """
    saved_s = _SAVED_S * states * 2.0**n * len(gates)
    fits = states >= FEWEST_STATES.get(n, math.inf) and runs(gates)
    if fits and pays("engine", saved_s) and load():
        return ROWS
    return NUMPY if n < LARGE else LIGHTNING
