"""``TrainingRun``: training with a history, a budget, checkpoints and exact resumption."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pennylane_qstore.errors import BudgetExceeded, ConfigurationError
from pennylane_qstore.training import checkpoint as files
from pennylane_qstore.training import run_options
from pennylane_qstore.training.callbacks import Callback, Observers, ProgressBar
from pennylane_qstore.training.devices import Devices
from pennylane_qstore.training.fingerprint import CircuitsDiffer
from pennylane_qstore.training.history import StepRecord, table
from pennylane_qstore.training.minibatches import RunData, checked, digest
from pennylane_qstore.training.optimizer_adapters import Objective, adapt
from pennylane_qstore.training.run_lock import RunLock, locked
from pennylane_qstore.training.run_state import RunState, read_checkpoint, run_settings
from pennylane_qstore.training.stopping import EarlyStopping, Interrupt
from pennylane_qstore.training.values import decode, encode
from pennylane_qstore.validation import check_count

logger = logging.getLogger(__name__)


class TrainingRun:
    """A training run: mini-batches, validation, history, budget, checkpoint, exact resume.

    Every step ends with a checkpoint: a line of history, and a file, replaced atomically, with
    parameters, optimizer, every random state, the place in the data and in the device's ledger. A
    run that was killed goes on bit for bit as if it had not been; the job that was in flight is
    taken from the ledger and not paid again (a ledger in a file is the default of devices on a
    paid backend).

    A run goes on with the same program only: another circuit, data, seed, optimizer or device
    option is refused by name. These may change: ``steps`` and ``epochs``, ``patience`` and
    ``min_delta``, ``metrics``, ``callbacks``, ``progress``, ``budget_usd`` (more lets it go on),
    and of a device the key, the connection, waiting times, the ledger and the names of jobs.

    Args:
        model: ``cost(params, x, y)`` (``cost(params)`` without data), which is minimised; or,
            with ``loss``, a QNode or function ``model(params, x)``; or a torch module, which
            is its own ``params``. A tuple of parameters is handed over as several arguments.
        params: where to start: arrays, also in dictionaries and lists where the optimizer
            takes these, tensors, a torch module.
        optimizer: ours, PennyLane's, or torch's.
        loss: of the model's outputs and the batch's labels.
        metrics: by name, further functions of the same arguments; they cost no circuit.
        data: arrays with one row per sample, as ``(x, y)`` or more or fewer.
        batch_size: rows of a step; all of them by default.
        drop_last: leave the short batch at an epoch's end out.
        seed: of the shuffles; drawn and remembered if not given. Optimizer and device have
            seeds of their own.
        validation: data like ``data``, looked at every ``validate_every`` steps.
        validate_every: steps.
        patience: stop after so many validations (steps, without validation data) in which the
            loss has not improved by more than ``min_delta``.
        min_delta: what counts as an improvement.
        device: the device or devices that the model runs on; found by itself for QNodes and
            torch layers. ``()`` if there is none.
        budget_usd: the run stops before the batch that would exceed it (US dollars), over all its
            devices; a budget of a device's own applies as well.
        checkpoint: the file of the state, with the history in ``<name>.history.jsonl`` beside it;
            None keeps none.
        resume: True goes on where the checkpoint stands, if there is one; False starts anew and
            replaces it; None (the default) starts, and refuses to replace one.
        name: of the run, in progress and ledger.
        callbacks: :class:`Callback` objects, or functions called with each :class:`StepRecord`.
        progress: whether a bar is shown; None for terminals and notebooks only.
        clock: seconds, for tests.

    Raises:
        ConfigurationError: a setting that is not allowed, or a checkpoint of another run.

    **Example**

    >>> run = qstore.TrainingRun(
    ...     cost, weights, qstore.SPSAOptimizer(maxiter=200, seed=1), data=(X, Y), batch_size=20,
    ...     seed=1, device=dev, checkpoint="run.json", resume=True,
    ... )
    >>> run.train(steps=200)  # again after a crash: it goes on
    >>> pandas.DataFrame(run.table()).plot(x="step", y="loss")
    """

    def __init__(
        self,
        model: Any,
        params: Any = None,
        optimizer: Any = None,
        *,
        loss: Callable[..., Any] | None = None,
        metrics: Mapping[str, Callable[..., Any]] | None = None,
        data: Sequence[Any] | None = None,
        batch_size: int | None = None,
        drop_last: bool = False,
        seed: int | None = None,
        validation: Sequence[Any] | None = None,
        validate_every: int = 1,
        patience: int | None = None,
        min_delta: float = 0.0,
        device: Any = None,
        budget_usd: float | None = None,
        checkpoint: str | Path | None = None,
        resume: bool | None = None,
        name: str = "run",
        callbacks: Sequence[Callback | Callable[[StepRecord], None]] = (),
        progress: bool | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        run_options.check_functions(model, loss, metrics, clock)
        run_options.check_callbacks(callbacks)
        run_options.check_kinds(name, drop_last, min_delta, budget_usd, resume, progress)
        path = run_options.check_path(checkpoint)
        self.name = name
        self.history: list[StepRecord] = []
        self.stopped: str | None = None
        """Why it stopped: steps, patience, budget, interrupt or callback."""
        self._adapter = adapt(Objective(model, loss, metrics or {}), params, optimizer)
        self._devices = Devices.of(model, device)
        self._data = RunData(data, validation, batch_size, drop_last, seed)
        self._validate_every = check_count("validate_every", validate_every)
        watched = "loss" if validation is None else "val_loss"
        self._stopping = EarlyStopping(watched, patience, min_delta)
        self._files = None if path is None else files.Checkpoint(path)
        self._lock = RunLock(path)
        self._budget_usd, self._resume, self._clock = budget_usd, resume, clock
        self._observers = Observers(self, callbacks, ProgressBar(progress))
        self._interrupt = Interrupt()
        self._state = RunState(
            name, self._adapter, self._devices, self._stopping, self._observers.callbacks
        )
        self._opened = self._asked_to_stop = False

    def __repr__(self) -> str:
        loss = f", loss {self.history[-1].loss:.4g}" if self.history else ""
        return f"<TrainingRun {self.name!r}: {self.step} steps{loss}>"

    @property
    def run_id(self) -> str:
        """Name of the run in the ledger."""
        return self._state.run_id

    @property
    def params(self) -> Any:
        """The current parameters."""
        return self._adapter.params

    @property
    def best(self) -> StepRecord | None:
        """The record with the least (validation) loss."""
        return self._stopping.best

    @property
    def best_params(self) -> Any:
        """The parameters after the step of :attr:`best`; a ``state_dict`` of a torch module."""
        params = self._state.best_params
        return None if params is None else decode(params)

    @property
    def optimizer(self) -> Any:
        """The optimizer."""
        return self._adapter.optimizer

    @property
    def step(self) -> int:
        """Steps made so far, those before a resume included."""
        return len(self.history)

    @property
    def spent_usd(self) -> float:
        """Billed by the run's devices, in US dollars."""
        return self._devices.spent_usd

    @property
    def left_usd(self) -> float | None:
        """Left of the budget, in US dollars; None without one."""
        return self._devices.left_of(self.run_id, self._budget_usd)

    @locked
    def train(self, steps: int | None = None, *, epochs: int | None = None) -> TrainingRun:
        """Train until so many steps (or epochs) have been made in all.

        Ctrl-C ends the run after the step it is in; a second Ctrl-C at once, with the state of
        before that step, whose jobs stay in the ledger.

        Args:
            steps: of the whole run, those before a resume included.
            epochs: instead of steps.

        Returns:
            The run itself; ``stopped`` says why it stopped.

        Raises:
            QStoreError: a step failed. The run stands before that step and can go on.
            RunLocked: another process is at work on the checkpoint. Nothing was sent.
        """
        total = self._total(steps, epochs)
        self._open()
        self._asked_to_stop = self._interrupt.requested = False
        self.stopped = None
        self._devices.restore(self._state.saved["devices"])  # others may have used them meanwhile
        with (
            self._attached(),
            self._devices.watched(self._state.circuits),
            self._observers.watching(total),
            self._interrupt.handled(),
        ):
            self._begin()
            while (reason := self._reason(total)) is None:
                try:
                    with self._state.undone_on_error(self.history):
                        record = self._step()
                        self._observers.notify("on_step", record)
                except BudgetExceeded as error:
                    logger.warning("The run stops after step %d: %s", self.step, error)
                    reason = "budget"
                    break
                except CircuitsDiffer:
                    if not self._state.is_data_dependent(self.cost_of(1), self.history):
                        raise
                    continue
                self._save()
            self.stopped = reason
        return self

    @locked
    def evaluate(self, data: Sequence[Any] | None = None, params: Any = None) -> dict[str, float]:
        """Evaluate loss and metrics on data, where the run stands or at other parameters.

        The run goes on as if this had not been. Asked again, it is paid for once.

        Args:
            data: like the run's; by default these.
            params: by default the run's.

        Returns:
            ``loss`` and the metrics, by name.
        """
        self._open()
        batch = (self._data.train or ()) if data is None else checked(data, "data")
        point = self._adapter.state_dict()["params"] if params is None else encode(params)
        about = hashlib.sha256(f"{digest(batch)} {json.dumps(point)}".encode()).hexdigest()[:16]
        with self._devices.isolated(), self._attached(about):
            evaluation = self._adapter.evaluate(batch, params)
        return {"loss": evaluation.loss, **evaluation.metrics}

    def cost_of(self, step: int) -> Callable[..., Any]:
        """Return the objective on the samples of a step, as a function of the parameters."""
        objective, (batch, _) = self._adapter.objective, self._data.samples(step)
        return lambda *args: objective.value(objective.outputs(args, batch), batch)

    def table(self) -> dict[str, list[float]]:
        """Return the history as columns, for ``pandas.DataFrame``; NaN where there is no value."""
        return table(self.history)

    def stop(self) -> None:
        """End the run after the step it is in."""
        self._asked_to_stop = True

    def _begin(self) -> None:
        if self._state.begun:
            return
        with self._state.undone_on_error(self.history):
            self._observers.notify("on_begin")
            self._state.begun = True
        self._save()

    def _step(self) -> StepRecord:
        step, before, start = self.step + 1, self._devices.counts(), self._clock()
        batch, epoch = self._data.samples(step)
        self._state.circuits.begin_step()
        evaluation = self._adapter.step(batch)
        metrics = dict(evaluation.metrics)
        if self._data.validation is not None and step % self._validate_every == 0:
            validation = self._adapter.evaluate(self._data.validation)
            metrics["val_loss"] = validation.loss
            metrics.update({f"val_{name}": value for name, value in validation.metrics.items()})
        seconds = self._clock() - start
        spent = {name: value - before[name] for name, value in self._devices.counts().items()}
        record = StepRecord(
            step, epoch, evaluation.loss, metrics, int(spent["circuits"]), int(spent["jobs"]),
            int(spent["requests"]), seconds, spent["queue_s"], spent["run_s"], spent["cost_usd"],
            self.spent_usd,
        )  # fmt: skip
        self.history.append(record)
        if self._stopping.improves(record):
            self._state.best_params = self._adapter.state_dict()["params"]
        return record

    def _reason(self, total: int) -> str | None:
        """Return why the run is over; None while it is not."""
        if self._interrupt.requested:
            return "interrupt"
        if self._asked_to_stop:
            return "callback"
        if self.step >= total:
            return "steps"
        return "patience" if self._stopping.is_exhausted(self.history) else None

    def _total(self, steps: int | None, epochs: int | None) -> int:
        if (steps is None) == (epochs is None):
            raise ConfigurationError("train() needs steps=, or epochs=, and not both.")
        if epochs is None:
            return int(check_count("steps", steps))
        return int(check_count("epochs", epochs)) * self._data.per_epoch

    def _open(self) -> None:
        """Read the checkpoint, or write the first one before anything is sent."""
        if self._opened:
            return
        self._state.settings = self._settings()
        if self._files is not None:
            if (stored := read_checkpoint(self._files, self._resume)) is not None:
                saved, history = stored
                self._data.take_seed(saved["settings"].get("seed"))
                self._state.settings = self._settings()
                self._state.resume(self._files, saved, history)
                self.history = history
                logger.info("Run %s goes on after step %d.", self.run_id, self.step)
            self._devices.check_sizes()
        self._save()
        self._opened = True

    def _save(self) -> None:
        self._state.save(self._files, self.history)

    def _settings(self) -> dict[str, Any]:
        return run_settings(
            self.name, self._validate_every, self._data, self._adapter, self._devices
        )

    def _attached(self, part: str = "") -> Any:
        """Let the devices' jobs belong to the run, and report to it, while they execute."""
        return self._devices.attach(
            self.run_id,
            self._budget_usd,
            lambda progress: self._observers.notify("on_wait", progress),
            part,
            self.history[-1].spent_usd if self.history else 0.0,
        )
