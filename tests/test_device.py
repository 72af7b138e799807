"""The device: results equal PennyLane's own, a batch is one job, bad input is refused early."""

import copy
import doctest
import pickle
import subprocess
import sys
from contextlib import nullcontext

import numpy as np
import pennylane as qml
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare
from support.circuits import operations

import pennylane_qstore as qstore
from pennylane_qstore.emulator import Emulator
from pennylane_qstore.errors import JobFailed, QStoreError

H = qml.dot(
    [0.5, 0.3, -1.2, 2.0],
    [qml.Z(0) @ qml.Z(1), qml.X(0) @ qml.Y(2), qml.X(3), qml.Identity(0)],
)
RNG = np.random.default_rng(7)
X = RNG.uniform(-2, 2, (5, 4))
W = RNG.uniform(-3, 3, (2, 4, 3))
HERMITIAN = np.array([[1, 2j], [-2j, 0.5]])

MEASUREMENTS = {
    "expval of a word": lambda: qml.expval(qml.Z(0) @ qml.X(2)),
    "expval of a Hamiltonian": lambda: qml.expval(H),
    "var of a word": lambda: qml.var(qml.X(0) @ qml.Y(1)),
    "var of commuting terms": lambda: qml.var(qml.Z(0) + 2 * qml.Z(1)),
    "var of a Hamiltonian": lambda: qml.var(H),
    "probs of some wires": lambda: qml.probs(wires=[2, 0]),
    "probs of all wires": lambda: qml.probs(),
    "probs of an observable": lambda: qml.probs(op=qml.X(0) @ qml.Y(3)),
    "probs of a Hadamard": lambda: qml.probs(op=qml.Hadamard(1)),
    "Hermitian": lambda: qml.expval(qml.Hermitian(HERMITIAN, 1)),
    "Hermitian times word": lambda: qml.expval(qml.Hermitian(HERMITIAN, 1) @ qml.X(3)),
    "projector": lambda: qml.expval(qml.Projector([1, 0], wires=[0, 2])),
    "projector on a state": lambda: qml.var(qml.Projector(np.array([0.6, 0.8j]), wires=[3])),
    "sum with a Hermitian": lambda: qml.expval(2 * qml.Hermitian(HERMITIAN, 0) + qml.Z(2)),
    "several": lambda: (
        qml.expval(qml.X(0)),
        qml.probs(wires=[1]),
        qml.var(qml.Y(0) @ qml.Z(1)),
        qml.expval(H),
    ),
    "identity": lambda: qml.expval(qml.Identity(2)),
}


def circuit(x, w, measure):
    qml.AngleEmbedding(x, wires=range(4))
    qml.StronglyEntanglingLayers(w, wires=range(4))
    return measure()


def equal(one, other, atol=1e-8):
    if isinstance(other, tuple):
        return len(one) == len(other) and all(map(equal, one, other))
    return np.shape(one) == np.shape(other) and np.allclose(one, other, atol=atol)


@pytest.fixture(scope="module")
def device():
    return qml.device("qstore.ionq", wires=4, seed=11)


@pytest.mark.parametrize(
    "options", [{}, {"two_qubit": "ms"}, {"absorb": False}, {"gateset": "qis"}]
)
@pytest.mark.parametrize("x", [X[0], X], ids=["one row", "broadcast"])
@pytest.mark.parametrize("measure", MEASUREMENTS.values(), ids=MEASUREMENTS.keys())
def test_analytic_results_equal_default_qubit(measure, x, options):
    dev = qml.device("qstore.ionq", wires=4, **options)
    got = qml.QNode(circuit, dev)(x, W, measure)
    want = qml.QNode(circuit, qml.device("default.qubit", wires=4))(x, W, measure)
    assert equal(got, want)


