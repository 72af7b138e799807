"""Scopes: what is fetched when, what stays real, and where errors come up."""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import math
import pickle
import threading

import numpy as np
import pennylane as qml
import pytest
from autograd.tracer import trace_stack
from pennylane import numpy as pnp
from support.counting import CountingDevice

from pennylane_qstore.deferral import scope as deferred
from pennylane_qstore.deferral.operands import is_deferred
from pennylane_qstore.errors import ConfigurationError, InvalidResponse, JobFailed, QStoreError

X = 0.3


@pytest.fixture
def dev():
    return CountingDevice(wires=2)


def rotation(dev, measure=lambda: qml.expval(qml.Z(0)), **kwargs):
    @qml.qnode(dev, **kwargs)
    def circuit(x):
        qml.RX(x, 0)
        return measure()

    return circuit


# --------------------------------------------------------------------------- fetching


def test_loop_is_fetched_in_one_batch_when_looked_at(dev):
    circuit = rotation(dev)
    with deferred.deferred():
        total = sum((circuit(x) - 0.5) ** 2 for x in range(5))
        assert dev.posts == []
        assert float(total) == pytest.approx(sum((np.cos(range(5)) - 0.5) ** 2))
        assert dev.posts == [5]


def test_looking_at_one_fetches_all(dev):
    circuit = rotation(dev)
    with deferred.deferred():
        values = [circuit(x) for x in range(4)]
        print(values[0])
        assert [float(v) for v in values] == pytest.approx(np.cos(range(4)))
    assert dev.posts == [4]


@pytest.mark.parametrize("stack", [pnp.array, pnp.stack, np.stack, qml.math.stack, np.hstack])
def test_what_stacks_results_waits_and_other_circuits_with_it(stack, dev):
    circuit, other = rotation(dev), rotation(dev, lambda: qml.expval(qml.Y(0)))
    with deferred.deferred():
        stacked = stack([circuit(x) for x in range(4)])
        total = (stacked * other(X)).sum()
        assert is_deferred(stacked)
        assert dev.posts == []
        assert float(total) == pytest.approx(-np.sin(X) * np.cos(range(4)).sum())
    assert dev.posts == [5]


@pytest.mark.parametrize("look", [np.array, np.asarray, lambda v: [float(x) for x in v]])
def test_what_looks_at_a_list_fetches_all_of_it_once(look, dev):
    circuit = rotation(dev)
    with deferred.deferred():
        found = look([circuit(x) for x in range(4)])
        assert dev.posts == [4]
    np.testing.assert_allclose(found, np.cos(range(4)))


def test_a_generator_that_is_looked_at_item_by_item_is_a_batch_an_item(dev):
    circuit = rotation(dev)
    with deferred.deferred():
        found = np.fromiter((circuit(x) for x in range(4)), float)
    assert dev.posts == [1] * 4
    np.testing.assert_allclose(found, np.cos(range(4)))
    assert "np.fromiter" in deferred.deferred.__doc__


def test_at_the_end_of_the_scope_the_rest_is_fetched_and_real(dev):
    circuit = rotation(dev)
    with deferred.deferred():
        value = circuit(X)
        doubled = 2 * circuit(pnp.array(X))
        assert not isinstance(doubled, np.ndarray | np.generic)
    assert dev.posts == [2]
    assert isinstance(value, float)
    assert isinstance(doubled, np.generic)
    assert type(doubled + 1) is np.float64
    assert type(np.asarray(value)) is np.ndarray


def test_outside_of_a_scope_nothing_is_deferred(dev):
    circuit = rotation(dev)
    assert type(circuit(X)) is np.float64
    with deferred.deferred():
        pass
    assert type(circuit(X)) is np.float64
    assert dev.posts == [1, 1]


