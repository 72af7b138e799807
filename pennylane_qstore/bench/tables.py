"""Wine and breast cancer trained by :class:`TrainingRun`, and by a plain PennyLane loop.

The same circuits, mini-batches, shots and step sizes. The plain loop is what one writes without
this package's optimizer: ``qml.SPSAOptimizer`` and one QNode call per sample. It is timed and its
requests are counted as it stands; the many steps to its accuracy are made in a ``deferred()``
scope, which sends fewer requests and gives the same numbers to the last bit.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pennylane as qml

from pennylane_qstore.bench.text import aligned, how_waited, silent
from pennylane_qstore.deferral.operands import real
from pennylane_qstore.deferral.scope import deferred
from pennylane_qstore.device import IonQDevice
from pennylane_qstore.emulator import Emulator
from pennylane_qstore.emulator.service.latency import PROFILES
from pennylane_qstore.training.minibatches import MiniBatches
from pennylane_qstore.training.tasks.catalogue import TASKS
from pennylane_qstore.training.tasks.classifier import (
    CLASSIFIERS,
    PERTURBATION,
    WIRES,
    Classifier,
    accuracy,
    cross_entropy,
    logits,
)
from pennylane_qstore.training.tasks.data import TABLES, Split, load_table
from pennylane_qstore.validation import check_count, check_number

PROFILE = "q-store"
"""Service times of the published Q-Store figures; they are no measurement of IonQ's service."""

_SHOTS = 500
_ROWS = 20  # of a mini-batch
_TIMED_STEPS = 3  # of ours; a plain step takes so long that one is enough


@dataclass(frozen=True, slots=True)
class Row:
    """One way to train on one table.

    Attributes:
        task: ``"wine"`` or ``"cancer"``.
        way: ``"qstore"`` or ``"plain"``.
        posts, circuits: sent in a step.
        step_s: seconds a step takes on the profile.
        accuracy: on the test rows, after training: ``"qstore"`` at the mean of its last iterates,
            ``"plain"`` at the last one.
        test_rows: how many these are.
        baseline, all_features, constant: of logistic regression on the same four features,
            on all features, and of always saying the commonest class.
        scale: seconds that were waited per second of the profile.
    """

    task: str
    way: str
    posts: float
    circuits: float
    step_s: float
    accuracy: float
    baseline: float
    all_features: float
    constant: float
    test_rows: int
    scale: float


def compare(
    tasks: Sequence[str] = tuple(TABLES),
    *,
    steps: int = 200,
    seed: int = 1,
    scale: float = 0.1,
    report: Callable[[str], None] = silent,
) -> list[Row]:
    """Train each table both ways, and time steps of both on the profile.

    Accuracy comes from an emulator without latency; times from one that waits ``scale`` times
    the profile's, multiplied back, so that the client's own time weighs ``1 / scale`` times as
    much.

    Args:
        tasks: tables.
        steps: of each training.
        seed: of weights, mini-batches, perturbations and sampling.
        scale: 1 for the profile's own times: a plain step then takes 100 seconds.
        report: called with each training that begins.

    Returns:
        Two rows for each table, ``"qstore"`` and ``"plain"``.

    Raises:
        ConfigurationError: ``scale`` or ``steps`` is not positive.
    """
    check_number("scale", scale, above=0)
    check_count("steps", steps)
    return [row for task in tasks for row in _compare(task, steps, seed, scale, report)]


def text(rows: Sequence[Row]) -> str:
    """Return the rows as a table, with what has to be said beside it."""
    classical = ("logistic", "all feat.", "constant")
    cells: list[tuple[str, ...]] = [
        ("task", "way", "POSTs/step", "circuits", "s/step", "accuracy", *classical)
    ]
    for r in rows:
        shares = (f"{share:.3f}" for share in (r.accuracy, r.baseline, r.all_features, r.constant))
        per_step = (f"{r.posts:.0f}", f"{r.circuits:.0f}", f"{r.step_s:.1f}")
        cells.append((r.task, r.way, *per_step, *shares))
    tested = " and ".join(f"{n} {task}" for task, n in {r.task: r.test_rows for r in rows}.items())
    notes = (
        f"\ns/step: on the emulator's {PROFILE!r} profile, {how_waited(rows[0].scale)}.\n"
        f"accuracy: on {tested} test rows, of one seed; of qstore at the mean of its last\n"
        "iterates, of plain at the last one. Layers and angles were chosen on validation rows.\n"
        "logistic: regression on the same four features."
    )
    return "\n".join([*aligned(cells, left=2), notes])


