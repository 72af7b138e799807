"""Random QNodes here and on default.qubit: the same results, or the same distributions."""

import inspect

import numpy as np
import pennylane as qml
import pytest
from scipy.linalg import expm
from scipy.sparse import csr_matrix
from scipy.stats import chisquare
from support.batches import UNTOLD
from support.random_compositions import circuit, right_values
from support.random_qnodes import Case, hermitian, observable, word

import pennylane_qstore as qstore

QUICK, LONG = range(20), range(1000, 1090)
SHOTS = 2000

quick_and_long = pytest.mark.parametrize(
    "seeds", [QUICK, pytest.param(LONG, marks=pytest.mark.soak)], ids=["quick", "long"]
)


def device(case, **options):
    return qml.device("qstore.ionq", wires=case.on_device, seed=case.seed, **options)


def reference(case):
    return qml.device("default.qubit", wires=case.on_device)


def run(case, measure, dev, shots=None):
    return qml.QNode(case.circuit(measure), dev, shots=shots, diff_method=None)()


def same(one, other, atol=1e-8):
    if isinstance(other, (tuple, list)):
        return (
            type(one) is type(other)
            and len(one) == len(other)
            and all(same(a, b, atol) for a, b in zip(one, other, strict=True))
        )
    return np.shape(one) == np.shape(other) and np.allclose(one, other, atol=atol, equal_nan=True)


def exact_measurements(case, rng, values):
    """One to four measurements that need no shots."""
    made = []
    for _ in range(int(rng.integers(1, 5))):
        kind = rng.integers(7 if values else 6)
        if kind < 2:
            made.append(qml.expval(observable(case, rng)))
        elif kind == 2:
            made.append(qml.var(word(case, rng) if rng.random() < 0.7 else observable(case, rng)))
        elif kind == 3:
            n = int(rng.integers(1, len(case.wires) + 1))
            chosen = [case.wires[i] for i in rng.permutation(len(case.wires))[:n]]
            made.append(qml.probs(wires=chosen))
        elif kind == 4:
            made.append(qml.probs(op=word(case, rng)))
        elif kind == 5:
            made.append(qml.probs() if case.on_device and not values else qml.probs(case.wires))
        else:
            made.append(
                (
                    lambda: qml.expval(values[0]),
                    lambda: qml.var(2 * values[-1] + 1),
                    lambda: qml.probs(op=values),
                )[rng.integers(3)]()
            )
    return made[0] if len(made) == 1 else tuple(made)


@quick_and_long
def test_analytic_results_are_equal(seeds):
    kinds = ({}, {"two_qubit": "ms"}, {"absorb": False}, {"gateset": "qis"})
    for seed in seeds:
        case = Case.of(seed)
        got = run(case, exact_measurements, device(case, **kinds[seed % 4]))
        want = run(case, exact_measurements, reference(case))
        assert same(got, want), case


def same_on_both(circuit, wires):
    got, want = (
        qml.QNode(circuit, qml.device(name, wires=wires), diff_method=None)()
        for name in ("qstore.ionq", "default.qubit")
    )
    return same(got, want)


def gates_of_angles():
    """PennyLane's own qubit gates that take angles, by name, with their numbers of wires."""
    for name, kind in inspect.getmembers(qml.ops.qubit, inspect.isclass):
        dims = getattr(kind, "ndim_params", None)
        takes_angles = isinstance(dims, tuple) and dims and not any(dims) and hasattr(qml, name)
        if takes_angles and kind not in (qml.PCPhase, qml.PauliRot):  # these take more
            yield pytest.param(kind, kind.num_wires or 3, id=name)


@pytest.mark.usefixtures("unsearched")
@pytest.mark.parametrize(("gate", "n"), list(gates_of_angles()))
@pytest.mark.parametrize("change", [lambda op: op, qml.adjoint, lambda op: qml.ctrl(op, 4)])
def test_every_gate_takes_a_batch_of_angles(gate, n, change):
    rng = np.random.default_rng(n)
    angles = rng.uniform(-4, 4, (len(gate.ndim_params), 3))

    def circuit():
        for wire in range(5):
            qml.RY(0.3 + wire, wire)
        change(gate(*angles, wires=range(n)))
        for wire in range(5):
            qml.RX(0.7 + wire, wire)
        return qml.probs()

    assert same_on_both(circuit, wires=5)


