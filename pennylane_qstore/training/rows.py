"""Evaluation of a model and a loss by rows: each sample at parameters of its own, in one batch."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial
from operator import itemgetter
from typing import Any

import numpy as np
import pennylane as qml
from numpy.typing import NDArray

from pennylane_qstore.errors import ConfigurationError, QStoreError
from pennylane_qstore.training.evaluation import Mode, call_together
from pennylane_qstore.training.objective import Batch, Objective
from pennylane_qstore.training.parameters import (
    Arrays,
    Parameters,
    as_loss,
    check_scalar,
    leaves_of,
    map_leaves,
    without_graphs,
)

logger = logging.getLogger(__name__)

_SAME = 1e-4
"""Relative difference at which losses count as different; float32 and their sums are nearer."""


_NOT_A_MEAN = (
    'directions="per-sample" needs a loss that is the mean over rows of a loss of each. This one '
    'is not (a sum, or a statistic of the batch?): give directions="shared".'
)


class NotByRows(ConfigurationError):  # noqa: N818
    """The outputs or the loss cannot be taken apart into samples."""


class RowForm:
    """The findings about a model and a loss, kept from step to step.

    Attributes:
        by_sample: True where the model takes one sample, ``x[i]``, and no rows ``x[i:i+1]``;
            None before its first call.
        is_mean: True once the loss was seen to be a mean over samples.
    """

    def __init__(self) -> None:
        self.by_sample: bool | None = None
        self.is_mean = False


class RowEvaluator:
    """A model and a loss on the samples of a step.

    Args:
        objective: the model, the loss, and metrics.
        batch: arrays with one row a sample: features first, then labels.
        form: findings of earlier steps.
        mode: the way that evaluations travel, as in :class:`.Evaluator`.
        broadcast: the model takes each trained array with a leading axis, ``[R, ...]``, beside
            ``x`` as ``[R, ...]``, and gives outputs ``[R, ...]``: one call for everything.
        indices: of the samples in the data, for messages, ``[rows]``.
        total: samples of the data; None where there is no end of them.
    """

    def __init__(
        self,
        objective: Objective,
        batch: Batch,
        form: RowForm,
        mode: Mode,
        *,
        broadcast: bool = False,
        indices: NDArray[np.int64] | None = None,
        total: int | None = None,
    ) -> None:
        self.rows, self.total = len(batch[0]), total
        self.each = 0
        """Directions a sample in the next evaluation; 0 for points that all samples share."""
        self._objective, self._batch, self._form, self._mode = objective, batch, form, mode
        self._broadcast = broadcast
        self._indices = np.arange(self.rows) if indices is None else indices
        self._outputs: list[Any] = []

    def losses(
        self, parameters: Parameters, points: Arrays, forward: bool
    ) -> tuple[NDArray[np.float64], Any]:
        """Evaluate losses at points: of a sample each, or of all samples where points are shared.

        Args:
            parameters: the arguments of the model.
            points: trained values, ``[points, *shape]`` each; with directions of their own, pairs
                of points for ``each`` direction of the first sample, then of the second.
            forward: whether the loss of all samples at the arguments themselves is wanted too.

        Returns:
            Losses, ``[points]``, and that further loss (None unless ``forward``).

        Raises:
            NotByRows: the points are of a sample each, but outputs or loss are not.
            ConfigurationError: a loss is not finite.
        """
        count = len(points[0])
        everything = slice(0, self.rows)
        parts = [everything] * count
        if self.each:
            parts = [slice(i, i + 1) for i in (j // (2 * self.each) for j in range(count))]
        if forward:
            points = [
                np.append(p, v[None], 0) for p, v in zip(points, parameters.values, strict=True)
            ]
            parts.append(everything)
        if self._broadcast:
            outputs = self._outputs_of_broadcast(parameters, points, parts)
        else:
            moved = [parameters.rebuild(values) for values in zip(*points, strict=True)]
            outputs = self._outputs_of(list(zip(moved, parts, strict=True)))
        here = self._loss(outputs.pop(), parts.pop()) if forward else None
        if self.each:
            outputs = [map_leaves(_as_row, output) for output in outputs]
        self._outputs = outputs
        if self.each and not self._form.is_mean:
            self._check_mean()
        losses = [self._loss(o, part) for o, part in zip(outputs, parts, strict=True)]
        return np.array(losses), here

    def loss_at(self, args: list[Any]) -> float:
        """Return the loss of all samples at arguments."""
        part = slice(0, self.rows)
        return self._loss(self._outputs_of([(args, part)])[0], part)

    def metrics(self) -> dict[str, float]:
        """Return the metrics of the outputs at the last points, averaged over these."""
        if not self._objective.metrics:
            return {}
        outputs, step = self._outputs, 2 * self.each
        if step:
            outputs = [joined(outputs[i::step]) for i in range(step)]
        found = [self._objective.measured(output, self._batch) for output in outputs]
        return {name: float(np.mean([each[name] for each in found])) for name in found[0]}

    # ------------------------------------------------------------------ the model

    def _part(self, part: slice) -> Batch:
        return tuple(array[part] for array in self._batch)

    def _outputs_of(self, calls: Sequence[tuple[list[Any], slice]]) -> list[Any]:
        """Call the model with rows of samples if it takes them, else with single samples."""
        if self._form.by_sample is not None:
            return self._call(calls, self._form.by_sample)
        try:
            outputs = self._call(calls, by_sample=False)
        except QStoreError:
            raise
        except Exception as error:  # noqa: BLE001 - of the model, whatever it raises
            try:
                outputs = self._call(calls, by_sample=True)
            except Exception:  # noqa: BLE001
                raise error from None
            logger.info("The model takes one sample x[i], and no rows x[i:i+1]: %s", error)
            self._form.by_sample = True
        else:
            self._form.by_sample = False
        return outputs

    def _call(self, calls: Sequence[tuple[list[Any], slice]], by_sample: bool) -> list[Any]:
        plain = [(tuple(without_graphs(args)), part) for args, part in calls]
        if not by_sample:
            rows = [partial(self._model, args, self._part(part)) for args, part in plain]
            if not self._form.is_mean:
                rows[0] = partial(self._first_outputs, rows[0], plain[0][1])
            return call_together(rows, self._mode)
        single = [partial(self._model, args, (x,)) for args, p in plain for x in self._part(p)[0]]
        outputs = iter(call_together(single, self._mode))
        return [
            joined([map_leaves(_one_row, next(outputs)) for _ in range(part.stop - part.start)])
            for _, part in plain
        ]

    def _model(self, args: tuple[Any, ...], batch: Batch) -> Any:
        return self._objective.outputs(args, batch)

    def _first_outputs(self, call: Callable[[], Any], part: slice) -> Any:
        """Call the model, and look at the loss too: of deferred outputs, before they are paid."""
        outputs = call()
        if not self.each:
            check_scalar(self._objective.value(outputs, self._part(part)))
            return outputs
        row = map_leaves(_as_row, outputs)
        try:
            check_scalar(self._objective.value(row, self._part(part)))
        except Exception as error:
            raise NotByRows(f"{_NOT_A_MEAN} On one row it raises {error!r}.") from error
        return outputs

    def _outputs_of_broadcast(self, parameters: Parameters, points: Arrays, parts: Any) -> Any:
        """Call the model once, with a set of parameters for each row."""
        rows = np.concatenate([np.arange(self.rows)[part] for part in parts])
        lengths = [part.stop - part.start for part in parts]
        args = without_graphs(parameters.rebuild([np.repeat(p, lengths, axis=0) for p in points]))
        call = partial(self._model, tuple(args), (self._batch[0][rows],))
        outputs = call_together([call], self._mode)[0]
        shapes = [tuple(np.shape(leaf)) for leaf in leaves_of(outputs)]
        if any(shape[:1] != (len(rows),) for shape in shapes):
            raise ConfigurationError(
                f"With broadcast=True the model was called with {len(rows)} sets of parameters "
                f"and as many samples, and gave outputs of shapes {shapes}. Allowed: "
                f"({len(rows)}, ...). Without broadcast=True it is called row by row."
            )
        ends = np.cumsum(lengths)
        cuts = [slice(end - n, end) for n, end in zip(lengths, ends, strict=True)]
        return [map_leaves(itemgetter(cut), outputs) for cut in cuts]

    # ------------------------------------------------------------------ the loss

    def _loss(self, outputs: Any, part: slice) -> float:
        try:
            return as_loss(self._objective.value(outputs, self._part(part)))
        except ConfigurationError as error:
            try:
                failed = np.flatnonzero(~np.isfinite(self._losses_of_rows(outputs, part)))
            except Exception:  # noqa: BLE001 - of a loss that is no mean over rows
                failed = np.array([], dtype=np.int64)
            if not len(failed):
                raise
            sample = int(self._indices[part.start + failed[0]])
            raise ConfigurationError(f"The loss of sample {sample} failed. {error}") from error

    def _losses_of_rows(self, outputs: Any, part: slice) -> list[float]:
        """Return the loss of each row, which need not be finite."""
        losses = []
        for i in range(part.stop - part.start):
            row, at = slice(i, i + 1), part.start + i
            loss = self._objective.value(
                map_leaves(itemgetter(row), outputs), self._part(slice(at, at + 1))
            )
            losses.append(float(np.reshape(qml.math.toarray(loss), ())))
        return losses

    def _check_mean(self) -> None:
        """Compare the loss of all samples with the mean of their own, on the same outputs."""
        outputs = joined(self._outputs[:: 2 * self.each])
        try:
            loss = self._objective.value(outputs, self._batch)
            together = float(np.reshape(qml.math.toarray(loss), ()))
            alone = self._losses_of_rows(outputs, slice(0, self.rows))
        except Exception as error:
            raise NotByRows(f"{_NOT_A_MEAN} It raises {error!r}.") from error
        mean, largest = np.mean(alone), np.max(np.abs(alone))
        if np.isfinite(together) and not abs(mean - together) <= _SAME * largest:
            raise NotByRows(
                f"{_NOT_A_MEAN} On the same outputs, the loss of {self.rows} samples is "
                f"{together:.6g}, and the mean of their own losses {mean:.6g}."
            )
        self._form.is_mean = self.rows > 1


def joined(outputs: Sequence[Any]) -> Any:
    """Return outputs of rows as those of a batch.

    Args:
        outputs: arrays ``[rows, ...]``, or trees of them, in one form.
    """
    leaves = zip(*(leaves_of(output) for output in outputs), strict=True)
    together = iter([qml.math.concatenate(parts) for parts in leaves])
    return map_leaves(lambda _: next(together), outputs[0])


def _as_row(leaf: Any) -> Any:
    """Return the output of a call with one row as a row."""
    shape = tuple(getattr(leaf, "shape", ()))
    if not shape:
        return _one_row(leaf)
    if shape[0] != 1:
        raise NotByRows(
            f"For one row x[i:i+1] the model gives an output of shape {shape}. With a direction of "
            'its own for each sample it has to be (1, ...), one row a sample; directions="shared" '
            "takes outputs of any shape."
        )
    return leaf


def _one_row(leaf: Any) -> Any:
    return (leaf if hasattr(leaf, "shape") else np.asarray(leaf))[None]
