"""Interfaces and differentiation: whatever runs on default.qubit runs here."""

import numpy as np
import pennylane as qml
import pytest

import pennylane_qstore as qstore

H = qml.dot([0.5, 0.3, -1.2], [qml.Z(0) @ qml.Z(1), qml.X(0) @ qml.Y(1), qml.X(1)])
W = np.array([0.3, -0.7, 1.1])
X = np.array([[0.1, 0.4], [0.9, -0.3], [0.2, 0.2]])


def circuit(x, w):
    qml.AngleEmbedding(x, wires=[0, 1])
    qml.RY(w[0], 0)
    qml.CRX(w[1], [0, 1])
    qml.RZ(w[2], 1)
    return qml.expval(H)


def qnode(device="qstore.ionq", **options):
    return qml.QNode(circuit, qml.device(device, wires=2), **options)


@pytest.fixture(scope="module")
def reference():
    w = qml.numpy.array(W, requires_grad=True)
    node = qnode("default.qubit")
    return node(X[0], w), qml.grad(node, argnums=1)(X[0], w), np.array([node(x, w) for x in X])


@pytest.mark.parametrize("method", ["parameter-shift", "hadamard", "finite-diff"])
def test_autograd(reference, method):
    node = qnode(diff_method=method)
    if method == "hadamard":
        options = {"gradient_kwargs": {"aux_wire": "aux"}}
        node = qml.QNode(circuit, qml.device("qstore.ionq"), diff_method=method, **options)
    w = qml.numpy.array(W, requires_grad=True)
    assert node(X[0], w) == pytest.approx(reference[0])
    assert np.allclose(qml.grad(node, argnums=1)(X[0], w), reference[1], atol=1e-5)


def test_second_derivatives_and_jacobians():
    w = qml.numpy.array(W, requires_grad=True)

    def hessian(device):
        node = qnode(device, diff_method="parameter-shift", max_diff=2)
        return qml.jacobian(qml.grad(node, argnums=1), argnums=1)(X[0], w)

    assert np.allclose(hessian("qstore.ionq"), hessian("default.qubit"), atol=1e-7)


def test_metric_tensor():
    w = qml.numpy.array(W, requires_grad=True)

    def tensor(device):
        node = qml.QNode(circuit, qml.device(device), diff_method="parameter-shift")
        return qml.metric_tensor(node, approx="block-diag")(qml.numpy.array(X[0]), w)

    got, want = tensor("qstore.ionq"), tensor("default.qubit")
    assert np.allclose(
        np.asarray(got[1] if isinstance(got, tuple) else got),
        np.asarray(want[1] if isinstance(want, tuple) else want),
        atol=1e-7,
    )


@pytest.mark.parametrize("name", ["QNSPSA", "Rotosolve", "ShotAdaptive", "Adaptive"])
def test_pennylanes_optimizers_run(name):
    def objective(w):
        qml.RY(w[0], 0)
        qml.CNOT([0, 1])
        qml.RX(w[1], 1)
        return qml.expval(qml.Z(0) @ qml.Z(1))

    dev = qml.device("qstore.ionq", wires=2, seed=2)
    w = qml.numpy.array([0.4, 0.9], requires_grad=True)
    if name == "QNSPSA":
        node = qml.QNode(objective, dev, shots=200)
        new = qml.QNSPSAOptimizer(seed=1, blocking=False).step(node, w)
    elif name == "Rotosolve":
        node = qml.QNode(objective, dev)
        new, cost = qml.RotosolveOptimizer().step_and_cost(
            node, w, nums_frequency={"w": {(0,): 1, (1,): 1}}
        )
        assert np.max(cost) <= node(w) + 1e-9
    elif name == "ShotAdaptive":
        node = qml.QNode(objective, dev, shots=50, diff_method="parameter-shift")
        new = qml.ShotAdaptiveOptimizer(min_shots=10).step(node, w)
    else:
        node = qml.QNode(
            lambda: [qml.Hadamard(0), qml.expval(qml.Z(0))][-1], dev, diff_method="parameter-shift"
        )
        pool = [qml.RY(qml.numpy.array(0.1, requires_grad=True), 0)]
        new, energy, gradient = qml.AdaptiveOptimizer().step_and_cost(node, pool)
        assert np.isfinite([energy, gradient]).all()
        return
    assert new.shape == w.shape
    assert not np.allclose(new, w)


@pytest.mark.ml
@pytest.mark.parametrize("batched", [False, True])
def test_torch(reference, batched):
    torch = pytest.importorskip("torch")
    w = torch.tensor(W, requires_grad=True)
    x = torch.tensor(X if batched else X[0])
    value = qnode(diff_method="parameter-shift")(x, w)
    assert np.allclose(value.detach(), reference[2] if batched else reference[0])
    if not batched:
        value.backward()
        assert np.allclose(w.grad, reference[1], atol=1e-7)


@pytest.mark.ml
def test_rows_of_a_tensor_are_mapped_to_tensors(reference):
    torch = pytest.importorskip("torch")
    dev = qml.device("qstore.ionq", wires=2, seed=1)
    node = qml.QNode(circuit, dev, shots=4000)
    x, w = torch.tensor(X, dtype=torch.float32), torch.tensor(W, dtype=torch.float32)
    one_by_one = [float(node(row, w)) for row in x]
    values = qstore.map(dev, lambda row: node(row, w), x)
    assert all(isinstance(value, torch.Tensor) for value in values)
    assert dev.stats["jobs"] == len(X) + 1
    for found in (one_by_one, values):
        assert np.allclose(found, reference[2], atol=0.15)


