"""Damaged and hostile checkpoints: typed errors, nothing called, nothing taken over half."""

from __future__ import annotations

import copy
import hashlib
import json
import random

import numpy as np
import pennylane as qml
import pytest

from pennylane_qstore import SPSAOptimizer
from pennylane_qstore.errors import ConfigurationError, QStoreError
from pennylane_qstore.training.callbacks import Callback
from pennylane_qstore.training.run import TrainingRun

X = np.random.default_rng(0).normal(size=(8, 3))
Y = X @ np.array([0.5, -1.0, 2.0])
NAMES = ("run.json", "run.json.history.jsonl")
WRONG = (
    *(None, True, -1, 0, 10**30, 1.5, -5.0, float("nan"), float("inf"), "", "text", [], {}),
    *([[]], [None], {"$": "generator"}, {"$": "numpy", "dtype": "O", "shape": [1], "data": ""}),
    *({"$": "tuple"}, {"$": "set", "items": [[1]]}, {"$": "mapping", "items": [[[1], 2]]}),
    {"$": "generator", "state": {"bit_generator": "test"}},
    {"$": "numpy", "dtype": "float64", "shape": [2], "data": "no base64"},
    {"$": "jax"},
)


class Counting(Callback):
    count = 0

    def on_step(self, run, record):
        self.count += 1

    def state_dict(self):
        return {"count": self.count}

    def load_state_dict(self, state):
        self.count = state["count"] + 0


def make(folder, optimizer=SPSAOptimizer, **options):
    devices = (qml.device("qstore.ionq", wires=1, seed=1), qml.device("default.qubit", seed=2))
    made = optimizer(maxiter=20, seed=1) if optimizer is SPSAOptimizer else optimizer(0.1)
    return TrainingRun(
        lambda w, x, y: qml.numpy.mean((x @ w - y) ** 2), qml.numpy.zeros(3, requires_grad=True),
        made, data=(X, Y), batch_size=4, seed=2, device=devices, progress=False,
        checkpoint=folder / "run.json", callbacks=[Counting()], **options,
    )  # fmt: skip


@pytest.fixture(params=[SPSAOptimizer, qml.AdamOptimizer], ids=["spsa", "adam"])
def written(request, tmp_path):
    """A checkpoint after three steps, and its optimizer."""
    make(tmp_path, request.param).train(3)
    return tmp_path, request.param, {name: (tmp_path / name).read_bytes() for name in NAMES}


def seal(state):
    """The file of a state with a checksum that fits, as somebody hostile would write it."""
    text = json.dumps(state)
    checksum = hashlib.sha256(text.encode()).hexdigest()
    return f'{text[:-1]}, "checksum": "{checksum}"}}'.encode()


def places(tree, path=()):
    """Paths to everything in a tree."""
    yield path
    items = tree.items() if isinstance(tree, dict) else enumerate(tree)
    for key, item in items if isinstance(tree, dict | list) else ():
        if isinstance(item, dict | list):
            yield from places(item, (*path, key))
        else:
            yield (*path, key)


def changed(tree, path, value):
    tree = copy.deepcopy(tree)
    if not path:
        return value
    inner = tree
    for key in path[:-1]:
        inner = inner[key]
    if value is KeyError:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return tree


def damaged(content, rng):
    """Bytes that are not those that were written."""
    kind = rng.randrange(5)
    at = rng.randrange(len(content))
    if kind == 0:
        return content[:at]
    if kind == 1:
        return content[:at] + bytes([content[at] ^ (1 << rng.randrange(8))]) + content[at + 1 :]
    if kind == 2:
        return content[:at] + b"\xff\xfe" + content[at:]
    if kind == 3:
        return content[:at] + b"[" * 100_000 + content[at:]
    return content[:at] + content[at + rng.randrange(1, 50) :]


