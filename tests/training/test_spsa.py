"""SPSAOptimizer: what it trains, what a step costs, and that a run can be continued."""

from __future__ import annotations

import dataclasses
import json
from collections import OrderedDict, namedtuple

import numpy as np
import pennylane as qml
import pytest
from pennylane import numpy as pnp
from support.counting import CountingDevice, GradientDevice

from pennylane_qstore.errors import ConfigurationError, JobFailed
from pennylane_qstore.training.spsa import SPSAOptimizer

TARGET = np.array([0.5, -1.0, 2.0])


def quadratic(w):
    return ((w - TARGET) ** 2).sum()


def quadratic_like(w):
    return ((w - 1) ** 2).sum()


def train(opt, cost, w, steps=200, **kwargs):
    for _ in range(steps):
        w = opt.step(cost, w, **kwargs)
    return w


def optimizer(**kwargs):
    return SPSAOptimizer(**{"maxiter": 200, "seed": 1, "a": 1.0, **kwargs})


# --------------------------------------------------------------------------- kinds of parameters


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_numpy_parameters_train_and_keep_their_kind(dtype):
    w = train(optimizer(), quadratic, np.zeros(3, dtype))
    assert (type(w), w.dtype) == (np.ndarray, dtype)
    np.testing.assert_allclose(w, TARGET, atol=0.05)


def test_numpy_scalars_train():
    w = train(optimizer(), lambda w: (w - 1.0) ** 2, np.float64(0.0))
    assert type(w) is np.float64
    assert w == pytest.approx(1.0, abs=0.05)


def test_pennylane_tensors_train_if_they_say_so():
    w, x = pnp.zeros(3), pnp.zeros(3, requires_grad=False)
    new_w, new_x = optimizer().step(lambda w, x: quadratic(w + x), w, x)
    assert type(new_w) is pnp.tensor
    assert new_w.requires_grad
    assert new_x is x
    assert not np.array_equal(new_w, w)


def test_plain_arrays_beside_a_trainable_tensor_are_data():
    data = np.ones(3)
    _, same = optimizer().step(lambda w, x: quadratic(w * x), pnp.zeros(3), data)
    assert same is data


@pytest.mark.ml
def test_torch_parameters_train_and_keep_their_kind():
    torch = pytest.importorskip("torch")
    target = torch.tensor(TARGET)
    for w in (
        torch.zeros(3, dtype=torch.float64),
        torch.zeros(3, dtype=torch.float32, requires_grad=True),
    ):
        new = train(optimizer(), lambda w: ((w - target) ** 2).sum(), w)
        assert (new.dtype, new.requires_grad, new.is_leaf) == (w.dtype, w.requires_grad, True)
        np.testing.assert_allclose(new.detach().numpy(), TARGET, atol=0.05)


@pytest.mark.ml
def test_jax_parameters_train_and_keep_their_kind():
    jax = pytest.importorskip("jax")
    target = jax.numpy.asarray(TARGET)
    for wrap in (lambda f: f, jax.jit):
        new = train(optimizer(), wrap(lambda w: ((w - target) ** 2).sum()), jax.numpy.zeros(3))
        assert isinstance(new, jax.Array)
        assert new.dtype == jax.numpy.zeros(3).dtype
        np.testing.assert_allclose(new, TARGET, atol=0.05)


def test_trees_of_parameters_keep_their_form():
    Pair = namedtuple("Pair", "a b")
    ordered = OrderedDict(a=np.zeros(1))
    assert type(optimizer().step(lambda t: quadratic_like(t["a"]), ordered)) is OrderedDict
    tree = {"w": [np.zeros(2), Pair(np.zeros(()), "name")], "n": np.array([3]), "s": 2.0}

    def cost(tree):
        assert isinstance(tree["w"][1], Pair)
        return np.sum((tree["w"][0] - 1) ** 2) + (tree["w"][1].a + 1) ** 2

    new = train(optimizer(), cost, tree)
    np.testing.assert_allclose(new["w"][0], [1, 1], atol=0.05)
    assert new["w"][1].a == pytest.approx(-1, abs=0.05)
    assert new["w"][1].b == "name"
    assert new["n"] is tree["n"]


