"""Observers of a training run: the callback protocol, calibration, and the progress bar."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any, Protocol

from pennylane_qstore.training.history import StepRecord
from pennylane_qstore.training.parameters import arguments

_WORTH_SHOWING_S = 0.5  # shorter jobs are done before anybody reads about them
_COLUMNS = 80
_FORMAT = "{desc} {n_fmt}/{total_fmt}{postfix} [{elapsed}<{remaining}]"
_LOG_S = 30.0  # between two lines


class Run(Protocol):
    """A training run as callbacks see it; see :class:`.TrainingRun` for each member."""

    name: str
    history: list[StepRecord]
    stopped: str | None

    @property
    def run_id(self) -> str:
        """Name of the run in the ledger."""

    @property
    def settings(self) -> Mapping[str, Any]:
        """Settings that have to be the same when the run goes on."""

    @property
    def params(self) -> Any:
        """The current parameters."""

    @property
    def optimizer(self) -> Any:
        """The optimizer."""

    @property
    def step(self) -> int:
        """Steps made so far."""

    @property
    def spent_usd(self) -> float:
        """Billed so far, in US dollars."""

    @property
    def left_usd(self) -> float | None:
        """Left of the budget, in US dollars; None without one."""

    def cost_of(self, step: int) -> Callable[..., Any]:
        """Return the objective on the samples of a step."""

    def stop(self, reason: str = "callback") -> None:
        """End the run after the step it is in, with ``stopped`` as the reason given."""


class Callback:
    """Base of observers: override the methods that are needed. ``run.stop()`` ends the run.

    A callback that has ``state_dict`` and ``load_state_dict`` is kept in the checkpoint.
    """

    def on_begin(self, run: Run) -> None:
        """Act once in the life of a run, before its first step: the place to calibrate.

        Circuits executed here belong to the run: if the run is killed meanwhile, this is called
        again, and jobs that were paid for are found.
        """

    def on_start(self, run: Run, steps: int) -> None:
        """Act whenever the run starts or goes on.

        Args:
            run: the run.
            steps: number of the step that it shall end with.
        """

    def on_wait(self, run: Run, progress: Any) -> None:
        """Act when a job's state changes.

        Args:
            run: the run.
            progress: state of the job, see :class:`.Progress`.
        """

    def on_step(self, run: Run, record: StepRecord) -> None:
        """Act after every step, before its checkpoint is written.

        Args:
            run: the run.
            record: of the step.
        """

    def on_stop(self, run: Run) -> None:
        """Act when the run ends or is interrupted; ``run.stopped`` says why."""

    def on_evaluate(self, run: Run, figures: Mapping[str, float]) -> None:
        """Act after ``run.evaluate()``, while the run trains, after it, or in a later process.

        Args:
            run: the run.
            figures: ``loss`` and metrics by name, and of the evaluation ``samples`` (0 without
                data), ``exact`` and ``given_params`` (1 for other parameters than the run's).
        """


class StepFunction(Callback):
    """A plain function of the record, called after every step."""

    def __init__(self, function: Callable[[StepRecord], None]) -> None:
        self._function = function

    def on_step(self, run: Run, record: StepRecord) -> None:
        """Call the function; arguments as of :meth:`Callback.on_step`.

        Args:
            run: the run.
            record: of the step.
        """
        self._function(record)


class Calibrate(Callback):
    """Choose :class:`SPSAOptimizer`'s step size before the first step, in one batch.

    Args:
        first_step: wanted change of a parameter (radians, for angles).
        samples: pairs of evaluations, on the samples of the first step.
    """

    def __init__(self, first_step: float, samples: int = 5) -> None:
        self.first_step, self.samples = first_step, samples

    def on_begin(self, run: Run) -> None:
        """Calibrate."""
        args = arguments(run.params)
        run.optimizer.calibrate(
            run.cost_of(1), *args, first_step=self.first_step, samples=self.samples
        )


class ProgressBar(Callback):
    """A ``tqdm.auto`` bar of at most 80 columns: dollars first, then loss, jobs and the queue.

    Args:
        shown: None shows it on terminals and in notebooks, and elsewhere a plain line now and
            then; ``"log"`` shows the lines anywhere, from the first step on.
        clock: seconds, for tests.
    """

    def __init__(
        self, shown: bool | str | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._is_log = shown == "log" or (
            shown is None and not (_is_notebook() or sys.stderr.isatty())
        )
        self._shown = not self._is_log if shown in ("log", None) else bool(shown)
        self._clock, self._told_at = clock, -math.inf if shown == "log" else clock()
        self._bar: Any = None
        self._posts = 0
        self._steps = self._told_step = 0
        self._postfix: dict[str, str] = {}

    def on_start(self, run: Run, steps: int) -> None:
        """Open the bar where the run stands.

        Args:
            run: the run.
            steps: length of the bar.
        """
        self._bar = _tqdm()(
            total=steps,
            initial=min(run.step, steps),
            unit="step",
            desc=self._title(run),
            disable=not self._shown,
            **({} if _has_widgets() else {"ncols": _COLUMNS, "bar_format": _FORMAT}),
        )
        self._steps = steps
        self._posts = sum(record.posts for record in run.history)
        self._postfix = {}

    def on_wait(self, run: Run, progress: Any) -> None:
        """Show the state of the job that was heard of last.

        Args:
            run: the run.
            progress: state of the job.
        """
        if progress.elapsed_s < _WORTH_SHOWING_S:
            return
        wait_s = progress.predicted_wait_s
        ahead = f", about {duration_text(wait_s)} in the queue" if wait_s else ""
        self._bar.set_postfix({**self._postfix, "job": f"{progress.state}{ahead}"})

    def on_step(self, run: Run, record: StepRecord) -> None:
        """Show a step.

        Args:
            run: the run.
            record: of the step.
        """
        self._posts += record.posts
        self._postfix = {}
        spent_usd, left_usd = self._dollars(run)
        if spent_usd or left_usd is not None:
            whole = "" if left_usd is None else f"/${spent_usd + left_usd:,.2f}"
            self._postfix["spent"] = f"${spent_usd:,.2f}{whole}"
        self._postfix |= {"loss": f"{record.loss:.4g}", "jobs": f"{self._posts:,}"}
        if record.queue_s >= 1:
            self._postfix["queued"] = duration_text(record.queue_s)
        self._bar.set_postfix(self._postfix, refresh=False)
        self._bar.update()
        if self._is_log and self._clock() - self._told_at >= _LOG_S:
            self._tell(run)

    def _tell(self, run: Run) -> None:
        """Print a line and flush it, so that ``tail -f`` shows it at once."""
        about = ", ".join(f"{name} {value}" for name, value in self._postfix.items())
        text = f"{self._title(run)} {run.step}/{self._steps}: {about}"
        print(text, file=sys.stderr, flush=True)  # noqa: T201 - a batch job's log
        self._told_at, self._told_step = self._clock(), run.step

    def on_stop(self, run: Run) -> None:
        """Close the bar, or print the last step."""
        if self._told_step and run.step > self._told_step:
            self._tell(run)
        if self._bar is not None:
            self._bar.close()

    def _title(self, run: Run) -> str:
        return run.name

    def _dollars(self, run: Run) -> tuple[float, float | None]:
        """Return the dollars billed, and those left of the budget; None without one."""
        return run.spent_usd, run.left_usd


class Observers:
    """All observers of a run: its callbacks, then the progress bar.

    Args:
        run: that is watched.
        callbacks: callbacks, or functions called with the record of each step.
        bar: called after the callbacks.
    """

    def __init__(
        self,
        run: Run,
        callbacks: Sequence[Callback | Callable[[StepRecord], None]],
        bar: ProgressBar,
    ) -> None:
        self._run, self._bar = run, bar
        self.callbacks = [c if isinstance(c, Callback) else StepFunction(c) for c in callbacks]

    def notify(self, event: str, *about: Any) -> None:
        """Call a method of all.

        Args:
            event: name of the method.
            *about: its arguments after the run.
        """
        for observer in (*self.callbacks, self._bar):
            getattr(observer, event)(self._run, *about)

    @contextmanager
    def watching(self, steps: int) -> Iterator[None]:
        """Call ``on_start`` before and ``on_stop`` after what is inside.

        Args:
            steps: number of the step that the run shall end with.
        """
        self.notify("on_start", steps)
        try:
            yield
        finally:
            self.notify("on_stop")


def duration_text(seconds: float) -> str:
    """Return a duration in the unit that people use for it."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _tqdm() -> Any:
    """Return ``tqdm.auto``; in a notebook without widgets the text bar, since it would warn."""
    if _is_notebook() and not _has_widgets():
        from tqdm import tqdm
    else:
        from tqdm.auto import tqdm
    return tqdm


def _has_widgets() -> bool:
    """Return True in a notebook in which a bar can be drawn."""
    return _is_notebook() and find_spec("ipywidgets") is not None


def _is_notebook() -> bool:
    ipython = sys.modules.get("IPython")
    return hasattr(None if ipython is None else ipython.get_ipython(), "kernel")
