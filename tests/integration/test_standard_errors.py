"""Standard errors: as large as the values' spread, in every shape that results have."""

import functools
import pickle

import numpy as np
import pennylane as qml
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pennylane import numpy as pnp
from scipy.stats import chi2

from pennylane_qstore import deferred, fold_native, gather, with_errors, zne
from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.measurement.recipes import NotSupported, standard_error_of
from pennylane_qstore.transforms import WithError

SHOTS, ROWS = 600, 1500
SUM = qml.Z(0) + 0.7 * qml.Z(0) @ qml.Z(1) - 0.4 * qml.Z(1)
BASES = 0.8 * qml.X(0) @ qml.X(1) + 0.5 * qml.Z(0) + 0.3 * qml.Z(0) @ qml.Z(1) + 0.2 * qml.Y(2)
MATRIX = qml.Hermitian(np.array([[1.0, 0.3 - 0.2j], [0.3 + 0.2j, -0.4]]), 0)
NUMBERS = {
    "word": lambda: qml.expval(qml.Z(0) @ qml.Y(1)),
    "one basis": lambda: qml.expval(SUM),
    "several bases": lambda: qml.expval(BASES),
    "matrix": lambda: qml.expval(MATRIX),
    "projector": lambda: qml.expval(qml.Projector([1, 0], [0, 1])),
    "probabilities": lambda: qml.probs([1, 0]),
    "variance": lambda: qml.var(SUM),
    "variance in several bases": lambda: qml.var(BASES),
}


def erring(measured, dev=None, shots=SHOTS):
    dev = dev or qml.device("qstore.ionq", wires=3, seed=11)

    @qml.qnode(dev, shots=shots)
    def circuit(x):
        qml.RX(x, 0)
        qml.CRY(0.7, [0, 1])
        qml.RZ(x, 1)
        qml.IsingXX(0.6, [1, 2])
        return measured()

    return circuit


@pytest.mark.parametrize("kind", NUMBERS)
def test_standard_errors_are_those_of_the_values(kind):
    """z-scores of many runs have mean 0 and variance 1, within their 99.99 % intervals."""
    circuit = with_errors(erring(NUMBERS[kind]))
    exact, none = with_errors(erring(NUMBERS[kind], shots=None))(0.9)
    assert not np.any(none), "without shots there is no error"
    values, errors = circuit(np.full(ROWS, 0.9))
    assert values.shape == errors.shape == (ROWS, *np.shape(exact))
    z = (values - exact) / errors
    low, high = chi2.ppf([5e-5, 1 - 5e-5], ROWS - 1) / (ROWS - 1)
    spread = np.var(z, axis=0, ddof=1)
    # A variance's estimate is smaller by the 1/shots-th part: a shift of its z, not of the spread.
    assert np.all(np.abs(z.mean(axis=0)) < 4 / np.sqrt(ROWS) + 0.1)
    assert np.all((low < spread) & (spread < high)), spread


@settings(max_examples=30, deadline=None)
@given(
    coefficients=st.lists(st.floats(-2, 2), min_size=3, max_size=3),
    x=st.floats(-3, 3),
    shots=st.integers(2, 300),
)
def test_the_error_of_a_sum_in_one_basis_is_that_of_the_mean_of_its_values(coefficients, x, shots):
    words = (qml.Z(0), qml.Z(0) @ qml.Z(1), qml.Z(2))
    observable = qml.dot(coefficients, words)
    mean = qml.expval(observable)
    operations = [qml.RX(x, 0), qml.CNOT([0, 1]), qml.RY(1.1, 2)]
    measurements = [qml.counts(wires=[0, 1, 2]), mean, standard_error_of(mean)]
    tape = qml.tape.QuantumScript(operations, measurements, shots=shots)
    dev = qml.device("qstore.ionq", wires=3, seed=1)
    counts, value, error = dev.execute([tape])[0]
    values = [
        sum(c * s for c, s in zip(coefficients, (a, a * b, d), strict=True))
        for outcome, n in counts.items()
        for a, b, d in [[1 - 2 * int(bit) for bit in outcome]] * int(n)
    ]
    assert value == pytest.approx(np.mean(values), abs=1e-9)
    assert error == pytest.approx(np.std(values, ddof=1) / np.sqrt(shots), abs=1e-9)


