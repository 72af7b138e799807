"""Who watches a run: the callback protocol, and the progress bar."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pennylane_qstore.training.history import Record
    from pennylane_qstore.training.run import TrainingRun

_WORTH_SHOWING_S = 0.5  # a job that is done sooner needs no words


class Callback:
    """Told what a run does; override what you want to know. ``run.stop()`` ends the run.

    One that has ``state_dict`` and ``load_state_dict`` is kept in the checkpoint.
    """

    def on_begin(self, run: TrainingRun) -> None:
        """Called once in the life of a run, before its first step: the place to calibrate.

        What it executes belongs to the run: if the run is killed meanwhile, this is called
        again, and jobs that were paid for are found.
        """

    def on_start(self, run: TrainingRun, steps: int) -> None:
        """Called whenever the run starts or goes on; ``steps`` is where it shall end."""

    def on_wait(self, run: TrainingRun, progress: Any) -> None:
        """Called when a job's state changes; see :class:`.Progress`."""

    def on_step(self, run: TrainingRun, record: Record) -> None:
        """Called after every step, before its checkpoint is written."""

    def on_stop(self, run: TrainingRun) -> None:
        """Called when the run ends or is interrupted; ``run.stopped`` says why."""


class StepFunction(Callback):
    """A plain function of the record, called after every step."""

    def __init__(self, function: Callable[[Record], None]) -> None:
        self._function = function

    def on_step(self, run: TrainingRun, record: Record) -> None:
        """Call it."""
        self._function(record)


class Calibrate(Callback):
    """Chooses :class:`SPSAOptimizer`'s step size before the first step, in one batch.

    Args:
        first_step: wanted change of a parameter (radians, for angles).
        samples: pairs of evaluations, on the samples of the first step.
    """

    def __init__(self, first_step: float, samples: int = 5) -> None:
        self.first_step, self.samples = first_step, samples

    def on_begin(self, run: TrainingRun) -> None:
        """Calibrate."""
        args = run.params if isinstance(run.params, tuple) else (run.params,)
        run.optimizer.calibrate(
            run.cost_of(1), *args, first_step=self.first_step, samples=self.samples
        )


class ProgressBar(Callback):
    """A ``tqdm.auto`` bar: steps, loss, POSTs, circuits per second, the queue, the budget.

    Args:
        shown: None shows it on terminals and in notebooks that have widgets, and is quiet
            elsewhere.
    """

    def __init__(self, shown: bool | None = None) -> None:
        self._shown = shown
        self._bar: Any = None
        self._told: dict[str, str] = {}

    def on_start(self, run: TrainingRun, steps: int) -> None:
        """Open the bar where the run stands."""
        shown = True if self._shown is None and _has_widgets() else self._shown
        self._bar = _tqdm()(
            total=steps,
            initial=min(run.step, steps),
            unit="step",
            desc=run.name,
            disable=None if shown is None else not shown,
        )
        self._told = {}

    def on_wait(self, run: TrainingRun, progress: Any) -> None:
        """Show what the last job heard of is doing."""
        wait_s = progress.predicted_wait_s
        if progress.elapsed_s < _WORTH_SHOWING_S:
            return
        ahead = f", about {seconds(wait_s)} in the queue" if wait_s else ""
        self._bar.set_postfix({**self._told, "job": f"{progress.state}{ahead}"})

    def on_step(self, run: TrainingRun, record: Record) -> None:
        """Show a step."""
        done = [r for r in run.history if r.step > record.step - 20]  # rates of what is recent
        took_s = sum(r.seconds for r in done)
        self._told = {
            "loss": f"{record.loss:.4g}",
            "POSTs": f"{sum(r.posts for r in run.history):,}",
        }
        if took_s > 0:
            self._told["circuits/s"] = f"{sum(r.circuits for r in done) / took_s:,.0f}"
        if record.queue_s >= 1:
            self._told["queued"] = seconds(record.queue_s)
        if run.spent_usd or run.left_usd is not None:
            self._told["spent"] = f"${run.spent_usd:,.2f}"
        if run.left_usd is not None:
            self._told["left"] = f"${run.left_usd:,.2f}"
        self._bar.set_postfix(self._told, refresh=False)
        self._bar.update()

    def on_stop(self, run: TrainingRun) -> None:
        """Close the bar."""
        if self._bar is not None:
            self._bar.close()


def seconds(value: float) -> str:
    """A duration as people say it."""
    if value < 90:
        return f"{value:.0f} s"
    return f"{value / 60:.0f} min" if value < 5400 else f"{value / 3600:.1f} h"


def _tqdm() -> Any:
    """``tqdm.auto``, which warns in a notebook that has no widgets: there, the one of text."""
    if _is_notebook() and not _has_widgets():
        from tqdm import tqdm
    else:
        from tqdm.auto import tqdm
    return tqdm


def _has_widgets() -> bool:
    """Whether this is a notebook in which a bar can be drawn."""
    return _is_notebook() and find_spec("ipywidgets") is not None


def _is_notebook() -> bool:
    ipython = sys.modules.get("IPython")
    return hasattr(None if ipython is None else ipython.get_ipython(), "kernel")
