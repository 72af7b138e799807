"""The tasks whose loss is an energy: their Hamiltonians, and what their circuits can reach."""

from __future__ import annotations

import itertools

import numpy as np
import pennylane as qml
import pytest

from pennylane_qstore.training.spsa import SPSAOptimizer
from pennylane_qstore.training.tasks import energies

MODELS = [energies.Hydrogen(), energies.LargestCut()]


def exact(model, diff_method=None):
    return model.make(qml.device("default.qubit", wires=model.wires), None, diff_method)


def test_the_hamiltonian_is_that_of_quantum_chemistry():
    bohr = 1.5 / 0.529177210903
    molecule = qml.qchem.Molecule(["H", "H"], np.array([[0.0, 0.0, 0.0], [0.0, 0.0, bohr]]))
    expected, wires = qml.qchem.molecular_hamiltonian(molecule, method="dhf")
    assert wires == 4
    words = [qml.pauli.string_to_pauli_word(word) for word in energies.HYDROGEN]
    ours = qml.Hamiltonian(list(energies.HYDROGEN.values()), words)
    matrices = [qml.matrix(h, wire_order=range(4)) for h in (ours, expected)]
    np.testing.assert_allclose(*matrices, atol=1e-8)


def test_known_energies():
    assert energies.ground_state_energy() == pytest.approx(-0.998149, abs=1e-6)
    assert energies.energy_error(energies.ground_state_energy()) == pytest.approx(0, abs=1e-9)
    assert energies.energy_error(energies.hartree_fock_energy()) == pytest.approx(87.28, abs=0.01)
    assert energies.largest_cut() == 7
    assert energies.cut_ratio(2) == 1
    assert float(energies.mean(np.array([1.0, 3.0]))) == 2


def test_every_node_of_the_graph_has_three_edges():
    ends = list(itertools.chain(*energies.EDGES))
    assert len(set(map(frozenset, energies.EDGES))) == 9
    assert {ends.count(node) for node in range(6)} == {3}


def test_the_unturned_cut_circuit_cuts_half_of_the_edges():
    assert float(exact(MODELS[1])(np.zeros((3, 2)))) == pytest.approx(4.5)


@pytest.mark.parametrize("model", MODELS)
def test_rows_of_parameters_are_rows_of_energies(model):
    rows = np.stack([model.initial_params(seed) for seed in range(3)])
    circuit = exact(model)
    np.testing.assert_allclose(circuit(rows), [circuit(row) for row in rows], atol=1e-12)


def test_hydrogen_is_measured_in_five_bases():
    device = qml.device("qstore.ionq", wires=4, seed=1)
    energies.Hydrogen().make(device, 100)(np.zeros((2, 4, 3)))
    assert device.stats["circuits"] == 5


def test_calibration_and_each_step_are_a_post_and_reach_the_ground_state():
    device = qml.device("qstore.ionq", wires=4, seed=1)
    words = [qml.pauli.string_to_pauli_word(word) for word in energies.HYDROGEN]
    hamiltonian = qml.Hamiltonian(list(energies.HYDROGEN.values()), words)

    @qml.qnode(device)
    def energy(angle):
        qml.BasisState(np.array([1, 1, 0, 0]), wires=range(4))
        qml.DoubleExcitation(angle, wires=range(4))
        return qml.expval(hamiltonian)

    angle, optimizer = np.array(0.1), SPSAOptimizer(maxiter=20, seed=1)
    optimizer.calibrate(energy, angle, first_step=0.1)
    for _ in range(20):
        angle = optimizer.step(energy, angle)
    assert device.stats["jobs"] == 21
    assert energies.energy_error(energy(angle)) < 5


def test_the_circuit_comes_below_the_hartree_fock_state():
    model = energies.Hydrogen()
    energy = model.make(qml.device("lightning.qubit", wires=4), None, "adjoint")
    weights = qml.numpy.array(model.initial_params(0), requires_grad=True)
    optimizer = qml.AdamOptimizer(0.2)
    for _ in range(60):
        weights = optimizer.step(energy, weights)
    assert energies.energy_error(energy(weights)) < 40
