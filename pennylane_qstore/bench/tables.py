"""Wine and breast cancer trained by :class:`TrainingRun`, and by a plain PennyLane loop.

The same circuits, mini-batches, shots and step sizes. The plain loop is what one writes without
this package's optimizer: ``qml.SPSAOptimizer`` and one QNode call per sample. It is timed and its
requests are counted as it stands; the many steps to its accuracy are made in a ``deferred()``
scope, which sends fewer requests and gives the same numbers to the last bit.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pennylane as qml

from pennylane_qstore.deferral.operands import real
from pennylane_qstore.deferral.scope import deferred
from pennylane_qstore.emulator import Emulator
from pennylane_qstore.emulator.service.latency import PROFILES
from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.training.callbacks import Callback, Run
from pennylane_qstore.training.history import StepRecord
from pennylane_qstore.training.minibatches import MiniBatches
from pennylane_qstore.training.tasks.classifier import (
    CLASSIFIERS,
    PERTURBATION,
    WIRES,
    Classifier,
    accuracy,
    cross_entropy,
    logits,
)
from pennylane_qstore.training.tasks.data import (
    TABLES,
    Split,
    all_features_accuracy,
    baseline_accuracy,
    constant_accuracy,
    load_table,
)

PROFILE = "q-store"
"""Service times of the published Q-Store figures; they are no measurement of IonQ's service."""

_TIMED_STEPS = {"qstore": 3, "plain": 1}


def _nothing() -> None:
    """Nobody listens."""


