"""diff_method="device": forward and gradient in one batch, equal to PennyLane's transforms."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext

import numpy as np
import pennylane as qml
import pytest
from autograd.tracer import trace_stack
from pennylane import numpy as pnp
from support.counting import GradientDevice

from pennylane_qstore import IonQDevice
from pennylane_qstore.deferral import scope as deferred
from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.execution import gradients


def model(dev, diff_method, measure=None, **kwargs):
    @qml.qnode(dev, diff_method=diff_method, **kwargs)
    def circuit(x, w):
        qml.AngleEmbedding(x, wires=range(2))
        qml.StronglyEntanglingLayers(w, wires=range(2))
        return measure() if measure else qml.expval(qml.Z(0) @ qml.X(1))

    return circuit


RNG = np.random.default_rng(0)
W = RNG.uniform(0, np.pi, (1, 2, 3))
X = RNG.uniform(0, np.pi, (5, 2))

MEASUREMENTS = {
    "expval": lambda: qml.expval(qml.Z(0) @ qml.X(1)),
    "two expvals": lambda: (qml.expval(qml.Z(0)), qml.expval(qml.Z(1))),
    "probs": lambda: qml.probs(wires=[0, 1]),
    "var": lambda: qml.var(qml.Z(0)),
}


@pytest.mark.parametrize("measure", MEASUREMENTS.values(), ids=MEASUREMENTS)
@pytest.mark.parametrize("x", [X[0], X], ids=["one sample", "broadcast"])
def test_autograd_gradients_equal_parameter_shift_and_cost_one_batch(measure, x):
    dev = GradientDevice(wires=2)

    def cost(method):
        circuit = model(dev, method, measure)

        def value(w):
            results = circuit(x, w)
            return sum(
                pnp.sum(r**2) for r in (results if isinstance(results, tuple) else [results])
            )

        return value

    w = pnp.array(W)
    wanted = qml.grad(cost("parameter-shift"))(w)
    assert len(dev.posts) == 2
    found = qml.grad(cost("device"))(w)
    assert len(dev.posts) == 3
    np.testing.assert_allclose(found, wanted, atol=1e-12)


def test_evaluating_without_differentiating_pays_for_no_gradient():
    dev = GradientDevice(wires=2)
    model(dev, "device")(X[0], pnp.array(W))
    assert dev.posts == [1]


def test_spsa_gradients_equal_those_of_the_transform():
    w = pnp.array(W)

    def gradient(dev, method, **kwargs):
        return qml.grad(model(dev, method, **kwargs))(pnp.array(X[0], requires_grad=False), w)

    def rng():
        return np.random.default_rng(1)

    plain = GradientDevice(wires=2)
    kwargs = {"h": 0.2, "num_directions": 3, "sampler_rng": rng()}
    wanted = gradient(plain, "spsa", gradient_kwargs=kwargs)
    dev = GradientDevice(
        wires=2, gradient=gradients.Gradient("spsa", num_directions=3, h=0.2, rng=rng())
    )
    np.testing.assert_allclose(gradient(dev, "device"), wanted, atol=1e-12)
    assert dev.posts == [7]


def test_gradient_kwargs_of_the_qnode_win():
    dev = GradientDevice(wires=2, gradient=gradients.Gradient("spsa"))
    circuit = model(dev, "device", gradient_kwargs={"num_directions": 4})
    qml.grad(circuit)(pnp.array(X[0], requires_grad=False), pnp.array(W))
    assert dev.posts == [9]


def test_spsa_step_follows_the_shots():
    assert gradients.spsa_step(None) == 1e-3
    assert gradients.spsa_step(500) == pytest.approx((3 / np.sqrt(500)) ** (1 / 3))
    assert gradients.spsa_step(100) > gradients.spsa_step(10_000)


def test_device_gradients_of_several_calls_share_a_batch():
    dev = GradientDevice(wires=2)
    circuit = model(dev, "device")
    w = pnp.array(W)
    x = pnp.array(X, requires_grad=False)
    found = deferred.run_tasks(*(lambda x=x: qml.grad(circuit)(x, w) for x in x))
    assert len(dev.posts) == 1
    wanted = [qml.grad(model(dev, "parameter-shift"))(x, w) for x in x]
    np.testing.assert_allclose(found, wanted, atol=1e-12)


@pytest.mark.parametrize("method", ["device", "parameter-shift", "best"])
def test_a_gradient_in_a_deferred_scope_waits_with_other_calls(method):
    dev = GradientDevice(wires=2)
    w = pnp.array(W)
    circuit = model(dev, method)
    x = pnp.array(X[0], requires_grad=False)
    with deferred.deferred():
        found = qml.grad(circuit)(x, w)
        circuit(x, w)
    assert dev.posts == [1 + 2 * W.size + 1]
    np.testing.assert_allclose(found, qml.grad(model(dev, "parameter-shift"))(x, w), atol=1e-12)


@pytest.mark.parametrize(
    ("config", "supported"),
    [
        (None, True),
        ({"gradient_method": "device"}, True),
        ({"gradient_method": "best"}, False),
        ({"gradient_method": "device", "derivative_order": 2}, False),
    ],
)
def test_only_first_derivatives_are_offered_and_only_on_request(config, supported):
    config = config and qml.devices.ExecutionConfig(**config)
    assert gradients.supports_derivatives(config) is supported


def test_counts_cannot_be_differentiated():
    config = qml.devices.ExecutionConfig(gradient_method="device")
    tape = qml.tape.QuantumScript([], [qml.counts(wires=0)], shots=10)
    assert not gradients.supports_derivatives(config, tape)


@pytest.mark.parametrize(
    "wrong",
    [{"method": "adjoint"}, {"num_directions": 0}, *({"h": h} for h in (0.0, np.inf, "1", True))],
)
def test_wrong_settings_are_refused(wrong):
    with pytest.raises(ConfigurationError, match="not allowed"):
        gradients.Gradient(**wrong)


# --------------------------------------------------------------------------- torch and JAX


@pytest.mark.ml
def test_torch_training_step_is_one_batch():
    torch = pytest.importorskip("torch")

    def train(method):
        dev = GradientDevice(wires=2)
        torch.manual_seed(0)

        @qml.qnode(dev, diff_method=method, interface="torch")
        def circuit(inputs, weights):
            qml.AngleEmbedding(inputs, wires=range(2))
            qml.StronglyEntanglingLayers(weights, wires=range(2))
            return [qml.expval(qml.Z(i)) for i in range(2)]

        layer = qml.qnn.TorchLayer(circuit, {"weights": (1, 2, 3)})
        net = torch.nn.Sequential(layer, torch.nn.Linear(2, 1)).double()
        opt = torch.optim.Adam(net.parameters(), lr=0.1)
        x, y = torch.tensor(X), torch.tensor([[1.0], [0.0], [1.0], [0.0], [1.0]]).double()
        for _ in range(5):
            opt.zero_grad()
            loss = torch.nn.functional.mse_loss(net(x), y)
            loss.backward()
            opt.step()
        posts = len(dev.posts)
        with torch.no_grad():
            net(x)
        assert dev.posts[posts:] == [5]
        return posts, loss.item()

    posts, loss = train("parameter-shift")
    assert posts == 10
    assert train("device") == (5, pytest.approx(loss, abs=1e-10))


@pytest.mark.ml
@pytest.mark.parametrize("jit", [False, True])
def test_jax_gradient_is_one_batch(jax, jit):
    wanted = jax.grad(model(GradientDevice(wires=2), "parameter-shift"), argnums=1)(X[0], W)
    dev = GradientDevice(wires=2)
    grad = jax.grad(model(dev, "device"), argnums=1)
    grad = jax.jit(grad) if jit else grad
    np.testing.assert_allclose(grad(X[0], W), wanted, atol=1e-12)
    assert len(dev.posts) == 1


@pytest.mark.ml
def test_torch_goes_backward_through_map_and_gather():
    torch = pytest.importorskip("torch")

    def gradient(run, method, posts):
        dev = GradientDevice(wires=2)
        circuit = model(dev, method, interface="torch")
        w = torch.tensor(W, requires_grad=True)
        run(dev, circuit, torch.tensor(X), w).backward()
        assert len(dev.posts) == posts
        return w.grad.numpy()

    def loop(dev, circuit, x, w):
        return sum(circuit(row, w) ** 2 for row in x)

    def mapped(dev, circuit, x, w):
        return sum(out**2 for out in deferred.map(dev, lambda row: circuit(row, w), x))

    def gathered(dev, circuit, x, w):
        return sum(deferred.gather(dev, *(lambda r=row: circuit(r, w) ** 2 for row in x)))

    wanted = gradient(loop, "parameter-shift", 10)
    for run in (mapped, gathered):
        np.testing.assert_allclose(gradient(run, "parameter-shift", 1), wanted, atol=1e-12)
        np.testing.assert_allclose(gradient(run, "device", 1), wanted, atol=1e-12)


@pytest.mark.ml
@pytest.mark.parametrize("method", ["parameter-shift", "device"])
@pytest.mark.parametrize("transform", ["grad", "value_and_grad", "jacobian", "jit"])
def test_jax_differentiates_through_map_and_gather(jax, method, transform):
    dev = GradientDevice(wires=2)
    circuit = model(dev, method)

    def loop(w):
        return jax.numpy.stack([circuit(x, w) for x in X]).sum()

    def mapped(w):
        return jax.numpy.stack(deferred.map(dev, lambda x: circuit(x, w), X)).sum()

    def gathered(w):
        return sum(deferred.gather(dev, *(lambda x=x: circuit(x, w) for x in X)))

    def transformed(function):
        return jax.jit(function) if transform == "jit" else getattr(jax, transform)(function)

    wanted = transformed(loop)(jax.numpy.asarray(W))
    for function in (mapped, gathered):
        del dev.posts[:]
        found = transformed(function)(jax.numpy.asarray(W))
        assert len(dev.posts) == (len(X) if transform == "jit" else 1)
        for f, w in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
            np.testing.assert_allclose(f, w, atol=1e-12)


# --------------------------------------------------------------------------- the real device

HAMILTONIAN = qml.Hamiltonian([0.5, -1.2, 0.3], [qml.Z(0) @ qml.Z(1), qml.X(0), qml.Y(1)])
OUTPUTS = {
    **MEASUREMENTS,
    "Hamiltonian": lambda: qml.expval(HAMILTONIAN),
    "mixed": lambda: (qml.expval(qml.X(0)), qml.probs(wires=[1]), qml.var(qml.Z(1))),
}


def squares(results):
    if isinstance(results, tuple | list):
        return sum(squares(r) for r in results)
    return (results**2).sum()


def gradient_in(interface, circuit, x):
    if interface == "autograd":
        w = pnp.array(W, requires_grad=True)
        return qml.grad(lambda w: squares(circuit(pnp.array(x, requires_grad=False), w)))(w)
    if interface == "torch":
        torch = pytest.importorskip("torch")
        w = torch.tensor(W, requires_grad=True)
        squares(circuit(torch.tensor(x), w)).backward()
        return w.grad.numpy()
    jax = pytest.importorskip("jax")
    with jax.enable_x64(True):
        gradient = jax.grad(lambda w: squares(circuit(x, w)))
        return np.asarray((jax.jit(gradient) if interface == "jax.jit" else gradient)(W))


@pytest.mark.parametrize("x", [X[0], X[:2]], ids=["one sample", "broadcast"])
@pytest.mark.parametrize("shots", [None, 500, (300, 200)], ids=["analytic", "shots", "shot vector"])
@pytest.mark.parametrize("method", ["parameter-shift", "spsa"])
@pytest.mark.parametrize(
    "interface",
    [
        "autograd",
        *(pytest.param(kind, marks=pytest.mark.ml) for kind in ("torch", "jax", "jax.jit")),
    ],
)
def test_gradients_equal_those_of_the_transform_on_the_same_tapes(interface, method, shots, x):
    spsa = method == "spsa"
    if shots == (300, 200) and interface == "jax.jit":
        pytest.skip("PennyLane's own gradients do not do this")
    for name, measure in OUTPUTS.items():
        options = {"gradient": method, "num_directions": 2 if spsa else 1}
        device = qml.device("qstore.ionq", wires=2, seed=5, **options)
        plain = qml.device("qstore.ionq", wires=2, seed=5)
        h = gradients.spsa_step(device_shots := qml.measurements.Shots(shots).total_shots)
        assert (h == 1e-3) == (device_shots is None)
        kwargs = {"h": h, "num_directions": 2, "sampler_rng": np.random.default_rng([5, 2])}
        gradient_kwargs = kwargs if spsa else {}
        wanted = gradient_in(
            interface,
            model(plain, method, measure, shots=shots, gradient_kwargs=gradient_kwargs),
            x,
        )
        before = device.emulator.stats()["posts"]
        found = gradient_in(interface, model(device, "device", measure, shots=shots), x)
        assert device.emulator.stats()["posts"] == before + 1, name
        np.testing.assert_allclose(found, wanted, atol=1e-10, err_msg=name)


@pytest.fixture
def executed(monkeypatch):
    """A device, and the tapes and configurations that its ``execute`` was called with."""
    calls = []
    execute = IonQDevice.execute

    def recorded(self, circuits, execution_config=None):
        calls.append((circuits, execution_config))
        return execute(self, circuits, execution_config)

    monkeypatch.setattr(IonQDevice, "execute", recorded)
    return qml.device("qstore.ionq", wires=2), calls


@pytest.mark.parametrize("method", ["best", "parameter-shift", "finite-diff", "spsa"])
@pytest.mark.parametrize(
    "interface", ["numpy", "autograd", pytest.param("torch", marks=pytest.mark.ml)]
)
def test_what_nobody_differentiates_is_not_expanded_for_a_gradient(executed, interface, method):
    dev, calls = executed
    circuit = model(dev, method)
    wanted = float(model(qml.device("default.qubit"), None)(X[0], W))
    if interface == "torch":
        torch = pytest.importorskip("torch")
        with torch.no_grad():
            assert float(circuit(X[0], torch.tensor(W, requires_grad=True))) == pytest.approx(
                wanted
            )
    else:
        w = W if interface == "numpy" else pnp.array(W)
        found = circuit(X[0], w)
        assert found == pytest.approx(wanted)
        shifted = model(qml.device("default.qubit"), "parameter-shift")
        assert type(found) is type(shifted(X[0], w))
    (tape,), config = calls.pop()
    assert config.gradient_method is None
    assert [type(op) for op in tape.operations] == [
        qml.AngleEmbedding,
        qml.StronglyEntanglingLayers,
    ]

    assert qml.grad(circuit)(X[0], pnp.array(W)).shape == W.shape
    _, config = calls[0]
    assert callable(config.gradient_method)


def test_a_circuit_in_anothers_gradient_is_expanded(executed):
    dev, calls = executed
    circuit = model(dev, "parameter-shift")
    w = pnp.array(W)
    qml.grad(lambda w: pnp.sum(w) * circuit(X[0], W))(w)
    _, config = calls.pop()
    assert config.gradient_method is None  # NumPy's arrays, whoever differentiates around it
    qml.grad(lambda w: circuit(X[0], w))(w)
    assert all(callable(config.gradient_method) for _, config in calls)


def test_an_error_in_a_gradient_changes_nothing_for_the_calls_after_it(executed, monkeypatch):
    monkeypatch.setattr(trace_stack, "top", trace_stack.top)  # put back at the end
    dev, calls = executed
    circuit = model(dev, "parameter-shift")
    w = pnp.array(W)

    def broken(w):
        circuit(X[0], w)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        qml.grad(broken)(w)
    assert trace_stack.top >= 0  # as autograd leaves it
    calls.clear()
    circuit(X[0], w)
    _, config = calls.pop()
    assert config.gradient_method is None
    assert qml.grad(circuit)(X[0], w).shape == W.shape


def test_threads_inside_a_gradient_are_differentiated(executed):
    dev, _ = executed
    circuit = model(dev, "parameter-shift")
    w = pnp.array(W)

    def cost(w):
        with ThreadPoolExecutor(1) as pool:
            return sum(pool.map(lambda x: circuit(x, w), X[:2]))

    wanted = sum(qml.grad(circuit, argnums=1)(x, w) for x in X[:2])
    np.testing.assert_allclose(qml.grad(cost)(w), wanted, atol=1e-9)


def test_who_asks_what_would_be_done_hears_of_the_gradient():
    circuit = model(qml.device("qstore.ionq", wires=2), "best")
    for w in (W, pnp.array(W)):
        assert qml.workflow.get_best_diff_method(circuit)(X[0], w) == "parameter-shift"
        config = qml.workflow.construct_execution_config(circuit)(X[0], w)
        assert config.gradient_method is qml.gradients.param_shift
    (expanded,), _ = qml.workflow.construct_batch(circuit, level="gradient")(X[0], pnp.array(W))
    assert len(expanded.operations) > 2


HERMITIAN = np.array([[1.0, 0.5 - 0.2j], [0.5 + 0.2j, -0.4]])


def entangled(w):
    qml.QubitUnitary(qml.matrix(qml.RX(0.4, 0)), wires=0)
    qml.PauliRot(w[0], "XY", wires=[0, 1])
    qml.ctrl(qml.Rot(w[1], w[2], w[0], wires=1), control=0)
    qml.IQPEmbedding(w[:2], wires=[0, 1])


@pytest.mark.parametrize(
    "measure",
    [
        lambda w, matrix: qml.expval(w[0] * qml.Z(0) + w[1] * qml.X(0) @ qml.Y(1)),
        lambda w, matrix: qml.expval(qml.Hermitian(matrix, wires=1)),
        lambda w, matrix: qml.var(qml.Hermitian(matrix, wires=1) @ qml.Z(0)),
        lambda w, matrix: qml.expval(qml.Projector([0, 1], wires=[0, 1])),
        lambda w, matrix: qml.probs(wires=[1, 0]),
    ],
)
def test_autograds_arrays_are_executed_as_they_come(measure):
    w, trained, matrix = np.array([0.7, -1.2, 2.1]), pnp.array([0.7, -1.2, 2.1]), HERMITIAN

    def value(device, w, matrix):
        @qml.qnode(device)
        def circuit(w):
            entangled(w)
            m = qml.measure(0)
            qml.cond(m, qml.RY)(w[2], wires=1)
            return measure(w, matrix)

        return circuit(w)

    wanted = value(qml.device("default.qubit"), w, matrix)
    found = value(qml.device("qstore.ionq", wires=2), trained, pnp.array(matrix))
    np.testing.assert_allclose(found, wanted, atol=1e-9)


@pytest.mark.parametrize("scope", [nullcontext, deferred.deferred])
@pytest.mark.parametrize("method", ["best", "parameter-shift", "device"])
def test_a_qnode_called_in_another_ones_function_leaves_no_gate_there(method, scope):
    """PennyLane's own parameter-shift on default.qubit gives 0.264 here, see compat."""

    def gradient(device, method):
        @qml.qnode(device, diff_method=method)
        def inner(x):
            qml.RX(x, 0)
            qml.CNOT([0, 1])
            return qml.expval(qml.Z(1))

        @qml.qnode(device, diff_method=method)
        def outer(x):
            qml.RX(inner(x), 0)
            return qml.expval(qml.Z(0))

        return qml.grad(outer)(pnp.array(0.3))

    with scope():
        found = float(gradient(qml.device("qstore.ionq", wires=2), method))
    wanted = gradient(qml.device("default.qubit", wires=2), "backprop")
    assert found == pytest.approx(float(wanted), abs=1e-9)
