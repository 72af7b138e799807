"""Results of a training run: parameters, money, evaluations, and the gain over pretraining."""

from __future__ import annotations

import copy
import hashlib
import json
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from pennylane_qstore.compat.python import also_unmade
from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.prices import PriceModel
from pennylane_qstore.training.auto_shape import StepShapes, charged_by
from pennylane_qstore.training.callbacks import Observers
from pennylane_qstore.training.devices import Devices
from pennylane_qstore.training.fingerprint import optimizer_text
from pennylane_qstore.training.history import StepRecord, table, totals
from pennylane_qstore.training.minibatches import RunData, checked, digest
from pennylane_qstore.training.optimizer_adapters import Evaluation, OptimizerAdapter
from pennylane_qstore.training.optimizer_state import planned_steps
from pennylane_qstore.training.run_html import run_html
from pennylane_qstore.training.run_lock import RunLock, locked
from pennylane_qstore.training.run_state import RunState
from pennylane_qstore.training.saved_model import SavedModel, described
from pennylane_qstore.training.schedules import LearningRate
from pennylane_qstore.training.step_shape import Shape
from pennylane_qstore.training.stopping import EarlyStopping
from pennylane_qstore.training.values import decode, encode
from pennylane_qstore.validation import check_count


class WarmStartReport(NamedTuple):
    """The gain of the steps after :meth:`WarmStart.pretrain`.

    Attributes:
        steps: made after it.
        cost_usd: billed for them, in US dollars.
        before, after: loss and metrics at the end of pretraining, and now.
        added: the differences; zeros where these steps have added nothing.
        exact: True where all were evaluated without noise.
    """

    steps: int
    cost_usd: float
    before: dict[str, float]
    after: dict[str, float]
    added: dict[str, float]
    exact: bool

    def __str__(self) -> str:
        figures = ", ".join(
            f"{name} {self.before[name]:.4g} to {self.after[name]:.4g} ({change:+.2g})"
            for name, change in self.added.items()
        )
        where = "exact" if self.exact else "on the run's backend"
        return f"{self.steps} steps after pretraining, ${self.cost_usd:,.2f}: {figures} ({where})"