@pytest.mark.parametrize(
    ("measure", "shape"),
    [
        (lambda: qml.expval(qml.Z(0)), ()),
        (lambda: qml.var(qml.Z(0)), ()),
        (lambda: qml.probs(wires=[0, 1]), (4,)),
        (lambda: qml.expval(qml.Hamiltonian([0.5, 2.0], [qml.Z(0), qml.X(0)])), ()),
        (lambda: qml.expval(qml.Z(0) @ qml.Y(1)), ()),
    ],
)
@pytest.mark.parametrize("x", [X, np.linspace(0, 1, 3)], ids=["one", "broadcast"])
@pytest.mark.parametrize("kind", [np.asarray, pnp.array])
def test_shape_and_type_are_those_of_a_plain_call(dev, measure, shape, x, kind):
    circuit = rotation(dev, measure)
    plain = circuit(kind(x))
    with deferred.deferred():
        posts = len(dev.posts)
        value = circuit(kind(x))
        assert is_deferred(value)
        assert value.shape == np.shape(x) + shape
        assert value.dtype == np.float64
        assert len(dev.posts) == posts
        np.testing.assert_allclose(value, plain, atol=1e-12)
        assert isinstance(value, np.ndarray if np.ndim(plain) else np.ndarray | np.generic)


def test_several_measurements_and_shot_vectors_keep_their_nesting():
    dev = CountingDevice(wires=1, analytic=False)
    circuit = rotation(dev, lambda: (qml.expval(qml.Z(0)), qml.probs(wires=0)), shots=(10, 20, 20))
    with deferred.deferred():
        values = circuit(X)
        assert [[v.shape for v in bin_] for bin_ in values] == [[(), (2,)]] * 3
        assert dev.posts == []
        assert [float(np.sum(bin_[1])) for bin_ in values] == pytest.approx([1, 1, 1])
        assert all(-1 <= bin_[0] <= 1 for bin_ in values)
    assert dev.posts == [1]


@pytest.mark.parametrize("measure", [qml.counts, qml.sample], ids=["counts", "sample"])
def test_what_has_no_known_shape_is_executed_at_once_with_all_that_is_pending(measure):
    dev = CountingDevice(wires=1, analytic=False)
    with deferred.deferred():
        value = rotation(dev)(X)
        counts = rotation(dev, lambda: measure(wires=0), shots=10)(X)
        assert dev.posts == [2]
        assert not is_deferred(counts)
        assert float(value) == pytest.approx(np.cos(X))
    assert dev.posts == [2]


def test_each_device_has_a_batch_of_its_own(dev):
    other = CountingDevice(wires=1)
    with deferred.deferred():
        total = sum(rotation(d)(X) for d in (dev, other, dev, other))
        assert float(total) == pytest.approx(4 * np.cos(X))
    assert (dev.posts, other.posts) == ([2], [2])


def test_circuits_that_depend_on_results_go_in_the_next_batch(dev):
    circuit = rotation(dev)
    with deferred.deferred():
        values = [circuit(circuit(x) + circuit(2 * x)) for x in (0.1, 0.2, 0.3)]
        assert dev.posts == []
        assert values[2].shape == ()
        assert float(values[2]) == pytest.approx(np.cos(np.cos(0.3) + np.cos(0.6)))
        assert dev.posts == [6, 3]
        assert float(values[0]) == pytest.approx(np.cos(np.cos(0.1) + np.cos(0.2)))
    assert dev.posts == [6, 3]


def test_templates_take_results_as_parameters(dev):
    @qml.qnode(dev)
    def second(x):
        qml.AngleEmbedding(x, wires=range(2))
        qml.RY(x[0] * x[1], 0)
        return qml.expval(qml.Z(0))

    first = rotation(dev, lambda: (qml.expval(qml.Z(0)), qml.expval(qml.Y(0))))
    wanted = second(np.stack(first(X)))
    del dev.posts[:]
    with deferred.deferred():
        value = second(np.stack(first(X)))
        assert float(value) == pytest.approx(wanted, abs=1e-12)
    assert len(dev.posts) == 2


def test_long_chains_of_circuits_do_not_overflow_the_stack(dev):
    circuit = rotation(dev)
    with deferred.deferred():
        value = X
        for _ in range(300):
            value = circuit(value)
        assert float(value) == pytest.approx(0.7390851332151607)
    assert dev.posts == [1] * 300


