"""``sweep``: many training runs of one program, together in the jobs of one."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

from pennylane_qstore.compat.python import also_unmade
from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.prices import PriceModel, price_model
from pennylane_qstore.sweeps.lockstep import (
    Lockstep,
    Manifest,
    SharedProgress,
    check_devices,
    shared_estimate,
)
from pennylane_qstore.sweeps.spread import spread
from pennylane_qstore.sweeps.trials import (
    Objective,
    PruneRule,
    Trial,
    combinations,
    conclude,
    labels,
    made,
)
from pennylane_qstore.training.history import StepRecord
from pennylane_qstore.training.run import TrainingRun
from pennylane_qstore.training.run_estimate import RunEstimate
from pennylane_qstore.training.run_options import Resume
from pennylane_qstore.validation import check, check_number, check_one_of

logger = logging.getLogger(__name__)


def sweep(
    make_run: Callable[..., TrainingRun],
    *,
    steps: int | None = None,
    executor: Any = None,
    **options: Any,
) -> Sweep:
    """Train many runs together: what they send at the same time travels in common jobs.

    Args:
        make_run: see :class:`Sweep`.
        steps: of each run; by default its optimizer's ``maxiter``.
        executor: see :meth:`Sweep.train`.
        **options: of :class:`Sweep`.

    Returns:
        The sweep: its trials, a table, the best one, a drawing.

    Raises:
        ConfigurationError: an argument that is not allowed. Nothing was sent.

    **Example**

    >>> def make_run(seed, lr):
    ...     dev = qml.device("qstore.ionq", wires=4, seed=seed)
    ...     return qstore.TrainingRun(cost_on(dev), start(seed), qstore.SPSAOptimizer(100, a=lr),
    ...                               device=dev, seed=seed)
    >>> found = qstore.sweep(make_run, seeds=5, grid={"lr": [0.1, 0.3]}, folder="sweep")
    >>> found.best.params
    {'lr': 0.3, 'seed': 4}
    """
    return Sweep(make_run, **options).train(steps, executor=executor)


class Sweep:
    """Training runs of one program with other arguments, which advance together.

    Every run has a device, a checkpoint and a name in the ledger of its own, and comes to what it
    comes to alone (see :mod:`.lockstep`). A run that fails does not stop the others. After a crash
    the same program with ``resume=True`` goes on; jobs in flight are found, and paid once.

    Args:
        make_run: called with the arguments of a trial, by name; returns its :class:`TrainingRun`,
            on a device that it makes for it.
        seeds: so many, from 1, or a list of them: the argument ``seed``.
        grid: values of arguments, by name; every combination is a trial, with every seed.
        trials: arguments of each trial, instead of a grid.
        objective: of a trained run; by default its least validation loss, or else its mean loss
            in the last steps. Circuits that it evaluates travel together as well.
        direction: ``"minimize"`` or ``"maximize"`` the objective.
        prune: ends bad trials early, such as :class:`.MedianRule`: a function of a trial and
            all trials, called after every step.
        budget_usd: limit of what all runs spend together, in US dollars.
        folder: where ``sweep.json`` and each trial's checkpoint are kept, in folders of their own;
            None keeps none.
        resume: True goes on with the sweep in the folder, with more trials too (``"edited"`` also
            with an edited model or loss); False replaces it; None (the default) refuses to.
        progress: whether the first trial shows its progress, with the dollars of all; as for
            :class:`TrainingRun`.

    Raises:
        ConfigurationError: nothing to try, a device that two runs share, or a sweep in the folder.
    """

    def __init__(
        self,
        make_run: Callable[..., TrainingRun],
        *,
        seeds: int | Iterable[int] | None = None,
        grid: Mapping[str, Iterable[Any]] | None = None,
        trials: Iterable[Mapping[str, Any]] | None = None,
        objective: Objective | None = None,
        direction: Literal["minimize", "maximize"] = "minimize",
        prune: PruneRule | None = None,
        budget_usd: float | None = None,
        folder: str | Path | None = None,
        resume: Resume = None,
        progress: bool | Literal["log"] | None = None,
    ) -> None:
        check("make_run", make_run, callable(make_run), "a function that returns a TrainingRun")
        check("prune", prune, prune is None or callable(prune), "a function, or None")
        check("objective", objective, objective is None or callable(objective), "a function")
        check_number("budget_usd", budget_usd, least=0, unit="US dollars", optional=True)
        self.direction = check_one_of("direction", direction, ("minimize", "maximize"))
        self._make_run, self._objective, self._prune = make_run, objective, prune
        self._folder = None if folder is None else Path(folder)
        self._resume, self._budget_usd = resume, budget_usd
        points = combinations(seeds, grid, trials)
        self._manifest = Manifest(self._folder, resume)
        self._lockstep = Lockstep(self._manifest.account, budget_usd)
        self.trials: tuple[Trial, ...] = tuple(
            Trial(i, point, label, made(make_run, point))
            for i, (point, label) in enumerate(zip(points, labels(points), strict=True))
        )
        check_devices([trial.run.devices for trial in self.trials])
        for trial in self.trials:
            self._prepare(trial)
        runs = [trial.run for trial in self.trials]
        runs[0].configure(callbacks=[SharedProgress(runs, budget_usd, progress)])

    def _prepare(self, trial: Trial) -> None:
        """Give a trial's run its checkpoint, and see after every step whether it goes on."""
        trial.run.configure(
            callbacks=[partial(self._look, trial)],
            checkpoint=self._folder and trial.checkpoint(self._folder),
            resume=self._resume,
        )

    def _look(self, trial: Trial, _: StepRecord) -> None:
        self._lockstep.check(trial.run)
        if self._prune is not None and self._prune(trial, self.trials):
            self._manifest.pruned.add(trial.label)
            self._manifest.save()
            trial.run.stop("pruned")

    def train(self, steps: int | None = None, *, executor: Any = None) -> Sweep:
        """Train all runs for so many steps in all; Ctrl-C ends each after the step it is in.

        Args:
            steps: of each run; by default its optimizer's ``maxiter``.
            executor: of ``pennylane.concurrency``, or a Dask client: the runs are trained by its
                processes instead, in jobs of their own, for backends that bill nothing.

        Returns:
            The sweep itself.

        Raises:
            ConfigurationError: ``steps`` is not known, or the runs cannot be spread.
        """
        totals = [trial.run.planned_steps(steps) for trial in self.trials]
        self._manifest.save()
        if executor is not None:
            return self._spread(executor, totals)
        works = [partial(self._work, *pair) for pair in zip(self.trials, totals, strict=True)]
        for trial, error in zip(self.trials, self._lockstep.call(works), strict=True):
            if error is not None:
                trial.state, trial.error = "failed", error
                logger.warning("Trial %s failed: %s", trial.label, error)
        return self

    def _spread(self, executor: Any, totals: Sequence[int]) -> Sweep:
        """Train the runs in other processes, and read their checkpoints."""
        folder = self._folder
        bills = any(trial.run.bills for trial in self.trials)
        if folder is None or bills or self._prune is not None or self._budget_usd is not None:
            raise ConfigurationError(
                "Runs are spread over processes with folder= (on a disk that all of them see), on "
                "backends that bill nothing, without prune= and budget_usd=. Nothing was sent."
            )
        paths = [trial.checkpoint(folder) for trial in self.trials]
        if not self._resume:
            for path in paths:
                path.unlink(missing_ok=True)
        points = [trial.params for trial in self.trials]
        runs = [*zip(points, paths, totals, strict=True)]
        ends = spread(executor, self._make_run, runs, self._resume or True)
        for trial, end in zip(self.trials, ends, strict=True):
            if isinstance(end, Exception):
                trial.state, trial.error = "failed", end
            else:
                trial.run.load(end)
                conclude(trial, self._objective)
        return self

    def _work(self, trial: Trial, steps: int) -> None:
        """Train a trial, unless it was pruned, and see what it has reached."""
        run, trial.error = trial.run, None
        if trial.label in self._manifest.pruned:
            run.load("pruned")
        else:
            run.train(steps)
        conclude(trial, self._objective)

    def estimate(
        self, steps: int | None = None, prices: str | PriceModel | None = None
    ) -> RunEstimate:
        """Return the price of what is still to be sent. Nothing is sent.

        Jobs that runs share have one floor price; objectives are not included, and trials that
        may be pruned count in full.

        Args:
            steps: of each run; by default its optimizer's ``maxiter``.
            prices: a price list or its name; by default a backend that bills is asked.

        Returns:
            The sum over all runs.
        """
        left = [trial.run for trial in self.trials if trial.label not in self._manifest.pruned]
        totals = [run.planned_steps(steps) for run in left]
        alone = [
            run.estimate(total, prices=prices) for run, total in zip(left, totals, strict=True)
        ]
        model = left[0].prices[-1] if prices is None else price_model(prices)
        return shared_estimate(left, alone, model)

    @property
    def best(self) -> Trial:
        """The complete trial with the best value.

        Raises:
            ConfigurationError: no trial is complete.
        """
        complete = [t for t in self.trials if t.state == "complete" and t.value is not None]
        if not complete:
            raise ConfigurationError("No trial is complete yet.")
        sign = 1 if self.direction == "minimize" else -1
        return min(complete, key=lambda trial: sign * (trial.value or 0.0))

    @property
    def jobs(self) -> int:
        """Jobs that were sent by this process."""
        return len(self._lockstep.sizes)

    @property
    def spent_usd(self) -> float:
        """Billed for all runs, in US dollars."""
        return float(sum(trial.run.spent_usd for trial in self.trials))

    def table(self) -> dict[str, list[Any]]:
        """Return parameters and outcomes as columns, for ``pandas.DataFrame``."""
        rows = [trial.row() for trial in self.trials]
        names = dict.fromkeys(name for row in rows for name in row)
        return {name: [row.get(name) for row in rows] for name in names}

    def groups(self) -> dict[str, list[Trial]]:
        """Return the trials that differ by their seeds alone, by a name of what they share."""
        found: dict[str, list[Trial]] = {}
        for trial in self.trials:
            shared = [f"{name} {value}" for name, value in trial.params.items() if name != "seed"]
            found.setdefault(", ".join(shared) or "all seeds", []).append(trial)
        return found

    def draw(self, value: str = "loss", axes: Any = None) -> Any:
        """Draw a number over steps, a curve for each point of the grid, with bands over seeds.

        Args:
            value: ``"loss"`` or a metric.
            axes: matplotlib Axes; made if not given.

        Returns:
            The Axes.
        """
        from pennylane_qstore.training.plots import draw_learning_curves, learning_curve

        curves = []
        for name, trials in self.groups().items():
            histories = [t.run.history for t in trials if t.state != "pruned" and t.run.history]
            if histories:
                curves.append(learning_curve(histories, value, label=name))
        axes = draw_learning_curves(curves, axes=axes)
        axes.set_ylabel(value)
        return axes

    def as_dict(self) -> dict[str, Any]:
        """Return all outcomes by name, ready for JSON; arguments that JSON has not as text."""
        done = [t for t in self.trials if t.state == "complete" and t.value is not None]
        rows = [trial.row() for trial in self.trials]
        return {
            "direction": self.direction,
            "best": self.best.number if done else None,
            "spent_usd": self.spent_usd,
            "trials": json.loads(json.dumps(rows, default=str)),
        }

    def to_json(self, path: str | Path | None = None) -> str:
        """Return all outcomes as JSON, and write them to a file if one is named."""
        text = json.dumps(self.as_dict(), indent=1)
        if path is not None:
            Path(path).write_text(text, encoding="utf-8")
        return text

    @also_unmade
    def __repr__(self) -> str:
        states = [trial.state for trial in self.trials]
        counts = ", ".join(f"{states.count(s)} {s}" for s in dict.fromkeys(states))
        return f"<Sweep of {len(states)} trials: {counts}>"
