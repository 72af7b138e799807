"""Options of a run: a wrong kind is refused by name, before anything is sent."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pennylane as qml
import pytest

from pennylane_qstore import SPSAOptimizer
from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.training.callbacks import Calibrate, ProgressBar
from pennylane_qstore.training.run import TrainingRun

X = np.random.default_rng(0).normal(size=(6, 2))
Y = X @ np.array([1.0, -1.0])
NUMBERS = (1.5, -1, float("nan"), float("inf"))
WRONG = {
    "model": (5, "text", None),
    "loss": (5, "mse", [abs]),
    "metrics": (5, abs, [abs], {"a": 5}, {5: abs}, "accuracy"),
    "data": (5, "text", {"x": X}, (X, "text"), object()),
    "validation": (5, "text", (X, Y[:2]), (X, Y.astype(str))),
    "batch_size": (4.0, "4", True, 0, 7, *NUMBERS, [4]),
    "drop_last": (1, 0, "yes", None, []),
    "seed": ("1", True, [1], np.random.default_rng(1), *NUMBERS),
    "validate_every": (0, "1", True, None, *NUMBERS),
    "patience": (0, "1", True, *NUMBERS),
    "min_delta": ("1", True, None, [0.1], float("nan"), float("inf")),
    "device": (5, "default.qubit", [5], (None,), object()),
    "budget_usd": (-1, "5", True, [5], float("nan"), float("inf")),
    "checkpoint": (5, b"run.json", True, "", ".", "a/", ["run.json"]),
    "resume": (1, 0, "yes", []),
    "name": (5, None, "", b"run", ["run"]),
    "callbacks": (5, None, abs, [5], ["print"], [ProgressBar], [None]),
    "progress": (1, 0, "yes", abs, []),
    "clock": (5, None, "now"),
    "optimizer": (5, "adam", None),
}
RIGHT = {
    "loss": (None,),
    "metrics": (None, {}),
    "batch_size": (None, 6, np.int64(3)),
    "drop_last": (True, np.True_),
    "seed": (None, 0, np.int64(7)),
    "patience": (None, 3),
    "min_delta": (0, 1e-3, np.float32(0.5)),
    "device": ((), [], (qml.device("default.qubit"),)),
    "budget_usd": (None, 0, 2.5, np.float64(3)),
    "resume": (None, True, False),
    "callbacks": ((), [print], (Calibrate(0.1),), [ProgressBar(False)]),
    "progress": (None, True, False),
    "clock": (time.monotonic,),
}


def make(**options):
    calls = []

    def cost(w, *batch):
        calls.append(batch)
        return float(np.sum(w**2))

    settings = {
        "model": cost, "params": np.ones(2), "optimizer": SPSAOptimizer(maxiter=5, seed=1),
        "data": (X, Y), "batch_size": 2, "device": (), "seed": 1, "progress": False,
    }  # fmt: skip
    return TrainingRun(**{**settings, **options}), calls


@pytest.mark.parametrize(
    ("option", "value"),
    [(option, value) for option, values in WRONG.items() for value in values],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_an_option_of_a_wrong_kind_names_itself(option, value):
    with pytest.raises(ConfigurationError, match=option):
        make(**{option: value})


@pytest.mark.parametrize(
    ("option", "value"), [(option, value) for option, values in RIGHT.items() for value in values]
)
def test_every_other_kind_is_taken(option, value):
    run, calls = make(**{option: value})
    assert run.step == 0
    assert calls == []


@pytest.mark.parametrize("value", [1.5, "2", True, 0, -1, float("nan")])
@pytest.mark.parametrize("option", ["steps", "epochs"])
def test_a_number_of_steps_that_is_none_is_named(option, value):
    run, calls = make()
    with pytest.raises(ConfigurationError, match=option):
        run.train(**{option: value})
    assert calls == []


def test_a_folder_is_no_checkpoint(tmp_path):
    for folder in (tmp_path, str(tmp_path)):
        with pytest.raises(ConfigurationError, match=r"checkpoint=.* is a folder"):
            make(checkpoint=folder)
    assert make(checkpoint=Path(tmp_path) / "run.json")[0].step == 0


def test_what_is_no_file_is_no_checkpoint(tmp_path):
    """A pipe would be waited for, and a link in a circle replaced."""
    pipe, circle = tmp_path / "pipe", tmp_path / "circle"
    os.mkfifo(pipe)
    circle.symlink_to(circle)
    for path in (pipe, circle, "/dev/null"):
        with pytest.raises(ConfigurationError, match=r"checkpoint=.* is a pipe, a device"):
            make(checkpoint=path)
    assert circle.is_symlink()


@pytest.mark.parametrize("name", ["loss", "step", "shots", "cost_usd", "val_loss"])
def test_a_metric_does_not_take_the_place_of_a_column(name):
    with pytest.raises(ConfigurationError, match=f"cannot be named '{name}'"):
        make(loss=np.mean, metrics={name: np.mean})