def test_results_go_into_circuits_that_are_executed_at_once():
    dev = CountingDevice(wires=1, analytic=False)
    circuit = rotation(dev)
    with deferred.deferred():
        counts = rotation(dev, lambda: qml.counts(wires=0), shots=10)(np.pi * (circuit(0.0) + 0))
    assert counts == {"1": 10}
    assert dev.posts == [1, 1]


def test_error_of_a_needed_result_is_the_error_of_what_needs_it(dev):
    circuit = rotation(dev)
    dev.fail = failing()
    with deferred.deferred():
        value = circuit(circuit(X))
        with pytest.raises(JobFailed, match="no ions"):
            float(value)
    assert dev.posts == [1]


def test_dependent_circuits_of_several_tasks_share_each_stage(dev):
    circuit = rotation(dev)

    def cost(scale):
        return sum(circuit(circuit(scale * x)) for x in range(4))

    values = deferred.gather(dev, lambda: cost(1), lambda: float(cost(2)))
    assert dev.posts == [8, 8]
    assert values == pytest.approx([np.cos(np.cos(s * np.arange(4))).sum() for s in (1, 2)])


def test_inner_scope_leaves_nothing_behind_and_takes_the_outer_ones_along(dev):
    circuit = rotation(dev)
    with deferred.deferred():
        outer = circuit(X)
        with deferred.deferred():
            inner = circuit(X)
        assert isinstance(inner, float)
        assert dev.posts == [2]
        assert float(outer) == pytest.approx(np.cos(X))
    assert dev.posts == [2]


def test_differentiated_calls_are_left_alone(dev):
    circuit = rotation(dev, diff_method="parameter-shift")
    x = pnp.array(X)
    with deferred.deferred():
        constant = circuit(2 * X)
        gradient = qml.grad(lambda x: circuit(x) * constant)(x)
    assert gradient == pytest.approx(-np.sin(X) * np.cos(2 * X))


def test_no_gradient_is_prepared_for_a_deferred_call(dev):
    with deferred.deferred():
        rotation(dev, diff_method="parameter-shift")(pnp.array(X))
    assert dev.configs[-1].gradient_method is None


def test_kernel_matrices_are_one_batch(dev):
    @qml.qnode(dev)
    def overlap(a, b):
        qml.AngleEmbedding(a, wires=range(2))
        qml.adjoint(qml.AngleEmbedding)(b, wires=range(2))
        return qml.probs(wires=range(2))

    def kernel(a, b):
        return overlap(a, b)[0]

    points = np.random.default_rng(0).uniform(size=(4, 2))
    square = qml.kernels.square_kernel_matrix(points, kernel, assume_normalized_kernel=True)
    rectangle = qml.kernels.kernel_matrix(points, points[:2], kernel)
    del dev.posts[:]
    with deferred.deferred():
        found = qml.kernels.square_kernel_matrix(points, kernel, assume_normalized_kernel=True)
        np.testing.assert_allclose(found, square, atol=1e-12)
    assert dev.posts == [6]
    with deferred.deferred():
        found = qml.kernels.kernel_matrix(points, points[:2], kernel)
        np.testing.assert_allclose(found, rectangle, atol=1e-12)
    assert dev.posts == [6, 8]


@pytest.mark.parametrize(("size", "posts"), [(None, 1), (4, 2)])
def test_kernel_matrices_are_the_fewest_posts_that_the_limits_allow(size, posts):
    dev = qml.device("qstore.ionq", wires=2, max_circuits_per_job=size)

    @qml.qnode(dev)
    def overlap(a, b):
        qml.AngleEmbedding(a, wires=range(2))
        qml.adjoint(qml.AngleEmbedding)(b, wires=range(2))
        return qml.probs(wires=range(2))

    def kernel(a, b):
        return overlap(a, b)[0]

    points = np.random.default_rng(0).uniform(size=(4, 2))
    for matrix in (
        lambda: qml.kernels.square_kernel_matrix(points, kernel, assume_normalized_kernel=True),
        lambda: qml.kernels.kernel_matrix(points, points[:2], kernel),
        lambda: qml.kernels.target_alignment(
            points, np.array([1, -1, -1, 1]), kernel, assume_normalized_kernel=True
        ),
    ):
        wanted = matrix()
        before = dev.emulator.stats()["posts"]
        with deferred.deferred():
            found = matrix()
        assert dev.emulator.stats()["posts"] - before == posts
        np.testing.assert_allclose(found, wanted, atol=1e-12)
        np.testing.assert_allclose(np.linalg.norm(found), np.linalg.norm(wanted))