@pytest.mark.parametrize(
    "made",
    [
        lambda x: qml.prod(qml.RX(x, 0), qml.RY(x, 1)),
        lambda x: qml.adjoint(qml.prod(qml.RX(x, 0), qml.CRY(x, [0, 1]))),
        lambda x: qml.ctrl(qml.prod(qml.RX(x, 0), qml.RY(0.4, 1)), 2),
        lambda x: qml.pow(qml.RX(x, 0), 0.5, lazy=True),
        lambda x: qml.evolve(qml.Z(0) @ qml.X(1), x),
        lambda x: qml.evolve(0.3 * qml.Z(0) @ qml.X(1), x),
        lambda x: qml.evolve(qml.Hamiltonian([0.3, 0.4], [qml.X(0), qml.Z(0) @ qml.Z(1)]), x),
        lambda x: qml.adjoint(qml.evolve(0.3 * qml.Z(0), x)),
        lambda x: qml.ctrl(qml.evolve(0.3 * qml.Z(0), x), 1),
        lambda x: qml.exp(qml.Z(0) @ qml.X(1), 1j * x),
        lambda x: qml.exp(qml.I(0), 1j * x),
        lambda x: qml.s_prod(1j, qml.RX(x, 0)),
        lambda x: qml.ControlledSequence(qml.RX(x, 0), control=[1, 2]),
        lambda x: [qml.GlobalPhase(x), qml.DiagonalQubitUnitary([1, 1j, -1, 1], [0, 1])],
    ],
)
def test_composed_operations_take_a_batch(made):
    def circuit():
        for wire in range(5):
            qml.RY(0.3 + wire, wire)
        made(np.array([0.3, -1.2, 2.5]))
        qml.RX(0.7, 0)
        return qml.probs()

    assert same_on_both(circuit, wires=5)


SPARSE = csr_matrix(qml.matrix(qml.QFT(range(3))))
WORDS = qml.dot([0.5, -0.8, 0.3], [qml.Y(0) @ qml.X(1), qml.Z(1), qml.X(0)])


@pytest.mark.parametrize(
    "made",
    [
        lambda: qml.pow(qml.exp(qml.X(0), 0.3j), 2),
        lambda: qml.pow(qml.evolve(0.7 * qml.X(0), 0.3), 2),
        lambda: qml.evolve(qml.Hermitian([[1, 0.5], [0.5, 0]], 0), 0.5),
        lambda: qml.StatePrep(csr_matrix([[0, 0.6, 0.8, 0]]), [0, 1]),
        lambda: qml.QubitUnitary(SPARSE, [2, 0, 1]),
        lambda: qml.adjoint(qml.QubitUnitary(SPARSE, [0, 1, 2])),
        lambda: qml.ctrl(qml.QubitUnitary(SPARSE[[0, 4, 2, 6, 1, 5, 3, 7]], [0, 1, 2]), 3),
        lambda: qml.BlockEncode(csr_matrix([[0.1, 0.2], [0.3, 0.4]]), [0, 1]),
        lambda: qml.QDrift(WORDS, 0.9, n=6, seed=4),
        lambda: qml.TrotterProduct(WORDS, 0.9, n=2, order=4),
        lambda: qml.adjoint(qml.TrotterProduct(WORDS, 0.9, order=2)),
    ],
)
def test_powers_exponentials_products_of_them_and_sparse_matrices(made):
    def circuit():
        made()
        for wire in range(4):
            qml.RX(0.7 + wire, wire)
        return qml.probs()

    assert same_on_both(circuit, wires=4)


ENERGIES = np.array([[0.5, 1j, 0, 2], [-1j, 1, 0.3j, 0], [0, -0.3j, -2, 1], [2, 0, 1, 0]])


