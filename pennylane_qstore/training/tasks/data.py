"""Data of the tasks: tables of scikit-learn, split, and the scores of classical methods.

Iris is its hard pair of species, versicolor and virginica. Wine has 178 wines of 3 cultivars with
13 measurements, breast cancer 569 tumours of 2 kinds with 30, digits 1,797 images of 64 pixels,
each as principal components; their test rows are the same for every seed. Moons, sine, Friedman
and rare positives are drawn at random, once for all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pennylane_qstore.validation import check_known, installed

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
        train_y, test_y: classes from 0, or a regression's targets, ``[N]``.
    """

    train_x: Floats
    train_y: Any
    test_x: Floats
    test_y: Any

    @property
    def train(self) -> tuple[Floats, Any]:
        """Features and targets trained on."""
        return self.train_x, self.train_y

    @property
    def test(self) -> tuple[Floats, Any]:
        """Features and targets tested on."""
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

    Features are standardised; the one that separates the species best is first.

    Args:
        seed: of the split.

    Raises:
        ConfigurationError: scikit-learn is not installed.
    """
    table = sklearn().datasets.load_iris()
    two = table.target > 0
    split = split_rows(table.data[two], table.target[two] - 1, _IRIS_TEST_ROWS, seed).standardised()
    # The wire that is measured gets the feature that separates the species best.
    order = np.argsort(-np.abs(split.train_x.T @ (2.0 * split.train_y - 1.0)))
    return Split(split.train_x[:, order], split.train_y, split.test_x[:, order], split.test_y)


def load_table(name: str, *, validation: int | None = None) -> Split:
    """Return a table, split with all classes in proportion, as principal components.

    Features are standardised first; everything is learnt from the training rows alone.

    Args:
        name: ``"wine"`` or ``"cancer"``.
        validation: seed of a further split, for choices: the rows to test on are then some of
            the training rows, and the test rows stay unseen.

    Returns:
        The split.

    Raises:
        ConfigurationError: another name, or scikit-learn is not installed.
    """
    return _principal(_table(name, validation).standardised(), _COMPONENTS)


def load_digits(labels: Sequence[Sequence[int]], components: int, train_rows: int) -> Split:
    """Return images of digits, divided into classes, as principal components.

    Args:
        labels: digits of each class.
        components: number of components; scaled by the deviation of the first.
        train_rows: rows to train on; all others are test rows.

    Returns:
        The split.

    Raises:
        ConfigurationError: scikit-learn is not installed.
    """
    table = sklearn().datasets.load_digits()
    classes = np.full(10, -1)
    for k, digits in enumerate(labels):
        classes[list(digits)] = k
    y = classes[table.target]
    x, y = table.data[y >= 0] / table.data.max(), y[y >= 0]
    return _principal(split_rows(x, y, len(y) - train_rows, _TEST_SEED), components)


def load_moons() -> Split:
    """Return two half circles that hold each other, 200 points to train on and 1,000 to test."""
    x, y = sklearn().datasets.make_moons(1200, noise=0.15, random_state=_TEST_SEED)
    return split_rows(x, y, 1000, _TEST_SEED).standardised()


def load_sine() -> Split:
    """Return a period and a half of a sine with noise of 0.1; each wire is given the number."""
    rng = np.random.default_rng(_TEST_SEED)
    x = rng.uniform(-1.0, 1.0, (700, 1))
    y = np.sin(1.5 * np.pi * x[:, 0]) + rng.normal(0.0, 0.1, len(x))
    return Split(np.tile(x[:200], 4), y[:200], np.tile(x[200:], 4), y[200:])


def load_friedman() -> Split:
    """Return Friedman's first regression: Ann. Statist. 19, 1 (1991), section 4.3.

    Of its five features the last, which matters least, is not given. The targets are
    standardised by the training rows.
    """
    x, y = sklearn().datasets.make_friedman1(1250, 5, noise=1.0, random_state=_TEST_SEED)
    y = (y - y[:250].mean()) / y[:250].std()
    return Split(x[:250, :4], y[:250], x[250:, :4], y[250:]).standardised()


def load_rare() -> Split:
    """Return two classes of which the second has 5 % of the rows: 600 to train on, 2,000 to test.

    Four features; either class has two clusters.
    """
    x, y = sklearn().datasets.make_classification(
        2600, n_features=4, n_informative=4, n_redundant=0, weights=[0.95], flip_y=0.0,
        class_sep=1.2, random_state=_TEST_SEED,
    )  # fmt: skip
    return split_rows(x, y, 2000, _TEST_SEED).standardised()


def load_few(seed: int) -> Split:
    """Return breast cancer with 20 of its training rows, as they come for a seed."""
    data = load_table("cancer")
    few = split_rows(data.train_x, data.train_y, len(data.train_y) - 20, seed)
    return Split(few.train_x, few.train_y, data.test_x, data.test_y)


LOADERS: Mapping[str, Callable[[int], Split]] = {
    "iris": lambda seed: load_iris(seed),
    "wine": lambda seed: load_table("wine"),
    "cancer": lambda seed: load_table("cancer"),
    "moons": lambda seed: load_moons(),
    "digits": lambda seed: load_digits([(3,), (8,)], 6, 250),
    "sine": lambda seed: load_sine(),
    "friedman": lambda seed: load_friedman(),
    "rare": lambda seed: load_rare(),
    "few": lambda seed: load_few(seed),
    "deep": lambda seed: load_digits([(3,), (5,), (8,)], 4, 300),
    "parity": lambda seed: load_digits([range(0, 10, 2), range(1, 10, 2)], 8, 600),
}
"""Data of each task that has samples, as functions of a seed."""


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


def logistic_odds(data: Split) -> Floats:
    """Return the log-odds of logistic regression for the test rows, ``[N, 1]``."""
    regression = sklearn().linear_model.LogisticRegression(max_iter=1000).fit(*data.train)
    return np.asarray(regression.decision_function(data.test_x))[:, None]


def linear_r_squared(data: Split) -> float:
    """Return the coefficient of determination of linear regression on the test rows."""
    return float(sklearn().linear_model.LinearRegression().fit(*data.train).score(*data.test))


def constant_accuracy(data: Split) -> float:
    """Return the test accuracy of always predicting the commonest class of the training rows."""
    counts = np.bincount(data.train_y)
    common = len(counts) - 1 - int(np.argmax(counts[::-1]))  # of equals, the last
    return float(np.mean(data.test_y == common))


def split_rows(x: Floats, y: Any, test_size: float, seed: int, *, by_class: bool = True) -> Split:
    """Set test rows aside.

    Args:
        x: features, ``[N, F]``.
        y: classes or targets, ``[N]``.
        test_size: rows to test on; below 1, their share.
        seed: of the split.
        by_class: with all classes in proportion.

    Returns:
        The split.

    Raises:
        ConfigurationError: scikit-learn is not installed.
    """
    train_x, test_x, train_y, test_y = sklearn().model_selection.train_test_split(
        x, y, test_size=test_size, stratify=y if by_class else None, random_state=seed
    )
    return Split(train_x, train_y, test_x, test_y)


def sklearn() -> Any:
    """Return scikit-learn with the parts used here; it is slow to import and optional.

    Raises:
        ConfigurationError: it is not installed.
    """
    who = "This task needs scikit-learn"
    for part in ("datasets", "decomposition", "linear_model", "metrics", "model_selection"):
        installed(f"sklearn.{part}", who, "train")
    return installed("sklearn", who, "train")


def _table(name: str, validation: int | None = None) -> Split:
    """Return a table in its own units; arguments as of :func:`load_table`."""
    check_known("table", name, TABLES)
    table = getattr(sklearn().datasets, TABLES[name])()
    split = split_rows(table.data, table.target, _TEST_SHARE, _TEST_SEED)
    if validation is None:
        return split
    return split_rows(split.train_x, split.train_y, _TEST_SHARE, validation)


def _principal(split: Split, components: int) -> Split:
    """Return principal components of the training rows, scaled by the deviation of the first."""
    analysis = sklearn().decomposition.PCA(components, random_state=0).fit(split.train_x)
    train_x, test_x = analysis.transform(split.train_x), analysis.transform(split.test_x)
    scale = train_x[:, 0].std()
    return Split(train_x / scale, split.train_y, test_x / scale, split.test_y)