class RunResults:
    """The part of a training run that returns its results."""

    name: str
    history: list[StepRecord]
    stopped: str | None
    prices: tuple[PriceModel, ...]
    _adapter: OptimizerAdapter
    _budget_usd: float | None
    _data: RunData
    _devices: Devices
    _learning_rate: LearningRate
    _lock: RunLock
    _observers: Observers
    _shapes: StepShapes
    _state: RunState
    _stopping: EarlyStopping
    _validate_every: int

    @also_unmade
    def __repr__(self) -> str:
        figures = f"name={self.name!r}, step={self.step}"
        if self.history:
            figures += f", loss={self.history[-1].loss:.4g}, spent_usd={self.spent_usd:.2f}"
        return f"{type(self).__name__}({optimizer_text(self.optimizer)}, {figures})"

    def _repr_html_(self) -> str:
        return run_html(self)

    @abstractmethod
    def _open(self) -> None:
        """Go on with the checkpoint, or write it, before anything is sent."""

    @abstractmethod
    def _attached(self, part: str = "") -> AbstractContextManager[None]:
        """Let the devices' jobs belong to the run while they execute."""

    @property
    def run_id(self) -> str:
        """Name of the run in the ledger."""
        return self._state.run_id

    @property
    def settings(self) -> Mapping[str, Any]:
        """Settings that have to be the same when the run goes on, once it has begun."""
        return MappingProxyType(self._state.settings)

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

    def planned_steps(self, steps: int | None = None, option: str = "steps=") -> int:
        """Return a number of steps that was given, or else the optimizer's ``maxiter``.

        Args:
            steps: as given.
            option: by which, for the message.

        Returns:
            The number.

        Raises:
            ConfigurationError: neither is known.
        """
        total = planned_steps(self.optimizer) if steps is None else steps
        if total is None:
            raise ConfigurationError(f"The optimizer has no maxiter: give {option}.")
        return int(check_count("steps", total))

    @property
    def devices(self) -> tuple[Any, ...]:
        """The devices that the run executes on."""
        return self._devices.all

    @property
    def machines(self) -> tuple[str, ...]:
        """Backend and noise model of each device, as they were given."""
        return tuple(self._devices.described)

    @property
    def bills(self) -> bool:
        """True where the run costs money."""
        return self._devices.bills

    @property
    def watched(self) -> str:
        """Name of the value that is looked at: ``"loss"``, or ``"val_loss"`` with validation."""
        return self._stopping.name

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

    def _move(
        self, step: int, shape: Shape | None, span: tuple[int, int] | None, *, exact: bool = False
    ) -> tuple[Evaluation, int]:
        """Let the optimizer make a step, and validate; return the evaluation and the epoch."""
        batch, epoch = self._data.samples(step, span)
        with (
            self._learning_rate.applied(step),
            nullcontext() if exact else self._shapes.applied(shape, step),
        ):
            rows = self._data.rows(step, span)
            evaluation = self._adapter.step(batch, rows, self._data.total)
        metrics = dict(evaluation.metrics)
        if self._validates(step):
            validation = self._adapter.evaluate(self._data.validation or ())
            metrics["val_loss"] = validation.loss
            metrics.update({f"val_{name}": value for name, value in validation.metrics.items()})
        return evaluation._replace(metrics=metrics), epoch

    def _validates(self, step: int) -> bool:
        return self._data.validation is not None and step % self._validate_every == 0

    def would_cost_usd(self, prices: str | PriceModel | None = None) -> float:
        """Return the price of the jobs of all steps, whether they were billed or not.

        Args:
            prices: a price list or its name; by default the run's.

        Returns:
            US dollars. Calibration and evaluations between the steps are not counted.
        """
        model = charged_by(self.prices, self.history) if prices is None else prices
        return sum(record.would_cost_usd(model) for record in self.history)

    def save(self, path: str | Path, params: Any = None, **about: Any) -> SavedModel:
        """Write the trained model, readable and without code; :func:`.load_model` reads it.

        Args:
            path: of the file.
            params: by default the run's.
            **about: ``inputs``, ``classes`` and ``target`` of a :class:`.SavedModel`.

        Returns:
            The model.

        Raises:
            ConfigurationError: parameters that JSON cannot hold.
        """
        params = self.params if params is None else params
        figures = totals(self.history, charged_by(self.prices, self.history))
        saved = SavedModel(
            params=params.state_dict() if hasattr(params, "state_dict") else params,
            training={"backends": list(self._devices.backends), **figures},
            **described(self._adapter.objective.model),
            **about,
        )
        saved.save(path)
        return saved

    @locked
    def evaluate(
        self, data: Sequence[Any] | None = None, params: Any = None, *, exact: bool = False
    ) -> dict[str, float]:
        """Evaluate loss and metrics on data, where the run stands or at other parameters.

        The run goes on as if this had not been. Asked again, it is paid for once.

        Args:
            data: like the run's; by default these.
            params: by default the run's.
            exact: on the emulator in this process, free of noise and charge.

        Returns:
            ``loss`` and the metrics, by name.
        """
        self._open()
        batch, part = self._evaluation(data, params)
        where = self._devices.exact() if exact else self._attached(part)
        with self._devices.isolated(), where:
            evaluation = self._adapter.evaluate(batch, params)
        figures = {"loss": evaluation.loss, **evaluation.metrics}
        samples, given = len(batch[0]) if batch else 0, params is not None
        about = {"samples": samples, "exact": int(exact), "given_params": int(given)}
        self._observers.notify("on_evaluate", {**figures, **about})
        return figures

    def _evaluation(self, data: Sequence[Any] | None, params: Any) -> tuple[tuple[Any, ...], str]:
        """Return the data of an evaluation, and the name of the part of the run that it is."""
        batch = (self._data.train or ()) if data is None else checked(data, "data")
        point = self._adapter.state_dict()["params"] if params is None else encode(params)
        about = f"{digest(batch)} {json.dumps(point)}".encode()
        return batch, hashlib.sha256(about).hexdigest()[:16]

    def cost_of(self, step: int) -> Callable[..., Any]:
        """Return the objective on the samples of a step, as a function of the parameters."""
        return self._adapter.objective.cost(self._data.samples(step)[0])

    def table(self) -> dict[str, list[float]]:
        """Return the history as columns, for ``pandas.DataFrame``; NaN where there is no value."""
        return table(self.history)

    def _evaluate_at(
        self, params: Any, data: Sequence[Any] | None, exact: bool
    ) -> dict[str, float]:
        """Evaluate at parameters as the state has them: of a torch module, its ``state_dict``."""
        module = self.params
        if not hasattr(module, "load_state_dict"):
            return self.evaluate(data, params, exact=exact)
        now = copy.deepcopy(module.state_dict())
        try:
            module.load_state_dict(params)
            return self.evaluate(data, exact=exact)
        finally:
            module.load_state_dict(now)

    def warm_start(
        self, data: Sequence[Any] | None = None, *, exact: bool = True
    ) -> WarmStartReport:
        """Report what the steps after pretraining have added.

        Args:
            data: like the run's, to evaluate on; by default these.
            exact: without noise and charge; False for the run's own devices, which have the noise
                that these steps have trained with, and are paid.

        Returns:
            Loss and metrics before and after these steps.

        Raises:
            ConfigurationError: the run was not pretrained.
        """
        self._open()
        pretrained = self._state.pretrained
        if pretrained is None:
            raise ConfigurationError("There was no pretraining: call run.pretrain(steps) first.")
        before = self._evaluate_at(decode(pretrained), data, exact)
        after = self.evaluate(data, exact=exact)
        later = [record for record in self.history if not record.exact]
        return WarmStartReport(
            len(later),
            sum(record.cost_usd for record in later),
            before,
            after,
            {name: after[name] - before[name] for name in after},
            exact,
        )