@dataclass(frozen=True, slots=True)
class Row:
    """One way to train on one table.

    Attributes:
        task: ``"wine"`` or ``"cancer"``.
        way: ``"qstore"`` or ``"plain"``.
        posts, circuits: of a step.
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
    report: Callable[[str], None] | None = None,
) -> list[Row]:
    """Train each table both ways, and time steps of both on the profile.

    Accuracy comes from an emulator without latency; times from one that waits ``scale`` times
    the profile's, multiplied back, so that what the client takes weighs ``1 / scale`` times as
    much.

    Args:
        tasks: tables.
        steps: of each training.
        seed: of weights, mini-batches, perturbations and sampling.
        scale: 1 for the profile's own times: a plain step then takes 100 seconds.
        report: told what is being measured.

    Raises:
        ConfigurationError: ``scale`` or ``steps`` is not positive.
    """
    if not scale > 0 or steps < 1:
        raise ConfigurationError(f"scale={scale!r}, steps={steps!r}: both have to be positive.")
    rows = []
    for task in tasks:
        model, data = CLASSIFIERS[task], load_table(task)
        classical = (
            baseline_accuracy(data),
            all_features_accuracy(task),
            constant_accuracy(data),
        )
        for way, train in (("qstore", train_run), ("plain", train_plain)):
            whole = train if way == "qstore" else partial(train_plain, merged=True)
            if report is not None:
                report(f"{task}, {way}: {steps} steps")
            with Emulator(processes=0) as emulator:
                device = qml.device("qstore.ionq", wires=WIRES, seed=seed, emulator=emulator)
                reached = whole(device, model, data, seed, steps, steps)
            posts, circuits, step_s = _timed(
                train, way, CLASSIFIERS[task], data, seed, steps, scale
            )
            tested = len(data.test_y), scale
            rows.append(Row(task, way, posts, circuits, step_s, reached, *classical, *tested))
    return rows


def text(rows: Sequence[Row]) -> str:
    """The rows as a table."""
    lines = [
        f"{'task':<8}{'way':<8}{'POSTs/step':>11}{'circuits':>10}{'s/step':>9}{'accuracy':>10}"
        f"{'logistic':>10}{'all feat.':>11}{'constant':>10}"
    ]
    lines += [
        f"{r.task:<8}{r.way:<8}{r.posts:>11.0f}{r.circuits:>10.0f}{r.step_s:>9.1f}"
        f"{r.accuracy:>10.3f}{r.baseline:>10.3f}{r.all_features:>11.3f}{r.constant:>10.3f}"
        for r in rows
    ]
    tested = " and ".join(f"{n} {task}" for task, n in {r.task: r.test_rows for r in rows}.items())
    scale = rows[0].scale
    waited = (
        "waited for in full"
        if scale == 1
        else f"waited for at {scale:g} and multiplied back: the client's own time counts "
        f"{1 / scale:g} times"
    )
    lines.append(
        f"\ns/step: on the emulator's {PROFILE!r} profile, {waited}.\n"
        f"accuracy: on {tested} test rows, of one seed; of qstore at the mean of its last\n"
        "iterates, of plain at the last one. Layers and angles were chosen on validation rows.\n"
        "logistic: regression on the same four features."
    )
    return "\n".join(lines)


def train_run(
    device: Any,
    model: Classifier,
    data: Split,
    seed: int,
    planned: int,
    steps: int,
    *,
    on_step: Callable[[], None] = _nothing,
) -> float:
    """Train by :class:`TrainingRun`; the test accuracy (nothing is tested if steps are few).

    Args:
        device: to train on.
        model: to train.
        data: to train and test on.
        seed: of weights, mini-batches and perturbations.
        planned: steps that the step sizes follow from.
        steps: to make.
        on_step: called before the first step and after each.
    """
    timed = steps < planned
    run = model.make_run(
        device,
        data,
        seed=seed,
        steps=planned,
        progress=False,
        calibrated=not timed,  # which is no part of a step
        callbacks=[_Marks(on_step)],
    ).train(steps)
    if timed:
        return float("nan")
    return run.evaluate(data.test, run.optimizer.averaged(run.params))["accuracy"]


def train_plain(
    device: Any,
    model: Classifier,
    data: Split,
    seed: int,
    planned: int,
    steps: int,
    *,
    merged: bool = False,
    on_step: Callable[[], None] = _nothing,
) -> float:
    """Train by a plain PennyLane loop; arguments and result as of :func:`train_run`.

    Args:
        device: to train on.
        model: to train.
        data: to train and test on.
        seed: of weights, mini-batches and perturbations.
        planned: steps that the step sizes follow from.
        steps: to make.
        merged: make each step in a ``deferred()`` scope.
        on_step: called before the first step and after each.
    """
    circuit = model.make_circuit(device)

    def found(x: Any, weights: Any, scale: Any, shift: Any) -> Any:
        rows = [np.stack(circuit(row, weights)) for row in x]
        return logits({"scale": scale, "shift": shift}, np.stack(rows))

    start = model.initial_params(seed)
    params = [qml.numpy.array(value, requires_grad=True) for value in start.values()]
    batches = MiniBatches(len(data.train_y), 20, seed, drop_last=True)
    a = _calibrated(model, data, seed, planned)
    optimizer = qml.SPSAOptimizer(maxiter=planned, c=PERTURBATION, a=a)
    np.random.seed(seed)  # noqa: NPY002 - what the stock optimizer draws from
    on_step()
    for step in range(1, steps + 1):
        rows = batches(step)
        x, y = data.train_x[rows], data.train_y[rows]
        with deferred() if merged else nullcontext():
            params, _ = optimizer.step_and_cost(
                lambda *args, x=x, y=y: cross_entropy(found(x, *args), y), *params
            )
            params = real(params)
        on_step()
    if steps < planned:
        return float("nan")
    with deferred():
        tested = np.asarray(real(found(data.test_x, *params)))
    return accuracy(tested, data.test_y)


class _Marks(Callback):
    """Calls a function when the first step begins, and after every step."""

    def __init__(self, mark: Callable[[], None]) -> None:
        self._mark = mark

    def on_begin(self, run: Run) -> None:
        self._mark()

    def on_step(self, run: Run, record: StepRecord) -> None:
        self._mark()


def _calibrated(model: Classifier, data: Split, seed: int, planned: int) -> float:
    """The step size that the run calibrates, found on an exact simulator."""
    device = qml.device("default.qubit", wires=WIRES)
    run = model.make_run(device, data, seed=seed, steps=planned, shots=None, progress=False)
    run.train(1)
    return float(run.optimizer.a)


def _timed(
    train: Callable[..., float],
    way: str,
    model: Classifier,
    data: Split,
    seed: int,
    planned: int,
    scale: float,
) -> tuple[float, float, float]:
    """POSTs, circuits and seconds of a step on the profile."""
    steps = min(_TIMED_STEPS[way], planned)
    with Emulator(profile=PROFILES[PROFILE].scaled(scale), processes=0) as emulator:
        device = qml.device("qstore.ionq", wires=WIRES, seed=seed, emulator=emulator)
        marks = []

        def mark() -> None:
            served = emulator.stats()
            marks.append((served["posts"], served["circuits"], time.perf_counter() / scale))

        train(device, model, data, seed, planned + 1, steps, on_step=mark)
    posts, circuits, seconds = (
        (after - before) / steps for before, after in zip(marks[0], marks[-1], strict=True)
    )
    return posts, circuits, seconds