def train_plain(
    device: Any,
    model: Classifier,
    data: Split,
    optimizer: qml.SPSAOptimizer,
    seed: int,
    steps: int,
    *,
    merged: bool = False,
) -> list[Any]:
    """Train by a plain PennyLane loop.

    Args:
        device: to train on.
        model: to train.
        data: to train on.
        optimizer: PennyLane's own, new.
        seed: of weights, mini-batches and perturbations.
        steps: to make.
        merged: make each step in a ``deferred()`` scope.

    Returns:
        Weights, scale and shift after the last step.
    """
    circuit = model.make_circuit(device, _SHOTS)
    start = model.initial_params(seed)
    params = [qml.numpy.array(value, requires_grad=True) for value in start.values()]
    batches = MiniBatches(len(data.train_y), _ROWS, seed, drop_last=True)
    np.random.seed(seed)  # noqa: NPY002 - what the stock optimizer draws from
    for step in range(1, steps + 1):
        rows = batches(step)
        x, y = data.train_x[rows], data.train_y[rows]
        with deferred() if merged else nullcontext():
            params, _ = optimizer.step_and_cost(
                lambda *args, x=x, y=y: cross_entropy(_outputs(circuit, x, *args), y), *params
            )
            params = real(params)
    return params


def plain_accuracy(device: Any, model: Classifier, data: Split, params: Sequence[Any]) -> float:
    """Return the test accuracy of a plain loop's parameters; one batch.

    Args:
        device: to measure on.
        model: that was trained.
        data: to test on.
        params: weights, scale and shift.

    Returns:
        A number from 0 to 1.
    """
    with deferred():
        outputs = _outputs(model.make_circuit(device, _SHOTS), data.test_x, *params)
        return accuracy(np.asarray(real(outputs)), data.test_y)


def _outputs(circuit: Any, x: Any, weights: Any, scale: Any, shift: Any) -> Any:
    """Return the logits of rows, a QNode call for each."""
    rows = [np.stack(circuit(row, weights)) for row in x]
    return logits({"scale": scale, "shift": shift}, np.stack(rows))


def _compare(
    task: str, steps: int, seed: int, scale: float, report: Callable[[str], None]
) -> Iterator[Row]:
    """Train a table both ways, each on a device of its own, then time steps of either."""
    model, data = CLASSIFIERS[task], load_table(task)
    make_run = partial(model.make_run, data=data, seed=seed, steps=steps, progress=False)
    exact = make_run(qml.device("default.qubit", wires=WIRES), shots=None).train(1)

    def plain(device: IonQDevice, count: int, **options: Any) -> list[Any]:
        """Train with the step size that the run calibrates."""
        optimizer = qml.SPSAOptimizer(maxiter=steps, c=PERTURBATION, a=float(exact.optimizer.a))
        return train_plain(device, model, data, optimizer, seed, count, **options)

    report(f"{task}, qstore: {steps} steps")
    with _device(seed) as device:
        figures = TASKS[task].figures(make_run(device).train(steps), seed, _SHOTS)
    baseline, constant = figures["baseline_accuracy"], figures["constant_accuracy"]
    classical = baseline, figures["all_features_accuracy"], constant
    with _device(seed, scale) as device:
        run = make_run(device, calibrated=False)
        per_step = _timed(run.train, device, min(_TIMED_STEPS, steps), scale)
    test = figures["test_accuracy"]
    yield Row(task, "qstore", *per_step, test, *classical, len(data.test_y), scale)

    report(f"{task}, plain: {steps} steps")
    with _device(seed) as device:
        test = plain_accuracy(device, model, data, plain(device, steps, merged=True))
    with _device(seed, scale) as device:
        per_step = _timed(partial(plain, device), device, 1, scale)
    yield Row(task, "plain", *per_step, test, *classical, len(data.test_y), scale)


@contextmanager
def _device(seed: int, scale: float | None = None) -> Iterator[IonQDevice]:
    """Give a device on an emulator of its own, without latency or with the scaled profile."""
    profile = "none" if scale is None else PROFILES[PROFILE].scaled(scale)
    with Emulator(profile=profile, processes=0) as emulator:
        yield qml.device("qstore.ionq", wires=WIRES, seed=seed, emulator=emulator)


def _timed(
    train: Callable[[int], Any], device: IonQDevice, steps: int, scale: float
) -> tuple[float, float, float]:
    """Return POSTs, circuits and seconds of a step."""
    start = time.perf_counter()
    train(steps)
    seconds = (time.perf_counter() - start) / scale
    served = device.emulator.stats()
    return served["posts"] / steps, served["circuits"] / steps, seconds / steps
