"""A task: one record of its data, model, loss, score and training."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
import pennylane as qml

from pennylane_qstore.training.run import TrainingRun
from pennylane_qstore.training.spsa import SPSAOptimizer
from pennylane_qstore.training.tasks.data import Split
from pennylane_qstore.validation import check_count

EVALUATED_SHOTS = 500
"""Shots of each circuit of an evaluation, where those of a step are chosen."""
AVERAGED = 0.25
"""Part of the iterates at the end whose mean is the outcome."""


class Model(Protocol):
    """A family of circuits: how many wires, a function of parameters, where to start."""

    @property
    def wires(self) -> int:
        """Number of wires."""

    def make(self, device: Any, shots: int | None = 500, diff_method: str | None = None) -> Any:
        """Return the model.

        Args:
            device: with enough wires.
            shots: per circuit; None for exact results.
            diff_method: of the QNodes.

        Returns:
            A function of parameters, and of features where there are samples.
        """

    def initial_params(self, seed: int) -> Any:
        """Return an array or a dictionary of arrays."""


class Score(NamedTuple):
    """A measure of quality.

    Attributes:
        name: in reports and tables.
        label: for people.
        function: of outputs, and of targets where there are samples.
        higher_is_better: False for errors.
        bounds: least and greatest value that there is.
    """

    name: str
    label: str
    function: Callable[..., Any]
    higher_is_better: bool = True
    bounds: tuple[float, float] = (0.0, 1.0)


class Reference(NamedTuple):
    """A figure that a score is compared with.

    Attributes:
        name: in reports.
        label: for people.
        function: of the data (None without samples), and of the shots per circuit.
    """

    name: str
    label: str
    function: Callable[[Any, int], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A task that is trained.

    Attributes:
        title: for people.
        model: that is trained.
        loss: of outputs, and of targets where there are samples.
        score: the quality, evaluated without shots and noise.
        references: figures that it is compared with.
        load: data of a seed; None where there are no samples.
        metrics: of each step besides the score, by name.
        steps: by default.
    """

    title: str
    model: Model
    loss: Callable[..., Any]
    score: Score
    references: Sequence[Reference]
    load: Callable[[int], Split] | None = None
    metrics: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    steps: int = 80

    @property
    def wires(self) -> int:
        """Number of wires."""
        return self.model.wires

    def make(
        self,
        device: Any,
        *,
        seed: int = 1,
        steps: int | None = None,
        batch_size: int | None = None,
        shots: int | Literal["auto"] | None = "auto",
        lr: float | None = None,
        data: Split | None = None,
        name: str = "task",
        **options: Any,
    ) -> TrainingRun:
        """Return a training of the task; a step is one batch, whose shape is chosen by its price.

        Args:
            device: with enough wires.
            seed: of data, initial parameters, perturbations and mini-batches.
            steps: that will be trained; the step sizes follow.
            batch_size: rows of a step, at most those of the training set; None to let the run
                choose, or for all where shots are given.
            shots: per circuit; ``"auto"`` to let the run choose, None for exact results.
            lr: the optimizer's ``a``, the size of its first steps; None to let it choose.
            data: instead of the task's.
            name: of the run.
            **options: further ones of :class:`TrainingRun`.

        Returns:
            The run, before its first step.

        Raises:
            ConfigurationError: ``steps`` or ``batch_size`` out of range.
        """
        optimizer = SPSAOptimizer(
            maxiter=self.steps if steps is None else check_count("steps", steps),
            a=lr,
            seed=np.random.default_rng([seed, 2]),
            resamplings="auto",
            directions="auto",
            average=AVERAGED,
        )
        if data is None and self.load is not None:
            data = self.load(seed)
        if data is not None:
            options |= {"data": data.train, "batch_size": batch_size, "broadcast": True}
        return TrainingRun(
            self.model.make(device, evaluated_shots(shots)),
            self.model.initial_params(seed),
            optimizer,
            loss=self.loss,
            metrics={self.score.name: self.score.function, **self.metrics},
            seed=seed,
            device=device,
            shots=shots,
            name=name,
            **options,
        )

    def quality(self, params: Any, seed: int) -> float:
        """Return the score of parameters, without shots and noise.

        Args:
            params: of the model.
            seed: of the data.

        Returns:
            The score on the test rows; of the outputs where there are no samples.
        """
        model = self.model.make(qml.device("default.qubit", wires=self.wires), None)
        if self.load is None:
            return float(self.score.function(model(params)))
        data = self.load(seed)
        return float(self.score.function(np.asarray(model(params, data.test_x)), data.test_y))

    @property
    def figure(self) -> str:
        """Name of the score in reports."""
        return self.score.name if self.load is None else f"test_{self.score.name}"

    def figures(self, run: TrainingRun, seed: int, shots: int) -> dict[str, float]:
        """Return the figures of a run that has ended, evaluated on its device.

        Args:
            run: of the task.
            seed: of the data.
            shots: per circuit.

        Returns:
            The score and its references, by name.
        """
        data = None if self.load is None else self.load(seed)
        reached = run.evaluate(None if data is None else data.test, averaged(run))
        figures = {self.figure: reached[self.score.name]}
        return figures | {r.name: float(r.function(data, shots)) for r in self.references}

    def lines(self, figures: Mapping[str, Any]) -> dict[str, str]:
        """Return figures in words, by label.

        Args:
            figures: of :meth:`figures`.
        """
        shown = [(self.figure, self.score.label), *((r.name, r.label) for r in self.references)]
        return {label: f"{figures[name]:.3f}" for name, label in shown}


def evaluated_shots(shots: Any) -> Any:
    """Return the shots of each circuit of an evaluation, given those of a training."""
    return EVALUATED_SHOTS if shots == "auto" else shots


def averaged(run: TrainingRun) -> Any:
    """Return the outcome of a training: the mean of the last iterates."""
    return run.optimizer.averaged(run.params)