# --------------------------------------------------------------------------- changed in place


@pytest.fixture
def embedded(dev):
    @qml.qnode(dev)
    def circuit(x):
        qml.AngleEmbedding(x, wires=range(2))
        qml.CNOT([0, 1])
        return qml.probs(wires=[0, 1])

    return circuit


def central_differences(circuit, w):
    """As people write them: the parameters are changed in place between the calls."""
    slopes = []
    for i in range(2):
        w[i] += 0.1
        plus = circuit(w)
        w[i] -= 0.2
        minus = circuit(w)
        w[i] += 0.1
        slopes.append((plus - minus) / 0.2)
    return np.array(slopes)


@pytest.mark.parametrize("kind", [np.array, pnp.array])
def test_parameters_count_as_they_were_when_the_circuit_was_called(dev, embedded, kind):
    wanted = central_differences(embedded, kind([0.3, 0.4]))
    del dev.posts[:]
    with deferred.deferred():
        found = central_differences(embedded, kind([0.3, 0.4]))
    assert dev.posts == [4]
    np.testing.assert_allclose(found, wanted, atol=1e-12)


@pytest.mark.parametrize("lazy", [True, False])
def test_a_buffer_that_tasks_share_is_read_when_the_circuit_is_called(embedded, lazy):
    buffer = np.zeros(2)

    def sample(i):
        buffer[:] = 0.1 * i, 0.3
        return embedded(buffer)

    found = deferred.evaluate(*(lambda i=i: sample(i) for i in range(3)), lazy=lazy)
    np.testing.assert_allclose(found, [sample(i) for i in range(3)], atol=1e-12)


def test_operands_count_as_they_were_when_the_operation_was_written(embedded):
    def numbers():
        array, value = np.ones(4), embedded(np.array([0.3, 0.4]))
        total = value + array
        array += 5
        both = [value, array]
        stacked = np.stack(both)
        both[:] = array, array
        array += 100
        return np.array(total), np.array(stacked)

    wanted = numbers()
    with deferred.deferred():
        found = numbers()
    for f, w in zip(found, wanted, strict=True):
        np.testing.assert_allclose(f, w, atol=1e-12)


def test_nothing_can_be_written_to_while_others_may_still_be_computed_from_it(embedded):
    x = np.array([0.3, 0.4])
    with deferred.deferred():
        value = embedded(x)
        doubled = 2 * value
        for change in (
            lambda: value.sort(),
            lambda: np.copyto(value, 0),
            lambda: np.add(value, 1, out=value),
            lambda: value.fill(0),
        ):
            with pytest.raises((ValueError, TypeError), match=r"read-only|must be an array"):
                change()
        again = 3 * value
        value[0] = 7
        assert value[0] == 7
    np.testing.assert_allclose(doubled, 2 * embedded(x), atol=1e-12)
    np.testing.assert_allclose(again, 3 * embedded(x), atol=1e-12)


def test_what_is_still_held_at_the_end_of_the_scope_is_computed_and_can_be_written_to(dev):
    circuit = rotation(dev, lambda: qml.probs(wires=[0, 1]))
    with deferred.deferred():
        value = circuit(X)
        doubled, part, last = 2 * value, value[1:], value[3]
    wanted = 2 * circuit(X)
    value[:] = 7
    np.testing.assert_allclose(doubled, wanted, atol=1e-12)
    np.testing.assert_array_equal(part, [7, 7, 7])  # a view, as NumPy has it
    assert float(last) == wanted[3] / 2
    part.sort()
    doubled[0] += 1
    assert float(doubled[0]) == pytest.approx(wanted[0] + 1)