@pytest.mark.ml
def test_classes_that_jax_knows_as_trees_are_trained_too():
    jax = pytest.importorskip("jax")

    @dataclasses.dataclass
    class Model:
        w: object
        inner: object
        name: str

    jax.tree_util.register_dataclass(Model, ["w", "inner"], ["name"])
    model = Model(jax.numpy.zeros(2), {"b": [np.zeros(1), None]}, "mine")

    def cost(tree):
        assert tree["model"].name == "mine"
        return quadratic_like(tree["model"].w) + quadratic_like(tree["model"].inner["b"][0])

    new = train(optimizer(), cost, {"model": model})["model"]
    assert type(new) is Model
    assert isinstance(new.w, jax.Array)
    assert isinstance(new.inner["b"][0], np.ndarray)
    np.testing.assert_allclose(new.w, [1, 1], atol=0.05)
    np.testing.assert_allclose(new.inner["b"][0], [1], atol=0.05)


def test_several_arguments_come_back_as_a_list_and_argnums_choose():
    a, b = np.zeros(2), np.zeros(3)

    def cost(a, b):
        return np.sum((a - 1) ** 2) + np.sum((b - 1) ** 2)

    new = optimizer().step(cost, a, b)
    assert isinstance(new, list)
    assert np.all(new[0] != 0)
    assert np.all(new[1] != 0)
    new = optimizer(argnums=1).step(cost, a, b)
    assert np.all(new[0] == 0)
    assert np.all(new[1] != 0)


def test_keyword_arguments_are_data():
    x = np.ones(3)
    train(optimizer(), lambda w, x: quadratic(w * x), np.zeros(3), steps=2, x=x)
    np.testing.assert_array_equal(x, np.ones(3))


@pytest.mark.parametrize(
    "w", [0.5, np.array([1, 2]), pnp.array(0.5, requires_grad=False), np.zeros((0, 3))]
)
def test_nothing_to_train_is_an_error_and_not_a_silent_no_op(w):
    with pytest.raises(ConfigurationError, match="Nothing to train"):
        optimizer().step(lambda w: w, w)


# --------------------------------------------------------------------------- losses


@pytest.mark.parametrize("convert", [float, np.float64, np.asarray, pnp.array, lambda v: [v][0]])
def test_scalars_of_every_kind_are_losses(convert):
    new, loss = optimizer().step_and_cost(lambda w: convert(float(quadratic(w))), np.zeros(3))
    assert loss == pytest.approx(quadratic(np.zeros(3)))
    assert np.all(new != 0)


@pytest.mark.parametrize(
    ("value", "named"),
    [
        (np.zeros(3), r"shape \(3,\)"),
        (np.zeros((2, 2)), r"shape \(2, 2\)"),
        ((1.0, 2.0), "a tuple of length 2"),
        ([1.0], "a list of length 1"),
        (None, "a NoneType"),
        (np.complex128(1), "complex128"),
        (1j, "a complex"),
        (np.array(1j), r"shape \(\) and type complex128"),
        (np.array("a"), r"shape \(\) and type <U1"),
        (True, "a bool"),
        (np.bool_(True), "type bool"),
        ({"loss": 1.0}, "a dict of length 1"),
        ("1", "a str"),
        (np.nan, "nan"),
        (np.inf, "inf"),
    ],
)
def test_anything_but_a_finite_real_scalar_is_refused(value, named):
    opt = optimizer()
    before = json.dumps(opt.state_dict())
    with pytest.raises(ConfigurationError, match=named):
        opt.step(lambda w: value, np.zeros(3))
    assert json.dumps(opt.state_dict()) == before


