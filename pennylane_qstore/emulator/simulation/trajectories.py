"""Noisy shots as pure states: the errors are drawn first, and only what they change is run.

The errors of a shot depend on the rates alone. Shots without one share the ideal state of
their row; shots with the same single error share a state as well; every state branches off
from its row's ideal one at its first error.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pennylane as qml
from numpy.typing import NDArray

from pennylane_qstore.emulator.simulation.devices import operations, run_tape
from pennylane_qstore.emulator.simulation.draws import (
    Keys,
    Places,
    bits,
    events,
    outcomes,
    uniform,
)
from pennylane_qstore.emulator.simulation.engines import LARGE, LIGHTNING, NUMPY, ROWS
from pennylane_qstore.emulator.simulation.fusion import Complex, FusedGate
from pennylane_qstore.emulator.simulation.rows import Errors, run_rows
from pennylane_qstore.emulator.simulation.statevector import (
    apply_gate,
    check_memory,
    evolve,
    state_probabilities,
)

_BYTES = {ROWS: 1 << 24, NUMPY: 1 << 19}
"""Trajectories run side by side in states of about this size."""
OUTCOME, _PAULI, _ERRORS, READOUT = 0, 1, 1 << 32, 1 << 33
"""Places in a shot's stream: of its outcome, its Paulis (by gate), its errors, its misread bits."""


class Columns(NamedTuple):
    """Pure states to run: the row of each, shape [K], and the Pauli errors in them."""

    row: Places
    errors: Errors

    def part(self, columns: slice) -> Columns:
        """Return some of the states."""
        first, last = np.searchsorted(self.errors.column, [columns.start, columns.stop])
        errors = Errors(*(array[first:last] for array in self.errors))
        return Columns(self.row[columns], errors._replace(column=errors.column - columns.start))


