"""The function that a run minimises, as one cost or as a model and a loss."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from pennylane.numpy import tensor

from pennylane_qstore.compat.interfaces import getval
from pennylane_qstore.errors import ConfigurationError, QStoreError
from pennylane_qstore.training.parameters import is_torch, leaves_of, map_leaves

Batch = tuple[Any, ...]


class Objective:
    """The function that is minimised: ``cost(params, *batch)``, or a model and a loss.

    Args:
        model: the cost; with ``loss``, ``model(params, x)`` (``model(params)`` without data).
        loss: of ``(outputs, y)``; of ``(outputs,)`` if a batch has no labels.
        metrics: further numbers of the same arguments, by name. They cost no circuit.

    Raises:
        ConfigurationError: metrics without a loss.
    """

    def __init__(
        self,
        model: Callable[..., Any],
        loss: Callable[..., Any] | None,
        metrics: Mapping[str, Callable[..., Any]],
    ) -> None:
        if metrics and loss is None:
            raise ConfigurationError("metrics are functions of a model's outputs: give loss= too.")
        self.model, self.loss, self.metrics = model, loss, dict(metrics)

    def outputs(self, args: Batch, batch: Batch) -> Any:
        """Evaluate the model.

        Args:
            args: trained arguments.
            batch: arrays with one row per sample: features first, then labels.

        Returns:
            The outputs; the cost where there is no ``loss``.
        """
        return self.model(*args, *(batch if self.loss is None else batch[:1]))

    def value(self, outputs: Any, batch: Batch) -> Any:
        """Return the loss of outputs.

        Args:
            outputs: of the model.
            batch: that they were computed on.

        Returns:
            A scalar of the interface of the outputs.
        """
        return outputs if self.loss is None else self.loss(outputs, *batch[1:])

    def cost(self, batch: Batch) -> Callable[..., Any]:
        """Return the cost on a batch, as a function of the trained arguments."""
        return lambda *args: self.value(self.outputs(args, batch), batch)

    def measured(self, outputs: Any, batch: Batch) -> dict[str, float]:
        """Return the metrics of outputs.

        Args:
            outputs: of the model.
            batch: that they were computed on.

        Returns:
            Values by name.

        Raises:
            ConfigurationError: a metric that returns no number.
        """
        if not self.metrics:
            return {}
        args = (outputs, *batch[1:])
        return {n: _number(n, _call_metric(metric, args)) for n, metric in self.metrics.items()}


def _number(name: str, value: Any) -> float:
    try:
        return float(value)
    except QStoreError:
        raise
    except (TypeError, ValueError) as error:
        raise ConfigurationError(
            f"The metric {name!r} has to return one real number: {error}."
        ) from error


def _call_metric(metric: Callable[..., Any], args: tuple[Any, ...]) -> Any:
    """Call a metric with torch's tensors, as the loss has them; or all with NumPy arrays.

    A metric may be written for either: NumPy's functions raise TypeError of tensors.
    """
    if any(is_torch(leaf) for leaf in leaves_of(args)):
        try:
            return metric(*map_leaves(lambda x: x.detach() if is_torch(x) else x, args))
        except TypeError:
            pass
    return metric(*map_leaves(_as_numpy, args))


def _as_numpy(value: Any) -> Any:
    """Return a NumPy array of an array of any kind; other values as they are."""
    value = getval(value)
    if is_torch(value):
        value = value.detach().cpu().numpy()
    return np.asarray(value) if isinstance(value, tensor) or hasattr(value, "shape") else value
