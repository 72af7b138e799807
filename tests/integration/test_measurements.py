"""Every kind of measurement: right, or refused by name before anything is sent."""

import time

import numpy as np
import pennylane as qml
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pennylane.measurements import SampleMeasurement, StateMeasurement

from pennylane_qstore.emulator import Emulator

HERMITIAN = np.array([[1, 2], [2, -1]])
TWO_WIRES = np.array([[1, 0, 0, 1j], [0, 2, 3, 0], [0, 3, 1, 0], [-1j, 0, 0, 0]])


def entangle():
    qml.RX(0.4, 0)
    qml.CNOT([0, 1])
    qml.RY(0.7, 2)
    qml.RX(0.3, 1)


def run(name, measure, shots=None, wires=3):
    def circuit():
        entangle()
        return measure()

    return qml.QNode(circuit, qml.device(name, wires=wires, seed=1), shots=shots)()


@pytest.mark.parametrize(
    "measure",
    [
        lambda: qml.expval(qml.Hermitian(TWO_WIRES, [2, 0])),
        lambda: qml.var(qml.Hermitian(TWO_WIRES, [2, 0])),
        lambda: qml.probs(op=qml.Projector([0, 1], [2, 0])),
        lambda: qml.expval(2 * qml.Projector([1], 0) + qml.Projector([0, 0], [1, 2])),
        lambda: qml.expval(qml.Projector(np.array([1, 0, 0, 1j]) / np.sqrt(2), [0, 2])),
        lambda: qml.expval(qml.Projector([1], 0) @ qml.X(1)),
        lambda: qml.expval(2 * (3 * qml.Z(0) + qml.X(1) @ (qml.Z(0) + qml.Y(2)))),
        lambda: qml.expval(qml.exp(qml.Z(0))),
        lambda: qml.expval(qml.Z(0) ** 2),
        lambda: qml.expval(qml.jordan_wigner(qml.FermiC(0) * qml.FermiA(0))),
        lambda: qml.expval(qml.Hamiltonian([], [])),
        lambda: qml.expval(0.0 * qml.Z(0)),
        lambda: [qml.expval(qml.Z(0)) for _ in range(5)],
        lambda: {"a": qml.expval(qml.Z(0)), "b": qml.probs(wires=[0])},
        lambda: [qml.expval(qml.Z(0)), [qml.var(qml.X(1)), (qml.probs(wires=0),)]],
        lambda: (qml.expval(qml.Z(0)),),
    ],
)
def test_what_default_qubit_returns(measure):
    got, want = run("qstore.ionq", measure), run("default.qubit", measure)
    assert type(got) is type(want) or np.ndim(want) == 0
    assert same(got, want)


def same(one, other):
    if isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[k], other[k]) for k in other)
    if isinstance(other, (tuple, list)):
        return len(one) == len(other) and all(map(same, one, other))
    return np.shape(one) == np.shape(other) and np.allclose(one, other, atol=1e-8)


@pytest.mark.parametrize("labels", [(1, 0), (2, 0, 1), (5, 2), ("b", "a"), (1, 2)])
@pytest.mark.parametrize("also", [0, 2])
def test_all_wires_of_a_device_without_wires_come_in_default_qubit_s_order(labels, also):
    def circuit():
        for i, wire in enumerate(labels):
            qml.RX(0.3 + i, wire)
        return qml.probs(), qml.expval(qml.Z(also))

    got, want = (
        qml.QNode(circuit, qml.device(name))() for name in ("qstore.ionq", "default.qubit")
    )
    assert same(got, want)


def test_counts_have_the_observables_own_eigenvalues():
    for all_outcomes in (False, True):
        counts = run(
            "qstore.ionq",
            lambda: qml.counts(qml.Hermitian(HERMITIAN, 0), all_outcomes=all_outcomes),  # noqa: B023
            shots=200,
        )
        assert np.allclose(sorted(counts), [-np.sqrt(5), np.sqrt(5)], rtol=0, atol=1e-14)
        assert sum(counts.values()) == 200
    projected = run(
        "qstore.ionq", lambda: qml.counts(qml.Projector([1, 1], [0, 1]), all_outcomes=True), 50
    )
    assert set(projected) == {0, 1}
    assert all(isinstance(number, np.integer) for number in projected.values())


