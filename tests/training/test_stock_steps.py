"""Steps of optimizers that know nothing of batches: as few POSTs as the dependencies allow."""

from __future__ import annotations

import numpy as np
import pennylane as qml
import pytest
from pennylane import numpy as pnp

import pennylane_qstore as qstore
from pennylane_qstore import TrainingRun
from pennylane_qstore.errors import ConfigurationError

RNG = np.random.default_rng(2)
X = RNG.uniform(0, 1, (3, 2))
Y = np.array([1.0, -1.0, 1.0])
W = RNG.uniform(0, 2, (1, 2, 3))
LAYER = {"w": W.shape}


def circuit(inputs, w):
    qml.AngleEmbedding(inputs, wires=range(2))
    qml.StronglyEntanglingLayers(w, wires=range(2))
    return qml.expval(qml.Z(0))


def energy(w):
    qml.StronglyEntanglingLayers(w, wires=range(2))
    return qml.expval(qml.Hamiltonian([0.5, 0.8], [qml.Z(0) @ qml.Z(1), qml.X(0)]))


def costs(device):
    one, two = qml.QNode(circuit, device), qml.QNode(energy, device)
    return {
        "QNode": two,
        "loop over samples": lambda w: sum((one(x, w) - y) ** 2 for x, y in zip(X, Y, strict=True)),
        "broadcast": lambda w: ((one(X, w) - Y) ** 2).sum(),
        "several QNodes": lambda w: sum(one(x, w) * two(w) for x in X),
        "looks at each": lambda w: sum(float(one(x, w)) for x in X),
    }


def metric(device):
    """Return the mean metric tensor of a loop over samples."""
    of_one = qml.metric_tensor(qml.QNode(circuit, device), approx="block-diag")
    x = [pnp.array(row, requires_grad=False) for row in X]
    return lambda w: np.mean(qstore.map(device, lambda row: of_one(row, w), x), axis=0)


FREQUENCIES = {"w": dict.fromkeys(np.ndindex(W.shape), 2)}
OPTIMIZERS = {
    "SPSA": lambda: qml.SPSAOptimizer(maxiter=10),
    "Adam": lambda: qml.AdamOptimizer(0.1),
    "Nesterov": lambda: qml.NesterovMomentumOptimizer(0.1),
    "natural": lambda: qml.QNGOptimizer(0.1, lam=0.1),
    "natural, momentum": lambda: qml.MomentumQNGOptimizer(0.1, lam=0.1),
    "Rotosolve": lambda: qml.RotosolveOptimizer(substep_kwargs={"num_steps": 2, "Ns": 20}),
}


def kwargs(optimizer, cost, device):
    if optimizer == "Rotosolve":
        return {"nums_frequency": FREQUENCIES}
    if optimizer.startswith("natural") and cost != "QNode":
        return {"metric_tensor_fn": metric(device)}
    return {}


def stepped(optimizer, cost, steps=2):
    """Return the parameters and losses of the optimizer's own steps, and their circuits' device."""
    device = qml.device("default.qubit", wires=2)
    opt, w, losses = OPTIMIZERS[optimizer](), pnp.array(W, requires_grad=True), []
    options = kwargs(optimizer, cost, device)
    if "metric_tensor_fn" in options:  # no device of ours to hand the loop to
        of_one = qml.metric_tensor(qml.QNode(circuit, device), approx="block-diag")
        x = [pnp.array(row, requires_grad=False) for row in X]
        options["metric_tensor_fn"] = lambda w: np.mean([of_one(row, w) for row in x], axis=0)
    np.random.seed(3)  # noqa: NPY002 - what PennyLane's SPSA draws from
    for _ in range(steps):
        w, loss = opt.step_and_cost(costs(device)[cost], w, **options)
        losses.append(float(loss))
    return w, losses


@pytest.mark.parametrize("cost", ["QNode", "loop over samples", "broadcast", "several QNodes"])
@pytest.mark.parametrize("optimizer", [name for name in OPTIMIZERS if name != "Rotosolve"])
def test_a_step_is_one_post_and_the_optimizers_own(optimizer, cost):
    wanted, losses = stepped(optimizer, cost)
    device = qml.device("qstore.ionq", wires=2)
    np.random.seed(3)  # noqa: NPY002
    run = TrainingRun(
        costs(device)[cost], pnp.array(W, requires_grad=True), OPTIMIZERS[optimizer](),
        step_kwargs=kwargs(optimizer, cost, device), device=device, progress=False,
    ).train(2)  # fmt: skip
    assert [record.posts for record in run.history] == [1, 1]
    assert type(run.params) is type(wanted)
    np.testing.assert_allclose(run.params, wanted, atol=1e-8)
    np.testing.assert_allclose([record.loss for record in run.history], losses, atol=1e-10)