@pytest.mark.ml
@pytest.mark.parametrize("library", ["torch", "jax"])
def test_anything_but_a_real_scalar_of_torch_or_jax_is_refused_with_its_shape(library):
    pytest.importorskip(library)
    if library == "torch":
        import torch as xp
    else:
        import jax.numpy as xp
    w = xp.zeros(3)
    for value, named in (
        (xp.zeros(2), r"shape \(2,\)"),
        (xp.zeros((1, 2)), r"shape \(1, 2\)"),
        (xp.ones(()) * 1j, r"shape \(\) and type .*complex64"),
        (xp.ones(()) > 0, "type .*bool"),
    ):
        with pytest.raises(ConfigurationError, match=named):
            optimizer().step(lambda w, value=value: value, w)
    new, loss = optimizer().step_and_cost(lambda w: float(((w - 1) ** 2).sum()), w)
    assert (type(new), loss) == (type(w), 3.0)


def test_vector_of_results_is_refused_before_anything_is_sent():
    dev = CountingDevice(wires=1)

    @qml.qnode(dev)
    def circuit(w):
        qml.RX(w, 0)
        return qml.probs(wires=0)

    with pytest.raises(ConfigurationError, match=r"shape \(2,\)"):
        optimizer().step(circuit, np.array(0.1))
    assert dev.posts == []


# --------------------------------------------------------------------------- circuits


def problem():
    dev = CountingDevice(wires=2)

    @qml.qnode(dev)
    def circuit(x, w):
        qml.AngleEmbedding(x, wires=range(2))
        qml.StronglyEntanglingLayers(w, wires=range(2))
        return qml.expval(qml.Z(0))

    rng = np.random.default_rng(0)
    x, y, w = rng.uniform(size=(4, 2)), rng.choice([-1.0, 1.0], 4), rng.uniform(size=(1, 2, 3))
    return dev, (lambda w: sum((circuit(a, w) - b) ** 2 for a, b in zip(x, y, strict=True))), w


def test_step_and_cost_of_a_loop_is_one_batch():
    dev, cost, w = problem()
    new, loss = optimizer().step_and_cost(cost, w)
    assert dev.posts == [12]
    assert type(loss) is np.float64
    assert loss == pytest.approx(float(cost(w)), abs=1e-12)
    assert np.all(new != w)


@pytest.mark.ml
@pytest.mark.parametrize("options", [{}, {"blocking": True}])
def test_no_gradient_is_paid_for_with_torch_parameters(options):
    torch = pytest.importorskip("torch")
    dev = GradientDevice(wires=1)

    @qml.qnode(dev, diff_method="device")
    def circuit(tree):
        qml.RX(tree["w"], 0)
        return qml.expval(qml.Z(0))

    w = {"w": torch.nn.Parameter(torch.tensor(0.4))}
    new, loss = optimizer(**options).step_and_cost(circuit, w)
    assert dev.posts == ([3, 1] if options else [3])
    assert isinstance(new["w"], torch.nn.Parameter)
    assert new["w"].requires_grad
    assert not loss.requires_grad


@pytest.mark.parametrize(
    ("mode", "posts"), [("deferred", [12]), ("tasks", [3] * 4), ("serial", [1] * 12)]
)
def test_every_mode_gives_the_same_step(mode, posts):
    _, cost, w = problem()
    wanted = optimizer().step_and_cost(cost, w)
    dev, cost, w = problem()
    found = optimizer(mode=mode).step_and_cost(cost, w)
    assert dev.posts == posts
    np.testing.assert_allclose(found[0], wanted[0], atol=1e-12)
    assert found[1] == pytest.approx(wanted[1], abs=1e-12)


def test_resamplings_share_the_batch_and_average_the_gradient():
    dev, cost, w = problem()
    optimizer(resamplings=3).step(cost, w)
    assert dev.posts == [24]
    one = optimizer(resamplings=1000, mode="serial").compute_grad(quadratic, (np.zeros(3),), {})
    np.testing.assert_allclose(one[0], -2 * TARGET, atol=0.5)