@pytest.mark.filterwarnings("error::numpy.exceptions.ComplexWarning")
@pytest.mark.parametrize("gateset", ["native", "qis"])
@pytest.mark.parametrize(
    "hamiltonian",
    [
        qml.Hermitian(ENERGIES, [0, 1]),
        qml.Hamiltonian([2.0], [qml.Hermitian(ENERGIES, [1, 0])]),
        qml.dot([0.9, -0.4], [qml.Y(0) @ qml.X(1), qml.X(0) @ qml.Y(1)]),
    ],
    ids=["matrix", "scaled matrix", "words"],
)
def test_an_evolution_is_the_exponential_of_minus_i_t(hamiltonian, gateset):
    def circuit():
        qml.RY(0.6, 0)
        qml.RX(1.1, 1)
        qml.evolve(hamiltonian, 0.45)
        return qml.probs(wires=[0, 1]), qml.expval(qml.X(0) @ qml.Y(1))

    probs, value = qml.QNode(circuit, qml.device("qstore.ionq", wires=2, gateset=gateset))()
    start = np.kron(qml.RY.compute_matrix(0.6)[:, 0], qml.RX.compute_matrix(1.1)[:, 0])
    state = expm(-0.45j * qml.matrix(hamiltonian, wire_order=[0, 1])) @ start
    np.testing.assert_allclose(probs, np.abs(state) ** 2, atol=1e-8)
    measured = qml.matrix(qml.X(0) @ qml.Y(1))
    assert np.isclose(value, (state.conj() @ measured @ state).real, atol=1e-8)


def sampled(case, rng, values):
    """A measurement of single shots, with what is known of it: the exact distribution."""
    kind = rng.integers(6 if values else 4)
    wires = [case.wires[i] for i in rng.permutation(len(case.wires))[: rng.integers(1, 4)]]
    op = word(case, rng)
    return (
        (lambda: qml.counts(wires=wires), lambda: qml.probs(wires=wires)),
        (lambda: qml.sample(wires=wires), lambda: qml.probs(wires=wires)),
        (lambda: qml.counts(op, all_outcomes=True), lambda: qml.expval(op)),
        (lambda: qml.sample(op), lambda: qml.expval(op)),
        (lambda: qml.counts(values), lambda: qml.probs(op=values)),
        (lambda: qml.sample(values[0]), lambda: qml.probs(op=values[0])),
    )[kind]


def frequencies(result, exact):
    """Counts of one row's outcomes, in the order of the exact probabilities."""
    result = result if isinstance(result, dict) else _counted(result)
    if np.ndim(exact) == 0:  # an expectation value of ±1
        assert set(result) <= {-1, 1}
        return np.array([result.get(1, 0), result.get(-1, 0)]), np.array([1 + exact, 1 - exact]) / 2
    n = int(np.log2(len(exact)))
    keys = [f"{i:0{n}b}" for i in range(2**n)]
    if not all(isinstance(key, str) for key in result):
        keys = list(range(2**n))
    assert set(result) <= set(keys)
    return np.array([result.get(key, 0) for key in keys]), np.asarray(exact)


def _counted(samples):
    samples = np.asarray(samples)
    if samples.ndim == 2:
        found = ["".join(map(str, row)) for row in samples]
    else:
        found = samples.tolist()
        if set(found) <= {0, 1} and samples.dtype.kind == "i":
            found = [str(v) for v in found]
    return {key: found.count(key) for key in set(found)}


@pytest.mark.usefixtures("unsearched")
@quick_and_long
def test_samples_are_of_the_exact_distribution(seeds):
    smallest = 1.0
    for seed in seeds:
        case = Case.of(seed)

        def shot(case, rng, values):
            return sampled(case, rng, values)[0]()

        def known(case, rng, values):
            return sampled(case, rng, values)[1]()

        got = run(case, shot, device(case), shots=SHOTS)
        exact = run(case, known, reference(case))
        rows = [(got, exact)] if case.batch is None else list(zip(got, exact, strict=True))
        for result, probabilities in rows:
            counts, p = frequencies(result, probabilities)
            if not case.selective:
                assert counts.sum() == SHOTS
            possible = p > 1e-9
            assert counts[~possible].sum() == 0, case
            if possible.sum() > 1 and counts.sum():
                p = p[possible] / p[possible].sum()
                smallest = min(smallest, chisquare(counts[possible], counts.sum() * p).pvalue)
    assert smallest > 1e-3 / len(seeds)


