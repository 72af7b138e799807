"""One compiled circuit: native gates, and how to read its outcomes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pennylane as qml
from pennylane.queuing import QueuingManager
from pennylane.tape import QuantumScript

from pennylane_qstore.native.gates import NATIVE_GATES
from pennylane_qstore.native.template import NativeBlock, Readout

SLOTS = {"gpi": 1, "gpi2": 1, "ms": 3, "zz": 1}
"""Parameters of each native gate."""


@dataclass(frozen=True, slots=True)
class NativeCircuit:
    """A circuit in IonQ's native gates.

    Args:
        qubits: number of native wires.
        gates: (name, native wires, parameters in turns) in time order.
        frames: virtual Z left on each native wire, in turns; not seen by a measurement.
        permutation: ``permutation[i]`` is the native wire that carries tape wire i at the
            end; empty where the readout relabels instead.
        measured: native wires measured, in the order of the readout's columns.
        readout: from measured bits to the tape's bits.
    """

    qubits: int
    gates: tuple[tuple[str, tuple[int, ...], tuple[float, ...]], ...]
    frames: tuple[float, ...]
    permutation: tuple[int, ...]
    measured: tuple[int, ...]
    readout: Readout

    @property
    def n_1q(self) -> int:
        """Number of GPi and GPi2 pulses."""
        return sum(len(on) == 1 for _, on, _ in self.gates)

    @property
    def n_2q(self) -> int:
        """Number of MS or ZZ gates."""
        return sum(len(on) == 2 for _, on, _ in self.gates)

    @property
    def entangling(self) -> float:
        """Total entangling angle, in full MS or ZZ gates (0.25 turn each)."""
        return sum(abs(params[-1]) / 0.25 for _, on, params in self.gates if len(on) == 2)

    @property
    def depth(self) -> int:
        """Gates on the longest path."""
        return max(self._path(lambda on: 1.0), default=0).__int__()

    def _path(self, cost: Any) -> list[float]:
        at = [0.0] * self.qubits
        for _, on, _ in self.gates:
            end = max(at[q] for q in on) + cost(on)
            for q in on:
                at[q] = end
        return at

    def to_ionq(self) -> dict[str, Any]:
        """The ``input`` member of an ``ionq.circuit.v1`` job."""
        circuit: list[dict[str, Any]] = []
        for name, on, params in self.gates:
            if name == "ms":
                gate = {"targets": list(on), "phases": list(params[:2]), "angle": params[2]}
            elif name == "zz":
                gate = {"targets": list(on), "angle": params[0]}
            else:
                gate = {"target": on[0], "phase": params[0]}
            circuit.append({"gate": name, **gate})
        return {"gateset": "native", "qubits": self.qubits, "circuit": circuit}

    def to_tape(self) -> QuantumScript:
        """A tape of GPI, GPI2, MS and ZZ operations that measures the measured wires."""
        with QueuingManager.stop_recording():
            ops = [NATIVE_GATES[name](*params, wires=list(on)) for name, on, params in self.gates]
            return QuantumScript(ops, [qml.probs(wires=list(self.measured))])


def from_row(
    block: NativeBlock,
    row: int,
    *,
    qubits: int,
    frames: np.ndarray,
    measured: tuple[int, ...],
    readout: Readout,
    permutation: tuple[int, ...],
) -> NativeCircuit:
    """The circuit of one row of a bound block."""
    gates, slot = [], 0
    for name, on in block.gates:
        n = SLOTS[name]
        params = tuple(float(p) for p in block.params[row, slot : slot + n])
        gates.append((name, on, params))
        slot += n
    return NativeCircuit(
        qubits, tuple(gates), tuple(float(f) for f in frames), permutation, measured, readout
    )
