"""Data of the tasks: tables of scikit-learn, split, and the accuracy of classical methods.

Iris is its hard pair of species, versicolor and virginica. Wine has 178 wines of 3 cultivars with
13 measurements, breast cancer 569 tumours of 2 kinds with 30, each as four principal components;
their test rows are the same for every seed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.validation import check_known

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]

TABLES = {"wine": "load_wine", "cancer": "load_breast_cancer"}
"""scikit-learn's function for each table."""

_COMPONENTS = 4
_IRIS_TEST_ROWS = 30  # of 100 flowers
_TEST_SHARE = 0.3  # of a table
_TEST_SEED = 2021  # of the one split that sets a table's test rows aside


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
        """Number of classes."""
        return int(self.train_y.max()) + 1

    def standardised(self) -> Split:
        """Return features in standard deviations from the mean of the training rows."""
        mean, spread = self.train_x.mean(axis=0), self.train_x.std(axis=0)
        train_x, test_x = ((x - mean) / spread for x in (self.train_x, self.test_x))
        return Split(train_x, self.train_y, test_x, self.test_y)


def load_iris(seed: int) -> Split:
    """Return versicolor and virginica, split at random with both species in equal parts.

    Features are standardised, the most telling one first.

    Args:
        seed: of the split.

    Raises:
        ConfigurationError: scikit-learn is not installed.
    """
    table = sklearn().datasets.load_iris()
    two = table.target > 0
    split = _split(table.data[two], table.target[two] - 1, _IRIS_TEST_ROWS, seed).standardised()
    # The wire that is measured gets the feature that tells most about the species.
    order = np.argsort(-np.abs(split.train_x.T @ (2.0 * split.train_y - 1.0)))
    return Split(split.train_x[:, order], split.train_y, split.test_x[:, order], split.test_y)


def load_table(name: str, *, validation: int | None = None, components: int = _COMPONENTS) -> Split:
    """Return a table, split with all classes in proportion, as principal components.

    Features are standardised first; everything is learnt from the training rows alone.

    Args:
        name: ``"wine"`` or ``"cancer"``.
        validation: seed of a further split, for choices: the rows to test on are then some of
            the training rows, and the test rows stay unseen.
        components: number of components; scaled by the deviation of the first.

    Returns:
        The split.

    Raises:
        ConfigurationError: another name, or scikit-learn is not installed.
    """
    split = _table(name, validation).standardised()
    analysis = sklearn().decomposition.PCA(components).fit(split.train_x)
    train_x, test_x = analysis.transform(split.train_x), analysis.transform(split.test_x)
    scale = train_x[:, 0].std()
    return Split(train_x / scale, split.train_y, test_x / scale, split.test_y)


def all_features_accuracy(name: str) -> float:
    """Return the test accuracy of logistic regression on all features of a table."""
    return baseline_accuracy(_table(name).standardised())


def baseline_accuracy(data: Split) -> float:
    """Return the test accuracy of logistic regression on the same features.

    Raises:
        ConfigurationError: scikit-learn is not installed.
    """
    regression = sklearn().linear_model.LogisticRegression(max_iter=1000)
    return float(regression.fit(*data.train).score(*data.test))


def constant_accuracy(data: Split) -> float:
    """Return the test accuracy of always predicting the commonest class of the training rows."""
    counts = np.bincount(data.train_y)
    common = len(counts) - 1 - int(np.argmax(counts[::-1]))  # of equals, the last
    return float(np.mean(data.test_y == common))


def sklearn() -> Any:
    """Return scikit-learn with the parts used here; it is slow to import and optional.

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


def _table(name: str, validation: int | None = None) -> Split:
    """Return a table in its own units; arguments as of :func:`load_table`."""
    check_known("table", name, TABLES)
    table = getattr(sklearn().datasets, TABLES[name])()
    split = _split(table.data, table.target, _TEST_SHARE, _TEST_SEED)
    if validation is None:
        return split
    return _split(split.train_x, split.train_y, _TEST_SHARE, validation)


def _split(x: Floats, y: Ints, test_size: float, seed: int) -> Split:
    """Set test rows aside, all classes in proportion."""
    train_x, test_x, train_y, test_y = sklearn().model_selection.train_test_split(
        x, y, test_size=test_size, stratify=y, random_state=seed
    )
    return Split(train_x, train_y, test_x, test_y)
