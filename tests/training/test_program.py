"""A run goes on by the functions that it began with; another loss or start is said to be one."""

from __future__ import annotations

import functools
import importlib.util
import json
import os
import warnings

import numpy as np
import pytest

from pennylane_qstore import SPSAOptimizer
from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.training.fingerprint import start_of
from pennylane_qstore.training.program import Program, constant_text, is_installed, is_users
from pennylane_qstore.training.run import TrainingRun

X = np.random.default_rng(0).normal(size=(8, 2))
Y = np.sign(X[:, 0])


def model(w, x):
    return x @ w


def square(out, y):
    return np.mean((out - y) ** 2)


def absolute(out, y):
    return np.mean(np.abs(out - y))


def make(folder, *, model=model, loss=square, params=(0.1, 0.2), **options):
    """A run without circuits."""
    return TrainingRun(
        model, np.array(params), SPSAOptimizer(maxiter=20, seed=1), loss=loss,
        **{"data": (X, Y), "seed": 1, "device": (), "progress": False,
           "checkpoint": None if folder is None else folder / "run.json", **options},
    )  # fmt: skip


def weighted(weight, scale=1.0):
    def loss(out, y):
        return np.mean(weight * scale * square(out, y))

    return loss


class Loss:
    """A loss that counts its calls."""

    def __init__(self, weight):
        self.weight, self.calls = weight, 0

    def __call__(self, out, y):
        self.calls += 1
        return self.weight * self.part(out, y)

    def part(self, out, y):
        return square(out, y)


class OtherPart(Loss):
    """The same, with another part."""

    def part(self, out, y):
        return absolute(out, y)


def powered(out, y, power=2):
    return np.mean(np.abs(out - y) ** power)


@pytest.mark.parametrize(
    ("first", "other", "named"),
    [
        (square, absolute, "loss is written in another way"),
        (lambda o, y: np.mean((o - y) ** 2), lambda o, y: np.mean((o - y) ** 4), "loss is written"),
        (weighted(1.0), weighted(2.0), "weight: 1.0 there, 2.0 here"),
        (weighted(np.ones(1)[0]), weighted(2), "weight: 1.0 there, 2 here"),
        (weighted(np.ones(8)), weighted(np.full(8, 2.0)), r"weight: array \[8\]"),
        (functools.partial(powered, power=2), functools.partial(powered, power=4), "power of loss"),
        (Loss(1.0), Loss(2.0), "self.weight: 1.0 there, 2.0 here"),
        (Loss(1.0), OtherPart(1.0), "self.part is written in another way"),
        (Loss(1.0).part, OtherPart(1.0).part, "loss is written in another way"),
    ],
)
def test_another_loss_is_refused_and_the_checkpoint_stays(first, other, named, tmp_path):
    make(tmp_path, loss=first).train(3)
    before = [(p.name, p.read_bytes()) for p in sorted(tmp_path.iterdir())]
    changed = make(tmp_path, loss=other, resume=True)
    for _ in range(2):
        with pytest.raises(ConfigurationError, match=rf"run\.json' were made by .*\({named}.*sent"):
            changed.train(5)
    assert [(p.name, p.read_bytes()) for p in sorted(tmp_path.iterdir())] == before
    assert make(tmp_path, loss=other, resume="edited").train(5).step == 5
    assert make(tmp_path, loss=other, resume=True).train(6).step == 6


def same_square(out, y):
    """Return the same, written with another comment."""
    return np.mean((out - y) ** 2)  # of all