@settings(max_examples=60, deadline=None)
@given(ops=st.lists(operations(3), max_size=12), data=st.data())
def test_random_circuits_equal_default_qubit(ops, data):
    paulis = st.sampled_from([qml.X, qml.Y, qml.Z])
    measured = data.draw(
        st.lists(
            st.lists(st.tuples(st.integers(0, 2), paulis), min_size=1, unique_by=lambda t: t[0]),
            min_size=1,
            max_size=3,
        )
    )
    words = [qml.prod(*(p(w) for w, p in word)) for word in measured]
    tape = qml.tape.QuantumScript(
        ops, [*(qml.expval(word) for word in words), qml.probs(wires=[0, 2])]
    )
    device = qml.device("qstore.ionq", wires=3)
    reference = qml.device("default.qubit", wires=3)
    assert equal(qml.execute([tape], device)[0], qml.execute([tape], reference)[0])


@pytest.mark.parametrize(
    "measure",
    [
        lambda: qml.counts(),
        lambda: qml.counts(wires=[2, 0]),
        lambda: qml.counts(qml.Z(0) @ qml.X(1)),
        lambda: qml.counts(qml.Z(0), all_outcomes=True),
        lambda: qml.sample(wires=[0, 1]),
        lambda: qml.sample(wires=3),
        lambda: qml.sample(qml.Y(0)),
        lambda: qml.probs(wires=[1]),
        lambda: qml.expval(H),
        lambda: qml.var(qml.Z(3)),
        lambda: (qml.sample(qml.Z(0)), qml.counts(wires=[1]), qml.expval(qml.X(2))),
    ],
)
@pytest.mark.parametrize("x", [X[0], X], ids=["one row", "broadcast"])
@pytest.mark.parametrize("shots", [50, (20, 30)])
def test_sampled_results_have_the_shape_of_default_qubits(device, measure, x, shots):
    got = qml.QNode(circuit, device, shots=shots)(x, W, measure)
    want = qml.QNode(circuit, qml.device("default.qubit", wires=4), shots=shots)(x, W, measure)
    assert outline(got) == outline(want)


def outline(result):
    """Types and shapes, for comparing results that are random."""
    if isinstance(result, dict):
        return (
            "counts",
            {len(k) if isinstance(k, str) else "value" for k in result},
            sum(result.values()),
        )
    if isinstance(result, (tuple, list)):
        return type(result).__name__, [outline(r) for r in result]
    return np.shape(result)


def test_samples_follow_the_distribution(device):
    got = qml.QNode(circuit, device, shots=20_000)(X[0], W, lambda: qml.counts())
    want = qml.QNode(circuit, qml.device("default.qubit", wires=4))(X[0], W, lambda: qml.probs())
    counts = np.array([got.get(f"{i:04b}", 0) for i in range(16)])
    assert chisquare(counts, 20_000 * want).pvalue > 1e-4


def test_samples_of_several_measurements_are_joint():
    device = qml.device("qstore.ionq", wires=2, seed=1)

    @qml.qnode(device, shots=200)
    def bell():
        qml.Hadamard(0)
        qml.CNOT([0, 1])
        qml.RX(1e-3, 0)
        return qml.sample(qml.Z(0)), qml.sample(qml.Z(1))

    one, other = bell()
    assert np.mean(one == other) > 0.99
    assert 20 < np.sum(one == 1) < 180


def test_a_batch_equals_its_tapes_one_by_one():
    tapes = [
        qml.tape.QuantumScript(
            [qml.RX(x, 0), qml.CNOT([0, 1]), qml.RY(x, 1)],
            [qml.counts(), qml.expval(qml.X(0))],
            100,
        )
        for x in X[0]
    ]
    together = qml.device("qstore.ionq", wires=2, seed=5).execute(tuple(tapes))
    device = qml.device("qstore.ionq", wires=2, seed=5)
    assert [device.execute((tape,))[0] for tape in tapes] == list(together)


def test_a_cache_changes_nothing():
    with_cache, without = (
        qml.device("qstore.ionq", wires=4, seed=5, cache=cache) for cache in (True, False)
    )
    for x in X:
        one, other = (
            qml.QNode(circuit, dev, shots=100)(x, W, MEASUREMENTS["several"])
            for dev in (with_cache, without)
        )
        assert equal(one, other, atol=0)
    assert len(without.cache) == 0


