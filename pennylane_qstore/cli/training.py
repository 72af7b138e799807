"""A training of ``qstore train``: made, priced, run, evaluated and written."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from pennylane_qstore.cli import train_report
from pennylane_qstore.cli.undecided import Answer, Decisions
from pennylane_qstore.errors import BudgetExceeded, ConfigurationError, ConnectionFailed

if TYPE_CHECKING:
    from pennylane_qstore.prices import JobSize, PriceModel
    from pennylane_qstore.sweeps.lockstep import Lockstep
    from pennylane_qstore.training.history import StepRecord
    from pennylane_qstore.training.run import TrainingRun
    from pennylane_qstore.training.run_estimate import RunEstimate
    from pennylane_qstore.training.tasks.own_data import OwnData

INTERRUPTED = 130
"""Exit status after Ctrl-C."""


class NotBegun(KeyboardInterrupt):
    """Ctrl-C before the first step of a training. Others may have more to report."""


class Training:
    """A task's training with one seed, or its evaluation where nothing is trained.

    Args:
        settings: task, seed, shots, backend and noise model, and lr where it was given.
        folder: of its files; made when it runs.
        options: of the device.
        resume: True goes on with the folder's checkpoint, False replaces it; None replaces one
            that was free.
        steps: of the whole run; None for the task's.
        batch_size: samples of a step; None to let the run choose.
        prices: a price list; None for the backend's own.
        lockstep: of the runs whose POSTs it shares.
        own: data of the user's, instead of the task's.
        save: file of the model that they give; None for none.
        answers: about jobs that may exist unseen, of the runs whose POSTs it shares.
    """

    def __init__(
        self,
        settings: dict[str, Any],
        folder: Path,
        options: dict[str, Any],
        *,
        resume: bool | None = None,
        steps: int | None = None,
        batch_size: int | None = None,
        prices: PriceModel | None = None,
        lockstep: Lockstep | None = None,
        own: OwnData | None = None,
        save: Path | None = None,
        answers: dict[int, Answer] | None = None,
    ) -> None:
        import pennylane as qml

        from pennylane_qstore.training.tasks.catalogue import TASKS

        self.settings, self.folder, self.is_shared = settings, folder, lockstep is not None
        options = {"noise_model": settings.get("noise_model"), **options}
        self.own, self._save, self._prices = own, save, prices
        self.task = TASKS.get(settings["task"]) if own is None else own.task
        wires = 4 if self.task is None else self.task.wires
        self.device: Any = qml.device("qstore.ionq", wires=wires, seed=settings["seed"], **options)
        self.bills = self.device.target.backend.is_qpu
        # None on a QPU: a repeated command is refused, and never starts a second paid run.
        resume = False if resume is None and not self.bills else resume
        self.own_steps: list[Any] = []
        """Steps made by this command; a resumed run has earlier ones."""
        if self.task is None:
            return
        self._total = self.task.steps if steps is None else steps
        again = "this command with `--resume --on-ambiguous resubmit`"
        self._decisions = Decisions(self.device.client, again, {} if answers is None else answers)
        self._batch_size = batch_size
        self._figures: dict[str, float] = {}
        self._not_evaluated = ""
        self.run: TrainingRun = self.task.make(
            self.device,
            seed=self.settings["seed"],
            steps=self._total,
            batch_size=batch_size,
            shots=self.settings["shots"],
            lr=settings.get("lr"),
            checkpoint=self.folder / "checkpoint.json",
            resume=resume,
            name=self.settings["task"],
            prices=prices,
            progress=None if lockstep is None else False,
            callbacks=[
                self.own_steps.append,
                self._decisions.end,
                lambda _: None if lockstep is None else lockstep.check(self.run),
            ],
        )

    def estimate(self, prices: str | None = None) -> RunEstimate:
        """Return the price of what is still to be sent, the evaluation included.

        Args:
            prices: a price list; by default a backend that bills is asked.

        Returns:
            The estimate.
        """
        from pennylane_qstore.training.run_estimate import estimate_calls
        from pennylane_qstore.training.tasks.catalogue import nearest_centroid
        from pennylane_qstore.training.tasks.task import evaluated_shots

        if self.task is None:
            shots = evaluated_shots(self.settings["shots"])
            evaluation = functools.partial(nearest_centroid, self.device, shots)
            return estimate_calls(self.device, evaluation, prices, self._prices)
        return self.run.estimate(self._total, prices=prices, evaluate=self._evaluations())

    def _evaluations(self) -> list[Any]:
        """Return the data of the evaluation, None without samples; nothing where it is paid."""
        from pennylane_qstore.training.tasks.task import averaged

        task, run = self.task, self.run
        data = None if task is None or task.load is None else task.load(self.settings["seed"]).test
        done = run.is_paid(data, averaged) and run.step >= self._total
        return [] if done else [data]

    def train(self) -> Self:
        """Train and evaluate; a training that was stopped is not evaluated.

        Raises:
            ConfigurationError: it was stopped before the first step.
            NotBegun: the same, by Ctrl-C.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.task is None:
            return self
        from pennylane_qstore.training.tasks.task import evaluated_shots

        task, run, seed = self.task, self.run, self.settings["seed"]
        shots = evaluated_shots(self.settings["shots"])
        with _going_on():
            self._decisions.settle(lambda: run.train(self._total))
        if not run.history:
            message = (
                f"Stopped by {run.stopped} before the first step: there is nothing to report. "
                "--resume goes on."
            )
            raise (NotBegun(message) if run.stopped == "interrupt" else ConfigurationError(message))
        if run.stopped == "interrupt":
            self._not_evaluated = "interrupted; --resume goes on"
            return self
        try:
            with _going_on():
                self._figures = self._decisions.settle(lambda: task.figures(run, seed, shots))
        except BudgetExceeded as error:  # what was trained is not lost by that
            self._not_evaluated = f"{error} --resume with a larger --budget-usd evaluates."
        except KeyboardInterrupt as stop:
            self._not_evaluated, run.stopped = f"{stop} --resume evaluates.", "interrupt"
        return self

    @property
    def earlier(self) -> list[StepRecord]:
        """Steps made by earlier starts of the command."""
        return self.run.history[: len(self.run.history) - len(self.own_steps)]

    @property
    def sizes(self) -> list[JobSize]:
        """Sizes of its jobs: of earlier starts those of the steps, of this one all."""
        if self.task is None:
            return list(self.device.job_sizes())
        return [*(size for r in self.earlier for size in r.sizes), *self.device.job_sizes()]

    def report(self) -> tuple[dict[str, Any], dict[str, str]]:
        """Write the files of the folder.

        Returns:
            The report, and its lines by label.
        """
        if self.task is None:
            return train_report.centroid(self.device, self.settings, self.folder)
        task, run = self.task, self.run
        measured = train_report.training_figures(run, self.sizes)
        if self.is_shared:
            del measured["requests"]  # those of all runs
        rows = None if task.load is None else len(task.load(self.settings["seed"]).test_y)
        report = {**measured, **self._figures, "test_rows": rows, "batch_size": self._batch_size}
        report |= self.settings
        train_report.write_history(self.folder, report, run)
        results = (
            {"Not evaluated": self._not_evaluated} if self._not_evaluated else task.lines(report)
        )
        lines = train_report.training_lines(report, self.folder)
        if self.own is not None and self._save is not None:
            from pennylane_qstore.training.tasks.task import averaged

            run.save(self._save, averaged(run), **self.own.about(self.settings["seed"]))
            lines["Model"] = str(self._save)
        return report, {"Task": task.title, **results, **lines}


@contextmanager
def _going_on() -> Iterator[None]:
    """Name the command that goes on in the error of a service that stays away."""
    try:
        yield
    except ConnectionFailed as error:
        message = f"{error} This command with --resume goes on."
        raise ConnectionFailed(message, job_ids=error.job_ids, **error.details) from error
