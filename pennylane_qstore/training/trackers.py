"""Trackers of experiments as callbacks: CSV, JSON lines, TensorBoard, MLflow, Weights & Biases.

``TrainingRun(..., callbacks=[qstore.trackers.TensorBoard("logs")])``. Each writes a row for every
step (loss, metrics and validation, dollars, jobs, circuits, shots, times), and the settings of the
run once. A run that goes on adds no row twice; a tracker that it gets later gets the earlier rows.
Figures of ``run.evaluate()``, also of later ones, are beside the steps: ``evaluation/loss`` and so
on, or in a file of their own.
"""

from __future__ import annotations

import csv
import io
import json
import re
import time
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from pennylane_qstore.training.callbacks import Callback, Run
from pennylane_qstore.training.files import replace_file
from pennylane_qstore.training.fingerprint import optimizer_text
from pennylane_qstore.training.history import StepRecord
from pennylane_qstore.validation import check_count, installed

__all__ = ["CSV", "JSONLines", "MLflow", "TensorBoard", "WandB"]


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
        """Close again after an evaluation outside a training."""

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


class JSONLines(Tracker):
    """Write an object for each step to a file, and the settings beside it as ``.settings.json``.

    Evaluations are beside it as ``.evaluations.jsonl``, each once.

    Args:
        path: of the file; that of an earlier run is replaced.
    """

    def __init__(self, path: str | Path) -> None:
        super().__init__()
        self._path = Path(path)

    def _open(self, run: Run) -> None:
        settings = {"run": run.run_id, **run.settings}
        text = json.dumps(settings, indent=1, default=str) + "\n"
        beside = self._path.with_suffix(".settings.json")
        if not beside.exists() or json.loads(beside.read_bytes()).get("run") != run.run_id:
            self._evaluations.unlink(missing_ok=True)  # of an earlier run
        replace_file(beside, text.encode())
        self._write_all(run)

    @property
    def _evaluations(self) -> Path:
        return self._path.with_suffix(".evaluations.jsonl")

    def _write_evaluation(self, run: Run, figures: Mapping[str, float]) -> None:
        path, line = self._evaluations, json.dumps({"step": run.step, **figures}) + "\n"
        known = path.read_text(encoding="utf-8") if path.exists() else ""
        if line not in known.splitlines(keepends=True):
            replace_file(path, (known + line).encode())

    def _write_all(self, run: Run) -> None:
        """Write the steps that count, without those after which there was no checkpoint."""
        replace_file(self._path, self._text([row_of(record) for record in run.history]).encode())
        self._logged = run.step

    def _write(self, run: Run, step: int, row: Mapping[str, float]) -> None:
        with self._path.open("a", encoding="utf-8", newline="") as file:
            file.write(self._line(row))

    def _text(self, rows: Sequence[Mapping[str, float]]) -> str:
        return "".join(map(self._line, rows))

    def _line(self, row: Mapping[str, float]) -> str:
        return json.dumps(row) + "\n"


class CSV(JSONLines):
    """Write a table with a row for each step, and the settings beside it as ``.settings.json``.

    Args:
        path: of the file; that of an earlier run is replaced.
    """

    _columns: tuple[str, ...] = ()

    def _write(self, run: Run, step: int, row: Mapping[str, float]) -> None:
        if row.keys() <= set(self._columns):
            super()._write(run, step, row)
        else:  # such as the first validation's
            self._write_all(run)

    def _text(self, rows: Sequence[Mapping[str, float]]) -> str:
        self._columns = tuple(dict.fromkeys(name for row in rows for name in row))
        return self._line(dict(zip(self._columns, self._columns, strict=True))) + super()._text(
            rows
        )

    def _line(self, row: Mapping[str, Any]) -> str:
        line = io.StringIO(newline="")
        csv.writer(line).writerow([row.get(name, "") for name in self._columns])
        return line.getvalue()


class TensorBoard(Tracker):
    """Write event files: scalars, and the settings as hyperparameters. Extra ``tensorboard``.

    Args:
        folder: each run has a folder in it, of its name in the ledger.
    """

    def __init__(self, folder: str | Path = "runs") -> None:
        super().__init__()
        self._folder = Path(folder)
        self._events = installed(
            "tensorboard.compat.proto.event_pb2", "This tracker needs tensorboard", "tensorboard"
        )
        self._summary = import_module("tensorboard.compat.proto.summary_pb2").Summary
        self._hparams = import_module("tensorboard.plugins.hparams.summary_v2").hparams_pb
        self._files = import_module("tensorboard.summary.writer.event_file_writer")

    def _open(self, run: Run) -> None:
        self._file = self._files.EventFileWriter(str(self._folder / _plain_name(run.run_id)))
        # Readers drop what follows: steps of an earlier start after which there was no checkpoint.
        start = self._events.SessionLog(status=self._events.SessionLog.START)
        self._file.add_event(self._events.Event(session_log=start, step=self._logged + 1))
        if not self._logged:
            settings = self._hparams({k: _simple(v) for k, v in run.settings.items()})
            self._file.add_event(self._events.Event(summary=settings))

    def _write(self, run: Run, step: int, row: Mapping[str, float]) -> None:
        values = [self._summary.Value(tag=k, simple_value=v) for k, v in row.items() if k != "step"]
        summary = self._summary(value=values)
        self._file.add_event(self._events.Event(step=step, wall_time=time.time(), summary=summary))

    def on_stop(self, run: Run) -> None:
        """Close the file."""
        super().on_stop(run)
        self._close()

    def _close(self) -> None:
        self._file.close()