def test_values_that_are_handed_back_can_be_written_to(dev):
    circuit = rotation(dev, lambda: qml.probs(wires=[0, 1]))
    for value in deferred.gather(dev, lambda: circuit(X), lambda: circuit(X).T, lambda: 2 * X):
        np.asarray(value)
        assert not isinstance(value, np.ndarray) or value.flags.writeable


@dataclasses.dataclass
class Holder:
    attribute: object = None


def test_whoever_holds_a_result_after_the_scope_has_what_passes_for_a_real_one(dev):
    circuit, holder, listed = rotation(dev), Holder(), []

    def compute():
        with deferred.deferred():
            value = circuit(X)
            holder.attribute = value + 1
            listed.append(value * 2)
            return value, lambda: value - 1

    value, closure = compute()
    kept = [value, holder.attribute, listed[0], closure()]
    wanted = np.cos(X) + 0, np.cos(X) + 1, np.cos(X) * 2, np.cos(X) - 1
    assert dev.posts == [1]
    for found, want in zip(kept, wanted, strict=True):
        assert isinstance(found, np.float64)
        assert isinstance(found, float)
        assert found == pytest.approx(want)
        assert type(pickle.loads(pickle.dumps(found))) is np.float64
        assert type(found + 1.0) is np.float64
        assert {found: 1}[np.float64(found)] == 1
        assert math.floor(found) == math.floor(want)
        assert divmod(found, 0.1) == divmod(np.float64(found), 0.1)
    assert np.array(kept).dtype == np.float64
    assert dev.posts == [1]


# --------------------------------------------------------------------------- errors


def failing(message="no ions"):
    def fail(_):
        raise JobFailed(message, job_ids=["j1"])

    return fail


def test_device_error_comes_up_where_the_value_is_looked_at_and_names_the_call(dev):
    circuit = rotation(dev)
    dev.fail = failing()
    with deferred.deferred():
        first, second = circuit(X), circuit(X)
        with pytest.raises(JobFailed, match="no ions") as looked_at:
            float(first + 1)
        with pytest.raises(JobFailed) as caught:
            float(second)
    assert looked_at.value.job_ids == ("j1",)
    (note,) = looked_at.value.__notes__
    assert "QNode 'circuit'" in note
    assert "test_scope.py" in note
    assert caught.value.__notes__ == [note]
    assert caught.value is not looked_at.value
    assert dev.posts == [2]


def test_error_nobody_looked_at_is_raised_at_the_end_of_the_scope(dev):
    dev.fail = failing()
    with pytest.raises(JobFailed), deferred.deferred():
        rotation(dev)(X)


def test_scope_left_by_an_error_sends_nothing_more(dev):
    kept = []

    def leaves():
        with deferred.deferred():
            kept.append(rotation(dev)(X))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        leaves()
    assert dev.posts == []
    with pytest.raises(QStoreError, match="an error ended its deferred"):
        float(kept[0])


def test_inner_scope_left_by_an_error_takes_only_its_own_with_it(dev):
    circuit = rotation(dev)

    def inner():
        circuit(X)
        raise ZeroDivisionError

    with deferred.deferred():
        value = circuit(X)
        with pytest.raises(ZeroDivisionError):
            deferred.gather(dev, inner)
        assert float(value) == pytest.approx(np.cos(X))
    assert dev.posts == [1]


def test_result_of_another_shape_than_expected_is_refused(dev):
    dev.run = lambda circuits, tracker: tuple(np.zeros(3) for _ in circuits)
    with deferred.deferred():
        value = rotation(dev)(X)
        with pytest.raises(InvalidResponse, match=r"shape \(3,\) where \(\) was expected"):
            float(value)


def test_ctrl_c_while_fetching_leaves_the_rest_pending(dev):
    circuit = rotation(dev)

    def interrupt(_):
        dev.fail = None
        raise KeyboardInterrupt

    dev.fail = interrupt
    with deferred.deferred():
        value = circuit(X)
        with pytest.raises(KeyboardInterrupt):
            float(value)
        with pytest.raises(QStoreError, match="KeyboardInterrupt was raised before this"):
            float(value)


# --------------------------------------------------------------------------- tasks in scopes