def test_a_measurement_of_ones_own_on_samples():
    class Ones(SampleMeasurement):
        def process_samples(self, samples, wire_order, shot_range=None, bin_size=None):
            return np.asarray(samples).sum()

        def process_counts(self, counts, wire_order):
            raise AssertionError

    assert 0 <= run("qstore.ionq", lambda: Ones(wires=[0, 2]), shots=30) <= 60


class OwnState(StateMeasurement):
    def process_state(self, state, wire_order):
        return state

    def process_density_matrix(self, density_matrix, wire_order):
        return density_matrix


@pytest.mark.parametrize(
    ("measure", "shots", "text"),
    [
        (lambda: qml.state(), 5, "StateMP is not supported on qstore.ionq"),
        (lambda: qml.density_matrix([0]), None, "DensityMatrixMP is not supported"),
        (lambda: qml.purity([0]), None, "PurityMP is not supported"),
        (lambda: qml.vn_entropy([0]), 5, "VnEntropyMP is not supported"),
        (lambda: qml.mutual_info([0], [1]), None, "MutualInfoMP is not supported"),
        (lambda: OwnState(wires=[0]), None, "OwnState is not supported"),
        (lambda: qml.sample(), None, "set_shots"),
        (lambda: qml.counts(), None, "set_shots"),
        (lambda: qml.classical_shadow(wires=[0]), None, "not supported on qstore.ionq without"),
        (lambda: qml.expval(qml.QuadX(0)), 5, "not supported on qstore.ionq"),
        (lambda: qml.expval(qml.GellMann(0, 1)), 5, "not supported on qstore.ionq"),
        (lambda: qml.expval(qml.Hermitian(np.eye(2) + 1j, 0)), 5, "not Hermitian"),
        (lambda: qml.expval(1j * qml.Z(0)), 5, "not Hermitian"),
        (lambda: qml.expval(2j * qml.Hermitian(HERMITIAN, 0)), 5, "not Hermitian"),
        (lambda: qml.var(qml.X(0) @ qml.Y(0) @ qml.Z(0)), None, "not Hermitian"),
        (lambda: qml.expval(qml.S(0)), None, "not Hermitian"),
        (lambda: qml.expval(np.nan * qml.Z(0)), 5, "not finite"),
        (lambda: qml.expval(qml.s_prod(np.ones(2), qml.Z(0))), None, "coefficients are broadcast"),
        (lambda: [qml.BitFlip(0.1, 0), qml.expval(qml.Z(0))][-1], 5, "BitFlip.*not supported"),
        (lambda: [qml.TShift(0), qml.expval(qml.Z(0))][-1], 5, "TShift.*not supported"),
        (lambda: [qml.Displacement(0.1, 0.2, 0), qml.probs()][-1], 5, "Displacement.*not supp"),
        (
            lambda: [qml.QubitDensityMatrix(np.eye(2) / 2, 0), qml.probs()][-1],
            None,
            "QubitDensityMatrix.*not supported on qstore.ionq",
        ),
    ],
)
def test_what_cannot_be_done_is_refused_by_name(measure, shots, text):
    with Emulator() as emulator:
        dev = qml.device("qstore.ionq", wires=2, base_url=emulator.url, api_key="k")
        with pytest.raises(qml.exceptions.DeviceError, match=text) as caught:
            qml.QNode(measure, dev, shots=shots)()
        assert "supported" in str(caught.value)  # what PennyLane's --skip-ops looks for
        assert emulator.requests == []


def hamiltonian(wires, terms):
    rng = np.random.default_rng(0)
    words: dict = {}
    while len(words) < terms:
        letters = tuple(rng.integers(0, 4, wires).tolist())
        if any(letters):
            words[letters] = float(rng.normal())
    paulis = (None, qml.X, qml.Y, qml.Z)
    products = [qml.prod(*(paulis[k](i) for i, k in enumerate(letters) if k)) for letters in words]
    return qml.Hamiltonian(list(words.values()), products)