def test_a_step_of_two_bases_is_one_post_of_120_circuits():
    """20 samples, 2 measurement bases, plus, minus and forward."""
    with Emulator() as emulator:
        dev = qml.device("qstore.ionq", wires=4, base_url=emulator.url, api_key="k")

        @qml.qnode(dev, shots=500)
        def model(x, w):
            qml.AngleEmbedding(x, wires=range(4))
            qml.StronglyEntanglingLayers(w, wires=range(4))
            return qml.expval(qml.Z(0) + qml.X(0))

        data = np.random.default_rng(1).uniform(-1, 1, (20, 4))

        def cost(w):
            return qml.math.mean(model(data, w) ** 2)

        opt = qstore.SPSAOptimizer(maxiter=10, seed=1)
        w = qml.numpy.array(W, requires_grad=True)
        opt.step_and_cost(cost, w)
        methods = [method for method, _, _ in emulator.requests]
        assert methods.count("POST") == 1
        (job,) = emulator.jobs
        assert len(job.circuits) == 120
        polls = len(emulator.requests) - 3
        assert 0 <= polls < 50
        assert emulator.stats()["connections"] == 1
        assert emulator.stats()["circuits"] == 120


def test_tapes_of_different_shots_share_a_job_where_the_simulator_is_exact(device):
    tapes = [
        qml.tape.QuantumScript([qml.RX(0.3, 0)], [qml.expval(qml.Z(0))], shots)
        for shots in (None, 10, 100)
    ]
    with qml.Tracker(device) as tracker:
        exact, few, many = device.execute(tuple(tapes))
    assert tracker.totals["jobs"] == 1
    assert exact == pytest.approx(np.cos(0.3))
    assert round(few * 10 / 2 + 5, 6) == int(round(few * 10 / 2 + 5, 6))
    assert abs(many - exact) < 0.5


def test_the_tracker_sees_what_was_sent(device):
    with qml.Tracker(device) as tracker:
        qml.QNode(circuit, device, shots=30)(X, W, MEASUREMENTS["expval of a Hamiltonian"])
    assert tracker.totals["batches"] == 1
    assert tracker.totals["executions"] == 10
    assert tracker.totals["shots"] == 300
    assert tracker.totals["jobs"] == 1
    assert tracker.totals["requests"] >= 3
    (ids,) = tracker.history["job_ids"]
    assert len(ids) == 1


@pytest.mark.parametrize("method", ["parameter-shift", "finite-diff", "spsa"])
def test_gradients_equal_those_of_default_qubit(device, method):
    keywords = {"spsa": {"h": 1e-3, "num_directions": 30, "sampler_rng": 1}}.get(method, {})
    w = qml.numpy.array(W, requires_grad=True)

    def gradient(dev):
        qnode = qml.QNode(circuit, dev, diff_method=method, gradient_kwargs=keywords)
        return qml.grad(qnode, argnums=1)(X[0], w, MEASUREMENTS["expval of a Hamiltonian"])

    assert np.allclose(gradient(device), gradient(qml.device("default.qubit", wires=4)), atol=1e-5)


def test_noise_is_reproducible_and_lowers_the_signal():
    def ghz(dev):
        @qml.qnode(dev, shots=2000)
        def circuit():
            qml.Hadamard(0)
            for i in range(3):
                qml.CNOT([i, i + 1])
                qml.RX(0.1, i)
            qml.RY(0.7, 3)
            return qml.counts()

        return circuit()

    def device(**options):
        return qml.device("qstore.ionq", wires=4, seed=3, **options)

    noisy = ghz(device(noise_model="aria-1"))
    assert noisy == ghz(device(noise_model="aria-1"))
    assert sum(noisy.values()) == 2000
    assert len(noisy) >= len(ghz(device()))


