"""Gradients and optimizers of PennyLane: the same numbers as on default.qubit."""

import numpy as np
import pennylane as qml
import pytest

W = qml.numpy.array([0.3, -0.7, 1.1], requires_grad=True)
X = np.array([0.1, 0.4])
H = qml.dot([0.5, 0.3, -1.2], [qml.Z(0) @ qml.Z(1), qml.X(0) @ qml.Y(1), qml.X(1)])
DEVICES = ("qstore.ionq", "default.qubit")


def layers(w):
    qml.AngleEmbedding(X, wires=[0, 1])
    qml.RY(w[0], 0)
    qml.CRX(w[1], [0, 1])
    qml.RZ(w[2], 1)
    qml.RY(0.4, 1)


def energy(w):
    layers(w)
    return qml.expval(H)


def several(w):
    layers(w)
    return qml.probs(wires=[0, 1]), qml.expval(qml.X(1)), qml.var(qml.Z(0))


def both(make):
    """Return the result of each device."""
    return tuple(make(qml.device(name)) for name in DEVICES)


def close(one, other, atol=1e-6):
    if isinstance(other, (tuple, list)):
        return len(one) == len(other) and all(
            close(a, b, atol) for a, b in zip(one, other, strict=True)
        )
    return np.shape(one) == np.shape(other) and np.allclose(one, other, atol=atol)


GRADIENTS = {
    "parameter-shift": {},
    "finite-diff": {"h": 1e-4},
    "hadamard": {"aux_wire": "aux"},
    "reversed-hadamard": {"aux_wire": "aux"},
    "direct-hadamard": {},
}


@pytest.mark.parametrize("method", GRADIENTS)
def test_gradients_of_an_energy(method):
    got, want = both(
        lambda dev: qml.grad(
            qml.QNode(energy, dev, diff_method=method, gradient_kwargs=GRADIENTS[method])
        )(W)
    )
    assert close(got, want, 1e-5)


@pytest.mark.parametrize("method", ["parameter-shift", "finite-diff"])
def test_jacobians_of_several_measurements(method):
    def jacobian(dev):
        node = qml.QNode(several, dev, diff_method=method)
        return qml.jacobian(lambda w: qml.math.hstack(node(w)))(W)

    got, want = both(jacobian)
    assert got.shape == (6, 3)
    assert close(got, want, 1e-5)


@pytest.mark.parametrize("method", ["parameter-shift", "finite-diff", "device"])
def test_gradients_of_a_sum_with_a_matrix_in_it(method):
    matrix = qml.Hermitian(np.array([[0.5, 0.4j], [-0.4j, -1.5]]), 0)
    total = qml.sum(qml.Y(0) @ qml.X(1), 0.7 * qml.Z(1), matrix)

    def gradient(dev, method):
        def circuit(w):
            layers(w)
            return qml.expval(total)

        return qml.grad(qml.QNode(circuit, dev, diff_method=method))(W)

    dev = qml.device("qstore.ionq", wires=2)
    got = gradient(dev, method)
    assert close(got, gradient(qml.device("default.qubit"), "backprop"), 1e-5)
    assert dev.stats["jobs"] == (1 if method == "device" else 2)


@pytest.mark.parametrize("method", ["parameter-shift", "device"])
def test_coefficients_of_an_observable_have_a_gradient(method):
    def circuit(c, x):
        qml.RY(x, 1)
        qml.CNOT([1, 0])
        return qml.expval(qml.dot(c, [qml.Z(0), qml.Y(1)]))

    node = qml.QNode(circuit, qml.device("qstore.ionq", wires=2), diff_method=method)
    c, x = (qml.numpy.array(value, requires_grad=True) for value in ([0.6, -0.2], 1.1))
    of_c, of_x = qml.grad(node)(c, x)
    assert close(of_c, [np.cos(1.1), 0])
    assert close(of_x, -0.6 * np.sin(1.1))


