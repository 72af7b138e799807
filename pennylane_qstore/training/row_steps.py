"""Steps of an optimizer by samples, where model, loss and data are known apart."""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Callable
from typing import Any

from pennylane_qstore.training.evaluation import Mode
from pennylane_qstore.training.minibatches import checked
from pennylane_qstore.training.objective import Objective
from pennylane_qstore.training.parameters import arguments, as_loss
from pennylane_qstore.training.rows import NotByRows, RowEvaluator, RowForm

logger = logging.getLogger(__name__)


class RowSteps:
    """The part of an optimizer that steps by samples."""

    mode: Mode
    directions: str | None
    _is_sharing: bool
    _known: tuple[Any, Any, RowForm] | None = None

    @property
    def is_sharing(self) -> bool:
        """True where all samples share directions from here on."""
        return self._is_sharing or self.directions == "shared"

    @abstractmethod
    def _step(self, source: Any, args: tuple[Any, ...], forward: bool) -> tuple[list[Any], Any]:
        """Return new arguments, and the loss."""

    def step_rows(
        self,
        model: Callable[..., Any],
        loss: Callable[..., Any],
        params: Any,
        x: Any,
        y: Any = None,
        *,
        broadcast: bool = False,
        total: int | None = None,
    ) -> tuple[Any, float]:
        """Update the parameters of a model, each sample along a direction of its own.

        ``B`` samples are ``2 B`` circuits per basis that is measured, in one batch: nothing is
        evaluated where the parameters stand, so that the loss is the mean of the losses at the
        perturbed points. The model is called once per perturbed row, with rows ``x[i:i+1]`` or, if
        it does not take these, single samples ``x[i]``, as the first call finds out.

        A loss that is no mean over rows is refused with ``directions="per-sample"``, and has
        shared directions otherwise, after one more batch in the first step. Few shots bias a
        curved loss: the mean of its values at noisy outputs is not its value at the mean output.
        The difference of two points cancels that in part only, so take more shots towards the end.

        Args:
            model: ``model(params, x)``, outputs with one row a sample.
            loss: of outputs and labels, a mean over rows.
            params: trained arrays, also in dictionaries and lists; a tuple is handed over as
                several arguments.
            x: features, one row a sample.
            y: labels, one row a sample; None for a loss of the outputs alone.
            broadcast: the model takes each trained array as ``[R, ...]`` beside ``x`` as
                ``[R, ...]``: it is called once, which is several times faster.
            total: samples that the rows are chosen from; None for an endless supply. Shared
                directions can be better where a step takes most of them.

        Returns:
            The new parameters, and the loss.

        Raises:
            ConfigurationError: nothing is trainable, outputs or loss are not by rows, or a loss is
                not finite; the parameters and the optimizer are as they were.
        """
        batch = checked((x,) if y is None else (x, y), "data")
        rows = self.row_evaluator(
            Objective(model, loss, {}), batch, broadcast=broadcast, total=total
        )
        new, value = self.step_batch(rows, arguments(params))
        return tuple(new) if isinstance(params, tuple) else new[0], value

    def row_evaluator(self, objective: Objective, batch: Any, **options: Any) -> RowEvaluator:
        """Return the evaluator of a step's samples for :meth:`step_batch`.

        Args:
            objective: model, loss and metrics.
            batch: arrays with one row a sample.
            **options: of :class:`.RowEvaluator`.

        Returns:
            An evaluator with the findings of the steps before about the model.
        """
        if self._known is None or self._known[:2] != (objective.model, objective.loss):
            self._known = objective.model, objective.loss, RowForm()
        return RowEvaluator(objective, batch, self._known[2], self.mode, **options)

    def step_batch(self, rows: RowEvaluator, args: tuple[Any, ...]) -> tuple[list[Any], float]:
        """Update trained arguments by samples; see :meth:`step_rows`.

        Args:
            rows: the samples, from :meth:`row_evaluator`.
            args: trained arguments of the model.

        Returns:
            The new arguments, and the loss.

        Raises:
            ConfigurationError: see :meth:`step_rows`.
        """
        try:
            new, value = self._step(rows, args, forward=False)
        except NotByRows as error:
            if self.directions == "per-sample":
                raise
            logger.warning("Samples share directions from here on. %s", error)
            self._is_sharing = True
            try:
                new, value = self._step(rows, args, forward=False)
            except BaseException:
                self._is_sharing = False
                raise
        return new, as_loss(value)