def test_tasks_in_a_scope_share_what_they_look_at(dev):
    circuit = rotation(dev)

    def cost(scale):
        return float(np.mean([circuit(scale * x) for x in range(4)]))

    with deferred.deferred():
        pending = circuit(9.0)
        values = deferred.run_tasks(lambda: cost(1), lambda: cost(2))
        assert dev.posts == [9]
    assert values == pytest.approx([np.mean(np.cos(s * np.arange(4))) for s in (1, 2)])
    assert float(pending) == pytest.approx(np.cos(9.0))


def test_gather_gives_real_values_in_one_batch(dev):
    circuit = rotation(dev)

    def loop(scale):
        return {"loss": sum(circuit(scale * x) for x in range(4)), "first": [circuit(scale)]}

    values = deferred.gather(dev, lambda: loop(1), lambda: loop(2))
    assert dev.posts == [10]
    assert type(values[1]["loss"]) is np.float64
    assert values[1]["first"] == pytest.approx([np.cos(2)])


def test_map_is_one_batch_however_long(dev):
    circuit = rotation(dev)
    values = deferred.map(dev, circuit, range(300))
    assert values == pytest.approx(np.cos(range(300)))
    assert dev.posts == [300]


@pytest.mark.parametrize(
    "wrong",
    [
        lambda dev: deferred.gather(lambda: 1, lambda: 2),
        lambda dev: deferred.gather(dev, 1.0),
        lambda dev: deferred.map(dev, 1.0, [1]),
    ],
)
def test_wrong_arguments_of_gather_and_map_are_refused(dev, wrong):
    with pytest.raises(ConfigurationError):
        wrong(dev)


def test_scopes_of_two_threads_are_kept_apart(dev):
    seen = {}

    def other():
        seen["value"] = rotation(dev)(X)

    with deferred.deferred():
        mine = rotation(dev)(X)
        thread = threading.Thread(target=other)
        thread.start()
        thread.join(30)
        assert type(seen["value"]) is np.float64
        assert dev.posts == [1]
        assert float(mine) == seen["value"]


def test_nothing_is_kept_alive(dev):
    circuit = rotation(dev)

    def steps(n):
        for _ in range(n):
            with deferred.deferred():
                sum(circuit(x) for x in range(3))
            deferred.gather(dev, lambda: circuit(X), lambda: circuit(X))
        gc.collect()
        del dev.posts[:], dev.configs[:]
        return len(gc.get_objects()), threading.active_count()

    steps(5)
    before = steps(5)
    after = steps(50)
    assert after[1] == before[1]
    assert after[0] - before[0] < 100


# --------------------------------------------------------------------------- stock optimizers


@pytest.mark.parametrize("labels", [np.asarray, pnp.array], ids=["numpy labels", "pnp labels"])
def test_stock_spsa_step_is_one_batch_and_parameters_stay_trainable(dev, labels):
    circuit = rotation(dev)
    samples, targets = np.linspace(0, 1, 4), labels([0.1, 0.2, 0.3, 0.4])

    def cost(w):
        return sum((t - circuit(w * x)) ** 2 for x, t in zip(samples, targets, strict=True))

    def train(scope):
        np.random.seed(1)  # noqa: NPY002 - what the stock optimizer draws from
        opt, w = qml.SPSAOptimizer(maxiter=20), pnp.array(0.7)
        for _ in range(5):
            with scope():
                w = opt.step(cost, w)
        return w

    plain = train(contextlib.nullcontext)
    del dev.posts[:]
    found = train(deferred.deferred)
    assert dev.posts == [8] * 5
    assert type(found) is pnp.tensor
    assert found.requires_grad
    assert abs(found - plain) < 1e-12
    assert abs(found - 0.7) > 1e-3


def test_natural_gradients_are_as_ever(dev):
    """PennyLane's metric tensor writes into the results it gets."""

    @qml.qnode(dev)
    def circuit(w):
        qml.RX(w[0], 0)
        qml.RY(w[1], 1)
        qml.CNOT([0, 1])
        return qml.expval(qml.Z(0) @ qml.Z(1))

    def train(scope):
        with scope():
            return qml.QNGOptimizer().step(circuit, pnp.array([0.3, 0.4]))

    plain, found = train(contextlib.nullcontext), train(deferred.deferred)
    assert type(found) is pnp.tensor
    np.testing.assert_allclose(found, plain, atol=1e-12)