def test_fourier_series_are_default_qubits():
    def circuit(x):
        qml.RY(x[0], 0)
        qml.CRX(x[1], [0, 1])
        qml.RY(x[0], 1)
        return qml.expval(qml.Z(1))

    got, want = both(lambda dev: qml.fourier.coefficients(qml.QNode(circuit, dev), 2, (2, 1)))
    assert close(got, want)
    assert np.abs(want).max() > 0.1

    @qml.qnode(qml.device("qstore.ionq", wires=1))
    def periodic(x):
        qml.RX(2 * x, 0)
        qml.RY(x, 0)
        return qml.expval(qml.Z(0))

    series = qml.fourier.reconstruct(periodic, nums_frequency={"x": {(): 3}})
    again = series(qml.numpy.array(0.2))["x"][()]
    assert close(again(1.7), np.cos(2 * 1.7) * np.cos(1.7))


def test_spsa_gradients_are_default_qubits_for_the_same_directions():
    got, want = both(
        lambda dev: qml.grad(
            qml.QNode(
                *(energy, dev),
                diff_method="spsa",
                gradient_kwargs={"h": 1e-3, "num_directions": 4, "sampler_rng": 7},
            )
        )(W)
    )
    assert close(got, want, 1e-5)


@pytest.mark.parametrize("shots", [None, (3000, 3000)])
def test_gradient_transforms(shots):
    got, want = both(lambda dev: qml.gradients.param_shift(qml.QNode(energy, dev, shots=shots))(W))
    assert close(got, want, 1e-6 if shots is None else 0.25)


def test_hessians():
    got, want = both(
        lambda dev: qml.jacobian(
            qml.grad(qml.QNode(energy, dev, diff_method="parameter-shift", max_diff=2))
        )(W)
    )
    assert close(got, want)
    got, want = both(lambda dev: qml.gradients.param_shift_hessian(qml.QNode(energy, dev))(W))
    assert close(got, want)


@pytest.mark.parametrize("approx", [None, "diag", "block-diag"])
def test_metric_tensors(approx):
    def one_angle_each(w):
        qml.RX(0.3, 0)
        qml.RY(w[0], 0)
        qml.CNOT([0, 1])
        qml.RZ(w[1], 1)
        qml.RX(w[2], 1)
        return qml.expval(qml.Z(1))

    got, want = both(
        lambda dev: qml.metric_tensor(qml.QNode(one_angle_each, dev), approx=approx, aux_wire=5)(W)
    )
    assert close(got, want)


def test_fishers_information():
    def circuit(w):
        layers(w)
        return qml.probs(wires=[0, 1])

    got, want = both(
        lambda dev: qml.gradients.classical_fisher(
            qml.QNode(circuit, dev, diff_method="parameter-shift")
        )(W)
    )
    assert close(got, want)


