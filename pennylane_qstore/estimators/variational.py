"""A classifier and a regressor by variational circuits, each trained by a ``TrainingRun``."""

from __future__ import annotations

from math import inf
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import pennylane as qml
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from pennylane_qstore.errors import BudgetExceeded, ConfigurationError
from pennylane_qstore.prices import PriceModel
from pennylane_qstore.training.history import totals
from pennylane_qstore.training.saved_model import SavedModel
from pennylane_qstore.training.tasks.data import Split
from pennylane_qstore.training.tasks.task import Score, Task, averaged
from pennylane_qstore.training.tasks.variational import (
    Inputs,
    Variational,
    accuracy,
    chosen_wires,
    cross_entropy,
    mean_squared_error,
    r_squared,
)
from pennylane_qstore.validation import check_count


def chosen_device(device: Any, wires: int, seed: int) -> Any:
    """Return a device: the embedded emulator by default.

    Args:
        device: as given.
        wires: of the circuits.
        seed: of the emulator's shots.

    Returns:
        The device.

    Raises:
        ConfigurationError: the device has too few wires.
    """
    if device is None:
        return qml.device("qstore.ionq", wires=wires, seed=seed)
    if device.wires is not None and len(device.wires) < wires:
        raise ConfigurationError(
            f"The circuits have {wires} wires and the device {len(device.wires)}. Give "
            f"wires={len(device.wires)}, or a larger device."
        )
    return device


def labelled_rows(classifier: Any, x: Any, y: Any) -> tuple[Any, NDArray[np.int64]]:
    """Return rows and classes to fit, and let the classifier know the labels.

    Args:
        classifier: gets ``classes_``, and what scikit-learn tells of the columns.
        x: rows, ``[N, F]``.
        y: labels, ``[N]``.

    Returns:
        Rows, and the place of each label among the classes.

    Raises:
        ValueError: data of another form, or of one class.
    """
    x, y = validate_data(classifier, x, y, dtype=np.float64)
    check_classification_targets(y)
    classifier.classes_, classes = np.unique(y, return_inverse=True)
    if len(classifier.classes_) < 2:
        raise ValueError("The labels are of one class; a classifier needs two or more classes.")
    return x, classes


class QuantumEstimator(BaseEstimator):  # type: ignore[misc]
    """The common part of :class:`QuantumClassifier` and :class:`QuantumRegressor`.

    Args:
        steps: of the training.
        wires: of the circuits; by default as many as there are columns, at most 4 (one for each
            class where there are more than two). More columns become principal components.
        uploads: times that the features are embedded.
        layers: StronglyEntanglingLayers after each embedding.
        angle: of the embedding, in radians per standard deviation of a column.
        shots: per circuit; ``"auto"`` chooses samples, directions and shots by the price, None
            trains exactly (on the emulator).
        batch_size: rows of a step; None to let the run choose, or for all where shots are given.
        prices: a price list or its name that shapes are chosen by.
        device: to train on; by default the embedded emulator, which is free.
        budget_usd: most that a fit may cost, in US dollars.
        checkpoint: file of a training's state: a fit that was cut off goes on there.
        random_state: of weights, directions, samples and the emulator's shots.
        progress: whether a bar is shown.

    Attributes:
        model_: the trained model, a :class:`.SavedModel`; ``model_.save("model.json")`` keeps it.
            It predicts exactly, in this process and for nothing; ``model_.predict(X,
            device=dev, shots=500)`` does so on a device.
        history_: steps as columns, for ``pandas.DataFrame``.
        cost_usd_: billed, in US dollars.
        n_features_in_: columns of the data.
    """

    def __init__(
        self,
        *,
        steps: int = 40,
        wires: int | None = None,
        uploads: int = 2,
        layers: int = 1,
        angle: float = 0.6,
        shots: int | Literal["auto"] | None = "auto",
        batch_size: int | None = None,
        prices: str | PriceModel | None = None,
        device: Any = None,
        budget_usd: float | None = None,
        checkpoint: str | Path | None = None,
        random_state: Any = None,
        progress: bool | None = False,
    ) -> None:
        self.steps = steps
        self.wires = wires
        self.uploads = uploads
        self.layers = layers
        self.angle = angle
        self.shots = shots
        self.batch_size = batch_size
        self.prices = prices
        self.device = device
        self.budget_usd = budget_usd
        self.checkpoint = checkpoint
        self.random_state = random_state
        self.progress = progress

    def _fit(
        self, x: NDArray[np.float64], y: Any, outputs: int, score: Score, loss: Any, **about: Any
    ) -> Self:
        """Train on rows ``[N, F]`` and targets ``[N]``, and keep the model."""
        steps = check_count("steps", self.steps)
        shots = (
            self.shots if self.shots == "auto" else check_count("shots", self.shots, optional=True)
        )
        seed = int(check_random_state(self.random_state).randint(2**31))
        wires = chosen_wires(self.wires, x.shape[1], outputs)
        circuit = Variational(
            wires, outputs, check_count("uploads", self.uploads),
            check_count("layers", self.layers), self.angle,
        )  # fmt: skip
        inputs = Inputs.learn(x, wires, getattr(self, "feature_names_in_", ()))
        features = inputs(x)
        device = chosen_device(self.device, wires, seed)
        task = Task(title="", model=circuit, loss=loss, score=score, references=())
        run = task.make(
            device,
            seed=seed,
            steps=steps,
            batch_size=None if self.batch_size is None else min(self.batch_size, len(x)),
            shots=shots,
            data=Split(features, y, features[:0], y[:0]),
            name=type(self).__name__,
            prices=self.prices,
            budget_usd=self.budget_usd,
            checkpoint=self.checkpoint,
            resume=None if self.checkpoint is None else True,
            progress=self.progress,
        ).train(steps)
        if not run.history:
            raise BudgetExceeded(
                f"The budget of ${self.budget_usd} does not reach for the first step. Nothing was "
                "sent. Raise budget_usd, or give fewer shots or a smaller batch_size."
            )
        figures = totals(run.history, run.prices[0])
        self.model_ = SavedModel(
            params=averaged(run), circuit=circuit, inputs=inputs, training=figures, **about
        )
        self.history_, self.cost_usd_ = run.table(), run.spent_usd
        return self

    def _rows(self, x: Any) -> Any:
        """Return rows to predict, checked."""
        check_is_fitted(self)
        return validate_data(self, x, reset=False, dtype=np.float64)


