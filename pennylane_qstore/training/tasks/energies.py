"""Tasks without samples whose loss is an energy: the hydrogen molecule, and a largest cut.

The energies are read out with one QNode of one array of parameters, which may have leading
dimensions: a row of parameters is then a circuit.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pennylane as qml
from pennylane.devices import Device

from pennylane_qstore.training.tasks.data import Floats

HYDROGEN = {
    "IIII": -0.49178578004924434,
    "ZIII": 0.0934564967683815,
    "IZII": 0.0934564967683815,
    "IIZI": -0.03564481505383865,
    "IIIZ": -0.03564481505383865,
    "ZZII": 0.13817584602522434,
    "ZIZI": 0.08253705498579073,
    "ZIIZ": 0.13992103891838262,
    "IZZI": 0.13992103891838262,
    "IZIZ": 0.08253705498579073,
    "IIZZ": 0.1458551900552542,
    "YXXY": 0.057383983932591885,
    "YYXX": -0.057383983932591885,
    "XXYY": -0.057383983932591885,
    "XYYX": 0.057383983932591885,
}
"""Hamiltonian of H2 with its atoms 1.5 angstroms apart, in hartree, by Pauli words on four wires.

STO-3G and the Jordan-Wigner transformation: ``qml.qchem.molecular_hamiltonian`` of PennyLane
0.45 with ``method="dhf"``; the test computes it again. At this distance the Hartree-Fock state
is 87 mHa above the ground state, so that there is something to be learnt; at the molecule's own
distance (0.74 angstroms) it is 21 mHa, which is less than the noise of the machine adds.
"""

EDGES = ((0, 1), (1, 2), (0, 2), (3, 4), (4, 5), (3, 5), (0, 3), (1, 4), (2, 5))
"""The prism: two triangles joined, three edges at every node; its largest cut has 7 of 9 edges."""


@dataclass(frozen=True, slots=True)
class Hydrogen:
    """The ground state of H2 by layers after two excited wires (VQE).

    Entangled by CNOT: with CZ, no weights were found that are better than the Hartree-Fock state.

    Attributes:
        layers: StronglyEntanglingLayers.
    """

    wires = 4
    layers: int = 2

    def make(self, device: Device, shots: int | None = 500, diff_method: str | None = None) -> Any:
        """Return the QNode of the energy (hartree), which is measured in five bases.

        Args:
            device: with four wires.
            shots: per circuit; None for exact energies.
            diff_method: of the QNode.

        Returns:
            A QNode of weights ``[layers, 4, 3]`` (radians).
        """
        words = [qml.pauli.string_to_pauli_word(word) for word in HYDROGEN]
        hamiltonian = qml.Hamiltonian(list(HYDROGEN.values()), words)

        def energy(weights: Floats) -> Any:
            qml.X(0)
            qml.X(1)
            qml.StronglyEntanglingLayers(weights, range(self.wires))
            return qml.expval(hamiltonian)

        return qml.set_shots(qml.QNode(energy, device, diff_method=diff_method), shots)

    def initial_params(self, seed: int) -> Floats:
        """Return weights near zero, ``[layers, 4, 3]`` (radians)."""
        return np.random.default_rng([seed, 1]).normal(0.0, 0.1, (self.layers, self.wires, 3))


@dataclass(frozen=True, slots=True)
class LargestCut:
    """A largest cut of :data:`EDGES`: QAOA, Farhi, Goldstone and Gutmann, arXiv:1411.4028.

    Attributes:
        depth: cost and mixer, so many times.
    """

    wires = 6
    depth: int = 3

    def make(self, device: Device, shots: int | None = 500, diff_method: str | None = None) -> Any:
        """Return the QNode of the mean number of edges that are not cut.

        Args:
            device: with six wires.
            shots: per circuit; None for the exact mean.
            diff_method: of the QNode.

        Returns:
            A QNode of angles ``[depth, 2]``: of the cost and of the mixer (radians).
        """
        pairs = [qml.Z(a) @ qml.Z(b) for a, b in EDGES]
        coefficients = [0.5] * len(EDGES)
        uncut = qml.Hamiltonian([*coefficients, len(EDGES) / 2], [*pairs, qml.I(0)])

        def qaoa(angles: Floats) -> Any:
            for wire in range(self.wires):
                qml.Hadamard(wire)
            for layer in range(self.depth):
                for edge in EDGES:
                    qml.IsingZZ(angles[..., layer, 0], edge)
                for wire in range(self.wires):
                    qml.RX(angles[..., layer, 1], wire)
            return qml.expval(uncut)

        return qml.set_shots(qml.QNode(qaoa, device, diff_method=diff_method), shots)

    def initial_params(self, seed: int) -> Floats:
        """Return random angles, ``[depth, 2]`` (radians)."""
        return np.random.default_rng([seed, 1]).normal(0.0, 0.5, (self.depth, 2))


def mean(values: Any) -> Any:
    """Return the loss of a measured energy: itself, or the mean over rows."""
    return qml.math.mean(values)


@cache
def ground_state_energy() -> float:
    """Return the least eigenvalue of :data:`HYDROGEN` (hartree)."""
    return float(np.linalg.eigvalsh(_hydrogen_matrix())[0])


def hartree_fock_energy() -> float:
    """Return the energy of the Hartree-Fock state, the best without entanglement (hartree)."""
    state = 0b1100
    return float(_hydrogen_matrix()[state, state].real)


def energy_error(energy: Any) -> float:
    """Return how far an energy (hartree) is above the ground state, in millihartree."""
    return 1e3 * (float(energy) - ground_state_energy())


def cut_ratio(uncut: Any) -> float:
    """Return a mean number of cut edges in parts of the largest, given those not cut."""
    return (len(EDGES) - float(uncut)) / largest_cut()


@cache
def largest_cut() -> int:
    """Return the most edges that a division of the nodes cuts, by trying all."""
    divisions = itertools.product((0, 1), repeat=LargestCut.wires)
    return max(sum(side[a] != side[b] for a, b in EDGES) for side in divisions)


def _hydrogen_matrix() -> Any:
    matrices = [
        value * qml.pauli.string_to_pauli_word(word).matrix(wire_order=range(4))
        for word, value in HYDROGEN.items()
    ]
    return sum(matrices)