OPTIMIZERS = {
    "GradientDescent": lambda: qml.GradientDescentOptimizer(0.1),
    "Adam": lambda: qml.AdamOptimizer(0.1),
    "Nesterov": lambda: qml.NesterovMomentumOptimizer(0.1),
    "QNG": lambda: qml.QNGOptimizer(0.1),
    "MomentumQNG": lambda: qml.MomentumQNGOptimizer(0.1),
    "Rotosolve": lambda: qml.RotosolveOptimizer(),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers_walk_default_qubits_way(name):
    def objective(w):
        qml.RY(w[0], 0)
        qml.CNOT([0, 1])
        qml.RX(w[1], 1)
        qml.RY(w[2], 0)
        return qml.expval(qml.Z(0) @ qml.Z(1))

    def walk(dev):
        node = qml.QNode(objective, dev, diff_method="parameter-shift")
        optimizer, w = OPTIMIZERS[name](), W
        for _ in range(3):
            if name == "Rotosolve":
                w = optimizer.step(node, w, nums_frequency={"w": {(i,): 1 for i in range(3)}})
            else:
                w = optimizer.step(node, w)
        return w

    got, want = both(walk)
    assert not np.allclose(got, W)
    if name == "Rotosolve":  # the minimum is reached at more than one place
        got, want = (qml.QNode(objective, qml.device(DEVICES[1]))(w) for w in (got, want))
    assert close(got, want, 1e-6)


def test_a_natural_gradient_leaves_the_data_beside_the_weights_alone():
    def circuit(w, x):
        qml.AngleEmbedding(x, wires=[0, 1])
        qml.BasicEntanglerLayers(w, wires=[0, 1])
        return qml.expval(qml.Z(1))

    w = qml.numpy.array([[0.5, 1.2]], requires_grad=True)
    x = qml.numpy.array(X, requires_grad=False)
    got, want = both(lambda dev: qml.QNGOptimizer(0.2, lam=0.1).step(qml.QNode(circuit, dev), w, x))
    assert close(got, want)
    assert not np.allclose(got[0], w)
    assert np.array_equal(got[1], X)


def test_qnspsa_runs_on_a_backend_that_samples():
    """It forgets the shots of the circuits that measure the metric."""
    dev = qml.device("qstore.ionq", wires=2, noise_model="forte-1", seed=2)
    node = qml.QNode(energy, dev, shots=100)
    with pytest.warns(UserWarning, match="they are run with 100 shots"):
        new, cost = qml.QNSPSAOptimizer(seed=1).step_and_cost(node, W)
    assert new.shape == W.shape
    assert np.isfinite(cost)
    with pytest.raises(qml.exceptions.DeviceError, match="shots"):
        qml.QNode(energy, dev)(W)


def test_shot_adaptive_and_adaptive_optimizers_go_several_steps():
    dev = qml.device("qstore.ionq", wires=2, seed=2)
    node = qml.QNode(energy, dev, shots=50, diff_method="parameter-shift")
    optimizer, w = qml.ShotAdaptiveOptimizer(min_shots=10), W
    for _ in range(3):
        w, cost = optimizer.step_and_cost(node, w)
    assert optimizer.total_shots_used > 0
    assert np.isfinite(cost)

    @qml.qnode(dev, diff_method="parameter-shift")
    def grown():
        qml.Hadamard(0)
        return qml.expval(H)

    zero = qml.numpy.array(0.0, requires_grad=True)
    pool = [qml.RY(zero, 0), qml.RY(zero, 1), qml.CRX(zero, [0, 1])]
    adaptive, circuit, energies = qml.AdaptiveOptimizer(), grown, []
    for _ in range(2):
        circuit, value, _ = adaptive.step_and_cost(circuit, pool, drain_pool=True)
        energies.append(value)
    assert circuit() < energies[0]


# --- torch and jax -------------------------------------------------------------------------


@pytest.mark.ml
@pytest.mark.parametrize("method", ["parameter-shift", "finite-diff", "hadamard", "device"])
def test_torch_gradients(method):
    torch = pytest.importorskip("torch")
    want = qml.grad(qml.QNode(energy, qml.device("default.qubit")))(W)
    keywords = GRADIENTS.get(method, {})
    dev = qml.device("qstore.ionq")
    node = qml.QNode(energy, dev, diff_method=method, gradient_kwargs=keywords)
    w = torch.tensor(np.array(W), requires_grad=True)
    node(w).backward()
    assert np.allclose(w.grad, want, atol=1e-3 if method == "finite-diff" else 1e-6)


@pytest.mark.ml
def test_torch_hessian_and_jacobian():
    torch = pytest.importorskip("torch")
    node = qml.QNode(energy, qml.device("qstore.ionq"), diff_method="parameter-shift", max_diff=2)
    w = torch.tensor(np.array(W), requires_grad=True)
    got = torch.autograd.functional.hessian(node, w)
    want = qml.jacobian(qml.grad(qml.QNode(energy, qml.device("default.qubit"), max_diff=2)))(W)
    assert np.allclose(got, want, atol=1e-6)
    many = qml.QNode(several, qml.device("qstore.ionq"), diff_method="parameter-shift")
    probs, *_ = torch.autograd.functional.jacobian(many, w)
    assert probs.shape == (4, 3)


@pytest.mark.ml
def test_torch_layer_trains_with_shots():
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)

    def layer(inputs, w):
        qml.AngleEmbedding(inputs, wires=[0, 1])
        qml.StronglyEntanglingLayers(w, wires=[0, 1])
        return qml.expval(qml.Z(0))

    dev = qml.device("qstore.ionq", wires=2, seed=3)
    node = qml.QNode(layer, dev, diff_method="parameter-shift", shots=2000)
    model = torch.nn.Sequential(qml.qnn.TorchLayer(node, {"w": (1, 2, 3)}), torch.nn.Flatten(0))
    x = torch.rand(4, 2)
    y = torch.tensor([1.0, -1.0, 1.0, -1.0])
    optimizer = torch.optim.SGD(model.parameters(), lr=0.3)
    losses = []
    for _ in range(5):
        optimizer.zero_grad()
        loss = ((model(x) - y) ** 2).mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]