def test_own_update_rules_keep_training(dev):
    """w is used on the left of a deferred array, as no stock optimizer would do it."""
    circuit = rotation(dev)

    def train(scope):
        w = pnp.array(0.7, requires_grad=True)
        for _ in range(3):
            with scope():
                w = w - 0.1 * (circuit(w + 0.1) - circuit(w - 0.1)) / 0.2
        return w

    plain, found = train(contextlib.nullcontext), train(deferred.deferred)
    assert float(found) == pytest.approx(float(plain), abs=1e-12)
    assert found.requires_grad
    assert isinstance(found, pnp.tensor)


def test_a_shift_rule_by_hand_is_one_batch_an_epoch(dev):
    circuit = rotation(dev)
    samples, labels, w = np.array([0.2, 1.4, -0.5]), np.array([1.0, -1.0, 1.0]), 0.3

    def epoch():
        slope = 0.0
        for x, y in zip(samples, labels, strict=True):
            turned = (circuit(w * x + np.pi / 2) - circuit(w * x - np.pi / 2)) / 2
            slope += 2 * (circuit(w * x) - y) * turned * x
        return slope

    with deferred.deferred():
        slope = float(epoch())
    assert dev.posts == [9]
    values = np.cos(w * samples)
    assert slope == pytest.approx(np.sum(-2 * (values - labels) * np.sin(w * samples) * samples))


def test_patches_of_an_image_may_be_written_where_they_belong(dev):
    """Each is looked at when it is written into a real array; mapped, they are one batch."""

    @qml.qnode(dev)
    def channels(patch):
        for wire in range(2):
            qml.RY(np.pi * patch[wire], wire)
        qml.RandomLayers(np.array([[0.4, 1.1, 2.0]]), wires=range(2), seed=3)
        return [qml.expval(qml.Z(wire)) for wire in range(2)]

    patches = np.random.default_rng(2).uniform(size=(4, 2))
    wanted = [channels(patch) for patch in patches]
    del dev.posts[:]
    np.testing.assert_allclose(deferred.map(dev, channels, patches), wanted, atol=1e-12)
    assert dev.posts == [4]
    image = np.zeros((4, 2))
    with deferred.deferred():
        for i, patch in enumerate(patches):
            for channel, value in enumerate(channels(patch)):
                image[i, channel] = value
    np.testing.assert_allclose(image, wanted, atol=1e-12)


# --------------------------------------------------------------------------- autograd's traces


@pytest.fixture
def left_over_trace():
    """State that an error in a gradient leaves behind: autograd counts a trace that is over."""

    def fails(w):
        raise ArithmeticError

    before = trace_stack.top
    with pytest.raises(ArithmeticError):
        qml.grad(fails)(pnp.array(1.0, requires_grad=True))
    assert trace_stack.top == before + 1
    yield
    trace_stack.top = before


@pytest.mark.usefixtures("left_over_trace")
def test_an_error_in_a_gradient_does_not_end_deferring_for_good(dev):
    circuit = rotation(dev)
    with deferred.deferred():
        total = sum(circuit(x) for x in range(5))
    assert dev.posts == [5]
    assert total == pytest.approx(sum(np.cos(range(5))))


@pytest.mark.usefixtures("left_over_trace")
def test_gradients_are_right_after_an_error_in_another(dev):
    circuit = rotation(dev, diff_method="parameter-shift")
    w = pnp.array(0.4, requires_grad=True)
    with deferred.deferred():
        gradient = qml.grad(lambda w: circuit(w) ** 2)(w)
    assert gradient == pytest.approx(-2 * np.cos(0.4) * np.sin(0.4))
    (gathered,) = deferred.gather(dev, lambda: qml.grad(circuit)(w))
    assert gathered == pytest.approx(-np.sin(0.4))
