"""Torch tensors that are not there yet: what waits, what fetches, and what comes of it."""

from __future__ import annotations

import pickle

import numpy as np
import pennylane as qml
import pytest

import pennylane_qstore as qstore

torch = pytest.importorskip("torch")

pytestmark = pytest.mark.ml

RNG = np.random.default_rng(5)
X = torch.tensor(RNG.uniform(0, 1, (4, 2)))
W = RNG.uniform(0, 3, (1, 2, 3))


class Model:
    """Two QNodes and layers, alike each time it is made, and the POSTs they have sent."""

    def __init__(self):
        self.device = qml.device("qstore.ionq", wires=2)

        @qml.qnode(self.device)
        def one(inputs, w):
            layers(inputs, w)
            return qml.expval(qml.Z(0))

        @qml.qnode(self.device)
        def several(inputs, w):
            layers(inputs, w)
            return qml.expval(qml.Z(0)), qml.expval(qml.X(1)), qml.probs(wires=1)

        @qml.qnode(self.device)
        def pair(inputs, w):
            layers(inputs, w)
            return [qml.expval(qml.Z(i)) for i in range(2)]

        self.one, self.several = one, several
        torch.manual_seed(0)
        start = {"w": torch.tensor(W)}
        self.layer = qml.qnn.TorchLayer(pair, {"w": (1, 2, 3)}, init_method=start)
        self.before, self.after = torch.nn.Linear(2, 2).double(), torch.nn.Linear(2, 1).double()
        self.dropout = torch.nn.Dropout(0.3)
        self.w = torch.tensor(W, requires_grad=True)

    @property
    def posts(self):
        return self.device.stats["jobs"]

    def parameters(self):
        modules = self.layer, self.before, self.after
        return [self.w, *(p for module in modules for p in module.parameters())]


def layers(inputs, w):
    qml.AngleEmbedding(inputs, wires=range(2))
    qml.StronglyEntanglingLayers(w, wires=range(2))


def accumulated(m):
    loss = 0.0
    for x in X:
        loss += (m.one(x, m.w) - 1) ** 2
    return loss


def view_changed(m):
    probabilities = m.several(X[0], m.w)[2]
    first = probabilities[0]
    first += m.several(X[1], m.w)[0]
    first *= 2.0
    return probabilities.sum() + first


def squared(outputs):
    return torch.nn.functional.mse_loss(outputs, torch.ones_like(outputs))


COSTS = {
    "stack": lambda m: torch.stack([(m.one(x, m.w) - 1) ** 2 for x in X]).mean(),
    "accumulator": accumulated,
    "broadcast": lambda m: ((m.one(X, m.w) - 1) ** 2).sum(),
    "several": lambda m: sum(a * b + p[0] for a, b, p in [m.several(x, m.w) for x in X]),
    "layer": lambda m: squared(m.layer(X)),
    "between layers": lambda m: squared(m.after(m.layer(m.before(X)))),
    "dropout": lambda m: squared(m.after(m.dropout(m.layer(m.before(X))))),
    "samples through layers": lambda m: sum(squared(m.after(m.layer(m.before(x)))) for x in X),
    "changed in place": view_changed,
    "several outputs": lambda m: sum(
        torch.log(0.5 + p) for p in torch.cat([m.several(x, m.w)[2] for x in X]).unbind()
    ),
    "nested": lambda m: sum(m.one(m.one(x, m.w) * x, m.w) for x in X) + m.w[0, 0, 0] ** 2,
}


@pytest.mark.parametrize("name", COSTS)
def test_a_backward_pass_is_one_post_and_equals_the_plain_one(name):
    plain, model = Model(), Model()
    torch.manual_seed(1)
    wanted = COSTS[name](plain)
    wanted.backward()
    torch.manual_seed(1)
    with qstore.deferred():
        found = COSTS[name](model)
        if name != "dropout":  # draws for the real values
            assert model.posts == 0
        found.backward()
        assert model.posts == (2 if name == "nested" else 1)
    assert model.posts == (2 if name == "nested" else 1)
    assert float(found.detach()) == pytest.approx(float(wanted.detach()), abs=1e-12)
    for p, q in zip(model.parameters(), plain.parameters(), strict=True):
        assert type(p.grad) is type(q.grad)
        if q.grad is not None:
            np.testing.assert_allclose(p.grad, q.grad, atol=1e-12)


@pytest.mark.parametrize(
    "look",
    [float, bool, str, repr, lambda t: f"{t:.3f}", lambda t: t.item(), lambda t: t.tolist(),
     lambda t: t.numpy(), np.asarray, lambda t: bool(t > 0),
     lambda t: pickle.loads(pickle.dumps(t))],
)  # fmt: skip
def test_looking_at_one_fetches_all_and_shows_what_a_plain_one_does(look):
    model = Model()
    with torch.no_grad():
        plain = look(model.one(X[0], model.w))
        with qstore.deferred():
            values = [model.one(x, model.w) for x in X]
            assert model.posts == 1
            found = look(values[0])
            assert model.posts == 2
            float(values[1])
        assert model.posts == 2
    assert type(found) is type(plain)
    assert np.all(np.asarray(found) == np.asarray(plain))


def test_no_gradient_is_paid_for_where_nobody_asks_for_one():
    model = Model()
    with qstore.deferred():
        with torch.no_grad():
            model.one(X[0], model.w)
        model.one(X[1], torch.tensor(W))
    assert model.posts == 1
    assert model.device.stats["circuits"] == 2


def test_gradients_asked_for_by_name_and_after_the_scope():
    model = Model()
    with qstore.deferred():
        loss = COSTS["stack"](model)
        (found,) = torch.autograd.grad(loss, model.w, retain_graph=True)
        assert model.posts == 1
    assert isinstance(loss, torch.Tensor)
    (later,) = torch.autograd.grad(2 * loss, model.w)
    np.testing.assert_allclose(later, 2 * found, atol=1e-12)
    assert model.posts == 1


def test_operands_are_what_they_were():
    model = Model()
    with qstore.deferred(), torch.no_grad():
        scale = torch.tensor(2.0).double()
        product = model.one(X[0], model.w) * scale
        scale += 1
        added = torch.zeros((), dtype=torch.float64)
        added += product
    assert product.item() == pytest.approx(2 * model.one(X[0], model.w).item(), abs=1e-12)
    assert added.item() == product.item()
    assert type(added) is torch.Tensor
