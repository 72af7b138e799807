"""A training run before its steps: configured by who trains it with others, and priced."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Literal, Self, cast

from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.prices import PriceModel, price_model
from pennylane_qstore.training import checkpoint as files
from pennylane_qstore.training import run_options
from pennylane_qstore.training.auto_shape import charged_by
from pennylane_qstore.training.callbacks import Calibrate, Callback, Observers, ProgressBar
from pennylane_qstore.training.fingerprint import (
    device_settings,
    model_shots,
    optimizer_settings,
    start_of,
    step_settings,
)
from pennylane_qstore.training.history import StepRecord
from pennylane_qstore.training.minibatches import checked
from pennylane_qstore.training.run_estimate import Pricing, RunEstimate, added
from pennylane_qstore.training.run_lock import RunLock
from pennylane_qstore.training.run_options import Resume
from pennylane_qstore.training.run_results import RunResults
from pennylane_qstore.training.run_state import read_checkpoint
from pennylane_qstore.training.step_rule import most_directions
from pennylane_qstore.validation import check_count

logger = logging.getLogger(__name__)

_SIGNALS = (1 / 3, 1.0, 3.0)
"""Factors of the squared gradient that an estimate of chosen steps reckons with."""


class RunPlanning(RunResults):
    """The part of a training run that configures it and prices it before it trains."""

    _files: files.Checkpoint | None
    _opened: bool
    _resume: Resume

    def configure(
        self,
        *,
        callbacks: Sequence[Callback | Callable[[StepRecord], None]] = (),
        progress: bool | Literal["log"] | None = False,
        checkpoint: str | Path | None = None,
        resume: Resume = None,
    ) -> None:
        """Change a run that has not been trained, so that a sweep can train it.

        Args:
            callbacks: further ones.
            progress: instead of the run's own.
            checkpoint: file of the state, for a run that has none.
            resume: as for the run.

        Raises:
            ConfigurationError: the run has a checkpoint of its own, or has begun.
        """
        run_options.check_callbacks(callbacks)
        if checkpoint is not None:
            if self._files is not None or self._opened:
                raise ConfigurationError(
                    f"The run {self.name!r} has a checkpoint of its own, or has begun. Leave "
                    "checkpoint= out where the runs of a sweep are made: it keeps one for each."
                )
            path = run_options.check_path(checkpoint)
            self._files, self._lock = (
                None if path is None else files.Checkpoint(path),
                RunLock(path),
            )
            self._resume = resume
        own = self._observers.callbacks
        self._observers = Observers(cast(Any, self), [*own, *callbacks], ProgressBar(progress))

    def load(self, stopped: str | None = None) -> Self:
        """Go on with the checkpoint, if there is one, without training.

        Args:
            stopped: why the run had stopped.

        Returns:
            The run itself.
        """
        self._resume = self._resume or True
        self._read()
        self.stopped = stopped
        return self

    def estimate(
        self,
        steps: int | None = None,
        *,
        epochs: int | None = None,
        prices: str | PriceModel | None = None,
        evaluate: Sequence[Any] = (),
    ) -> RunEstimate:
        """Return the price of training until so many steps have been made. Nothing is sent.

        A step of each kind (short batches, validations, chosen shapes) and :class:`.Calibrate` are
        recorded on the emulator in this process; the run stays as it is. What has a second round
        of jobs is recorded three times, and with ``shots="auto"`` the squared gradient may be three
        times smaller or larger than known, with ``resamplings="auto"`` the number of directions is
        the least or the most: that is the range. ``patience`` may end the run early.
        Other callbacks' own circuits are not known.

        Args:
            steps: of the whole run, those made already included.
            epochs: instead of steps.
            prices: a price list or its name; by default a backend that bills is asked, and
                elsewhere the run's list holds.
            evaluate: data that will be evaluated after the last step; ``None`` for no data.

        Returns:
            The estimate.

        Raises:
            ConfigurationError: the checkpoint is that of another run.
            DeviceError: an operation or a measurement is not supported.
        """
        self._read()
        total, made = self._total(steps, epochs), self.step
        billed = any(record.cost_usd for record in self.history)
        known = charged_by(self.prices, self.history) if billed else self.prices[-1]
        model = known if prices is None else price_model(prices)
        pricing = Pricing(self._devices, model, ask=prices is None)
        with self._undisturbed():
            first = [pricing.looks(call) for call in self._beginnings()]
            kinds = [self._kinds(total, signal, known) for signal in _SIGNALS]
            looks = {kind: pricing.looks(call) for k in kinds for kind, (call, _) in k.items()}
            last = [pricing.looks(call) for call in self._evaluations(evaluate)]
        sums = [added((looks[k].cost, len(n)) for k, (_, n) in kind.items()) for kind in kinds]
        expected = kinds[_SIGNALS.index(1.0)]
        by_step = {n: looks[k].sizes for k, (_, numbers) in expected.items() for n in numbers}
        sizes = [
            tuple(size for look in first for size in look.sizes),
            *(by_step[step] for step in sorted(by_step)),
            *(look.sizes for look in last),
        ]
        makes = max(total - made, 0)
        low_usd = min(cost.low_usd for cost in sums)
        if self._stopping.patience is not None and makes:
            low_usd *= min(1.0, (self._stopping.patience + 1) / makes)
        high_usd = max(cost.high_usd for cost in sums)
        whole = sums[_SIGNALS.index(1.0)]._replace(low_usd=low_usd, high_usd=high_usd)
        before, after = (added((look.cost, 1) for look in some) for some in (first, last))
        return pricing.estimate(before, whole, after, makes, sizes)

    def is_paid(self, data: Sequence[Any] | None, point: Callable[[Self], Any]) -> bool:
        """Look in the ledger for all jobs of an evaluation, for which then nothing is sent.

        Args:
            data: that is evaluated on, as for :meth:`TrainingRun.evaluate`.
            point: returns the parameters of the run where it is evaluated.

        Returns:
            Whether all are there; False for jobs that were shared with other runs.
        """
        self._read()
        params = point(self)
        batch, part = self._evaluation(data, params)
        with self._undisturbed(), self._devices.recorded(seed=0) as batches:
            self._adapter.evaluate(batch, params)
        jobs: Counter[tuple[int, Any]] = Counter()
        for one in batches:
            jobs[one.device, one.executor] += len(one.sizes)
        for (number, executor), count in jobs.items():
            name = f"{self.run_id}.{number}" if number else self.run_id
            if executor.sender.client.ledger.paid_jobs(f"{name}#{part}") < count:
                return False
        return bool(batches)

    def _beginnings(self) -> list[Callable[[], Any]]:
        """Return the calibrations that are still to be made."""
        own = () if self._state.begun else self._observers.callbacks
        return [partial(c.on_begin, cast(Any, self)) for c in own if isinstance(c, Calibrate)]

    def _evaluations(self, evaluate: Sequence[Any]) -> list[Callable[[], Any]]:
        """Return the evaluations of data, of the run's own for None."""
        own = self._data.train or ()
        batches = [own if data is None else checked(data, "evaluate") for data in evaluate]
        return [partial(self._adapter.evaluate, batch) for batch in batches]

    def _kinds(
        self, total: int, signal: float, known: PriceModel
    ) -> dict[Any, tuple[Callable[[], Any], list[int]]]:
        """Return the kinds of the steps to come: how to make one, and the numbers of all.

        Later steps are chosen by the price list that the first bill agrees with.
        """
        kinds: dict[Any, tuple[Callable[[], Any], list[int]]] = {}
        history = list(self.history)
        for step in range(self.step + 1, total + 1):
            later = known if step > self.step + 1 else None
            shape, span = self._shapes.choose(
                history, total, step=step, signal=signal, prices=later
            )
            rows = self._data.rows(step, span)
            samples, shots = 0 if rows is None else len(rows), self._shapes.shots_of(step)
            kind = (shape or signal, samples, shots, self._validates(step))
            call: Callable[[], Any] = partial(self._move, step, shape, span)
            if shape is None and getattr(self.optimizer, "resamplings", 1) == "auto":
                call = partial(self._move_by, signal, call)
            kinds.setdefault(kind, (call, []))[1].append(step)
        return kinds

    def _move_by(self, signal: float, move: Callable[[], Any]) -> None:
        """Make a step of most directions for a small gradient, of fewest for a large one."""
        optimizer = self.optimizer
        most = most_directions(optimizer.directions == "per-sample")
        optimizer.resamplings = "auto" if signal == 1 else (most if signal < 1 else 2)
        try:
            move()
        finally:
            optimizer.resamplings = "auto"

    @contextmanager
    def _undisturbed(self) -> Iterator[None]:
        """Put everything that a step changes back afterwards."""
        history, before = list(self.history), self._state.capture()
        try:
            yield
        finally:
            self._state.restore(before, history)

    def _read(self) -> None:
        """Go on with the checkpoint, if there is one; nothing is written."""
        if self._opened:
            return
        self._state.settings = self._settings()
        self._state.start = start_of(self._adapter.plain_params)
        files = self._files
        if files is not None and (stored := read_checkpoint(files, self._resume)) is not None:
            saved, history = stored
            self._data.take_seed(saved["settings"].get("seed"))
            self._state.settings = self._settings()
            self._state.resume(files, saved, history)
            self.history = history
            logger.info("Run %s goes on after step %d.", self.run_id, self.step)
        self._opened = True

    def _total(self, steps: int | None, epochs: int | None) -> int:
        """Return the number of steps of the whole run."""
        if (steps is None) == (epochs is None):
            raise ConfigurationError("train() needs steps=, or epochs=, and not both.")
        if epochs is None:
            return int(check_count("steps", steps))
        return int(check_count("epochs", epochs)) * self._data.per_epoch

    def _settings(self) -> dict[str, Any]:
        """Return the settings that have to be the same when the run goes on, ready for JSON."""
        adapter, devices = self._adapter, self._devices
        return {
            "name": self.name,
            **self._data.settings(),
            "validate_every": self._validate_every,
            "optimizer": type(adapter.optimizer).__name__,
            "devices": devices.described,
            **optimizer_settings(adapter.optimizer),
            "step_kwargs": step_settings(adapter.step_kwargs),
            **device_settings(devices.all),
            "shots": model_shots(adapter.objective.model),
            **self._shapes.settings(),
            **self._learning_rate.settings(),
        }