def test_a_hamiltonian_of_many_terms():
    """Grouped about as well as PennyLane groups it, one job, exact, not in minutes."""
    H = hamiltonian(6, 250)

    def ansatz():
        for i in range(6):
            qml.RY(0.3 * i + 0.1, i)
        for i in range(5):
            qml.CNOT([i, i + 1])
        return qml.expval(H)

    dev = qml.device("qstore.ionq", wires=6, seed=3)
    node = qml.QNode(ansatz, dev)
    want = qml.QNode(ansatz, qml.device("default.qubit", wires=6))()
    with qml.Tracker(dev) as tracker:
        assert node() == pytest.approx(want, abs=1e-8)
    groups = qml.pauli.group_observables(H.ops, grouping_type="qwc")
    assert tracker.totals["jobs"] == 1
    assert tracker.totals["executions"] <= 1.1 * len(groups)
    start = time.process_time()
    sampled = qml.QNode(ansatz, dev, shots=20_000)()
    assert time.process_time() - start < 20
    assert abs(sampled - want) < 5 * np.linalg.norm(H.coeffs) / np.sqrt(20_000)


@pytest.mark.parametrize("measure", [qml.counts, qml.sample])
def test_29_wires_are_enough_and_30_too_many(measure):
    def circuit():
        qml.RX(0.1, 28)
        return measure()

    result = qml.QNode(circuit, qml.device("qstore.ionq", wires=29), shots=7)()
    assert sum(result.values()) == 7 if measure is qml.counts else result.shape == (7, 29)
    with pytest.raises(
        qml.exceptions.DeviceError, match=r"30 wires is not supported .* backend='emulator'"
    ):
        qml.QNode(
            lambda: [[qml.Hadamard(i) for i in range(30)], qml.expval(qml.Z(0))][1],
            qml.device("qstore.ionq"),
        )()
    with pytest.raises(ValueError, match="29 qubits"):
        qml.device("qstore.ionq", wires=30)


def test_an_empty_batch_costs_nothing():
    with Emulator() as emulator:
        dev = qml.device("qstore.ionq", wires=1, base_url=emulator.url, api_key="k")
        assert dev.execute(()) == ()
        assert dev.batch_execute([]) == ()
        assert qml.execute([], dev) == ()
        assert emulator.requests == []


@pytest.mark.parametrize("shots", [None, 10, (4, 6)])
def test_a_batch_of_one_row_keeps_its_dimension(shots):
    dev = qml.device("qstore.ionq", wires=1)

    def circuit(x):
        qml.RX(x, 0)
        return qml.expval(qml.Z(0)), qml.probs(wires=0)

    result = qml.QNode(circuit, dev, shots=shots)(np.array([0.3]))
    for value, probs in result if isinstance(shots, tuple) else (result,):
        assert value.shape == (1,)
        assert probs.shape == (1, 2)


def test_circuits_can_be_drawn_counted_and_snapshot():
    dev = qml.device("qstore.ionq", wires=3)

    @qml.qnode(dev)
    def circuit():
        entangle()
        qml.Snapshot("before", measurement=qml.expval(qml.Z(0)))
        qml.RX(0.2, 0)
        return qml.expval(qml.Z(0))

    assert "RX(0.40)" in qml.draw(circuit, level="device")()
    assert qml.specs(circuit)()["resources"].num_gates == 6
    with pytest.warns(UserWarning, match="Snapshots are not supported"):
        found = qml.snapshots(circuit)()
    assert found["before"] == pytest.approx(np.cos(0.4))
    assert found["execution_results"] == pytest.approx(circuit())


@pytest.mark.filterwarnings("ignore:Snapshots are not supported")
def test_snapshots_have_their_own_wires_in_order_and_cost_no_job_of_their_own():
    dev = qml.device("qstore.ionq", wires=3)

    @qml.qnode(dev)
    def circuit():
        qml.X(2)
        qml.RY(0.8, 1)
        qml.Snapshot("first", measurement=qml.probs(wires=[0, 2]))
        qml.SWAP([0, 2])
        qml.Snapshot("second", measurement=qml.expval(qml.Z(0)))
        return qml.probs(wires=[0, 2])

    found = qml.snapshots(circuit)()
    assert np.allclose(found["first"], [0, 1, 0, 0])
    assert np.isclose(found["second"], -1)
    assert np.allclose(found["execution_results"], [0, 0, 1, 0])
    assert dev.stats["jobs"] == 1