def sample_trajectories(
    fused: Sequence[FusedGate], n: int, rates: NDArray[np.float64], keys: Keys, engine: str
) -> NDArray[np.uint64]:
    """Draw the shots of noisy circuits.

    Args:
        fused: the gates of all rows.
        n: number of qubits.
        rates: of the depolarizing channel after each gate, shape [gates].
        keys: of the shots' streams, shape [rows, shots].
        engine: one of :data:`~pennylane_qstore.emulator.simulation.engines.ENGINES`.

    Returns:
        Outcomes [rows, shots].

    Raises:
        MemoryError: a state of so many qubits does not fit.
    """
    columns, column_of = draw_errors([gate.qubits for gate in fused], rates, keys)
    order = np.argsort(column_of, kind="stable")
    out = np.empty(keys.size, dtype=np.uint64)
    if n >= LARGE:
        check_memory(n)
    step = 1 if engine == LIGHTNING else max(1, _BYTES[engine] // (16 * 2**n))
    device = qml.device("lightning.qubit", wires=n) if engine == LIGHTNING else None
    u = uniform(keys.ravel(), OUTCOME)
    for start in range(0, len(columns.row), step):
        part = columns.part(slice(start, start + step))
        if device is not None:
            table = run_tape(device, _struck_operations(fused, part), n)[None]
        elif engine == ROWS:
            table = run_rows(fused, n, part.row, part.errors)
        else:
            table = run_columns(fused, n, part)
        first, last = np.searchsorted(column_of, [start, start + step], sorter=order)
        shots = order[first:last]
        out[shots] = outcomes(table, column_of[shots] - start, u[shots])
    return out.reshape(keys.shape)


def draw_errors(
    qubits: Sequence[tuple[int, ...]], rates: NDArray[np.float64], keys: Keys
) -> tuple[Columns, Places]:
    """Draw the errors of all shots.

    A channel of rate r on m qubits is, with probability r, one of the 4ᵐ Pauli strings, the
    identity among them (Nielsen and Chuang, section 8.3.4).

    Args:
        qubits: of each gate.
        rates: of the channel after each gate, shape [gates].
        keys: of the shots' streams, shape [rows, shots].

    Returns:
        The states that are needed, and the state of each shot [rows * shots].
    """
    rows, shots = keys.shape
    flat = keys.ravel()
    shot, place = events(rates, flat, _ERRORS)
    strings = np.array([4 ** len(of_gate) - 1 for of_gate in qubits], dtype=np.uint64)
    pauli = bits(flat[shot], _PAULI + place) & strings[place]
    shot, place, pauli = shot[pauli > 0], place[pauli > 0], pauli[pauli > 0]
    struck, first, count = np.unique(shot, return_index=True, return_counts=True)
    # a state of its own for each row's shots without errors, for each single error that shots
    # have in common, and for each other shot
    common = (count == 1) & (pauli[first] < 16)
    number = 16 * place[first] + pauli[first].astype(np.int64)
    width = 16 * len(rates) + shots
    need = np.where(common, number, 16 * len(rates) + struck % shots) + struck // shots * width
    needs, example, state_of = np.unique(need, return_index=True, return_inverse=True)
    row = needs // width
    ideal = np.arange(rows) + np.searchsorted(row, np.arange(rows))
    column = np.arange(len(needs)) + row + 1
    column_of = np.repeat(ideal, shots)
    column_of[struck] = column[state_of]
    row_of = np.repeat(np.arange(rows), np.diff(ideal, append=rows + len(needs)))
    kept = np.repeat(first[example], count[example]) + _within(count[example])
    place, pauli = place[kept], pauli[kept]
    errors = Errors(np.repeat(column, count[example]), place, *_masks(qubits, place, pauli))
    return Columns(row_of, errors), column_of


def _masks(
    qubits: Sequence[tuple[int, ...]], place: Places, pauli: Keys
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the qubits that Pauli strings flip and those whose ones they give a sign.

    A string has two bits per qubit of its gate: 0 I, 1 X, 2 Y, 3 Z; Y = iXZ.
    """
    flips, signs = np.zeros(len(place), np.int64), np.zeros(len(place), np.int64)
    for k in range(max(map(len, qubits))):
        bit = np.array([1 << of_gate[k] if k < len(of_gate) else 0 for of_gate in qubits])[place]
        letter = pauli >> np.uint64(2 * k) & np.uint64(3)
        flips |= np.where((letter == 1) | (letter == 2), bit, 0)
        signs |= np.where(letter >= 2, bit, 0)
    return flips, signs


def _within(counts: Places) -> Places:
    """Return 0, 1, .. for each count, one after the other."""
    return np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)


def run_columns(fused: Sequence[FusedGate], n: int, columns: Columns) -> NDArray[np.float64]:
    """Run states with their errors.

    Args:
        fused: the gates of all rows.
        n: number of qubits.
        columns: the states.

    Returns:
        Probabilities [K, 2**n].
    """
    errors = columns.errors
    first = np.full(len(columns.row), len(fused))  # the gate after which a state branches off
    first[errors.column[::-1]] = errors.place[::-1]
    order = np.argsort(first, kind="stable")
    position = np.argsort(order)
    joins = np.searchsorted(first[order], np.arange(len(fused) + 1), side="right")
    present, source = np.unique(columns.row[order], return_inverse=True)
    ideal, axes = evolve([], n, len(present))
    state, joined = ideal[..., :0], 0
    by_place = np.argsort(errors.place, kind="stable")
    ends = np.searchsorted(errors.place[by_place], np.arange(len(fused) + 1))
    for place, gate in enumerate(fused):
        rows = gate.of_rows(present[source[:joined]])
        state = apply_gate(state, rows, axes.copy()) if joined else state
        ideal = apply_gate(ideal, gate.of_rows(present), axes)
        if joins[place] > joined:
            state = np.concatenate([state, ideal[..., source[joined : joins[place]]]], axis=-1)
            joined = joins[place]
        struck = by_place[ends[place] : ends[place + 1]]
        where, flips, signs = position[errors.column[struck]], errors.flips, errors.signs
        for qubit in gate.qubits:
            flip = where[(flips[struck] >> qubit & 1) > 0]
            _strike(state, axes[qubit], flip, where[(signs[struck] >> qubit & 1) > 0])
    state = np.concatenate([state, ideal[..., source[joined:]]], axis=-1)
    return state_probabilities(state, axes)[position]


def _strike(state: Complex, axis: int, flip: Places, sign: Places) -> None:
    """Put an X on a qubit of some columns, and a Z on it in others, in place."""
    state = np.moveaxis(state, axis, 0)
    if len(flip):
        state[..., flip] = state[::-1][..., flip]
    if len(sign):
        state[1][..., sign] *= -1


def _struck_operations(fused: Sequence[FusedGate], column: Columns) -> list[Any]:
    """Return the gates and errors of a single state as PennyLane operations."""
    ops: list[Any] = []
    _, places, flips, signs = (array.tolist() for array in column.errors)
    masks = dict(zip(places, zip(flips, signs, strict=True), strict=True))
    for place, gate in enumerate(fused):
        ops.extend(operations([gate], int(column.row[0])))
        flip, sign = masks.get(place, (0, 0))
        ops.extend(qml.X(qubit) for qubit in gate.qubits if flip >> qubit & 1)
        ops.extend(qml.Z(qubit) for qubit in gate.qubits if sign >> qubit & 1)
    return ops
