"""Each circuit on qubits of its own, in a Pauli frame of its own.

Errors that belong to qubits, pairs and readout directions then differ from row to row, and average
out over rows instead of adding up (Maksymov, Nguyen, Nam and Markov, "Enhancing quantum computer
performance via symmetrization", arXiv:2301.07233; frames: Wallman and Emerson, "Noise tailoring
for scalable quantum computation via randomized compiling", arXiv:1512.01098). A frame flips some
qubits at the start, and their bits are flipped back when they are read; in between gates change
their phases only. No entangler is added, and at most one pulse on each qubit, at the start.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pennylane_qstore.gateset import FULL_ANGLE
from pennylane_qstore.native.frontend.program import FloatArray
from pennylane_qstore.native.template.batch import NativeGate, Readout, native_slots

_HALF = 0.5
"""Turns of a virtual Z, which a phase takes up."""
_EXACT = 1e-9


class Assignment(NamedTuple):
    """Qubits and frame of one circuit.

    Attributes:
        qubits: by native wire.
        flipped: native wires whose zero is run as a one, as a mask.
    """

    qubits: tuple[int, ...]
    flipped: npt.NDArray[np.bool_]

    @classmethod
    def draw(cls, wires: int, pool: int, seed: Sequence[int]) -> Assignment:
        """Return a random assignment.

        Args:
            wires: native wires of the circuit.
            pool: qubits to choose from, at least as many.
            seed: of the choice.

        Returns:
            The assignment: different qubits, each wire flipped or not.
        """
        rng = np.random.default_rng(seed)
        qubits = rng.permutation(pool)[:wires].tolist()
        return cls(tuple(qubits), rng.random(wires) < 0.5)

    def reading(self, template: Any) -> tuple[tuple[int, ...], Readout]:
        """Return the qubits to read of a template's circuit, and the readout that undoes the frame.

        Args:
            template: has ``measured`` wires and a ``readout``.
        """
        measured, readout = list(template.measured), template.readout
        bits = self.flipped[measured].astype(np.uint8)
        places = tuple(self.qubits[wire] for wire in measured)
        return places, Readout(readout.matrix, readout.apply(bits[None])[0])

    def apply(
        self, gates: Sequence[NativeGate], params: FloatArray
    ) -> tuple[list[NativeGate], FloatArray]:
        """Return a circuit on its own qubits, in its frame.

        A full ZZ is run with its own sign also between qubits of which one is flipped: the inverse
        differs from it by a Z on both qubits, which later phases take up. So its over-rotation
        has the other sign in that frame.

        Args:
            gates: names and native wires.
            params: the numbers of one row, shape [slots], in turns.

        Returns:
            Names and qubits, and numbers.
        """
        turned = np.zeros(len(self.qubits))
        waiting = set(np.flatnonzero(self.flipped).tolist())
        out: list[NativeGate] = []
        numbers: list[float] = []
        for (name, wires), slots in zip(gates, native_slots(gates), strict=True):
            values = params[slots].tolist()
            if waiting.intersection(wires) and len(wires) == 1:
                waiting.discard(wires[0])
                if name == "gpi":  # on |1⟩, of which it makes what the frame had for a zero
                    continue
                turned[wires[0]] = _HALF  # GPi2(φ) on |1⟩ is GPi2(φ + 1/2) on |0⟩
                values = self._in_frame(wires, values, turned)
                turned[wires[0]] = 0.0
            else:
                for wire in sorted(waiting.intersection(wires)):
                    waiting.discard(wire)
                    out.append(("gpi", (self.qubits[wire],)))
                    numbers.append(0.0)
                if name == "zz":
                    values = self._zz(wires, values[0], turned)
                else:
                    values = self._in_frame(wires, values, turned)
            out.append((name, tuple(self.qubits[wire] for wire in wires)))
            numbers += values
        for wire in sorted(waiting):
            out.append(("gpi", (self.qubits[wire],)))
            numbers.append(0.0)
        return out, np.array(numbers)

    def _in_frame(
        self, wires: Sequence[int], values: list[float], turned: FloatArray
    ) -> list[float]:
        """Return the numbers of a gate, of which the first are phases by wire, from 0 to 1."""
        phases = [
            ((-value if self.flipped[wire] else value) + turned[wire]) % 1.0
            for wire, value in zip(wires, values, strict=False)
        ]
        return phases + values[len(wires) :]

    def _zz(self, wires: Sequence[int], angle: float, turned: FloatArray) -> list[float]:
        a, b = wires
        if self.flipped[a] == self.flipped[b]:
            return [angle]
        if abs(abs(angle) - FULL_ANGLE) > _EXACT:
            return [-angle]
        turned[[a, b]] = (turned[[a, b]] + _HALF) % 1.0
        return [angle]