@pytest.mark.parametrize("gateset", ["native", "qis"])
@pytest.mark.parametrize("noise_model", [None, "aria-1", "aria-2", "forte-1"])
def test_circuits_of_no_pulse_or_few_run_on_every_machine(noise_model, gateset):
    operations = (qml.S(0), qml.I(0), qml.CZ([0, 1]), qml.SWAP([0, 1]))
    measured = [qml.counts(), qml.expval(qml.Z(0))]
    tapes = [qml.tape.QuantumScript([op], measured, shots=50) for op in operations]
    dev = qml.device("qstore.ionq", wires=2, seed=1, gateset=gateset, noise_model=noise_model)
    for counts, value in qml.execute(tapes, dev):
        assert counts["00"] >= 45
        assert value >= 0.8


def test_wires_may_have_any_labels():
    labels = ["a", 7, "c"]
    dev = qml.device("qstore.ionq", wires=labels)

    def circuit():
        qml.RX(0.3, "a")
        qml.CNOT(["a", 7])
        qml.RY(0.4, "c")
        return qml.expval(qml.Z(7)), qml.probs(wires=["c", "a"])

    assert equal(qml.QNode(circuit, dev)(), qml.QNode(circuit, qml.device("default.qubit"))())
    free = qml.device("qstore.ionq")
    assert equal(qml.QNode(circuit, free)(), qml.QNode(circuit, qml.device("default.qubit"))())


def test_mid_circuit_measurements_are_deferred(device):
    def circuit(x):
        qml.RX(x, 0)
        m = qml.measure(0)
        qml.cond(m, qml.RY)(0.7, 1)
        return qml.expval(qml.Z(1)), qml.expval(m)

    dev = qml.device("qstore.ionq", wires=3)
    assert equal(qml.QNode(circuit, dev)(0.9), qml.QNode(circuit, qml.device("default.qubit"))(0.9))


def test_devices_copy_and_pickle(device):
    for other in (copy.copy(device), copy.deepcopy(device), pickle.loads(pickle.dumps(device))):
        assert other.wires == device.wires
        value = qml.QNode(circuit, other)(X[0], W, MEASUREMENTS["expval of a word"])
        assert np.isfinite(value)


def test_whole_numbers_may_be_numpys():
    numpys = qml.device("qstore.ionq", wires=4, seed=np.int64(3), max_circuits_per_job=np.int32(2))
    pythons = qml.device("qstore.ionq", wires=4, seed=3, max_circuits_per_job=2)
    one, other = (
        qml.QNode(circuit, dev, shots=50)(X, W, MEASUREMENTS["expval of a word"])
        for dev in (numpys, pythons)
    )
    assert equal(one, other, atol=0)


@pytest.mark.parametrize("measure", [qml.state, qml.purity, qml.vn_entropy, qml.density_matrix])
def test_states_are_refused_before_anything_is_sent(measure):
    with Emulator() as emulator:
        dev = qml.device("qstore.ionq", wires=2, base_url=emulator.url, api_key="k")
        arguments = () if measure is qml.state else ([0],)

        @qml.qnode(dev)
        def circuit():
            qml.RX(0.1, 0)
            return measure(*arguments)

        with pytest.raises(qml.exceptions.DeviceError, match="not supported on qstore"):
            circuit()
        assert emulator.requests == []


def test_no_shots_on_a_noisy_backend_is_refused():
    with Emulator() as emulator:
        dev = qml.device(
            "qstore.ionq", wires=2, base_url=emulator.url, api_key="k", noise_model="forte-1"
        )
        with pytest.raises(qml.exceptions.DeviceError, match="shots"):
            qml.QNode(lambda: qml.expval(qml.Z(0)), dev)()
        assert emulator.requests == []


def test_foreign_wires_are_refused(device):
    with pytest.raises(qml.wires.WireError, match="qstore"):
        qml.QNode(lambda: qml.expval(qml.Z(9)), device)()


def test_the_key_is_nowhere_to_be_seen():
    key = "CANARY-0123456789"
    with Emulator() as emulator:
        dev = qml.device("qstore.ionq", wires=1, base_url=emulator.url, api_key=key)
        qml.QNode(lambda: qml.expval(qml.Z(0)), dev)()
        shown = [repr(dev), repr(vars(dev)), repr(dev.executor.options), str(dev.stats)]
        assert not any(key in text for text in shown)
        assert key.encode() not in pickle.dumps(dev)