class QuantumClassifier(ClassifierMixin, QuantumEstimator):  # type: ignore[misc]
    """A classifier by a variational circuit, for pipelines and grid searches of scikit-learn.

    Its arguments and attributes are those of :class:`QuantumEstimator`, and ``classes_``: labels.

    **Example**

    >>> from sklearn.datasets import load_iris
    >>> from sklearn.model_selection import cross_val_score
    >>> X, y = load_iris(return_X_y=True)
    >>> cross_val_score(qstore.QuantumClassifier(steps=40, random_state=1), X, y, cv=3)
    """

    def fit(self, X: Any, y: Any) -> Self:
        """Train.

        Args:
            X: rows, ``[N, F]``.
            y: labels, ``[N]``.

        Returns:
            The classifier itself.

        Raises:
            ValueError: data of another form, or of one class.
            QStoreError: the training failed; with ``checkpoint`` another fit goes on.
        """
        X, classes = labelled_rows(self, X, y)
        count = len(self.classes_)
        score = Score("accuracy", "accuracy", accuracy)
        outputs = 1 if count == 2 else count
        return self._fit(
            X, classes, outputs, score, cross_entropy, classes=tuple(self.classes_.tolist())
        )

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Return the probabilities of the classes, ``[N, classes]``.

        Args:
            X: rows, ``[N, F]``.
        """
        rows = self._rows(X)
        return self.model_.predict_proba(rows)

    def predict(self, X: Any) -> Any:
        """Return the most probable labels, ``[N]``.

        Args:
            X: rows, ``[N, F]``.
        """
        places = self.predict_proba(X).argmax(axis=1)
        return self.classes_[places]


class QuantumRegressor(RegressorMixin, QuantumEstimator):  # type: ignore[misc]
    """A regressor by a variational circuit, for pipelines and grid searches of scikit-learn.

    Its arguments and attributes are those of :class:`QuantumEstimator`; targets are standardised.
    """

    def fit(self, X: Any, y: Any) -> Self:
        """Train.

        Args:
            X: rows, ``[N, F]``.
            y: targets, ``[N]``.

        Returns:
            The regressor itself.

        Raises:
            ValueError: data of another form.
            QStoreError: the training failed; with ``checkpoint`` another fit goes on.
        """
        X, y = validate_data(self, X, y, dtype=np.float64, y_numeric=True)
        y = np.asarray(y, dtype=np.float64)  # which scikit-learn leaves to be text or bool
        mean, spread = float(np.mean(y)), float(np.std(y)) or 1.0
        targets = (y - mean) / spread
        score, loss = Score("r_squared", "R^2", r_squared, bounds=(-inf, 1.0)), mean_squared_error
        return self._fit(X, targets, 1, score, loss, target=(mean, spread))

    def predict(self, X: Any) -> NDArray[np.float64]:
        """Return values, ``[N]``.

        Args:
            X: rows, ``[N, F]``.
        """
        rows = self._rows(X)
        return np.asarray(self.model_.predict(rows))