@pytest.mark.ml
@pytest.mark.parametrize("kind", [list, tuple])
def test_torch_layer(kind):
    torch = pytest.importorskip("torch")

    def layer(inputs, w):
        qml.AngleEmbedding(inputs, wires=[0, 1])
        qml.RY(w[0], 0)
        qml.CRX(w[1], [0, 1])
        return kind([qml.expval(qml.Z(0)), qml.expval(qml.Z(1))])

    outputs, gradients = [], []
    for name in ("qstore.ionq", "default.qubit"):
        node = qml.QNode(layer, qml.device(name, wires=2), diff_method="parameter-shift")
        module = qml.qnn.TorchLayer(node, {"w": (2,)}, init_method={"w": torch.tensor(W[:2])})
        out = module(torch.tensor(X, dtype=torch.float32))
        out.sum().backward()
        outputs.append(out.detach())
        gradients.append(module.w.grad)
    assert outputs[0].shape == outputs[1].shape
    assert outputs[0].numel() == 6
    assert np.allclose(*outputs, atol=1e-5)
    assert np.allclose(*gradients, atol=1e-5)


@pytest.mark.ml
@pytest.mark.parametrize("jit", [False, True])
def test_jax(jax, reference, jit):
    node = qnode(diff_method="parameter-shift")
    call = jax.jit(node) if jit else node
    gradient = jax.grad(node, argnums=1)
    gradient = jax.jit(gradient) if jit else gradient
    x, w = jax.numpy.array(X[0]), jax.numpy.array(W)
    assert np.allclose(call(x, w), reference[0])
    assert np.allclose(gradient(x, w), reference[1], atol=1e-7)


@pytest.mark.parametrize("way", ["plain", "batch", "deferred", "map", "spsa"])
def test_jax_bfloat16_angles_are_numbers(jax, way):
    dev = qml.device("qstore.ionq", wires=2)

    @qml.qnode(dev, diff_method=None)
    def node(x):
        qml.AngleEmbedding(x, [0, 1])
        qml.ctrl(qml.RY(x[..., 0], 1), 0, control_values=[0])
        return qml.expval(qml.Z(1))

    half = jax.numpy.array([0.5, 1.25], dtype="bfloat16")  # exact in eight bits
    want = node(np.array([0.5, 1.25]))
    if way == "plain":
        got = node(half)
    elif way == "batch":
        got = node(jax.numpy.stack([half, half]))
    elif way == "deferred":
        with qstore.deferred():
            got = node(half)
    elif way == "map":
        got = qstore.map(dev, node, [half, half])
    else:
        new, got = qstore.SPSAOptimizer(maxiter=3, seed=1).step_and_cost(node, half)
        assert new.dtype == half.dtype
    assert np.allclose(np.asarray(got, dtype=float), want, atol=1e-6)


@pytest.mark.ml
def test_jax_vmap_is_one_job(jax, reference):
    dev = qml.device("qstore.ionq", wires=2)
    node = qml.QNode(circuit, dev, diff_method=None)
    batched = jax.jit(jax.vmap(node, in_axes=(0, None)))
    with qml.Tracker(dev) as tracker:
        values = batched(jax.numpy.array(X), jax.numpy.array(W))
    assert np.allclose(values, reference[2])
    assert tracker.totals["jobs"] == 1


def test_batch_input_and_split_transforms_come_before_the_device():
    dev = qml.device("qstore.ionq", wires=2)
    node = qml.batch_input(qml.QNode(circuit, dev), argnum=0)
    assert np.allclose(
        node(qml.numpy.array(X, requires_grad=False), W),
        [qnode("default.qubit")(x, W) for x in X],
    )
    folded = qml.transforms.split_non_commuting(qml.QNode(circuit, dev))
    assert folded(X[0], W) == pytest.approx(qnode("default.qubit")(X[0], W))


@pytest.mark.parametrize("gradient", ["parameter-shift", "spsa"])
def test_the_devices_own_gradient_is_one_batch(reference, gradient):
    dev = qml.device("qstore.ionq", wires=2, gradient=gradient, num_directions=400, h=1e-3, seed=1)
    node = qml.QNode(circuit, dev, diff_method="device")
    w = qml.numpy.array(W, requires_grad=True)
    with qml.Tracker(dev) as tracker:
        got = qml.grad(node, argnums=1)(X[0], w)
    assert tracker.totals["jobs"] == 1
    tolerance = 1e-7 if gradient == "parameter-shift" else 0.3
    assert np.allclose(got, reference[1], atol=tolerance)


@pytest.mark.ml
def test_a_torch_step_is_one_post():
    torch = pytest.importorskip("torch")
    dev = qml.device("qstore.ionq", wires=2)
    node = qml.QNode(circuit, dev, diff_method="device", interface="torch")
    w = torch.tensor(W, requires_grad=True)
    with qml.Tracker(dev) as tracker:
        node(torch.tensor(X[0]), w).backward()
    assert tracker.totals["jobs"] == 1
    assert torch.isfinite(w.grad).all()