@pytest.mark.usefixtures("unsearched")
@quick_and_long
def test_sampled_expectations_are_near_the_exact_ones(seeds):
    for seed in seeds:
        case = Case.of(seed)
        if case.selective:  # keeps its own number of shots
            continue

        def measure(case, rng, values):
            return [
                qml.expval(word(case, rng)),
                qml.expval(qml.dot([0.5, 1.5], [word(case, rng), word(case, rng)])),
                qml.expval(hermitian(case, rng)),
                qml.probs(wires=case.wires[0]),
            ]

        def spread(case, rng, values):
            return [
                qml.var(word(case, rng)),
                *(qml.var(word(case, rng)) for _ in range(2)),
                qml.var(hermitian(case, rng)),
            ]

        got = run(case, measure, device(case), shots=SHOTS)
        want = run(case, measure, reference(case))
        var = run(case, spread, reference(case))
        bounds = [
            np.sqrt(var[0] + 1e-12),
            0.5 * np.sqrt(var[1] + 1e-12) + 1.5 * np.sqrt(var[2] + 1e-12),
            np.sqrt(var[3] + 1e-12),
            np.full(np.shape(want[3]), 0.5),
        ]
        for value, exact, bound in zip(got, want, bounds, strict=True):
            assert np.shape(value) == np.shape(exact)
            assert (np.abs(value - exact) <= 5 * bound / np.sqrt(SHOTS) + 1e-9).all(), case


def outline(result):
    if isinstance(result, dict):
        return {len(k) if isinstance(k, str) else "value" for k in result}, sum(result.values())
    if isinstance(result, (tuple, list)):
        return type(result), [outline(r) for r in result]
    return np.shape(result)


def any_measurements(case, rng, values):
    made = []
    for _ in range(int(rng.integers(1, 4))):
        if rng.random() < 0.5:
            made.append(sampled(case, rng, values)[0]())
        else:
            made.append(qml.expval(observable(case, rng)))
    return made[0] if len(made) == 1 else tuple(made)


@pytest.mark.usefixtures("unsearched")
@quick_and_long
def test_shot_vectors_have_default_qubits_shapes(seeds):
    for seed in seeds:
        case = Case.of(seed)
        if case.measured or case.batch == 1:  # squeezed there, another way of sampling there
            continue
        shots = ((4, 7), (5, (6, 2)), [3, 3, 9])[seed % 3]
        got = run(case, any_measurements, device(case), shots)
        want = run(case, any_measurements, reference(case), shots)
        assert outline(got) == outline(want), case


@quick_and_long
def test_a_batch_equals_its_tapes_one_by_one(seeds):
    """Tapes of many structures, batches, shots and shot vectors in one call, one job."""
    for first in range(seeds.start, seeds.stop, 8):
        tapes = []
        for seed in range(first, first + 8):
            case = Case.of(seed)
            shots = (None, 20, (5, 10), 300)[seed % 4]
            measure = any_measurements if shots else exact_measurements
            with qml.queuing.AnnotatedQueue() as queue:
                case.circuit(measure)()
            tape = qml.tape.QuantumScript.from_queue(queue, shots=shots)
            pipeline = qml.device("qstore.ionq").preprocess_transforms()
            tapes += pipeline((tape,))[0]
        together = qml.device("qstore.ionq", seed=first)
        with qml.Tracker(together) as tracker:
            batch = together.execute(tuple(tapes))
        assert tracker.totals["jobs"] == 1
        alone = qml.device("qstore.ionq", seed=first)
        for tape, result in zip(tapes, batch, strict=True):
            assert identical(alone.execute((tape,))[0], result), tape.circuit


def identical(one, other):
    if isinstance(other, dict):
        return one == other
    if isinstance(other, (tuple, list)):
        return len(one) == len(other) and all(map(identical, one, other))
    return one is other is None or np.array_equal(one, other, equal_nan=True)


@quick_and_long
def test_a_broadcast_equals_its_rows_one_by_one(seeds):
    for seed in seeds:
        case = Case.of(seed)
        if case.batch in (None, 1) or case.selective:
            continue
        with qml.queuing.AnnotatedQueue() as queue:
            case.circuit(exact_measurements)()
        tape = qml.tape.QuantumScript.from_queue(queue)
        dev = device(case)
        unknown = (qml.BasicEntanglerLayers, qml.StronglyEntanglingLayers)
        if any(isinstance(op, unknown) for op in tape.operations):
            continue  # PennyLane does not know their batches, and does not expand them
        (tape,), _ = dev.preprocess_transforms()((tape,))
        rows, join = qml.transforms.broadcast_expand(tape)
        assert same(dev.execute((tape,))[0], join(dev.execute(tuple(rows)))), case


BATCH = np.array([0.3, -1.1, 0.8])


def plainly(node, dev):
    return node(BATCH)


def row_by_row(node, dev):
    return stacked([node(x) for x in BATCH])


