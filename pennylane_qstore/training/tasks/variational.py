"""The model of all tasks that have samples: columns as features, features as angles, a readout.

Features are embedded as angles and StronglyEntanglingLayers follow, once or several times (data
re-uploading). Expectations of Z, scaled and shifted by trained numbers, are the outputs: one for
a regression or two classes, or one for each class. (The last layer has no entangling gates on the
machine: before a measurement they only relabel outcomes, which the readout does.)

Every array of the parameters may have a leading dimension of rows, as the samples have: each
sample is then evaluated with parameters of its own.

For wine and cancer the number of layers and the angle of the embedding are those that did best on
validation rows, a part of the training rows (``tests/benchmarks/choose_tables.py``), among values
around those that had been found before by the test rows of random splits.

Everything here is a function of a device that is passed in; nothing prints or writes files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pennylane as qml
from pennylane import math
from pennylane.devices import Device

from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.training.tasks.data import Floats, Ints, sklearn
from pennylane_qstore.validation import check_count

MOST_WIRES = 4
"""Wires by default, at most; more columns become principal components."""


@dataclass(frozen=True, slots=True, eq=False)
class Inputs:
    """The features ``(x - offset) @ matrix`` of rows ``x``.

    Attributes:
        offset: mean of each column, ``[columns]``.
        matrix: ``[columns, features]``.
        columns: names, where they are known.
    """

    offset: Floats
    matrix: Floats
    columns: tuple[str, ...] = ()

    @classmethod
    def learn(cls, x: Any, features: int, columns: Sequence[str] = ()) -> Inputs:
        """Return standardised columns, or their principal components where they are too many.

        Components are scaled by the deviation of the first. Fewer columns than features are given
        to several wires each. A column that never changes counts as zero.

        Args:
            x: training rows, ``[rows, columns]``.
            features: wanted, one for each wire.
            columns: their names.

        Returns:
            The map.
        """
        x = np.asarray(x, dtype=np.float64)
        offset, spread = x.mean(axis=0), x.std(axis=0)
        tiny = 10 * np.finfo(np.float64).eps * np.abs(offset)  # rounding of the mean
        matrix = np.diag(np.divide(1.0, spread, where=spread > tiny, out=np.zeros_like(spread)))
        count = x.shape[1]
        if count > features:
            _, sizes, axes = np.linalg.svd((x - offset) @ matrix, full_matrices=False)
            axes = axes * np.sign(axes[np.arange(len(axes)), np.abs(axes).argmax(axis=1)])[:, None]
            kept = np.zeros((features, count))
            kept[: len(axes)] = axes[:features]
            first = sizes[0] / np.sqrt(len(x))
            matrix = matrix @ kept.T / (first if first > 0 else 1.0)
        else:
            matrix = matrix[:, np.arange(features) % count]
        return cls(offset, matrix, tuple(map(str, columns)))

    def __call__(self, x: Any) -> Floats:
        """Return features.

        Args:
            x: rows, ``[rows, columns]``.

        Returns:
            ``[rows, features]``.

        Raises:
            ConfigurationError: another number of columns, or numbers that are not finite.
        """
        try:
            rows = np.asarray(x, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise ConfigurationError(f"The rows hold what is no number: {error}") from error
        if rows.ndim != 2 or rows.shape[1] != len(self.offset):
            named = f" ({', '.join(self.columns)})" if self.columns else ""
            raise ConfigurationError(
                f"The model takes rows of {len(self.offset)} numbers{named}; these have the shape "
                f"{np.shape(x)}."
            )
        if not np.all(np.isfinite(rows)):
            raise ConfigurationError("The rows hold NaN or infinite numbers; leave such rows out.")
        return (rows - self.offset) @ self.matrix


def chosen_wires(wires: int | None, columns: int, least: int = 1) -> int:
    """Return the number of wires.

    Args:
        wires: as given.
        columns: of the data.
        least: wires that are measured.

    Returns:
        By default as many as there are columns, from ``least`` to 4 or ``least``.

    Raises:
        ConfigurationError: fewer than are measured.
    """
    if wires is None:
        return max(min(columns, MOST_WIRES), least)
    return int(check_count("wires", wires, least=least))


Params: TypeAlias = dict[str, Any]

_LOGIT = 3.0  # output of expectation 1 before training; keeps gradients of all numbers alike
_INITIAL_SPREAD = 0.1  # radians


@dataclass(frozen=True, slots=True)
class Variational:
    """A variational model of rows of features.

    Attributes:
        wires: as many as there are features.
        outputs: numbers that are predicted, and wires that are measured.
        uploads: times that the features are embedded.
        layers: StronglyEntanglingLayers after each embedding.
        angle: of the embedding, in radians per unit of a feature.
    """

    wires: int = 4
    outputs: int = 1
    uploads: int = 1
    layers: int = 2
    angle: float = 0.6

    def make_circuit(
        self, device: Device, shots: int | None = 500, diff_method: str | None = None
    ) -> Any:
        """Return the QNode of ``(features [B, wires], weights [uploads, layers, wires, 3])``.

        Args:
            device: with enough wires.
            shots: per circuit; None for exact expectations.
            diff_method: of the QNode.

        Returns:
            A QNode that gives a list of ``outputs`` expectations, each ``[B]``.
        """
        # Two CZ of two qubits would cancel.
        entangler = qml.CZ if self.wires > 2 else qml.CNOT

        def circuit(x: Floats, weights: Floats) -> Any:
            for upload in range(self.uploads):
                layers = weights[..., upload, :, :, :]
                qml.AngleEmbedding(self.angle * x, wires=range(self.wires), rotation="Y")
                qml.StronglyEntanglingLayers(layers, range(self.wires), imprimitive=entangler)
            return [qml.expval(qml.Z(wire)) for wire in range(self.outputs)]

        return qml.set_shots(qml.QNode(circuit, device, diff_method=diff_method), shots)

    def make(self, device: Device, shots: int | None = 500, diff_method: str | None = None) -> Any:
        """Return the model.

        Args:
            device: with enough wires.
            shots: per circuit; None for exact expectations.
            diff_method: of the QNode.

        Returns:
            A function of parameters and features ``[B, wires]`` that gives ``[B, outputs]``.
        """
        return VariationalModel(self, self.make_circuit(device, shots, diff_method))

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the parameters by name."""
        weights = (self.uploads, self.layers, self.wires, 3)
        return {"weights": weights, "scale": (self.outputs,), "shift": (self.outputs,)}

    def initial_params(self, seed: int) -> Params:
        """Return weights near zero (radians) and a neutral readout."""
        shape = self.shapes["weights"]
        weights = np.random.default_rng([seed, 1]).normal(0.0, _INITIAL_SPREAD, shape)
        zero = np.zeros(self.outputs)
        return {"weights": weights, "scale": zero, "shift": zero.copy()}