@pytest.mark.parametrize(
    ("cost", "looks"), [("loop over samples", 1), ("broadcast", 1), ("looks at each", len(X))]
)
def test_rotosolve_is_one_post_a_parameter(cost, looks):
    """Each parameter is moved before the next one is looked at."""
    device = qml.device("qstore.ionq", wires=2)
    run = TrainingRun(
        costs(device)[cost], pnp.array(W, requires_grad=True), OPTIMIZERS["Rotosolve"](),
        step_kwargs=kwargs("Rotosolve", cost, device), device=device, progress=False,
    ).train(1)  # fmt: skip
    wanted, losses = stepped("Rotosolve", cost, steps=1)
    assert run.history[0].posts == W.size * looks
    # Where the cost is flat, rounding decides where the search ends.
    plain = costs(qml.device("default.qubit"))[cost]
    assert float(plain(run.params)) == pytest.approx(float(plain(wanted)), abs=1e-6)
    assert float(plain(wanted)) < losses[0] - 0.1
    assert run.history[0].loss == pytest.approx(losses[0], abs=1e-10)


def test_a_cost_that_looks_at_its_values_takes_a_post_a_look_not_an_evaluation():
    device = qml.device("qstore.ionq", wires=2)
    start = pnp.array(W, requires_grad=True)
    optimizer = qml.SPSAOptimizer(maxiter=10)
    run = TrainingRun(
        costs(device)["looks at each"], start, optimizer, progress=False, device=device
    )
    record = run.train(1).history[0]
    assert (record.posts, record.circuits) == (3, 9)


@pytest.mark.parametrize("stack", [pnp.array, pnp.stack, qml.math.stack])
@pytest.mark.parametrize("kind", [qml.SPSAOptimizer, qstore.SPSAOptimizer])
def test_results_of_a_circuit_may_be_stacked_before_another_one_is_called(kind, stack):
    device = qml.device("qstore.ionq", wires=2)
    one, two = qml.QNode(circuit, device), qml.QNode(energy, device)

    def cost(w):
        return (stack([one(x, w) for x in X]) * two(w)).sum()

    run = TrainingRun(
        cost, pnp.array(W, requires_grad=True), kind(maxiter=10), device=device, progress=False
    )
    assert [record.posts for record in run.train(2).history] == [1, 1]


@pytest.mark.parametrize(("blocking", "posts"), [(True, 2), (False, 1)])
def test_the_value_before_goes_with_the_step_unless_the_step_waits_for_the_value_after(
    blocking, posts
):
    device = qml.device("qstore.ionq", wires=2)
    start = pnp.array(W, requires_grad=True)
    optimizer = qml.QNSPSAOptimizer(0.1, seed=1, blocking=blocking)
    run = TrainingRun(costs(device)["QNode"], start, optimizer, progress=False).train(2)
    assert [record.posts for record in run.history] == [posts, posts]


def test_metrics_are_those_of_the_value_before():
    device = qml.device("qstore.ionq", wires=2)
    node = qml.QNode(circuit, device)
    start = pnp.array(W, requires_grad=True)
    run = TrainingRun(
        lambda w, x: qml.math.stack([node(row, w) for row in x]), start,
        qml.SPSAOptimizer(maxiter=10), loss=lambda out, y: ((out - y) ** 2).mean(),
        metrics={"first": lambda out, y: out[0]}, data=(X, Y), batch_size=3, seed=1,
        device=device, progress=False,
    ).train(1)  # fmt: skip
    assert run.history[0].posts == 1
    plain = qml.QNode(circuit, qml.device("default.qubit"))
    values = [float(plain(x, start)) for x in X]
    assert run.history[0].metrics["first"] in [pytest.approx(v, abs=1e-10) for v in values]
    assert run.history[0].loss == pytest.approx(np.mean((np.array(values) - Y) ** 2), abs=1e-10)


