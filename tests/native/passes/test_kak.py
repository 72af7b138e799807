"""Two-qubit unitaries in canonical form: exact, and with no more entanglers than they need."""

import numpy as np
import pennylane as qml
import pytest
from support.ir_circuits import (
    circuit_with,
    has_two_qubit_unitaries,
    is_entangler,
    random_unitary,
    same,
    unitary,
)

from pennylane_qstore.native.ir import CNOT, CNOT_REVERSED, SWAP
from pennylane_qstore.native.passes.kak import (
    EntanglingCost,
    before_diagonal,
    canonical,
    cheapest,
    prepare_state,
)

ISWAP = qml.matrix(qml.ISWAP([0, 1]))
KNOWN = [  # entanglers and their angle in turns, with SWAPs free
    (np.eye(4), 0, 0.0),
    (SWAP, 0, 0.0),
    (CNOT, 1, 0.25),
    (CNOT_REVERSED, 1, 0.25),
    (np.diag([1, 1, 1, -1]), 1, 0.25),
    (qml.matrix(qml.CRX(0.8, [0, 1])), 1, 0.8 / (4 * np.pi)),
    (qml.matrix(qml.IsingYY(-0.6, [0, 1])), 1, 0.6 / (2 * np.pi)),
    (CNOT @ CNOT_REVERSED, 1, 0.25),  # SWAP·CNOT
    (ISWAP, 1, 0.25),  # SWAP·CZ up to one-qubit operations
    (qml.matrix(qml.SISWAP([0, 1])), 2, 0.25),
    (qml.matrix(qml.IsingXX(0.3, [0, 1]) @ qml.IsingYY(0.5, [0, 1])), 2, 0.8 / (2 * np.pi)),
]


def unitaries(count, size=4, seed=3):
    rng = np.random.default_rng(seed)
    return [random_unitary(size, rng) for _ in range(count)]


def dressed(u, rng):
    """The unitary between random one-qubit unitaries."""
    one, other = (np.kron(random_unitary(2, rng), random_unitary(2, rng)) for _ in range(2))
    return one @ u @ other


def as_matrix(form):
    total = unitary(circuit_with(2, *form.operations(0, 1)))
    return SWAP @ total if form.swapped else total


@pytest.mark.parametrize("decompose", [canonical, cheapest])
def test_forms_are_exact_up_to_a_global_phase(decompose):
    rng = np.random.default_rng(5)
    for u in [*unitaries(60), *(known for known, _, _ in KNOWN)]:
        for v in (u, dressed(u, rng)):
            form = decompose(v)
            assert same(as_matrix(form), v)
            assert max(map(abs, form.angles)) <= 0.25 + 1e-9
            assert form.cost.entanglers <= 3


@pytest.mark.parametrize(("u", "entanglers", "angle"), KNOWN)
def test_known_gates_take_as_few_entanglers_as_they_need(u, entanglers, angle):
    rng = np.random.default_rng(6)
    for v in (u, dressed(u, rng), SWAP @ u, u @ SWAP):
        cost = cheapest(v).cost
        assert cost.entanglers == entanglers
        assert cost.angle == pytest.approx(angle, abs=1e-9)


def test_angles_below_rounding_are_no_entanglers():
    nearly = qml.matrix(qml.IsingXX(1e-12, [0, 1]))
    assert canonical(nearly).cost == EntanglingCost(0, 0)


def test_a_swap_is_taken_only_where_it_is_cheaper():
    for u in unitaries(30):
        plain, best = canonical(u), cheapest(u)
        assert not plain.swapped
        assert best.swapped == best.cost.cheaper_than(plain.cost)


def test_random_unitaries_take_little_more_than_their_mean_angle():
    costs = [cheapest(u).cost for u in unitaries(300)]
    # Haar mean with SWAPs free: 1.274 entanglers of a quarter turn.
    assert 4 * np.mean([cost.angle for cost in costs]) == pytest.approx(1.274, abs=0.05)


@pytest.mark.parametrize("state", ["random", "product", "bell", "zero"])
def test_states_of_two_qubits_take_one_entangler_at_most(state):
    rng = np.random.default_rng(9)
    for _ in range(20):
        vector = {
            "random": random_unitary(4, rng)[:, 0],
            "product": np.kron(random_unitary(2, rng)[:, 0], random_unitary(2, rng)[:, 0]),
            "bell": np.array([1, 0, 0, 1j]) / np.sqrt(2),
            "zero": np.array([1, 0, 0, 0], dtype=complex),
        }[state]
        circuit = circuit_with(2, *prepare_state(vector, 0, 1))
        assert abs(np.vdot(unitary(circuit)[:, 0], vector)) == pytest.approx(1)
        entanglers = sum(map(is_entangler, circuit.operations))
        assert entanglers == (0 if state in ("product", "zero") else 1)


def test_before_a_measurement_two_entanglers_are_enough():
    for u in unitaries(40):
        form = before_diagonal(u)
        assert form.cost.entanglers <= 2
        phases = as_matrix(form) @ u.conj().T  # D, up to a global phase
        assert np.allclose(phases, np.diag(np.diag(phases)), atol=1e-7)


def test_operations_hold_no_two_qubit_unitaries():
    assert not has_two_qubit_unitaries(circuit_with(2, *cheapest(unitaries(1)[0]).operations(0, 1)))


def test_fewer_entanglers_are_cheaper_than_less_angle():
    assert EntanglingCost(1, 0.25).cheaper_than(EntanglingCost(2, 0.1))
    assert EntanglingCost(2, 0.1).cheaper_than(EntanglingCost(2, 0.2))
    assert not EntanglingCost(2, 0.1).cheaper_than(EntanglingCost(2, 0.1 + 1e-9))


def test_no_worse_means_neither_more_entanglers_nor_more_angle():
    assert not EntanglingCost(1, 0.25).no_worse_than(EntanglingCost(2, 0.1))
    assert EntanglingCost(1, 0.1).no_worse_than(EntanglingCost(2, 0.1 - 1e-9))
    assert EntanglingCost(1, 0.1).rank == EntanglingCost(1, 0.1 + 1e-9).rank