def test_pairs_have_the_nesting_of_the_results():
    circuit = erring(lambda: (qml.expval(qml.Z(0)), qml.probs([0, 1])))
    (value, error), (probs, errors) = with_errors(circuit)(0.3)
    assert 0 < error < abs(value)
    assert probs.shape == errors.shape == (4,)
    few, many = with_errors(qml.set_shots(circuit, (10, 1000)))(np.array([0.3, 0.4]))
    assert few[0].error.shape == many[0].error.shape == (2,)
    assert np.all(few[0].error > many[0].error)
    named = with_errors(erring(lambda: {"a": qml.expval(qml.Z(0)), "b": qml.var(qml.Z(1))}))(0.3)
    assert named["a"].error > 0


def test_a_single_shot_has_no_error_that_is_known():
    value, error = with_errors(erring(NUMBERS["word"], shots=1))(0.3)
    assert abs(value) == 1
    assert np.isnan(error)


def test_errors_of_mid_circuit_measurements_and_of_selected_shots():
    dev = qml.device("qstore.ionq", wires=2, seed=3)

    @qml.qnode(dev, shots=1000)
    def circuit():
        qml.Hadamard(0)
        m = qml.measure(0, postselect=1)
        qml.Hadamard(1)
        return qml.expval(qml.Z(1)), qml.expval(m)

    (value, error), (one, none) = with_errors(circuit)()
    assert error == pytest.approx(1 / np.sqrt(500), rel=0.15)
    assert abs(value) < 5 * error
    assert (one, none) == (1, 0)


def test_errors_cost_no_circuit():
    dev = qml.device("qstore.ionq", wires=3, seed=3)
    circuit = erring(NUMBERS["variance in several bases"], dev)
    circuit(0.3)
    before = dev.stats["circuits"]
    with_errors(circuit)(0.3)
    assert dev.stats["circuits"] == 2 * before


def test_an_extrapolated_value_has_the_error_of_its_scales():
    dev = qml.device("qstore.ionq", wires=3, noise_model="forte-1", seed=3)
    circuit = erring(NUMBERS["word"], dev)
    scales = (1, 3)
    (value, error) = with_errors(zne(circuit, scales=scales, extrapolate="richardson"))(0.9)
    parts = [with_errors(fold_native(circuit, scale))(0.9).error for scale in scales]
    assert error == pytest.approx(np.hypot(1.5 * parts[0], 0.5 * parts[1]), rel=0.1)
    assert abs(value) < 1.5
    with pytest.raises(ConfigurationError, match=r"with_errors\(zne"):
        zne(with_errors(circuit))(0.9)


def test_what_has_no_error():
    with pytest.raises(NotSupported, match="expval, var and probs"):
        with_errors(erring(lambda: qml.counts()))(0.3)
    with pytest.raises(ConfigurationError, match="not differentiated"):
        qml.grad(lambda x: with_errors(erring(NUMBERS["word"]))(x).value)(pnp.array(0.3))
    trainable = pnp.array(0.3, requires_grad=True)
    assert with_errors(erring(NUMBERS["word"]))(trainable).error > 0


def test_errors_in_a_batch_of_many_calls_and_in_a_handle():
    dev = qml.device("qstore.ionq", wires=3, seed=3)
    circuit = with_errors(erring(NUMBERS["several bases"], dev))
    found = gather(dev, *(functools.partial(circuit, x) for x in (0.1, 0.2)))
    assert dev.stats["jobs"] == 1
    assert all(error > 0 for _, error in found)
    tapes, after = qml.workflow.construct_batch(circuit, level="user")(0.1)
    ((value, error),) = after(pickle.loads(pickle.dumps(dev.submit(tapes))).results(dev))
    assert 0 < error < 0.1 < value


@pytest.mark.parametrize("shots", [SHOTS, (SHOTS, 200)])
def test_inside_deferred_they_wait_with_all_others(shots):
    xs = [0.1, 0.5, np.array([0.9, 1.1])]

    def measured():
        return qml.expval(BASES), qml.probs([0, 1]), qml.var(SUM)

    def pairs(results):
        if isinstance(results, WithError):
            return [results]
        return [pair for part in results for pair in pairs(part)]

    dev = qml.device("qstore.ionq", wires=3, seed=11)
    with deferred():
        found = [with_errors(erring(measured, dev, shots))(x) for x in xs]
        extrapolated = with_errors(zne(erring(NUMBERS["word"], dev), scales=(1, 3)))(0.3)
        assert dev.stats["jobs"] == 0
    assert dev.stats["batches"] == 1
    assert extrapolated.error > 0
    for x, result in zip(xs, found, strict=True):
        alone = with_errors(erring(measured, None, shots))(x)
        for one, other in zip(pairs(result), pairs(alone), strict=True):
            assert one.value.shape == one.error.shape == other.value.shape
            spread = np.hypot(one.error, other.error)
            assert np.all(np.abs(one.value - other.value) <= 6 * spread + 0.05)