class MLflow(Tracker):
    """Write a run of MLflow: metrics by step, and the settings as parameters. Extra ``mlflow``.

    Args:
        experiment: its name.
        uri: of the tracking server or store, such as ``sqlite:///mlflow.db``; by default as
            ``MLFLOW_TRACKING_URI`` says.
    """

    def __init__(self, experiment: str = "qstore", uri: str | None = None) -> None:
        super().__init__()
        self._mlflow = installed("mlflow", "This tracker needs mlflow", "mlflow")
        self._experiment, self._uri = experiment, uri

    def _open(self, run: Run) -> None:
        self._client = client = self._mlflow.MlflowClient(tracking_uri=self._uri)
        found = client.get_experiment_by_name(self._experiment)
        place = found.experiment_id if found else client.create_experiment(self._experiment)
        name = _plain_name(run.run_id)
        known = client.search_runs([place], f"tags.`qstore.run` = '{name}'")
        if known:
            self._id, self._status = known[0].info.run_id, known[0].info.status
            client.update_run(self._id, status="RUNNING")
        else:
            new = client.create_run(place, run_name=run.name, tags={"qstore.run": name})
            self._id, self._status = new.info.run_id, "FINISHED"
            settings = {**run.settings, "optimizer": optimizer_text(run.optimizer)}
            params = [self._param(k, v) for k, v in settings.items()]
            client.log_batch(self._id, params=params)
        # The store's own count: it has steps after which there was no checkpoint.
        self._logged = max((m.step for m in client.get_metric_history(self._id, "loss")), default=0)

    def _param(self, name: str, value: Any) -> Any:
        return self._mlflow.entities.Param(_key(name), str(_simple(value))[:500])

    def on_step(self, run: Run, record: StepRecord) -> None:
        """Write a row, if it is not there; arguments as of :meth:`Callback.on_step`.

        Args:
            run: the run.
            record: of the step.
        """
        if record.step > self._logged:
            super().on_step(run, record)

    def _write(self, run: Run, step: int, row: Mapping[str, float]) -> None:
        now_ms = int(time.time() * 1000)
        metric = self._mlflow.entities.Metric
        metrics = [metric(_key(k), float(v), now_ms, step) for k, v in row.items() if k != "step"]
        self._client.log_batch(self._id, metrics=metrics)

    def on_stop(self, run: Run) -> None:
        """Set the status of the run: finished, killed or failed."""
        super().on_stop(run)
        ends = {None: "FAILED", "interrupt": "KILLED"}
        self._client.set_terminated(self._id, ends.get(run.stopped, "FINISHED"))

    def _close(self) -> None:
        self._client.set_terminated(self._id, self._status)  # as the training has ended


class WandB(Tracker):
    """Write a run of Weights & Biases, offline by default. Extra ``wandb``.

    A start of a run writes a folder of its own; ``wandb sync`` joins them by the run's id, and
    takes every step once. Code, Git and console are left out: they may hold secrets.

    Args:
        project: its name.
        folder: where ``wandb`` is made; by default the working folder.
        mode: ``"offline"`` or ``"online"``.
    """

    def __init__(
        self, project: str = "qstore", folder: str | Path | None = None, mode: str = "offline"
    ) -> None:
        super().__init__()
        self._wandb = installed("wandb", "This tracker needs wandb", "wandb")
        self._project, self._folder, self._mode = project, folder, mode

    def _open(self, run: Run) -> None:
        quiet = self._wandb.Settings(
            console="off", disable_git=True, disable_code=True, silent=True, x_disable_stats=True
        )
        if self._folder is not None:
            Path(self._folder).mkdir(parents=True, exist_ok=True)
        self._run = self._wandb.init(
            project=self._project, dir=self._folder, mode=self._mode, name=run.name,
            id=_plain_name(run.run_id), resume=None if self._mode == "offline" else "allow",
            config={**run.settings, "optimizer": optimizer_text(run.optimizer)}, settings=quiet,
        )  # fmt: skip

    def _write(self, run: Run, step: int, row: Mapping[str, float]) -> None:
        self._run.log(dict(row), step=step)

    def _write_evaluation(self, run: Run, figures: Mapping[str, float]) -> None:
        # The step has a row already, and the service takes every step once.
        found = {"step": run.step, **figures}
        self._run.summary.update({f"evaluation/{name}": value for name, value in found.items()})

    def on_stop(self, run: Run) -> None:
        """Close the run."""
        super().on_stop(run)
        self._run.finish(exit_code=1 if run.stopped is None else 0)

    def _close(self) -> None:
        self._run.finish(exit_code=0)


def _simple(value: Any) -> Any:
    return value if isinstance(value, bool | int | float | str) else json.dumps(value, default=str)


def _plain_name(name: str) -> str:
    """Return a name that folders, filters and ids may have."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", name)


def _key(name: str) -> str:
    """Return a name that MLflow takes."""
    return re.sub(r"[^\w\-. /:]+", "_", name)[:250]
