"""Steps whose samples, directions and shots are chosen, by the history and a price list.

The choice is a function of the history alone, so that a run that goes on chooses as before.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np

from pennylane_qstore.backends import BACKENDS, MAX_SHOTS, is_qpu
from pennylane_qstore.characterization import Characterization
from pennylane_qstore.errors import ConfigurationError, QStoreError
from pennylane_qstore.prices import PRICES, JobSize, PriceModel, models_of, price_model
from pennylane_qstore.training.devices import Devices
from pennylane_qstore.training.history import StepRecord
from pennylane_qstore.training.minibatches import RunData
from pennylane_qstore.training.optimizer_adapters import OptimizerAdapter
from pennylane_qstore.training.optimizer_state import planned_steps
from pennylane_qstore.training.parameters import leaves_of
from pennylane_qstore.training.schedules import Function, described
from pennylane_qstore.training.spsa import SPSAOptimizer
from pennylane_qstore.training.step_shape import (
    EARLY,
    Measured,
    Shape,
    Workload,
    choose_shape,
    estimate_variances,
)
from pennylane_qstore.validation import check, check_count, check_number

logger = logging.getLogger(__name__)

_WOULD_BE = "qpu.forte-1"
"""Price list of runs that bill nothing."""
_FEW = 2
"""Samples whose circuits are looked at before the first step."""
_UNKNOWN = JobSize(n_1q=20, n_2q=5, circuits=1, shots=1)
"""An evaluation whose circuits cannot be looked at before the first step."""


class StepShapes:
    """Chooses the shape of each step of a run, if asked to, and lets the step have it.

    Args:
        adapter: parameters and optimizer.
        devices: of the run.
        data: of the run.
        models: price lists that may hold, the dearest first.
        shots: of every circuit, or a function of the step; ``"auto"`` to choose; None for those
            of the QNodes.

    Raises:
        ConfigurationError: no number of shots, or an optimizer that chooses the shots.
    """

    def __init__(
        self,
        adapter: OptimizerAdapter,
        devices: Devices,
        data: RunData,
        models: Sequence[PriceModel],
        shots: int | str | Function | None,
    ) -> None:
        optimizer = adapter.optimizer
        self._is_auto = isinstance(shots, str) and shots == "auto"
        self._schedule = shots if callable(shots) else None
        self._shots = None if self._is_auto or callable(shots) else _checked_shots(shots)
        if shots is not None and type(optimizer).__name__ == "ShotAdaptiveOptimizer":
            raise ConfigurationError(
                "shots= is not allowed with a ShotAdaptiveOptimizer, which chooses shots itself."
            )
        self._adapter, self._devices, self._data, self._models = adapter, devices, data, models
        self._is_spsa = isinstance(optimizer, SPSAOptimizer)
        self._planned = planned_steps(optimizer)
        self._chooses_directions = self._is_auto and getattr(optimizer, "resamplings", 1) == "auto"
        params = adapter.params
        leaves = params.parameters() if hasattr(params, "parameters") else leaves_of(params)
        self._parameters = sum(int(np.prod(np.shape(leaf))) for leaf in leaves)
        self._first: tuple[JobSize, ...] = ()
        self._factor = 1.0

    def scale_shots(self, factor: float, shots: int) -> None:
        """Give every circuit more or fewer shots than it would have.

        Args:
            factor: of the shots.
            shots: it would have, where neither chosen nor given to the run.
        """
        self._factor = factor
        if not self._is_auto and self._schedule is None:
            self._shots = self._scaled(self._shots or shots)

    def _scaled(self, shots: int, fewest: int = 1) -> int:
        return min(max(round(self._factor * shots), fewest), MAX_SHOTS)

    def settings(self) -> dict[str, Any]:
        """Return the settings that have to be the same when a run goes on."""
        if not self._is_auto:
            shots: dict[str, Any] = {} if self._shots is None else {"step_shots": self._shots}
            if self._schedule is not None:
                shots["step_shots"] = described(self._schedule)
            return {**shots, "prices": [model.name for model in self._models]}
        return {"step_shots": "auto", "prices": [repr(model) for model in self._models]}

    def choose(
        self,
        history: Sequence[StepRecord],
        steps: int,
        *,
        step: int | None = None,
        signal: float = 1.0,
        prices: PriceModel | None = None,
    ) -> tuple[Shape | None, tuple[int, int] | None]:
        """Choose the shape of the next step. Nothing is sent.

        Args:
            history: the steps before.
            steps: of the whole run. An optimizer that was planned for a number of steps keeps to
                that: a run that goes on to another step has the same shapes as before.
            step: number of a later step, whose history is not known yet.
            signal: factor of the squared gradient, as far as it is known.
            prices: a price list, instead of the one that agrees best with the bills.

        Returns:
            Samples, directions and shots, None where they are not chosen; and the span of the
            data, as :meth:`.RunData.samples` takes it.
        """
        if not self._is_auto:
            return None, None
        work, prices = self._workload(history), prices or charged_by(self._models, history)
        measured = [_measured(r, self._parameters, work.per_sample) for r in history]
        variances = estimate_variances([m for m in measured if m is not None], self._parameters)
        variances = variances._replace(signal=variances.signal * signal)
        steps = steps if self._planned is None else math.ceil(self._planned)
        shape = choose_shape(variances, work, prices, step or len(history) + 1, steps)
        shape = shape._replace(shots=self._scaled(shape.shots, work.fewest_shots))
        if self._data.size is not None or not self._data.total:
            return shape, None
        return shape, (sum(r.shape.rows for r in history if r.shape is not None), shape.rows)

    @property
    def changes_shots(self) -> bool:
        """True where shots change from step to step."""
        return self._is_auto or self._schedule is not None

    def shots_of(self, step: int) -> int | None:
        """Return the shots that were given for a step; None where none were."""
        if self._schedule is None:
            return self._shots
        name = f"shots in step {step}"
        shots = check_number(name, self._schedule(step))
        return self._scaled(check_count(name, round(shots), most=MAX_SHOTS))

    @contextmanager
    def applied(self, shape: Shape | None, step: int) -> Iterator[None]:
        """Let a step have a shape, or the shots that were given.

        Args:
            shape: of the step, where it was chosen.
            step: its number.

        Yields:
            Nothing.
        """
        shots = self.shots_of(step) if shape is None else shape.shots
        optimizer = self._adapter.optimizer
        if shape is not None and self._chooses_directions:
            optimizer.resamplings = shape.directions
        try:
            with nullcontext() if shots is None else self._devices.with_shots(shots):
                yield
        finally:
            if self._chooses_directions:
                optimizer.resamplings = "auto"

    def made(self, shape: Shape | None) -> Shape | None:
        """Return the shape that the last step had: its directions may have been shared."""
        gradient = getattr(self._adapter.optimizer, "gradient", None)
        if shape is None or gradient is None:
            return shape
        return shape._replace(per_sample=gradient.pairs == shape.directions * max(shape.rows, 1))

    def _workload(self, history: Sequence[StepRecord]) -> Workload:
        optimizer, total, size = self._adapter.optimizer, self._data.total or 0, self._data.size
        has_rows = bool(total) and self._adapter.objective.loss is not None
        per_sample = self._is_spsa and has_rows and not optimizer.is_sharing
        circuits, n_1q, n_2q = self._evaluation(history)
        limits = self._devices.limits()
        early = [r.shape.evaluations for r in history[:EARLY] if r.shape is not None]
        return Workload(
            circuits,
            n_1q,
            n_2q,
            rows=total,
            per_sample=per_sample,
            fixed_rows=None if per_sample and size is None else size or total,
            fixed_directions=(
                None if self._chooses_directions else getattr(optimizer, "resamplings", 1)
            ),
            # Towards the minimum the gradient vanishes, and with it what more circuits could bring.
            most_evaluations=max(early) if len(early) == EARLY else None,
            max_circuits=limits.circuits,
            fewest_shots=limits.fewest_shots,
            mitigated=limits.mitigated,
            parameters=self._parameters,
        )

    def _evaluation(self, history: Sequence[StepRecord]) -> tuple[float, float, float]:
        """Return circuits of an evaluation, and gates of a circuit."""
        known = next((r for r in reversed(history) if r.shape is not None and r.sizes), None)
        if known is not None and known.shape is not None:
            seen = joined([s for s in known.sizes if s.shots == known.shape.shots])
            evaluations = float(known.shape.evaluations)
        else:
            batch, _ = self._data.samples(1, (0, _FEW))
            cost = self._adapter.objective.cost(batch)
            self._first = self._first or self._devices.look(cost, self._adapter.params)
            seen = joined(self._first or (_UNKNOWN,))
            evaluations = float(len(batch[0])) if batch and self._first else 1.0
            if not self._is_spsa:  # by parameter-shift, as most others
                evaluations /= self._parameters + 0.5
        return seen.circuits / evaluations, seen.n_1q / seen.circuits, seen.n_2q / seen.circuits


def price_models(
    prices: str | PriceModel | None, backends: Sequence[str]
) -> tuple[PriceModel, ...]:
    """Return the price lists that may hold for a run, the dearest first.

    Args:
        prices: a list or its name; None for those of the paid backend.
        backends: of the run's devices.

    Returns:
        One list or more; Forte's where nothing is paid.
    """
    if prices is not None:
        return (price_model(prices),)
    paid = [*filter(is_qpu, backends)]
    return models_of(paid[0]) if paid else (PRICES[_WOULD_BE],)


def charged_by(models: Sequence[PriceModel], history: Sequence[StepRecord]) -> PriceModel:
    """Return the price list that agrees best with the bills.

    Args:
        models: lists that may hold, the dearest first.
        history: the steps so far.

    Returns:
        The dearest where there are no bills.
    """
    billed = [record for record in history if record.cost_usd > 0]
    billed_usd = sum(record.cost_usd for record in billed)
    if not billed:
        return models[0]

    def difference(model: PriceModel) -> float:
        return abs(sum(record.would_cost_usd(model) for record in billed) - billed_usd)

    return min(models, key=difference)


def joined(sizes: Sequence[JobSize]) -> JobSize:
    """Return the sum of the sizes of jobs, as if they were one."""
    return JobSize(
        sum(size.n_1q for size in sizes),
        sum(size.n_2q for size in sizes),
        sum(size.circuits for size in sizes),
        max(size.shots for size in sizes),
        any(size.mitigated for size in sizes),
    )


def _measured(record: StepRecord, parameters: int, per_sample: bool) -> Measured | None:
    """Return a step's gradient; None where it is not known, or of another kind of directions."""
    shape, rms, variance = record.shape, record.gradient_rms, record.gradient_variance
    if shape is None or rms is None or variance is None or shape.per_sample != per_sample:
        return None
    signal = parameters * (rms**2 - variance)
    return Measured(signal, parameters * variance * shape.pairs, shape.shots)


def _checked_shots(shots: Any) -> int | None:
    if isinstance(shots, str):
        check("shots", shots, False, 'a number of shots, "auto", or None')
    return None if shots is None else int(check_count("shots", shots, most=MAX_SHOTS))


def machine_of(devices: Sequence[Any], prices: str, *, ask: bool) -> Characterization:
    """Return figures of the machine that bills, or else of the one that prices are of.

    Args:
        devices: of this package.
        prices: name of a price list.
        ask: whether a service that bills is asked.

    Returns:
        Those of the service, or published; all unknown where there is no machine.
    """
    paid = [device for device in devices if device.target.backend.is_qpu]
    for device in paid if ask else ():
        try:
            figures: Characterization = device.characterization()
        except QStoreError as error:
            logger.info("Published figures are used: %s", error)
        else:
            return figures
    if paid:
        published: Characterization = paid[0].target.backend.published
        return published
    name = f"qpu.{prices.partition('/')[0].rpartition('.')[2]}"
    return BACKENDS[name].published if name in BACKENDS else Characterization(name)
