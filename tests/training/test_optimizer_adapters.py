"""Adapters: steps of ours, PennyLane's and torch's optimizers, and their metrics."""

from __future__ import annotations

import numpy as np
import pennylane as qml
import pytest
from support.training_runs import make

from pennylane_qstore import SPSAOptimizer
from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.training.objective import Objective
from pennylane_qstore.training.optimizer_adapters import adapt
from pennylane_qstore.training.run import TrainingRun

X = np.random.default_rng(0).normal(size=(20, 2))

Y = np.sign(X[:, 0])

WEIGHTS = np.random.default_rng(1).normal(size=(1, 2, 3))


def outcomes(run):
    return [record.outcome() for record in run.history]


@pytest.mark.ml
@pytest.mark.parametrize("kind", ["torch", "list", "dict"])
def test_metrics_are_measured_where_the_run_stands_whatever_the_parameters(kind):
    if kind == "torch":
        torch = pytest.importorskip("torch")
        params = torch.tensor(WEIGHTS, requires_grad=True)
    else:
        params = [np.array(WEIGHTS)] if kind == "list" else {"w": np.array(WEIGHTS)}

    def model(w, x):
        w = w if kind == "torch" else w[0 if kind == "list" else "w"]
        return w.reshape(-1)[:4]

    seen = TrainingRun(
        model,
        params,
        SPSAOptimizer(maxiter=10, seed=1),
        loss=lambda out, y: (out**2).mean(),
        metrics={"first": lambda out, y: out[0]},
        data=(np.ones((4, 2)), np.ones(4)),
        batch_size=4,
        seed=1,
        progress=False,
        device=(),
    ).train(2)
    assert seen.history[0].metrics["first"] == np.ravel(WEIGHTS)[0]


@pytest.mark.parametrize(("mode", "posts"), [("deferred", 1), ("tasks", 4), ("serial", 12)])
def test_our_optimizer_decides_itself_how_a_step_travels(mode, posts):
    device = qml.device("qstore.ionq", wires=1, seed=0)

    @qml.qnode(device, diff_method=None)
    def circuit(w, x):
        qml.RY(w[0] * x, 0)
        return qml.expval(qml.Z(0))

    def cost(w, x, y):
        return sum((circuit(w, row[0]) - label) ** 2 for row, label in zip(x, y, strict=True))

    optimizer = SPSAOptimizer(maxiter=3, seed=1, mode=mode)
    settings = {"data": (X, Y), "batch_size": 4, "device": device, "progress": False}
    run = TrainingRun(cost, np.array([0.4]), optimizer, **settings).train(1)
    assert run.history[0].posts == posts


@pytest.mark.parametrize(
    "make_optimizer",
    [
        lambda: qml.QNGOptimizer(0.1),
        lambda: qml.MomentumQNGOptimizer(0.1),
        lambda: qml.QNSPSAOptimizer(0.1, seed=1),
        lambda: qml.ShotAdaptiveOptimizer(min_shots=10),
    ],
    ids=["QNG", "MomentumQNG", "QNSPSA", "ShotAdaptive"],
)
def test_optimizers_that_ask_for_a_qnode_get_it_and_go_on_exactly(make_optimizer, tmp_path):
    def run(**options):
        dev = qml.device("qstore.ionq", wires=1, seed=3)

        @qml.set_shots(100)
        @qml.qnode(dev)
        def cost(w):
            qml.RX(w[0], 0)
            qml.RY(w[1], 0)
            return qml.expval(qml.Z(0))

        start = qml.numpy.array([0.4, 0.3], requires_grad=True)
        return TrainingRun(cost, start, make_optimizer(), progress=False, seed=1, **options)

    np.random.seed(5)  # noqa: NPY002 - what some stock optimizers draw from
    whole = run().train(3)
    np.random.seed(5)  # noqa: NPY002
    run(checkpoint=tmp_path / "run.json").train(1)
    assert outcomes(run(checkpoint=tmp_path / "run.json", resume=True).train(3)) == outcomes(whole)


def test_a_tuple_of_parameters_is_several_arguments():
    def cost(a, b):
        return (a - 1.0) ** 2 + (b + 2.0) ** 2

    start = tuple(qml.numpy.array(0.0, requires_grad=True) for _ in range(2))
    optimizer = qml.GradientDescentOptimizer(0.3)
    run = TrainingRun(cost, start, optimizer, device=(), progress=False).train(40)
    assert [round(float(p), 3) for p in run.params] == [1.0, -2.0]


def test_an_optimizer_that_cannot_step_is_refused():
    with pytest.raises(ConfigurationError, match="step_and_cost"):
        TrainingRun(lambda w: w, np.ones(1), object(), device=())


def torch_run(**options):
    torch = pytest.importorskip("torch")
    torch.manual_seed(4)
    device = qml.device("qstore.ionq", wires=2, seed=3)

    def circuit(inputs, weights):
        qml.AngleEmbedding(inputs, wires=range(2))
        qml.BasicEntanglerLayers(weights, wires=range(2))
        return [qml.expval(qml.Z(0)), qml.expval(qml.Z(1))]

    node = qml.set_shots(qml.QNode(circuit, device, diff_method="device"), 100)
    layer = qml.qnn.TorchLayer(node, {"weights": (1, 2)})
    module = torch.nn.Sequential(layer, torch.nn.Linear(2, 1))
    return TrainingRun(
        module, None, torch.optim.Adam(module.parameters(), lr=0.05),
        loss=lambda out, y: torch.mean((out[:, 0] - y) ** 2),
        metrics={"accuracy": lambda out, y: np.mean(np.sign(out[:, 0]) == y)},
        data=(torch.tensor(X, dtype=torch.float32), torch.tensor(Y, dtype=torch.float32)),
        batch_size=4, seed=1, progress=False, **options,
    )  # fmt: skip


