"""Data of the tasks: a split, what classical methods make of it, scikit-learn when asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pennylane_qstore.errors import ConfigurationError

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Split:
    """Rows to train on and rows to test on.

    Attributes:
        train_x, test_x: features, ``[N, F]``.
        train_y, test_y: classes from 0, ``[N]``.
    """

    train_x: Floats
    train_y: Ints
    test_x: Floats
    test_y: Ints

    @property
    def train(self) -> tuple[Floats, Ints]:
        """Features and classes trained on."""
        return self.train_x, self.train_y

    @property
    def test(self) -> tuple[Floats, Ints]:
        """Features and classes tested on."""
        return self.test_x, self.test_y

    @property
    def classes(self) -> int:
        """How many there are."""
        return int(self.train_y.max()) + 1


def baseline_accuracy(data: Split) -> float:
    """Test accuracy of logistic regression on the same features.

    Raises:
        ConfigurationError: scikit-learn is not installed.
    """
    regression = sklearn().linear_model.LogisticRegression(max_iter=1000)
    return float(regression.fit(*data.train).score(*data.test))


def constant_accuracy(data: Split) -> float:
    """Test accuracy of always predicting the class that is commonest in the training set."""
    counts = np.bincount(data.train_y)
    common = len(counts) - 1 - int(np.argmax(counts[::-1]))  # of equals, the last
    return float(np.mean(data.test_y == common))


def sklearn() -> Any:
    """scikit-learn with the parts used here; it is slow to import and optional.

    Raises:
        ConfigurationError: it is not installed.
    """
    try:
        import sklearn.datasets
        import sklearn.decomposition
        import sklearn.linear_model
        import sklearn.model_selection
    except ImportError as error:
        raise ConfigurationError(
            "This task needs scikit-learn: pip install 'pennylane-qstore[train]'."
        ) from error
    return sklearn
