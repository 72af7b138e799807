"""Sweeps that an Optuna study drives: it asks for trials, and is told what became of them.

The study may have any sampler, pruner and storage of Optuna's: several processes and hosts join one
by its storage, and Optuna's dashboard shows it.

>>> lr = optuna.distributions.FloatDistribution(0.01, 1, log=True)
>>> study = qstore.optimize(make_run, {"lr": lr}, trials=16, storage="sqlite:///study.db")
>>> study.best_params
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

from pennylane_qstore.errors import ConfigurationError, RunLocked
from pennylane_qstore.sweeps.lockstep import Lockstep, check_devices
from pennylane_qstore.sweeps.trials import Objective, Trial, conclude, made
from pennylane_qstore.training.history import StepRecord
from pennylane_qstore.training.run import TrainingRun
from pennylane_qstore.validation import check_count, installed

logger = logging.getLogger(__name__)

_FOLDER = "qstore_folder"
"""Attribute of a trial that names where its checkpoint is."""
_WINDOW = 5  # steps of a loss that a pruner gets


def optimize(
    make_run: Callable[..., TrainingRun],
    space: Mapping[str, Any],
    *,
    trials: int,
    study: Any = None,
    storage: Any = None,
    study_name: str | None = None,
    together: int = 8,
    steps: int | None = None,
    objective: Objective | None = None,
    budget_usd: float | None = None,
    folder: str | Path | None = None,
    resume: bool = False,
    **options: Any,
) -> Any:
    """Let an Optuna study choose arguments, and train its trials together, in the jobs of one.

    Args:
        make_run: called with the arguments of a trial, by name; returns its :class:`TrainingRun`,
            on a device that it makes for it.
        space: Optuna's distribution of each argument, by name.
        trials: that this process makes, beside those that it goes on with.
        study: of Optuna; by default one is made, or joined by its name.
        storage: URL, or one of Optuna's storage objects, for a study that is made or joined.
        study_name: of that study.
        together: trials that advance together; later ones know their outcomes.
        steps: of each run; by default its optimizer's ``maxiter``.
        objective: of a trained run; by default its least validation loss, or its loss at the end.
        budget_usd: limit of what the study spends, in all processes that share the ledger, in US
            dollars.
        folder: where each trial has a checkpoint; None keeps none.
        resume: whether trials in the folder that a process left behind are gone on with first.
        **options: of ``optuna.create_study``: ``sampler``, ``pruner``, ``direction``.

    Returns:
        The study.

    Raises:
        ConfigurationError: Optuna is not installed, or an argument is not allowed.
    """
    optuna = installed("optuna", "Studies need Optuna", "sweep")
    left, most = check_count("trials", trials, least=0), check_count("together", together)
    if resume and folder is None:
        raise ConfigurationError("resume=True goes on in a folder: give folder=.")
    if study is None:
        study = optuna.create_study(
            storage=storage, study_name=study_name, load_if_exists=study_name is not None, **options
        )
    work = _StudyTrials(study, make_run, steps, objective, budget_usd, folder)
    if resume and not work.train(work.left_behind(optuna)):
        return study
    while left:
        asked = [study.ask(dict(space)) for _ in range(min(left, most))]
        left -= len(asked)
        if not work.train(asked):
            break
    return study


class _StudyTrials:
    """Trials of a study that this process trains."""

    def __init__(
        self,
        study: Any,
        make_run: Callable[..., TrainingRun],
        steps: int | None,
        objective: Objective | None,
        budget_usd: float | None,
        folder: str | Path | None,
    ) -> None:
        self.study, self._make_run = study, make_run
        self._steps, self._objective = steps, objective
        self._folder = None if folder is None else Path(folder)
        self._lockstep = Lockstep(f"study-{study.study_name}", budget_usd)

    def left_behind(self, optuna: Any) -> list[Any]:
        """Return the trials in the folder that have not ended, whoever asked for them."""
        running = self.study.get_trials(states=[optuna.trial.TrialState.RUNNING])
        mine = [t for t in running if t.user_attrs.get(_FOLDER) == str(self._folder)]
        return [optuna.Trial(self.study, t._trial_id) for t in mine]

    def train(self, asked: list[Any]) -> bool:
        """Train trials together, and tell the study; return whether there may be more."""
        trials = []
        for one in asked:
            label = f"trial-{one.number}"
            trials.append(Trial(one.number, one.params, label, made(self._make_run, one.params)))
            if self._folder is not None:
                one.set_user_attr(_FOLDER, str(self._folder))
        check_devices([trial.run.devices for trial in trials])
        works = [partial(self._work, *pair) for pair in zip(trials, asked, strict=True)]
        ends = self._lockstep.call(works)
        for trial, one, error in zip(trials, asked, ends, strict=True):
            self._tell(trial, one, error)
        return all(trial.state != "stopped" for trial in trials)

    def _work(self, trial: Trial, asked: Any) -> None:
        trial.run.configure(
            callbacks=[partial(self._look, trial, asked)],
            checkpoint=self._folder and trial.checkpoint(self._folder),
            resume=True,
        )
        trial.run.train(trial.run.planned_steps(self._steps))
        conclude(trial, self._objective)

    def _look(self, trial: Trial, asked: Any, record: StepRecord) -> None:
        """Report a step, unless an earlier start has, and end a trial that is pruned."""
        run = trial.run
        self._lockstep.check(run)
        losses = [r.loss for r in run.history[-_WINDOW:]]
        value = record.metrics.get(run.watched) if run.watched != "loss" else fmean(losses)
        if value is not None:
            asked.report(value, record.step)
            if asked.should_prune():
                run.stop("pruned")

    def _tell(self, trial: Trial, asked: Any, error: Exception | None) -> None:
        """Tell the study; what was interrupted stays open, and so does what others train."""
        from optuna.trial import TrialState

        if isinstance(error, RunLocked):
            logger.info("Trial %d is trained by another process.", trial.number)
        elif error is not None:
            logger.warning("Trial %d failed: %s", trial.number, error)
            self.study.tell(asked, state=TrialState.FAIL)
        elif trial.state == "complete":
            self.study.tell(asked, trial.value)
        elif trial.state == "pruned":
            self.study.tell(asked, state=TrialState.PRUNED)
        elif self._folder is None:
            self.study.tell(asked, state=TrialState.FAIL)