def test_damage_to_a_file_is_always_noticed(written):
    folder, optimizer, files = written
    rng = random.Random(1)
    for _ in range(150):
        name = rng.choice(NAMES)
        content = damaged(files[name], rng)
        for other in NAMES:
            (folder / other).write_bytes(content if other == name else files[other])
        if name == NAMES[1] and content.startswith(files[name]):
            continue  # behind the lines that count
        with pytest.raises(ConfigurationError):
            make(folder, optimizer, resume=True).train(3)
        assert (folder / name).read_bytes() == content  # left as it is


@pytest.mark.parametrize("version", [2, 3])
def test_values_of_a_wrong_kind_give_typed_errors_whether_the_checksum_fits_or_not(
    written, version
):
    folder, optimizer, files = written
    rng = random.Random(version)
    state = json.loads(files[NAMES[0]])
    del state["checksum"]
    state["format"] = version
    everywhere = [path for path in places(state) if path not in ((), ("format",))]
    for _ in range(150):
        wrong = changed(state, rng.choice(everywhere), rng.choice((KeyError, *WRONG)))
        (folder / NAMES[0]).write_bytes(seal(wrong) if version == 3 else json.dumps(wrong).encode())
        (folder / NAMES[1]).write_bytes(files[NAMES[1]])
        run = make(folder, optimizer, resume=True)
        before = run.params.tolist(), run.history
        try:
            run.train(3)
        except QStoreError:
            assert (run.params.tolist(), run.history) == before


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        (("devices", 0, "spent_usd"), -1.0, "spent_usd=-1.0"),
        (("devices", 0, "spent_usd"), float("nan"), "spent_usd=nan"),
        (("devices", 0, "batch"), -1, "batch=-1"),
        (("devices",), [], "0 devices"),
        (("best",), 9, "best"),
        (("begun",), 1, "begun"),
        (("run",), 5, "run"),
        (("steps",), 2.0, "steps=2.0"),
        (("steps",), 99, "counts 99"),
        (("settings", "seed"), "1", "seed"),
    ],
)
def test_what_no_run_has_is_refused_by_name(path, value, named, tmp_path):
    make(tmp_path).train(3)
    state = json.loads((tmp_path / "run.json").read_text())
    del state["checksum"]
    (tmp_path / "run.json").write_bytes(seal(changed(state, path, value)))
    with pytest.raises(ConfigurationError, match=named):
        make(tmp_path, resume=True).train(3)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("loss", None), ("loss", float("nan")), ("spent_usd", -1.0), ("cost_usd", float("inf"))),
        *(("step", 7), ("step", True), ("epoch", -1), ("metrics", []), ("metrics", {"a": "b"})),
        *(("circuits", 1.5), ("unknown", 1)),
    ],
)
def test_a_step_that_cannot_have_been_is_refused_by_name(name, value, tmp_path):
    make(tmp_path).train(3)
    lines = (tmp_path / NAMES[1]).read_text().splitlines()
    lines[1] = json.dumps({**json.loads(lines[1]), name: value})
    text = "\n".join([*lines, ""])
    (tmp_path / NAMES[1]).write_text(text)
    state = json.loads((tmp_path / NAMES[0]).read_text())
    del state["checksum"]
    state["history_checksum"] = hashlib.sha256(text.encode()).hexdigest()
    (tmp_path / NAMES[0]).write_bytes(seal(state))
    with pytest.raises(ConfigurationError, match=name):
        make(tmp_path, resume=True).train(3)


def test_values_cannot_take_the_place_of_an_optimizer_s_methods(tmp_path):
    make(tmp_path, qml.AdamOptimizer).train(3)
    state = json.loads((tmp_path / "run.json").read_text())
    del state["checksum"]
    path = ("adapter", "optimizer", "apply_grad")
    (tmp_path / "run.json").write_bytes(seal(changed(state, path, "text")))
    with pytest.raises(ConfigurationError, match="apply_grad"):
        make(tmp_path, qml.AdamOptimizer, resume=True).train(3)