@dataclass(frozen=True, slots=True)
class VariationalModel:
    """A function of parameters and features ``[B, wires]`` that gives ``[B, outputs]``.

    Attributes:
        family: of the circuit.
        circuit: a QNode of features and weights.
    """

    family: Variational
    circuit: Any

    def __call__(self, params: Params, x: Floats) -> Any:
        """Return the outputs ``[B, outputs]``.

        Args:
            params: weights and readout.
            x: features, ``[B, wires]``.
        """
        expectations = self.circuit(x, params["weights"])
        return read_out(params, math.stack(expectations, axis=-1))


def read_out(params: Params, expectations: Any) -> Any:
    """Scale and shift expectations.

    Args:
        params: ``scale`` and ``shift``, ``[outputs]`` each.
        expectations: ``[B, outputs]``.

    Returns:
        Outputs, ``[B, outputs]``; a single one is a regression's value, or the log-odds of the
        second class.
    """
    return _LOGIT * (1.0 + params["scale"]) * expectations + params["shift"]


def cross_entropy(logits: Any, y: Ints) -> Any:
    """Return the mean cross-entropy over rows (nats).

    Args:
        logits: ``[B, outputs]``; the logistic loss is taken of a single one.
        y: classes, ``[B]``.

    Returns:
        A scalar.
    """
    if logits.shape[-1] == 1:
        odds = logits[..., 0] * (1.0 - 2.0 * y)
        # The logarithm of 1 + exp(odds), and below of a sum of exponentials, without overflow:
        # an optimizer that diverges still has a loss.
        size = math.abs(odds)
        return math.mean((odds + size) / 2.0 + math.log(1.0 + math.exp(-size)))
    right = np.eye(logits.shape[-1])[y]
    largest = math.max(logits, axis=-1)
    logs = largest + math.log(math.sum(math.exp(logits - largest[..., None]), axis=-1))
    return math.mean(logs - math.sum(logits * right, axis=-1))


def mean_squared_error(outputs: Any, y: Floats) -> Any:
    """Return the mean over rows of squared errors.

    Args:
        outputs: ``[B, 1]``.
        y: targets, ``[B]``.

    Returns:
        A scalar.
    """
    return math.mean((outputs[..., 0] - y) ** 2)


def predicted(logits: Any) -> Ints:
    """Return the classes ``[B]`` that logits ``[B, outputs]`` speak for."""
    if logits.shape[-1] == 1:
        return np.asarray(logits[..., 0] > 0, dtype=np.int64)
    return np.asarray(np.argmax(logits, axis=-1))


def accuracy(logits: Floats, y: Ints) -> float:
    """Return the share of rows whose class is predicted rightly.

    Args:
        logits: ``[B, outputs]``.
        y: classes, ``[B]``.

    Returns:
        A number from 0 to 1.
    """
    return float(np.mean(predicted(logits) == y))


def r_squared(outputs: Floats, y: Floats) -> float:
    """Return the coefficient of determination: 1 is perfect, 0 as good as the mean.

    Of targets that are all the same it is 0.

    Args:
        outputs: ``[B, 1]``.
        y: targets, ``[B]``.

    Returns:
        A number up to 1.
    """
    variance = np.var(y)
    return float(1 - np.mean((outputs[..., 0] - y) ** 2) / variance) if variance > 0 else 0.0


def average_precision(logits: Floats, y: Ints) -> float:
    """Return the mean precision over the ranks of the positives (scikit-learn's definition).

    Args:
        logits: ``[B, outputs]``, of two classes.
        y: classes, ``[B]``; 1 is positive.

    Returns:
        A number from 0 to 1; the share of positives for a constant guess, 0 without any.
    """
    if not np.any(y):
        return 0.0
    odds = logits[..., -1] - (logits[..., 0] if logits.shape[-1] > 1 else 0.0)
    return float(sklearn().metrics.average_precision_score(y, odds))