def test_first_step_equals_pennylane_with_the_same_signs():
    _, cost, w = problem()
    mine = optimizer(a=None)
    stock = qml.SPSAOptimizer(maxiter=200)
    np.random.seed(0)  # noqa: NPY002 - what the stock optimizer draws from
    signs = np.random.get_state()  # noqa: NPY002
    wanted = stock.step(cost, pnp.array(w))
    np.random.set_state(signs)  # noqa: NPY002

    class Drawn:
        def choice(self, values, size):
            return np.random.choice([-1, 1], size=size)  # noqa: NPY002

        bit_generator = mine._rng.bit_generator

    mine._rng = Drawn()
    np.testing.assert_allclose(mine.step(cost, w), wanted, atol=1e-12)
    assert (mine.k, mine.ak) == (stock.k, stock.ak)


def test_failed_step_leaves_the_optimizer_as_it_was():
    dev, cost, w = problem()
    opt, same = optimizer(), optimizer()

    def fail(dev):
        raise JobFailed("no ions")

    dev.fail = fail
    with pytest.raises(JobFailed):
        opt.step(cost, w)
    dev.fail = None
    np.testing.assert_array_equal(opt.step(cost, w), same.step(cost, w))


# --------------------------------------------------------------------------- options


def test_seeds_decide_the_run():
    runs = [train(optimizer(seed=s), quadratic, np.zeros(3), 5) for s in (1, 1, 2)]
    np.testing.assert_array_equal(runs[0], runs[1])
    assert not np.array_equal(runs[0], runs[2])


def test_global_random_state_is_not_touched():
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    train(optimizer(), quadratic, np.zeros(3), 3)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


def test_calibration_is_one_batch_and_sets_the_first_step():
    dev, cost, w = problem()
    opt = optimizer(a=None)
    a = opt.calibrate(cost, w, first_step=0.1, samples=50)
    assert dev.posts == [400]
    assert a == opt.a
    opt = SPSAOptimizer(maxiter=200, seed=0)
    opt.calibrate(quadratic, np.zeros(3), first_step=0.1, samples=200)
    sizes = [
        np.abs(SPSAOptimizer(maxiter=200, a=opt.a, seed=s).step(quadratic, np.zeros(3))).mean()
        for s in range(200)
    ]
    assert np.mean(sizes) == pytest.approx(0.1, rel=0.15)


def test_calibration_sees_how_near_the_points_are_at_a_bound():
    """On the bound only one of the two moves, so the slope is twice the difference's."""

    def slope(bounds):
        opt = SPSAOptimizer(maxiter=200, seed=0, bounds=bounds)
        return 1 / opt.calibrate(lambda w: 3.0 * w, np.array(0.0), first_step=0.1, samples=2)

    assert slope((0.0, 1.0)) == pytest.approx(slope(None))


def test_calibration_on_a_flat_objective_keeps_a(caplog):
    opt = optimizer()
    assert opt.calibrate(lambda w: 1.0, np.zeros(3)) == 1.0
    assert "flat" in caplog.text


def test_blocking_refuses_steps_that_raise_the_loss():
    opt = optimizer(blocking=True, allowed_increase=0.0, a=100.0)
    w = np.zeros(3)
    new, loss = opt.step_and_cost(quadratic, w)
    np.testing.assert_array_equal(new, w)
    assert (opt.rejected, opt.k) == (1, 2)
    assert loss == quadratic(w)
    assert not np.array_equal(optimizer(a=100.0).step(quadratic, w), w)


def test_blocking_costs_one_batch_more():
    dev, cost, w = problem()
    optimizer(blocking=True).step(cost, w)
    assert dev.posts == [12, 4]


def test_blocking_allows_twice_the_spread_of_the_last_losses():
    opt = optimizer(blocking=True, a=1e-6)
    for loss in (1.0, 3.0):
        opt.step(lambda w, loss=loss: loss, np.zeros(3))
    assert opt.rejected == 0
    values = iter([3.0, 3.0, 2.0, 3.5])  # plus, minus, here, there: 2 std([1, 3, 2]) is 1.63
    opt.step(lambda w: next(values), np.zeros(3))
    assert opt.rejected == 0
    values = iter([3.0, 3.0, 2.0, 6.0])
    opt.step(lambda w: next(values), np.zeros(3))
    assert opt.rejected == 1