@pytest.mark.ml
def test_a_torch_module_is_trained_and_resumed_bit_for_bit(tmp_path):
    whole = torch_run().train(6)
    torch_run(checkpoint=tmp_path / "a").train(3)
    rest = torch_run(checkpoint=tmp_path / "a", resume=True).train(6)
    assert outcomes(rest) == outcomes(whole)
    for one, other in zip(rest.params.parameters(), whole.params.parameters(), strict=True):
        assert one.equal(other)
    assert all(record.posts == 1 for record in whole.history)


@pytest.mark.ml
def test_a_metric_of_torch_s_functions_gets_tensors_and_one_of_numpy_s_gets_arrays():
    torch = pytest.importorskip("torch")
    module = torch.nn.Linear(2, 1)
    seen = []

    def of_torch(out, y):
        seen.append((out.requires_grad, y.dtype))
        return (torch.sign(out[:, 0]) == y).float().mean()

    run = TrainingRun(
        module, optimizer=torch.optim.SGD(module.parameters(), 0.1), device=(), progress=False,
        data=(torch.tensor(X, dtype=torch.float32), torch.tensor(Y, dtype=torch.float32)), seed=1,
        loss=lambda out, y: ((out[:, 0] - y) ** 2).mean(),
        metrics={"torch": of_torch, "numpy": lambda out, y: np.mean(np.sign(out[:, 0]) == y)},
    )  # fmt: skip
    metrics = run.train(1).history[0].metrics
    assert metrics["torch"] == pytest.approx(metrics["numpy"])
    assert seen == [(False, torch.float32)]


@pytest.mark.parametrize("directions", ["shared", "per-sample"])
def test_metrics_come_with_every_kind_of_directions(directions):
    run = make(optimizer_object=SPSAOptimizer(maxiter=9, seed=1, directions=directions)).train(2)
    assert [set(record.metrics) for record in run.history] == [{"accuracy"}] * 2
    assert [record.circuits for record in run.history] == [12 if directions == "shared" else 8] * 2


@pytest.mark.ml
@pytest.mark.parametrize(
    "make_optimizer", [lambda: qml.AdamOptimizer(0.1), lambda: qml.NesterovMomentumOptimizer(0.1)]
)
def test_stock_optimizers_train_arrays_of_jax_one_post_a_step(make_optimizer):
    jnp = pytest.importorskip("jax").numpy

    def run(array, start, **options):
        device = qml.device("qstore.ionq", wires=1)

        @qml.qnode(device)
        def circuit(w, x):
            qml.RY(w[0] * x, 0)
            return qml.expval(qml.Z(0))

        def model(w, x):
            return qml.math.stack([circuit(w, row[0]) for row in x])

        return TrainingRun(
            model,
            start,
            make_optimizer(),
            loss=lambda out, y: qml.math.mean((out - array(y)) ** 2),
            data=(X, Y),
            batch_size=4,
            seed=1,
            device=device,
            progress=False,
            **options,
        ).train(2)

    def accuracy(out, y):
        return np.mean(np.sign(out) == y)

    in_jax = run(jnp.asarray, jnp.asarray([0.4]))
    measured = run(jnp.asarray, jnp.asarray([0.4]), metrics={"accuracy": accuracy})
    wanted = run(
        np.asarray, qml.numpy.array([0.4], requires_grad=True), metrics={"accuracy": accuracy}
    )
    assert [step.posts for step in in_jax.history] == [1, 1]
    assert [step.posts for step in measured.history] == [2, 2]
    assert type(in_jax.params) is type(jnp.ones(1))
    for found in (in_jax, measured):  # JAX computes with 32 bits
        np.testing.assert_allclose(found.params, wanted.params, atol=1e-5)
    assert measured.history[0].metrics == wanted.history[0].metrics
    losses = [[step.loss for step in run.history] for run in (in_jax, wanted)]
    assert losses[0] == pytest.approx(losses[1], abs=1e-5)
    assert [type(step.loss) for step in in_jax.history] == [float, float]


@pytest.mark.ml
def test_several_arrays_of_jax_are_trained_beside_what_is_none():
    jnp = pytest.importorskip("jax").numpy

    def cost(a, b, c):
        return (a - 1.0) ** 2 + (b + c) ** 2

    start = jnp.asarray(0.0), jnp.asarray(0.0), 2.0
    optimizer = qml.GradientDescentOptimizer(0.3)
    run = TrainingRun(cost, start, optimizer, device=(), progress=False).train(40)
    assert [round(float(p), 3) for p in run.params] == [1.0, -2.0, 2.0]


def test_parameters_that_a_stock_optimizer_would_not_train_are_refused():
    objective = Objective(lambda w: np.sum(w**2), None, {})
    with pytest.raises(ConfigurationError, match="requires_grad=True"):
        adapt(objective, np.array([0.4]), qml.SPSAOptimizer(maxiter=5))
    adapt(objective, np.array([0.4]), SPSAOptimizer(maxiter=5))