@pytest.mark.parametrize(
    ("first", "other"),
    [
        (square, same_square),
        (weighted(1.0), weighted(1.0)),
        (Loss(1.0), Loss(1.0)),
        (np.vdot, np.vdot),
    ],
)
def test_the_same_loss_goes_on(first, other, tmp_path):
    make(tmp_path, loss=first).train(3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert make(tmp_path, loss=other, resume=True).train(5).step == 5


def test_what_changes_by_itself_is_not_compared(tmp_path):
    """A counter of calls, before and after a step; nor what the first start did not look at."""
    loss = Loss(1.0)
    make(tmp_path, loss=loss).train(3)
    assert loss.calls
    assert make(tmp_path, loss=loss, resume=True).train(4).step == 4
    assert make(tmp_path, loss=Loss(1.0), resume=True).train(5).step == 5
    with pytest.raises(ConfigurationError, match=r"weight"):
        make(tmp_path, loss=Loss(3.0), resume=True).train(6)


def made(text, name="f"):
    """Return a function that has no source, as in a notebook or after an edit of its file."""
    space = {"np": np}
    exec(text, space)
    return space[name]


def test_functions_without_a_source_are_compared(tmp_path):
    text = "def loss(o, y): return np.mean((o - y) ** {})"
    make(tmp_path, loss=made(text.format(2), "loss")).train(1)
    again = made("\n# A comment.\n" + text.format(2), "loss")
    assert make(tmp_path, loss=again, resume=True).train(2).step == 2
    with pytest.raises(ConfigurationError, match="loss is written in another way"):
        make(tmp_path, loss=made(text.format(4), "loss"), resume=True).train(3)


def texts_of(function):
    program = Program(loss=function)
    program.compare(None, 0, edited=False)
    program.record()
    return program.recorded


PLAIN = "def f(out, y):\n    return ((out - y) ** 2).mean()\n"


@pytest.mark.parametrize(
    "same",
    [
        "\n\nimport os\n" + PLAIN,
        'def f(out, y):\n    """Square."""\n    # comment\n    return ((out - y)**2).mean()\n',
        "def f(out: float, y: list[int]) -> float:\n    return ((out - y) ** 2).mean()\n",
        "def g(out, y):\n    return (\n        (out - y) ** 2\n    ).mean()\nf = g\n",
        "from functools import cache\n@cache\n" + PLAIN + "f = f.__wrapped__\n",
        "class A:\n    @staticmethod\n    def f(out, y):\n        return ((out - y) ** 2).mean()\n"
        "f = A.f\n",
        "f = lambda out, y: ((out - y) ** 2).mean()\n",
    ],
)
def test_lines_comments_types_and_names_make_no_difference(same):
    assert texts_of(made(same)) == texts_of(made(PLAIN))


@pytest.mark.parametrize(
    "other",
    [
        "def f(out, y):\n    return ((out + y) ** 2).mean()\n",
        "def f(out, y):\n    return ((out - y) ** 2.0).mean()\n",
        "def f(out, y):\n    return ((out - y) ** 2).sum()\n",
        "def f(out, y, w=1):\n    return ((out - y) ** 2).mean()\n",
        "def f(out, y, *w):\n    return ((out - y) ** 2).mean()\n",
        "def f(out, *, y):\n    return ((out - y) ** 2).mean()\n",
        "def f(y, out):\n    return ((out - y) ** 2).mean()\n",
        "def f(out, y):\n    return (lambda x: x ** 2)(out - y).mean()\n",
    ],
)
def test_what_returns_something_else_is_another(other):
    assert texts_of(made(other))["loss"] != texts_of(made(PLAIN))["loss"]
    inner = "def f(out, y):\n    return (lambda x: x ** {})(out - y).mean()\n"
    assert texts_of(made(inner.format(2))) != texts_of(made(inner.format(3)))


def test_names_are_those_that_it_reads():
    text = (
        "import math\nA, B, C, x = 1, 2, 3, 4\n"
        "def outer(k):\n    def f(x):\n        C = 1\n"
        "        return A * x + k + math.pi + sum(B * i for i in [C])\n    return f\nf = outer(2)\n"
    )
    assert texts_of(made(text)).keys() == {"loss", "A", "k", "B"}


def test_a_function_that_calls_itself_is_read_once():
    class Recursive:
        def part(self, n):
            return self.part(n - 1) if n else 0

    assert texts_of(Recursive().part).keys() == {"loss"}
    factorial = made("def f(n): return n * f(n - 1) if n else 1")
    assert texts_of(factorial).keys() == {"loss"}


def test_sets_are_compared_in_one_order():
    """Each process draws the order of a set of texts; of these numbers it is as they are given."""
    first, second = (made(f"def f(x): return x in {{{items}}}") for items in ("0, 8", "8, 0"))
    assert repr(first.__code__.co_consts) != repr(second.__code__.co_consts)
    assert texts_of(first) == texts_of(second)


@pytest.mark.parametrize("record", ["code 3.5 0123456789ab", "code 9c56406f2d7da8f7"])
def test_functions_of_another_python_or_an_earlier_release_are_not_compared(record, tmp_path):
    """Their constants are."""
    make(tmp_path, loss=weighted(1.0)).train(2)
    state = json.loads((tmp_path / "run.json").read_text())
    state["program"] |= dict.fromkeys(("loss", "model", "square"), record)
    del state["checksum"]
    (tmp_path / "run.json").write_text(json.dumps({**state, "format": 2}))
    with pytest.raises(ConfigurationError, match=r"\(weight: 1.0 there, 2.0 here\)"):
        make(tmp_path, loss=weighted(2.0), resume=True).train(3)
    assert make(tmp_path, loss=weighted(1.0), resume=True).train(3).step == 3
    assert json.loads((tmp_path / "run.json").read_text())["program"]["loss"] != record


def test_installed_packages_are_told_from_the_user_s_program():
    @functools.wraps(np.mean)
    def mine(x):
        return x

    mine.__module__ = "program"
    assert is_users(mine)
    assert is_users(made(PLAIN))
    assert is_users(Loss(1.0))
    assert not is_users(np.mean)
    assert not is_users(json.dumps)
    assert not is_users(os.path.join)
    assert not is_users(print)
    assert not is_users(Program)
    assert is_installed("/p/.venv/lib/python3.12/site-packages/a.py")
    assert not is_installed("/home/user/a.py")


@pytest.mark.parametrize("at", [2, 7, 12])
def test_what_changes_late_is_not_compared(at, tmp_path):
    """Also between the steps that look for changes."""
    loss = Loss(1.0)

    def change(record):
        loss.weight += record.step == at

    make(tmp_path, loss=loss, callbacks=[change]).train(12)
    assert json.loads((tmp_path / "run.json").read_text())["program"]["self.weight"] == "varying"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert make(tmp_path, loss=loss, resume=True).train(13).step == 13


def test_what_no_step_was_made_by_is_not_recorded(tmp_path):
    """A start with another loss that came to no step leaves the first one's right to go on."""
    make(tmp_path).train(2)

    def wrong(out, y):
        raise ValueError("no step")

    with pytest.raises(ValueError, match="no step"):
        make(tmp_path, loss=wrong, resume="edited").train(3)
    assert make(tmp_path, resume=True).train(3).step == 3


def test_a_mistake_in_the_loss_is_mended_before_the_first_step(tmp_path):
    def wrong(out, y):
        return out.no_such_thing

    with pytest.raises(AttributeError):
        make(tmp_path, loss=wrong).train(2)
    assert make(tmp_path, loss=square, resume=True).train(2).step == 2


HELPERS = """
import numpy as np
POWER, PATH = 2, "/tmp/of/process-{process}.log"
def part(out, y):
    return np.abs(out - y) {operator} POWER
def unused():
    return {process}
def cost(w, x, y):
    print("step", file=open("/dev/null", "w")) if False else PATH
    return np.mean(part(x @ w, y))
"""


def program(path, **values):
    """Return the module of a user's program, edited."""
    path.write_text(HELPERS.format(**values))
    spec = importlib.util.spec_from_file_location("program", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("operator", "power", "named"),
    [
        ("*", 2, "part is written in another way"),
        ("**", 3, "POWER: 2 there, 3 here"),
        ("**", 2, ""),
    ],
)
def test_helpers_and_constants_of_a_cost_are_compared(operator, power, named, tmp_path):
    first = program(tmp_path / "a.py", operator="**", process=1)
    make(tmp_path, model=first.cost, loss=None).train(2)
    second = program(tmp_path / "b.py", operator=operator, process=2)
    second.POWER = power
    run = make(tmp_path, model=second.cost, loss=None, resume=True)
    if not named:
        assert run.train(3).step == 3
        return
    with pytest.raises(ConfigurationError, match=named):
        run.train(3)


def test_within_one_start_a_change_is_warned_of(tmp_path):
    module = program(tmp_path / "a.py", operator="**", process=1)
    run = make(None, model=module.cost, loss=None).train(2)
    module.POWER = 3
    said = r"POWER: 2 there, 3 here\); the steps from here on"
    with pytest.warns(UserWarning, match=said) as warned:
        run.train(3)
    assert warned[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run.train(4)


def test_other_initial_parameters_are_said_not_to_be_used(tmp_path):
    first = make(tmp_path).train(3)
    said = r"step 3 in .*run\.json.*not used.*resume=False"
    with pytest.warns(UserWarning, match=said) as warned:
        again = make(tmp_path, params=(0.5, 0.2), resume=True).train(3)
    assert warned[0].filename == __file__
    np.testing.assert_array_equal(again.params, first.params)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make(tmp_path, params=again.params, resume=True).load()
        make(tmp_path, resume=True).train(4)
    before = (tmp_path / "run.json").read_bytes()
    with pytest.raises(ConfigurationError, match=r"shapes \[\(1,\)\]; the state's: \[\(2,\)\]"):
        make(tmp_path, model=lambda w, x: x[:, :1] @ w, params=(0.1,), resume=True).train(5)
    assert (tmp_path / "run.json").read_bytes() == before


def test_a_checkpoint_of_an_earlier_release_is_read_as_before(tmp_path):
    """It tells nothing of the program, which is recorded from then on."""
    make(tmp_path).train(2)
    state = json.loads((tmp_path / "run.json").read_text())
    for name in ("program", "start", "checksum"):
        del state[name]
    (tmp_path / "run.json").write_text(json.dumps({**state, "format": 2}))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make(tmp_path, loss=absolute, params=(1.0, 1.0), resume=True).train(3)
    with pytest.raises(ConfigurationError, match="loss is written"):
        make(tmp_path, resume=True).train(4)


@pytest.mark.parametrize("damage", [[], "x", {"loss": 1}, 3])
def test_a_damaged_record_compares_nothing_that_is_not_there(damage):
    program = Program(model=model, loss=square)
    program.restore(damage)
    program.compare(None, 1, edited=False)
    program.record()
    assert program.recorded["loss"].startswith("code ")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1, "1"), (np.float64(0.5), "0.5"), (None, "None"), ("mean", "'mean'"), ("/tmp/a", None),
        ([1, 2], "list 1, 2"), ({"a": 1}, "dict ['a']1"), ([], None), (print, None),
        ([0] * 2000, None), (np.zeros(20_000), None), (np.array(["a"]), None), ([object()], None),
    ],
)  # fmt: skip
def test_constants_as_texts(value, text):
    assert constant_text(value) == text


def test_long_constants_are_short_texts():
    assert constant_text([1.5] * 500) == constant_text([1.5] * 500) != constant_text([1.5] * 501)
    assert len(constant_text([1.5] * 500)) < 40
    assert start_of({"a": np.ones(2), "b": [1]}) != start_of({"a": np.ones(2), "b": [2]})
