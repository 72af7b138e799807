"""The base of trackers: which rows are written when, whoever keeps them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

from pennylane_qstore.training.callbacks import Callback, Run
from pennylane_qstore.training.history import StepRecord
from pennylane_qstore.validation import check_count


class Tracker(Callback):
    """Base of trackers."""

    def __init__(self) -> None:
        self._logged = 0
        self._is_open = False

    def state_dict(self) -> dict[str, Any]:
        """Return how many steps were written."""
        return {"logged": self._logged}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on behind the steps that were written."""
        self._logged = int(check_count("logged", state["logged"], least=0))

    def on_start(self, run: Run, steps: int) -> None:
        """Open, and write the steps that are not written yet.

        Args:
            run: the run.
            steps: number of the step that it shall end with.
        """
        self._open(run)
        self._is_open = True
        for record in run.history[self._logged :]:
            self.on_step(run, record)

    def on_step(self, run: Run, record: StepRecord) -> None:
        """Write a row.

        Args:
            run: the run.
            record: of the step.
        """
        self._write(run, record.step, row_of(record))
        self._logged = record.step

    def on_evaluate(self, run: Run, figures: Mapping[str, float]) -> None:
        """Write the figures of an evaluation; arguments as of :meth:`Callback.on_evaluate`.

        Args:
            run: the run.
            figures: by name.
        """
        if self._is_open:
            self._write_evaluation(run, figures)
            return
        self._open(run)
        try:
            self._write_evaluation(run, figures)
        finally:
            self._close()

    def on_stop(self, run: Run) -> None:
        """Close; ``run.stopped`` says why."""
        self._is_open = False

    def _close(self) -> None:
        """Leave what was opened for an evaluation alone."""

    def _write_evaluation(self, run: Run, figures: Mapping[str, float]) -> None:
        """Write figures of an evaluation at the run's step."""
        self._write(run, run.step, {f"evaluation/{name}": v for name, v in figures.items()})

    @abstractmethod
    def _open(self, run: Run) -> None:
        """Find the place where the run's rows are written, or make it."""

    @abstractmethod
    def _write(self, run: Run, step: int, row: Mapping[str, float]) -> None:
        """Write the row of a step."""


def row_of(record: StepRecord) -> dict[str, float]:
    """Return the values of a step by name: those of a run's table, and its shots in all."""
    shots = sum(size.shots_total for size in record.sizes)
    return {**record.as_dict(), "shots_total": shots}
