"""Compiled circuits: counted, and simulated beside what they were made of.

Native gates are counted as they are, one pulse for each GPi and GPi2. What comes in other one-qubit
gates is counted as it could be sent at best: neighbours on a wire are one, rotations about Z are
virtual, and the rest is no pulse, one or two (as many as it takes from pole to pole).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pennylane as qml
from numpy.typing import NDArray
from pennylane.measurements import MeasurementProcess
from pennylane.operation import Operator
from pennylane.queuing import QueuingManager
from pennylane.tape import QuantumScript

from pennylane_qstore.gateset import FULL_ANGLE
from pennylane_qstore.native.frontend.program import ComplexArray
from pennylane_qstore.native.gates import NATIVE_GATES, TURN
from pennylane_qstore.native.ir import I2, H
from pennylane_qstore.native.template.batch import Readout

UNITARY = "unitary"
"""A one-qubit gate that is virtual or not native yet, with its matrix as parameters, row by row."""
_FULL = 6
"""Qubits up to which the whole unitary is compared; beyond them :data:`_STATES` random states."""
_STATES = 8
_TOL = 1e-6
_PULSE_TOL = 1e-5

CompiledGate = tuple[str, tuple[int, ...], tuple[complex, ...]]
"""Name, wires and parameters."""


def unitary_gate(matrix: Any, wire: int) -> CompiledGate:
    """Return a one-qubit gate that is virtual or not native yet.

    Args:
        matrix: shape (2, 2).
        wire: wire it acts on.

    Returns:
        A gate called :data:`UNITARY`.
    """
    return UNITARY, (wire,), tuple(np.asarray(matrix, dtype=complex).reshape(-1).tolist())


class Reading(NamedTuple):
    """The readout of a circuit that is not the tape's unitary.

    Attributes:
        measured: wires measured, in the order of the readout's columns.
        readout: from measured bits to the tape's.
    """

    measured: tuple[int, ...]
    readout: Readout


class Compiled(NamedTuple):
    """A compiled circuit.

    Attributes:
        wires: number of wires.
        gates: name, wires and parameters in time order: ``gpi``, ``gpi2``, ``ms`` and ``zz`` in
            turns, :data:`UNITARY`.
        outputs: wire that holds each wire of the tape at the end.
        reading: how to read the outcomes of a circuit that absorbs; None for the tape's unitary.
        frames: virtual rotations about Z left on each wire, in turns.
    """

    wires: int
    gates: tuple[CompiledGate, ...]
    outputs: tuple[int, ...] = ()
    reading: Reading | None = None
    frames: tuple[float, ...] = ()

    def counts(self, family: str) -> Counts:
        """Count what is sent; two-qubit gates of the other family are turned to this one."""
        pairs = [gate for gate in self.gates if len(gate[1]) == 2]
        angle = sum(_full_gates(params[-1].real) for _, _, params in pairs)
        return Counts(len(pairs), round(angle, 9), _pulses(self, family))


class Counts(NamedTuple):
    """Two-qubit gates, their total angle in full gates, and one-qubit pulses."""

    pairs: int
    angle: float
    pulses: int


def is_right(compiled: Compiled, tape: QuantumScript) -> bool:
    """Compare a compiled circuit with default.qubit.

    Args:
        compiled: of the tape.
        tape: on wires 0 to n - 1, all measured.

    Returns:
        Whether it is the same unitary up to a global phase, whole for up to 6 qubits and on 8
        random states for more; or, where it absorbs, whether its outcomes have the same
        distribution.
    """
    wires = len(tape.wires)
    if compiled.reading is not None:
        wanted = _simulated(tape.operations, tape.measurements[0])
        return bool(np.allclose(_distribution(compiled, *compiled.reading), wanted, atol=_TOL))
    start = qml.StatePrep(_states(wires), wires=range(wires))
    wanted, made = (
        _simulated([start, *operations], qml.state())
        for operations in (tape.operations, _operations(compiled))
    )
    if compiled.outputs:
        axes = [1 + q for q in compiled.outputs]
        made = np.moveaxis(made.reshape(-1, *(2,) * wires), axes, range(1, wires + 1))
    overlaps = np.einsum("bi,bi->b", np.conj(wanted), made.reshape(wanted.shape))
    return bool(np.allclose(overlaps, overlaps[0], atol=_TOL) and abs(abs(overlaps[0]) - 1) < _TOL)


def _states(wires: int) -> ComplexArray:
    """Return all basis states, or random ones, in rows."""
    if wires <= _FULL:
        return np.eye(2**wires, dtype=complex)
    rng = np.random.default_rng(5)
    shape = 2**wires, _STATES
    states = rng.normal(size=shape) + 1j * rng.normal(size=shape)
    return np.asarray((states / np.linalg.norm(states, axis=0)).T)


def _operations(compiled: Compiled) -> list[Operator]:
    """Return the circuit as operations of PennyLane, frames included."""
    with QueuingManager.stop_recording():
        gates = [_operation(*gate) for gate in compiled.gates]
        return [*gates, *(qml.RZ(TURN * turns, q) for q, turns in enumerate(compiled.frames))]


def _operation(name: str, on: Sequence[int], params: Sequence[complex]) -> Operator:
    if name == UNITARY:
        return qml.QubitUnitary(np.reshape(params, (2, 2)), on)
    return NATIVE_GATES[name](*np.real(params), wires=on)


def _simulated(operations: Sequence[Operator], measurement: MeasurementProcess) -> NDArray[Any]:
    script = QuantumScript(operations, [measurement])
    (result,) = qml.execute([script], qml.device("default.qubit"), diff_method=None)
    return np.asarray(result)


def _distribution(
    compiled: Compiled, measured: Sequence[int], readout: Readout
) -> NDArray[np.float64]:
    weights = _simulated(_operations(compiled), qml.probs(wires=range(compiled.wires)))
    bits = np.array([*itertools.product((0, 1), repeat=compiled.wires)], dtype=np.uint8)
    read = readout.apply(bits[:, list(measured)])
    index = read.astype(int) @ (1 << np.arange(read.shape[1])[::-1])
    return np.asarray(np.bincount(index, weights, 2 ** read.shape[1]), dtype=float)


def _full_gates(turns: float) -> float:
    """Return an angle in full gates; half a turn is none but for one-qubit gates."""
    rest = turns % (2 * FULL_ANGLE)
    return min(rest, 2 * FULL_ANGLE - rest) / FULL_ANGLE


def _pulses(compiled: Compiled, family: str) -> int:
    gates = compiled.gates
    if all(name != UNITARY for name, _, _ in gates):
        return sum(len(on) == 1 for _, on, _ in gates)
    runs = [I2] * compiled.wires
    pulses = 0
    for name, on, params in gates:
        if len(on) == 1:
            runs[on[0]] = _operation(name, on, params).matrix() @ runs[on[0]]
            continue
        turned = H if name != family else I2
        for q in on:
            pulses += _pulses_of(turned @ runs[q])
            runs[q] = turned
    return pulses + sum(map(_pulses_of, runs))


def _pulses_of(run: ComplexArray) -> int:
    """Return the pulses of a one-qubit unitary between two virtual rotations about Z."""
    up, down = np.abs(run[:, 0])
    if down < _PULSE_TOL:
        return 0
    return 1 if min(up, abs(up - down)) < _PULSE_TOL else 2