def test_bounds_hold_for_iterates_and_for_every_point_evaluated():
    seen = []

    def cost(w):
        seen.append(w)
        return quadratic(w)

    w = train(optimizer(bounds=(-0.5, [0.2, 1.0, 0.2]), resamplings=10), cost, np.zeros(3))
    np.testing.assert_allclose(w, [0.2, -0.5, 0.2], atol=0.05)
    assert np.min(seen) >= -0.5
    assert np.all(np.max(seen, axis=0) <= [0.2, 1.0, 0.2])


def test_projection_is_applied_to_the_new_arguments():
    def unit(w):
        return w / np.linalg.norm(w)

    w = train(optimizer(projection=unit, resamplings=10), quadratic, np.ones(3), 300)
    np.testing.assert_allclose(w, TARGET / np.linalg.norm(TARGET), atol=0.1)


def test_projected_parameters_keep_their_kind():
    w = pnp.array([0.5, 2.0], requires_grad=True)
    data = np.ones(2)
    opt = optimizer(projection=lambda w, x: (np.clip(np.asarray(w), 0, 1), np.asarray(x)))
    new, same = opt.step(lambda w, x: quadratic_like(w * x), w, data)
    assert type(new) is pnp.tensor
    assert new.requires_grad
    assert new[1] == 1.0
    assert same is data


@pytest.mark.ml
def test_projected_torch_parameters_are_leaves():
    torch = pytest.importorskip("torch")
    w = torch.nn.Parameter(torch.tensor([0.5, 2.0]))
    new = optimizer(projection=lambda w: w.clamp(0, 1)).step(lambda w: (w**2).sum(), w)
    assert isinstance(new, torch.nn.Parameter)
    assert new.is_leaf
    assert new[1] == 1.0


@pytest.mark.parametrize("wrong", [lambda w: None, lambda w: w[:2], lambda w: w * np.nan])
def test_projection_that_returns_something_else_is_named(wrong):
    opt = optimizer(projection=wrong)
    before = json.dumps(opt.state_dict())
    with pytest.raises(ConfigurationError, match="projection returned"):
        opt.step(quadratic, np.zeros(3))
    assert json.dumps(opt.state_dict()) == before


def test_bounds_that_do_not_fit_the_parameters_are_refused():
    with pytest.raises(ConfigurationError, match=r"broadcast to parameters of shape \(3,\)"):
        optimizer(bounds=(np.zeros(2), np.ones(2))).step(quadratic, np.zeros(3))


def test_positions_beyond_the_arguments_are_refused():
    with pytest.raises(ConfigurationError, match=r"argnums=\(1,\)"):
        optimizer(argnums=1).step(quadratic, np.zeros(3))


def test_long_gradients_are_shortened():
    grad = optimizer(max_norm=0.1).compute_grad(quadratic, (np.zeros(3),), {})[0]
    assert np.linalg.norm(grad) == pytest.approx(0.1)


@pytest.mark.parametrize("average", [3, 0.015])
def test_average_is_the_mean_of_the_last_iterates(average):
    opt, w, seen = optimizer(average=average), np.zeros(3), []
    assert opt.averaged(w) is w
    for _ in range(6):
        w = opt.step(quadratic, w)
        seen.append(w)
    np.testing.assert_allclose(opt.averaged(w), np.mean(seen[-3:], axis=0), atol=1e-15)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"resamplings": 2},
        {"blocking": True},
        {"average": 0.1, "max_norm": 3.0},
        {"bounds": (-1.0, [0.4, 0.5, 0.6]), "allowed_increase": 0.1, "argnums": 0},
    ],
)
@pytest.mark.parametrize("bits", [np.random.PCG64, np.random.MT19937, np.random.SFC64])
def test_saved_state_continues_bit_for_bit(settings, bits):
    opt = optimizer(**settings, seed=np.random.Generator(bits(5)))
    opt.calibrate(quadratic, np.zeros(3))
    w = train(opt, quadratic, np.zeros(3), 7)
    state = json.loads(json.dumps(opt.state_dict()))
    wanted = train(opt, quadratic, w, 7)

    other = SPSAOptimizer(maxiter=200, seed=99, **settings)
    other.load_state_dict(state)
    found = train(other, quadratic, w, 7)
    assert found.tobytes() == wanted.tobytes()
    assert json.dumps(other.state_dict()) == json.dumps(opt.state_dict())
    assert opt.averaged(w).tobytes() == other.averaged(w).tobytes()