@pytest.mark.ml
def test_weights_of_a_module_trained_elsewhere_are_used_on_a_noisy_machine():
    torch = pytest.importorskip("torch")
    torch.manual_seed(2)

    def module(dev, shots=None):
        def circuit(inputs, w):
            qml.AngleEmbedding(inputs, wires=[0, 1])
            qml.BasicEntanglerLayers(w, wires=[0, 1])
            return [qml.expval(qml.Z(0)), qml.expval(qml.Z(1))]

        node = qml.QNode(circuit, dev, diff_method="parameter-shift", shots=shots)
        layer = qml.qnn.TorchLayer(node, {"w": (2, 2)})
        return torch.nn.Sequential(torch.nn.Linear(3, 2), layer, torch.nn.Linear(2, 1))

    exact = module(qml.device("default.qubit", wires=2))
    dev = qml.device("qstore.ionq", wires=2, seed=1, noise_model="aria-1")
    noisy = module(dev, shots=4000)
    noisy.load_state_dict(exact.state_dict())
    x = torch.rand(5, 3)
    with torch.no_grad():
        want, got = exact(x), noisy(x)
    assert (got.shape, got.dtype) == ((5, 1), torch.float32)
    assert torch.allclose(got, want, atol=0.15)
    assert dev.stats["jobs"] == 1


@pytest.mark.ml
@pytest.mark.parametrize("method", ["parameter-shift", "finite-diff", "device"])
@pytest.mark.parametrize("jit", [False, True], ids=["plain", "jit"])
def test_jax_gradients(jax, method, jit):
    want = qml.grad(qml.QNode(energy, qml.device("default.qubit")))(W)
    gradient = jax.grad(qml.QNode(energy, qml.device("qstore.ionq"), diff_method=method))
    got = (jax.jit(gradient) if jit else gradient)(jax.numpy.array(W))
    assert np.allclose(got, want, atol=1e-5)


@pytest.mark.ml
def test_jax_hessian_and_jacobian(jax):
    dev = qml.device("qstore.ionq")

    def rotations(w):
        qml.RY(w[0], 0)
        qml.CRX(w[1], [0, 1])
        qml.RY(w[2], 1)
        return qml.expval(qml.Z(0) @ qml.Z(1))  # PennyLane differentiates a sum's coefficients

    node = qml.QNode(rotations, dev, diff_method="parameter-shift", max_diff=2)
    want = qml.jacobian(qml.grad(qml.QNode(rotations, qml.device("default.qubit"), max_diff=2)))(W)
    assert np.allclose(jax.hessian(node)(jax.numpy.array(W)), want, atol=1e-6)
    many = qml.QNode(several, dev, diff_method="parameter-shift")
    probs, value, var = jax.jacobian(many)(jax.numpy.array(W))
    assert probs.shape == (4, 3)
    assert value.shape == var.shape == (3,)


@pytest.mark.ml
def test_jitted_samples_and_mid_circuit_measurements():
    jax = pytest.importorskip("jax")
    dev = qml.device("qstore.ionq", wires=2, seed=1)

    @jax.jit
    @qml.qnode(dev, shots=40)
    def samples(x):
        qml.RX(x, 0)
        return qml.sample(wires=[0, 1]), qml.expval(qml.Z(0))

    found, value = samples(0.4)
    assert found.shape == (40, 2)
    assert -1 <= value <= 1

    @jax.jit
    @qml.qnode(qml.device("qstore.ionq", wires=2))
    def conditional(x):
        qml.RX(x, 0)
        m = qml.measure(0)
        qml.cond(m, qml.RY)(0.7, 1)
        return qml.expval(qml.Z(1))

    assert np.isclose(conditional(0.9), 1 - np.sin(0.45) ** 2 * (1 - np.cos(0.7)), atol=1e-6)