def test_a_failed_job_is_a_typed_error_with_its_id():
    with Emulator(
        faults=[{"kind": "fail", "route": "submit", "code": "QuotaExhaustedError"}]
    ) as emulator:
        dev = qml.device(
            "qstore.ionq", wires=1, base_url=emulator.url, api_key="k", retry_failed=False
        )
        with pytest.raises(JobFailed, match="QuotaExhaustedError") as caught:
            qml.QNode(lambda: qml.expval(qml.Z(0)), dev)()
        assert caught.value.job_ids
        assert isinstance(caught.value, QStoreError)


def test_logging_is_switched_on_as_pennylane_does_it(tmp_path):
    code = (
        "import pennylane as qml, pennylane_qstore as qstore\n"
        "qml.logging.enable_logging(config_file=qstore.LOG_CONFIG)\n"
        "dev = qml.device('qstore.ionq', wires=1)\n"
        "qml.QNode(lambda: qml.expval(qml.Z(0)), dev)()\n"
    )
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert (
        "pennylane_qstore.execution.executor: 1 tape(s) were 1 circuit(s) in 1 job(s)" in out.stderr
    )
    assert out.stdout == ""


@pytest.mark.parametrize(
    ("operation", "message"),
    [
        (lambda: qml.RX(None, 0), "RX has a parameter that is not a real number: None"),
        (lambda: qml.RX(1 + 2j, 0), "not a real number"),
        (lambda: qml.RX(np.nan, 0), "not finite"),
        (lambda: qml.RX(np.zeros(0), 0), "empty batch"),
        (lambda: qml.RX(np.zeros((2, 3)), 0), r"RX has a parameter of shape \(2, 3\)"),
        (lambda: qml.AngleEmbedding(np.zeros((2, 3, 2)), [0, 1]), r"of shape \(2, 3, 2\)"),
        (lambda: qml.QubitUnitary(np.array([[1, 1], [0, 1]]), 0), "not unitary"),
        (lambda: qml.QubitUnitary(np.ones((8, 8)), range(3)), "not unitary"),
        (lambda: qml.ctrl(qml.QubitUnitary(np.eye(4)[::-1] - 1, [0, 1]), 2), "not unitary"),
    ],
)
def test_bad_parameters_are_refused_by_name(operation, message):
    dev = qml.device("qstore.ionq", wires=3)
    with pytest.raises(QStoreError, match=message):
        qml.QNode(lambda: [operation(), qml.expval(qml.Z(0))][-1], dev)()


def test_the_docstrings_example_runs():
    found = doctest.DocTestFinder().find(qstore.IonQDevice, "IonQDevice", globs={})
    results = [doctest.DocTestRunner().run(test) for test in found]
    assert sum(r.attempted for r in results) >= 4
    assert sum(r.failed for r in results) == 0


def test_where_the_service_samples_each_number_of_shots_is_a_job():
    dev = qml.device("qstore.ionq", wires=1, noise_model="forte-1", seed=1)
    tapes = [
        qml.tape.QuantumScript([qml.RX(0.3, 0)], [qml.counts(wires=0)], shots)
        for shots in (10, 20, (4, 6), 20)
    ]
    with qml.Tracker(dev) as tracker:
        few, many, parts, more = dev.execute(tapes)
    assert tracker.totals["jobs"] == 2
    assert tracker.totals["shots"] == 60
    assert [sum(c.values()) for c in (few, many, *parts, more)] == [10, 20, 4, 6, 20]


def one_circuit(device):
    qml.execute([qml.tape.QuantumScript([qml.RX(0.4, 0)], [qml.counts()], shots=50)], device)