def cut_on_wire_1():
    """Entangle three wires in two parts that share a wire, and measure all of them."""
    qml.CZ([0, 1])
    qml.WireCut(1)
    qml.CZ([1, 2])
    return qml.expval(qml.Z(0) @ qml.Z(1) @ qml.Z(2))


def test_a_cut_circuit_runs_on_fewer_wires_and_has_a_gradient():
    dev = qml.device("qstore.ionq", wires=2)

    @qml.cut_circuit
    @qml.qnode(dev, diff_method="parameter-shift")
    def cut(x):
        qml.RY(x, 0)
        qml.RX(0.7, 1)
        return cut_on_wire_1()

    x = qml.numpy.array(0.9, requires_grad=True)
    assert np.isclose(cut(x), np.cos(0.9) * np.cos(0.7))
    assert dev.stats["jobs"] == 1
    assert np.isclose(qml.grad(cut)(x), -np.sin(0.9) * np.cos(0.7))


@pytest.mark.parametrize("name", ["qstore.ionq", "default.qubit"])
def test_circuits_can_be_cut_and_extrapolated(name):
    @qml.cut_circuit
    @qml.qnode(qml.device(name, wires=3))
    def cut(x):
        qml.RX(x, 0)
        qml.RY(0.9, 1)
        return cut_on_wire_1()

    assert cut(0.531) == pytest.approx(np.cos(0.531) * np.cos(0.9), abs=1e-7)

    def noisy():
        entangle()
        return qml.expval(qml.Z(0) @ qml.Z(1))

    extrapolated = qml.noise.mitigate_with_zne(
        qml.QNode(noisy, qml.device(name, wires=3)),
        scale_factors=[1, 2, 3],
        folding=qml.noise.fold_global,
        extrapolate=qml.noise.richardson_extrapolate,
    )
    assert extrapolated() == pytest.approx(np.cos(0.3), abs=1e-6)


def test_one_cuts_samples_with_shots():
    @qml.cut_circuit_mc
    @qml.qnode(qml.device("qstore.ionq", wires=3, seed=2), shots=100)
    def cut(x):
        qml.RX(x, 0)
        qml.CZ([0, 1])
        qml.WireCut(1)
        qml.CZ([1, 2])
        return qml.sample(wires=[0, 2])

    assert cut(0.3).shape == (100, 2)


def as_default_qubit(measure):
    assert same(run("qstore.ionq", measure), run("default.qubit", measure))


class Turned(qml.operation.Operator):
    """An observable that tells its eigenbasis and eigenvalues, and no matrix."""

    num_wires = 1

    @staticmethod
    def compute_diagonalizing_gates(angle, wires):
        return [qml.RY(angle, wires)]

    @staticmethod
    def compute_eigvals(angle):
        return np.array([2.0, -1.0])


def test_an_observable_without_a_matrix_is_measured_in_its_eigenbasis():
    as_default_qubit(
        lambda: (
            qml.expval(Turned(0.3, 0)),
            qml.var(Turned(0.7, 1)),
            qml.expval(2 * Turned(0.3, 0) @ qml.Z(1) + qml.X(2)),
        )
    )


@given(st.lists(st.floats(-4, 4), min_size=2, max_size=3))
@settings(max_examples=8, deadline=None)
def test_observables_that_nothing_names_do_not_share_a_basis(angles):
    """Neither in one circuit nor from circuit to circuit: the cache of templates is for all."""
    as_default_qubit(lambda: [qml.probs(op=Turned(angle, 0)) for angle in angles])
    for angle in angles:
        power = qml.pow(qml.Hermitian([[1, angle], [angle, 0]], 0), 2)
        as_default_qubit(lambda power=power: qml.probs(op=power))
        as_default_qubit(lambda power=power: (qml.probs(op=qml.adjoint(power)), qml.expval(power)))


@pytest.mark.parametrize("dtype", [int, "int8", None])
def test_samples_of_an_observable_have_the_type_that_is_asked_for(dtype):
    def measure():
        return qml.sample(qml.Z(0), dtype=dtype)

    got, want = (run(name, measure, shots=5) for name in ("qstore.ionq", "default.qubit"))
    assert got.dtype == want.dtype
