"""One compiled circuit: native gates, and the readout of its outcomes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pennylane as qml
from pennylane.queuing import QueuingManager
from pennylane.tape import QuantumScript

from pennylane_qstore.backends import Backend
from pennylane_qstore.backends import backend as known_backend
from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.gateset import ENTANGLERS, FULL_ANGLE, NATIVE
from pennylane_qstore.native.gates import NATIVE_GATES
from pennylane_qstore.native.template.batch import Readout


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
        return sum(abs(params[-1]) / FULL_ANGLE for _, on, params in self.gates if len(on) == 2)

    @property
    def depth(self) -> int:
        """Gates on the longest path."""
        return int(max(self._path(lambda on: 1.0), default=0))

    def duration(self, backend: str | Backend) -> float:
        """Return the seconds of one shot: reset, the longest path of gates, readout.

        Args:
            backend: IonQ's id, such as ``"qpu.forte-1"``, or a backend with ``timing``.

        Raises:
            ConfigurationError: the id is not IonQ's, the backend does not have the circuit's
                gates, or no timing is published for it.
        """
        timing = self._published(backend, "timing")
        path = self._path(lambda on: timing.one_qubit_s if len(on) == 1 else timing.two_qubit_s)
        return float(timing.reset_s + max(path, default=0.0) + timing.readout_s)

    def fidelity_estimate(self, backend: str | Backend) -> float:
        """Return the product of the published median fidelities of gates and measured qubits.

        Every entangler counts as one of full angle: how much better smaller angles are is
        not published.

        Args:
            backend: IonQ's id, such as ``"qpu.forte-1"``, or a backend with ``fidelity``.

        Raises:
            ConfigurationError: the id is not IonQ's, the backend does not have the circuit's
                gates, or no fidelities are published for it.
        """
        published = self._published(backend, "fidelity")
        gates = published.one_qubit**self.n_1q * published.two_qubit**self.n_2q
        return float(gates * published.spam ** len(self.measured))

    def _published(self, backend: str | Backend, what: str) -> Any:
        machine = known_backend(backend) if isinstance(backend, str) else backend
        if not isinstance(machine, Backend):
            raise ConfigurationError(
                f"{backend!r} is not a backend: give IonQ's id, such as 'qpu.forte-1'."
            )
        missing = sorted({name for name, _, _ in self.gates} - set(machine.native_gates))
        if missing:
            families = [name for name in ENTANGLERS if name in machine.native_gates]
            raise ConfigurationError(
                f"{machine.name} has no gate {missing[0]!r}, only "
                f"{', '.join(machine.native_gates) or 'abstract ones'}"
                + "".join(f"; compile with two_qubit={family!r}" for family in families[:1])
                + "."
            )
        figures = getattr(machine, what)
        if figures is None:
            raise ConfigurationError(f"No {what} is published for {machine.name!r}; take a QPU's.")
        return figures

    def _path(self, cost: Callable[[tuple[int, ...]], float]) -> list[float]:
        at = [0.0] * self.qubits
        for _, on, _ in self.gates:
            end = max(at[q] for q in on) + cost(on)
            for q in on:
                at[q] = end
        return at

    def to_ionq(self) -> dict[str, Any]:
        """Return the ``input`` member of an ``ionq.circuit.v1`` job."""
        circuit = [NATIVE[name].to_json(on, params) for name, on, params in self.gates]
        return {"gateset": "native", "qubits": self.qubits, "circuit": circuit}

    def to_tape(self) -> QuantumScript:
        """Return a tape of GPI, GPI2, MS and ZZ operations that measures the measured wires."""
        with QueuingManager.stop_recording():
            ops = [NATIVE_GATES[name](*params, wires=list(on)) for name, on, params in self.gates]
            return QuantumScript(ops, [qml.probs(wires=list(self.measured))])
