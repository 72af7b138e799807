"""``TrainingRun``: training with a history, a budget, checkpoints and exact resumption."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Literal

from pennylane_qstore.errors import BudgetExceeded, ConfigurationError
from pennylane_qstore.prices import PriceModel
from pennylane_qstore.training import checkpoint as files
from pennylane_qstore.training import run_options
from pennylane_qstore.training.auto_shape import StepShapes, price_models
from pennylane_qstore.training.callbacks import Callback, Observers, ProgressBar
from pennylane_qstore.training.devices import Devices
from pennylane_qstore.training.fingerprint import CircuitsDiffer
from pennylane_qstore.training.history import StepRecord
from pennylane_qstore.training.minibatches import RunData
from pennylane_qstore.training.objective import Objective
from pennylane_qstore.training.optimizer_adapters import adapt
from pennylane_qstore.training.program import Program
from pennylane_qstore.training.run_lock import RunLock, locked
from pennylane_qstore.training.run_planning import RunPlanning
from pennylane_qstore.training.run_state import RunState
from pennylane_qstore.training.schedules import LearningRate
from pennylane_qstore.training.stopping import Abandoned, EarlyStopping, Interrupt
from pennylane_qstore.validation import check_count

logger = logging.getLogger(__name__)


class TrainingRun(RunPlanning):
    """A training run: mini-batches, validation, history, budget, checkpoint, exact resume.

    With ``loss`` and ``data``, :class:`SPSAOptimizer` gives each sample a random direction of its
    own (``directions="shared"`` does not); loss and metrics are means over the perturbed points.

    A step is one POST, unless circuits wait for others: Rotosolve takes one for each parameter,
    QNSPSA two if it blocks, ``torch.optim.LBFGS`` one an evaluation, a model one for each look.

    Every step ends with a checkpoint: a line of history, and a file, replaced atomically, with
    parameters, optimizer, every random state, the place in the data and in the device's ledger. A
    run that was killed goes on bit for bit as if it had not been; the job that was in flight is
    taken from the ledger and not paid again (a ledger in a file is the default of devices on a
    paid backend).

    A run goes on with the same program only: another circuit, model, loss, data, seed, optimizer
    or device option is refused by name. These may change: ``steps`` and ``epochs``, ``patience``
    and ``min_delta``, ``metrics``, ``callbacks``, ``progress``, ``budget_usd`` (more lets it go
    on), and of a device the key, the connection, waiting times, the ledger and the names of jobs.

    Args:
        model: ``cost(params, x, y)`` (``cost(params)`` without data), which is minimised; or,
            with ``loss``, a QNode or function ``model(params, x)``; or a torch module, which
            is its own ``params``. A tuple of parameters is handed over as several arguments.
        params: where to start: arrays, also in dictionaries and lists where the optimizer
            takes these, tensors, a torch module.
        optimizer: ours, PennyLane's, or torch's.
        loss: of the model's outputs and the batch's labels.
        step_kwargs: of PennyLane's ``step_and_cost``: ``nums_frequency``, ``metric_tensor_fn``.
        metrics: by name, further functions of the same arguments; they cost no circuit.
        data: arrays with one row per sample, as ``(x, y)`` or more or fewer.
        broadcast: the model broadcasts over trained arrays too (:meth:`SPSAOptimizer.step_rows`).
        batch_size: rows of a step; all of them by default.
        lr: learning rate instead of the optimizer's: a number, or a function of the step, from 1,
            as in :mod:`qstore.schedules <pennylane_qstore.training.schedules>`.
        shots: of every circuit of a step, instead of the QNodes' own, likewise; ``"auto"`` chooses
            step by step the shots and, where they are not given, the samples (without
            ``batch_size``) and directions (``resamplings="auto"``) that cost least by ``prices``.
        prices: a :class:`~pennylane_qstore.prices.PriceModel` or the name of one, such as
            ``"qpu.forte-1"``; by default those of the devices' backend, or Forte's.
        drop_last: leave the short batch at an epoch's end out.
        seed: of the shuffles, drawn if not given; optimizer and device have their own.
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
        resume: True goes on where the checkpoint stands, if there is one; ``"edited"`` also where
            model or loss is written in another way; False starts anew and replaces it; None (the
            default) starts, and refuses to replace one.
        name: of the run, in progress and ledger.
        callbacks: :class:`Callback` objects, or functions called with each :class:`StepRecord`.
        progress: whether a bar is shown; ``"log"`` prints a line now and then instead. None shows
            the bar on terminals and in notebooks, and elsewhere lines of runs that take long.
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
        step_kwargs: Mapping[str, Any] | None = None,
        metrics: Mapping[str, Callable[..., Any]] | None = None,
        data: Sequence[Any] | None = None,
        broadcast: bool = False,
        batch_size: int | None = None,
        lr: float | Callable[[int], float] | None = None,
        shots: int | Callable[[int], float] | Literal["auto"] | None = None,
        prices: str | PriceModel | None = None,
        drop_last: bool = False,
        seed: int | None = None,
        validation: Sequence[Any] | None = None,
        validate_every: int = 1,
        patience: int | None = None,
        min_delta: float = 0.0,
        device: Any = None,
        budget_usd: float | None = None,
        checkpoint: str | Path | None = None,
        resume: run_options.Resume = None,
        name: str = "run",
        callbacks: Sequence[Callback | Callable[[StepRecord], None]] = (),
        progress: bool | Literal["log"] | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        run_options.check_functions(model, loss, metrics, clock)
        run_options.check_callbacks(callbacks)
        run_options.check_kinds(name, drop_last, min_delta, budget_usd, resume, progress)
        path = run_options.check_path(checkpoint)
        self.name = name
        self.history: list[StepRecord] = []
        self.stopped: str | None = None
        """Reason of its stop: steps, patience, budget, interrupt or callback."""
        objective = Objective(model, loss, metrics or {})
        self._adapter = adapt(objective, params, optimizer, broadcast, step_kwargs)
        self._devices = Devices.of(model, device)
        self._data = RunData(data, validation, batch_size, drop_last, seed)
        self.prices = price_models(prices, self._devices.backends)
        """Price lists that may hold, the dearest first."""
        self._learning_rate = LearningRate(lr, optimizer)
        self._shapes = StepShapes(self._adapter, self._devices, self._data, self.prices, shots)
        self._validate_every = check_count("validate_every", validate_every)
        watched = "loss" if validation is None else "val_loss"
        self._stopping = EarlyStopping(watched, patience, min_delta)
        self._files, self._lock = files.Checkpoint(path) if path else None, RunLock(path)
        self._budget_usd, self._resume, self._clock = budget_usd, resume, clock
        self._observers = Observers(self, callbacks, ProgressBar(progress))
        self._interrupt = Interrupt()
        self._state = RunState(
            name, self._adapter, self._devices, self._stopping, self._observers.callbacks,
            Program(model=model, loss=loss),
        )  # fmt: skip
        self._state.circuits.compares_shots = not self._shapes.changes_shots
        self._opened = self._written = False
        self._asked_to_stop: str | None = None

    @locked
    def train(self, steps: int | None = None, *, epochs: int | None = None) -> TrainingRun:
        """Train until so many steps (or epochs) have been made in all.

        After Ctrl-C nothing more is sent: the run ends after the step it is in, or before it where
        that has still to send something. A second Ctrl-C ends it at once. Jobs of a step that
        was not finished stay in the ledger, and the same step finds them.

        Args:
            steps: of the whole run, those before a resume included.
            epochs: instead of steps.

        Returns:
            The run itself; ``stopped`` says why it stopped.

        Raises:
            QStoreError: a step failed. The run stands before that step and can go on.
            RunLocked: another process is at work on the checkpoint. Nothing was sent.
        """
        return self._run(self._total(steps, epochs))

    @locked
    def pretrain(self, steps: int) -> TrainingRun:
        """Train exactly and for nothing, until so many steps have been made.

        The model's QNodes run without noise and shots on the emulator in this process; the run's
        devices send nothing, and no budget is touched. Counts and samples keep their shots. Steps
        count on: ``pretrain(30)`` and then ``train(40)`` makes 10 steps that may be paid.

        Args:
            steps: of the whole run, those before a resume included.

        Returns:
            The run itself.

        Raises:
            ConfigurationError: :meth:`train` has made steps already.
        """
        return self._run(int(check_count("steps", steps)), exact=True)

    def _run(self, total: int, *, exact: bool = False) -> TrainingRun:
        """Make steps, exact ones if asked, until there are so many in all."""
        self._read()
        path = None if self._files is None else self._files.path
        self._state.program.compare(path, self.step, edited=self._resume == "edited")
        self._open()
        if exact and self.step < total and any(not record.exact for record in self.history):
            raise ConfigurationError(
                "pretrain() comes before train(); this run has been trained already."
            )
        self._asked_to_stop = None
        self._interrupt.clear()
        self.stopped = None
        self._devices.restore(self._state.saved["devices"])  # others may have used them meanwhile
        with (
            self._attached(),
            self._devices.watched(self._look),
            self._observers.watching(total),
            self._interrupt.handled(),
            self._devices.exact() if exact else nullcontext(),
        ):
            try:
                self._begin()
                while (reason := self._reason(total)) is None:
                    try:
                        with self._state.undone_on_error(self.history):
                            with self._interrupt.sending():
                                record = self._step(total, exact)
                            self._observers.notify("on_step", record)
                    except CircuitsDiffer:
                        if not self._state.is_data_dependent(self.cost_of(1), self.history):
                            raise
                        continue
                    self._save()
            except BudgetExceeded as error:
                if not self._state.begun:
                    raise
                logger.warning("The run stops after step %d: %s", self.step, error)
                reason = "budget"
            except KeyboardInterrupt as stop:
                if not (self._interrupt.abandoned or isinstance(stop, Abandoned)):
                    raise
                logger.warning("The run stops after step %d: %s", self.step, stop)
                reason = "interrupt"
            self.stopped = reason
            if self._state.program.finish():
                self._save()
        return self

    def stop(self, reason: str = "callback") -> None:
        """End the run after the step it is in, with :attr:`stopped` as the reason given."""
        self._asked_to_stop = reason

    def _begin(self) -> None:
        if self._state.begun:
            return
        with self._state.undone_on_error(self.history):
            with self._interrupt.sending():
                self._observers.notify("on_begin")
            self._state.begun = True
        self._save()

    def _step(self, total: int, exact: bool) -> StepRecord:
        step, before, start = self.step + 1, self._devices.counts(), self._clock()
        sent = self._devices.sent()
        shape, span = (None, None) if exact else self._shapes.choose(self.history, total)
        self._state.circuits.begin_step()
        evaluation, epoch = self._move(step, shape, span, exact=exact)
        seconds = self._clock() - start
        spent = {name: value - before[name] for name, value in self._devices.counts().items()}
        record = StepRecord(
            step, epoch, evaluation.loss, evaluation.metrics, int(spent["circuits"]),
            int(spent["jobs"]), int(spent["requests"]), seconds, spent["queue_s"], spent["run_s"],
            spent["cost_usd"], self.spent_usd, evaluation.gradient_rms,
            evaluation.gradient_variance, self._shapes.made(shape),
            self._devices.sizes(sent), exact,
        )  # fmt: skip
        self.history.append(record)
        if self._stopping.improves(record):
            self._state.best_params = self._adapter.state_dict()["params"]
        if exact:
            self._state.pretrained = self._adapter.state_dict()["params"]
        return record

    def _look(self, tapes: Sequence[Any]) -> None:
        """Look at a batch that is about to be sent."""
        self._interrupt.begin_batch()
        self._state.circuits(tapes)

    def _told(self, progress: Any) -> None:
        """Pass on a change of a job's state."""
        self._interrupt.saw(progress)
        self._observers.notify("on_wait", progress)

    def _reason(self, total: int) -> str | None:
        """Return why the run is over; None while it is not."""
        if self._interrupt.requested:
            return "interrupt"
        if self._asked_to_stop or self.step >= total:
            return self._asked_to_stop or "steps"
        return "patience" if self._stopping.is_exhausted(self.history) else None

    def _open(self) -> None:
        """Write the checkpoint before anything is sent."""
        if not self._written:
            if self._files is not None:
                self._devices.check_sizes()
            self._save()
            self._written = True

    def _save(self) -> None:
        self._state.save(self._files, self.history)

    def _attached(self, part: str = "") -> Any:
        """Let the devices' jobs belong to the run, and report to it, while they execute."""
        spent_usd = self.history[-1].spent_usd if self.history else 0.0
        return self._devices.attach(self.run_id, self._budget_usd, self._told, part, spent_usd)