@pytest.mark.parametrize(
    "other",
    [{"resamplings": 2}, {"max_norm": 1.0}, {"bounds": (0, 1)}, {"allowed_increase": 0.5}],
)
def test_state_of_other_settings_is_refused(other):
    state = optimizer(**other).state_dict()
    with pytest.raises(ConfigurationError, match=next(iter(other))):
        optimizer().load_state_dict(state)
    with pytest.raises(ConfigurationError, match="version"):
        optimizer().load_state_dict({**state, "version": 99})


@pytest.mark.parametrize(
    "damage",
    [
        lambda state: state.pop("rng"),
        lambda state: state.pop("settings"),
        lambda state: state["rng"].update(bit_generator="Nonsense"),
        lambda state: state["rng"].update(bit_generator=5),
        lambda state: state["iterates"][0][0].update(shape=[7]),
        lambda state: state.update(losses=None),
    ],
)
def test_damaged_state_is_refused_and_changes_nothing(damage):
    opt = optimizer(average=2)
    opt.step(quadratic, np.zeros(3))
    state, fresh = opt.state_dict(), optimizer(average=2)
    before = json.dumps(fresh.state_dict())
    damage(state)
    with pytest.raises(ConfigurationError, match="damaged"):
        fresh.load_state_dict(state)
    assert json.dumps(fresh.state_dict()) == before


@pytest.mark.parametrize(
    "wrong",
    [
        {"resamplings": 0},
        {"resamplings": 1.5},
        {"resamplings": True},
        {"history_length": 1},
        *({"max_norm": value} for value in (0, "1")),
        *({"c": value} for value in (0, np.nan, np.inf, "0.2", None)),
        *({"a": value} for value in (0, -1.0, np.nan)),
        *({"A": value} for value in (-1, np.nan)),
        *({"maxiter": value} for value in (-5, "100")),
        {"alpha": np.nan},
        {"gamma": "x"},
        {"mode": "fast"},
        {"blocking": "no"},
        *({"allowed_increase": value} for value in (np.nan, "1")),
        *({"bounds": value} for value in ((1.0, 0.0), 1.0, [(-1, 1)] * 3, (None, 1), ("a", "b"))),
        {"projection": 1},
        *({"seed": value} for value in (-1, 1.5, "a")),
        *({"argnums": value} for value in ("0", 0.0, True, [0, None])),
        *({"average": value} for value in (-1, np.inf, "x")),
        {"maxiter": None, "A": 10.0, "average": 0.5},
    ],
    ids=str,
)
def test_wrong_options_are_refused_by_name(wrong):
    name = list(wrong)[-1]
    with pytest.raises(ConfigurationError, match=f"^{name}="):
        optimizer(**wrong)


def test_numbers_of_numpy_are_options_and_the_state_is_still_json():
    one, two = np.float32(1), np.int64(2)
    opt = SPSAOptimizer(
        maxiter=two * 50,
        c=one,
        a=one,
        A=one,
        max_norm=one,
        seed=two,
        resamplings=two,
        history_length=two,
        argnums=np.int64(0),
        average=two,
        blocking=np.bool_(True),
        allowed_increase=one,
    )
    opt.step(quadratic, np.zeros(3))
    assert json.loads(json.dumps(opt.state_dict())) == opt.state_dict()


def test_it_is_a_drop_in():
    opt = SPSAOptimizer(100, 0.6, 0.1, 0.3, 11.0, 0.7)
    stock = qml.SPSAOptimizer(100, 0.6, 0.1, 0.3, 11.0, 0.7)
    assert isinstance(opt, qml.SPSAOptimizer)
    assert {k: v for k, v in vars(opt).items() if k in vars(stock)} == vars(stock)
    with pytest.raises(TypeError, match="maxiter"):
        SPSAOptimizer()