@pytest.mark.ml
@pytest.mark.parametrize("optimizer", ["SPSA", "natural"])
def test_arrays_of_jax_are_trained_by_optimizers_of_every_kind(optimizer):
    jnp = pytest.importorskip("jax").numpy
    device = qml.device("qstore.ionq", wires=2)
    np.random.seed(3)  # noqa: NPY002
    run = TrainingRun(
        costs(device)["QNode"], jnp.asarray(W), OPTIMIZERS[optimizer](), progress=False
    ).train(2)
    wanted, losses = stepped(optimizer, "QNode")
    assert [record.posts for record in run.history] == [1, 1]
    assert type(run.params) is type(jnp.ones(1))
    np.testing.assert_allclose(run.params, wanted, atol=1e-4)  # JAX computes with 32 bits
    assert [record.loss for record in run.history] == pytest.approx(losses, abs=1e-4)


@pytest.mark.parametrize("optimizer", [qstore.SPSAOptimizer(maxiter=5), "torch"])
def test_keyword_arguments_of_a_step_are_pennylanes(optimizer):
    if optimizer == "torch":
        torch = pytest.importorskip("torch")
        optimizer = torch.optim.SGD([torch.ones(1, requires_grad=True)], 0.1)
    with pytest.raises(ConfigurationError, match="step_kwargs"):
        TrainingRun(lambda w: w, np.ones(1), optimizer, step_kwargs={"a": 1}, device=())


# --------------------------------------------------------------------------- torch


def torch_costs(device, w):
    torch = pytest.importorskip("torch")
    one, two = qml.QNode(circuit, device), qml.QNode(energy, device)
    layer = qml.qnn.TorchLayer(qml.QNode(circuit, device), LAYER)
    x, y = torch.tensor(X), torch.tensor(Y)

    def behind_a_classical_layer():
        layer.qnode_weights["w"] = w
        inputs = torch.nn.functional.linear(x, w[0, :, :2], w[0, :, 2])
        return ((layer(inputs) - y) ** 2).mean()

    return {
        "loop over samples": lambda: sum((one(a, w) - b) ** 2 for a, b in zip(x, y, strict=True)),
        "broadcast": lambda: ((one(x, w) - y) ** 2).sum(),
        "several QNodes": lambda: sum(one(a, w) * two(w) for a in x),
        "TorchLayer behind a classical layer": behind_a_classical_layer,
    }


@pytest.mark.ml
@pytest.mark.parametrize("kind", ["SGD", "Adam"])
@pytest.mark.parametrize(
    "cost",
    [
        "loop over samples",
        "broadcast",
        "several QNodes",
        "TorchLayer behind a classical layer",
    ],
)
def test_a_step_of_a_torch_optimizer_is_one_post(cost, kind):
    torch = pytest.importorskip("torch")
    plain = torch.tensor(W, requires_grad=True)
    optimizer = getattr(torch.optim, kind)([plain], lr=0.1)
    losses = []
    for _ in range(2):
        optimizer.zero_grad()
        loss = torch_costs(qml.device("default.qubit"), plain)[cost]()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    device = qml.device("qstore.ionq", wires=2)
    w = torch.tensor(W, requires_grad=True)
    run = TrainingRun(
        lambda w: torch_costs(device, w)[cost](), w, getattr(torch.optim, kind)([w], lr=0.1),
        device=device, progress=False,
    ).train(2)  # fmt: skip
    assert [record.posts for record in run.history] == [1, 1]
    assert [record.loss for record in run.history] == pytest.approx(losses, abs=1e-10)
    np.testing.assert_allclose(w.detach(), plain.detach(), atol=1e-8)


@pytest.mark.ml
def test_lbfgs_is_a_post_an_evaluation_and_torchs_own():
    """Each point of its line search depends on the one before."""
    torch = pytest.importorskip("torch")

    def optimizer(w, calls):
        made = torch.optim.LBFGS([w], lr=0.3, max_iter=4)
        step = made.step

        def counted(closure):
            return step(lambda: (calls.append(1), closure())[1])

        made.step = counted
        return made

    plain, calls = torch.tensor(W, requires_grad=True), []
    of_torch = optimizer(plain, calls)

    def closure():
        of_torch.zero_grad()
        loss = torch_costs(qml.device("default.qubit"), plain)["loop over samples"]()
        loss.backward()
        return loss

    losses = [float(of_torch.step(closure).detach()) for _ in range(2)]
    device, w = qml.device("qstore.ionq", wires=2), torch.tensor(W, requires_grad=True)
    run = TrainingRun(
        lambda w: torch_costs(device, w)["loop over samples"](), w, optimizer(w, []),
        device=device, progress=False,
    ).train(2)  # fmt: skip
    assert sum(record.posts for record in run.history) == len(calls) > 2
    assert [record.loss for record in run.history] == pytest.approx(losses, abs=1e-10)
    np.testing.assert_allclose(w.detach(), plain.detach(), atol=1e-8)