def test_a_run_borrows_the_device_and_its_jobs_are_found_again(tmp_path):
    device = qml.device("qstore.ionq", wires=1, ledger=tmp_path / "ledger.sqlite3", seed=1)
    states = []
    with device.run_scope("mine", progress=states.append):
        one_circuit(device)
        job_id, _ = device.executor.stats.last.tape_jobs[0]
    assert states
    assert device.totals()["jobs"] == 1
    (size,) = device.job_sizes()
    assert (size.circuits, size.shots) == (1, 50)
    assert device.job_sizes(device.totals()["sizes"]) == ()
    one_circuit(device)  # outside it is no part of the run
    again = qml.device("qstore.ionq", wires=1, ledger=tmp_path / "ledger.sqlite3", seed=1)
    with again.run_scope("mine"):
        one_circuit(again)
        assert again.executor.stats.last.tape_jobs[0][0] == job_id
    keys = [row.key for row in device.client.ledger.submissions()]
    assert [key and key.run for key in keys] == ["mine", None]


def test_what_was_given_to_the_device_itself_stays_in_a_run(tmp_path):
    device = qml.device("qstore.ionq", wires=1, budget_usd=3.0, ledger=tmp_path / "ledger.sqlite3")
    for budget_usd, left_usd in ((5.0, 3.0), (1.0, 1.0)):
        with device.run_scope("mine", budget_usd=budget_usd):
            assert device.left_usd == left_usd
    device = qml.device("qstore.ionq", wires=1)
    with device.run_scope("mine", budget_usd=1.0):
        assert device.left_usd == 1.0
    assert device.left_usd is None


def test_what_runs_in_isolation_changes_no_later_result():
    def draws(isolated):
        device = qml.device("qstore.ionq", wires=2, seed=3)
        circuit = qml.qnode(device, shots=500)(lambda: (qml.Hadamard(0), qml.counts())[1])
        if isolated:
            with device.isolated():
                circuit()
        return circuit()

    assert draws(isolated=True) == draws(isolated=False)


@pytest.mark.parametrize("is_deferred", [False, True])
def test_a_scope_sets_the_shots_of_all_circuits(is_deferred):
    with Emulator() as emulator:
        device = qml.device("qstore.ionq", wires=1, emulator=emulator, noise_model="forte-1")
        circuit = qml.QNode(lambda x: (qml.RX(x, 0), qml.expval(qml.Z(0)))[1], device)
        circuit = qml.set_shots(circuit, 500)
        with device.job_scope(shots=20), qstore.deferred() if is_deferred else nullcontext():
            values = [circuit(x) for x in (0.1, 0.2)]
        circuit(0.1)
        assert all(float(value) * 20 % 2 == 0 for value in values)
        assert {job.shots for job in emulator.jobs} == {20, 500}
    with pytest.raises(QStoreError, match="shots"), device.job_scope(shots=0):
        pass


@pytest.mark.parametrize("is_deferred", [False, True])
def test_an_exact_scope_sends_nothing_and_changes_nothing(is_deferred):
    with Emulator() as emulator:
        device = qml.device(
            "qstore.ionq", wires=1, emulator=emulator, noise_model="forte-1", seed=1
        )
        circuit = qml.QNode(lambda x: (qml.RX(x, 0), qml.expval(qml.Z(0)))[1], device)
        circuit = qml.set_shots(circuit, 500)
        before, totals = device.state_dict(), device.totals()
        with device.exact_scope(), qstore.deferred() if is_deferred else nullcontext():
            assert float(circuit(0.4)) == pytest.approx(np.cos(0.4), abs=1e-9)
        assert emulator.billed_jobs == 0
        assert device.state_dict() == before
        assert device.totals() == totals
        circuit(0.4)
        assert emulator.billed_jobs == 1


def test_jobs_in_a_scope_have_its_gates_and_name():
    with Emulator() as emulator:
        device = qml.device("qstore.ionq", wires=1, emulator=emulator)
        with device.executor.job_scope(job_name="shown", gateset="qis"):
            one_circuit(device)
            assert device.target.gateset == "qis"
        assert device.target.gateset == "native"
        one_circuit(device)
        sent = sorted((job.name or "", job.gateset) for job in emulator.jobs)
    assert [gateset for _, gateset in sent] == ["native", "qis"]
    assert sent[1][0].startswith("shown")