def deferred(node, dev):
    with qstore.deferred():
        results = node(BATCH)
    return [np.asarray(result) for result in results]


def gathered(node, dev):
    return qstore.gather(dev, lambda: node(BATCH), lambda: node(BATCH[0]))[0]


def mapped(node, dev):
    return stacked(qstore.map(dev, node, list(BATCH)))


def natively(node, dev):
    on_default = qml.QNode(node.func, qml.device("default.qubit"), diff_method=None)
    return qstore.compile_native(on_default, optimize_fidelity=False)(BATCH)


def stacked(rows):
    return [np.stack(values) for values in zip(*rows, strict=True)]


WAYS = (plainly, deferred, row_by_row, gathered, mapped, natively)
COMPOSED, MANY_COMPOSED = range(12), range(1000, 1200)


@pytest.mark.parametrize(
    "seeds", [COMPOSED, pytest.param(MANY_COMPOSED, marks=pytest.mark.soak)], ids=["quick", "long"]
)
@pytest.mark.parametrize("way", WAYS)
def test_operations_made_of_others_are_right_in_every_way(seeds, way):
    """Rows are compared to products of matrices: default.qubit, too, is wrong about some."""
    for seed in seeds[WAYS.index(way) :: len(WAYS)]:
        function = circuit(seed)
        want = stacked([right_values(function, x) for x in BATCH])
        dev = qml.device("qstore.ionq", gateset=("native", "qis")[seed % 2])
        got = way(qml.QNode(function, dev, diff_method=None), dev)
        assert same(list(got), want), seed


@pytest.mark.parametrize(
    "seeds",
    [range(2), pytest.param(range(50, 90), marks=pytest.mark.soak)],
    ids=["quick", "long"],
)
def test_operations_made_of_others_are_trained_at_the_right_values(seeds):
    """By the optimizer alone, and by a run with data that are objects."""
    for seed in seeds:
        function = circuit(seed)
        want = sum(np.sum(result) for x in BATCH for result in right_values(function, x))
        dev = qml.device("qstore.ionq")
        node = qml.QNode(function, dev, diff_method=None)

        def cost(weight, x, y, node=node):
            return sum(np.sum(result) for result in node(weight * x)) + 0 * np.sum(y)

        start = qml.numpy.array(1.0, requires_grad=True)
        data = [qml.numpy.array(BATCH, requires_grad=False)] * 2
        _, value = qstore.SPSAOptimizer(maxiter=3, seed=1).step_and_cost(cost, start, *data)
        assert np.isclose(value, want), seed
        optimizer = qstore.SPSAOptimizer(maxiter=3, seed=1)
        run = qstore.TrainingRun(cost, start, optimizer, data=(BATCH, BATCH), device=dev)
        first = run.train(1).history[0]
        assert np.isclose(first.loss, want), seed


@pytest.mark.parametrize("name", ["entangling layers", "time evolution", "selection"])
def test_a_run_takes_an_ensemble_of_weights_that_nobody_tells(name):
    def circuit(w):
        qml.RY(0.6, 0)
        UNTOLD[name](w)
        qml.RX(0.4, 0)
        return qml.expval(qml.Z(0))

    want = np.mean(qml.QNode(circuit, qml.device("default.qubit", wires=3))(BATCH))
    dev = qml.device("qstore.ionq", wires=3)
    node = qml.QNode(circuit, dev)
    optimizer = qstore.SPSAOptimizer(maxiter=3, seed=1)
    run = qstore.TrainingRun(lambda w: np.mean(node(w)), BATCH, optimizer, device=dev)
    (first,) = run.train(1).history
    assert np.isclose(first.loss, want)
    assert first.posts == 1


class OnlyMatrix(qml.operation.Operation):
    """It does not tell how many dimensions one angle has."""

    num_wires = 2
    num_params = 1

    @staticmethod
    def compute_matrix(angle):
        return qml.matrix(qml.IsingXY(angle, [0, 1]))


def test_a_batch_of_matrices_that_nobody_declared_is_refused_with_the_way_out():
    @qml.qnode(qml.device("qstore.ionq", wires=2))
    def circuit():
        OnlyMatrix(np.array([0.1, 0.6]), [0, 1])
        return qml.probs()

    with pytest.raises(qml.exceptions.DeviceError, match="Give it ndim_params"):
        circuit()
