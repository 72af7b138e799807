"""The Iris task: two species that overlap, four qubits, SPSA, mini-batches in one request.

Versicolor and virginica are the hard pair of the data set. The classifier embeds the four
features twice (data re-uploading) between two blocks of StronglyEntanglingLayers, takes the
expectation of Z on one wire, scaled and shifted by trained numbers, as the logit, and learns
by the logistic loss. A training step evaluates one mini-batch at two perturbed points and at
the current one: three broadcast circuits in one batch.

Everything here is a function of a device that is passed in; nothing prints or writes files.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import pennylane as qml
from numpy.typing import NDArray
from pennylane.devices import Device

from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.training.spsa import SPSAOptimizer

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]
Params: TypeAlias = dict[str, Any]

WIRES = 4
LAYERS = 2
TEST_SIZE = 30
"""Of 100 flowers; the other 70 are trained on."""

_ANGLE = 0.6  # radians per standard deviation of a feature
_LOGIT = 3.0  # logit of expectation 1 before training; keeps gradients of all numbers alike
_INITIAL_SPREAD = 0.1  # radians
_FIRST_STEP = 0.1  # radians
_PERTURBATION = 0.15  # radians
_AVERAGED = 0.25  # the last quarter of the iterates


@dataclass(frozen=True, slots=True)
class Iris:
    """A split of the data.

    Attributes:
        train_x: features in standard deviations from the training mean, the most telling one
            first; ``[70, 4]``.
        train_y: 0 for versicolor, 1 for virginica; ``[70]``.
        test_x: ``[30, 4]``.
        test_y: ``[30]``.
    """

    train_x: Floats
    train_y: Ints
    test_x: Floats
    test_y: Ints


@dataclass(frozen=True, slots=True)
class StepRecord:
    """One training step.

    Attributes:
        step: counted from 1.
        loss: logistic loss of the mini-batch before the step (nats).
        accuracy: share of the mini-batch that was classified rightly before the step.
        circuits: circuits (rows) that the step executed.
    """

    step: int
    loss: float
    accuracy: float
    circuits: int


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """What a run came to.

    Attributes:
        params: the average of the last quarter of the iterates.
        history: a record for every step.
        test_accuracy: of the quantum classifier.
        baseline_accuracy: of logistic regression on the same split.
        constant_accuracy: of always predicting the commoner species.
    """

    params: Params
    history: tuple[StepRecord, ...]
    test_accuracy: float
    baseline_accuracy: float
    constant_accuracy: float


@dataclass(slots=True)
class Model:
    """The classifier on a device.

    Attributes:
        circuit: a QNode of ``(features [B, 4], weights [2, 1, 4, 3])``, expectations ``[B]``.
        rows: circuits executed so far, counted by the rows handed in.
    """

    circuit: Callable[..., Any]
    rows: int = field(default=0)

    def logits(self, params: Params, x: Floats) -> Any:
        """Log-odds of virginica, ``[B]``, from one broadcast circuit."""
        self.rows += len(x)
        scale, shift = params["readout"]
        return _LOGIT * (1.0 + scale) * self.circuit(x, params["weights"]) + shift

    def loss(self, params: Params, x: Floats, y: Ints) -> Any:
        """Mean logistic loss (nats)."""
        return _logistic(self.logits(params, x), y)

    def accuracy(self, params: Params, x: Floats, y: Ints) -> float:
        """Share of rows classified rightly."""
        return _accuracy(np.asarray(self.logits(params, x)), y)


def load_iris(seed: int) -> Iris:
    """Versicolor and virginica, split at random with both species in equal parts.

    Args:
        seed: of the split.

    Raises:
        ConfigurationError: scikit-learn is not installed.
    """
    sklearn = _sklearn()
    data = sklearn.datasets.load_iris()
    two = data.target > 0
    train_x, test_x, train_y, test_y = sklearn.model_selection.train_test_split(
        data.data[two],
        data.target[two] - 1,
        test_size=TEST_SIZE,
        stratify=data.target[two],
        random_state=seed,
    )
    mean, spread = train_x.mean(axis=0), train_x.std(axis=0)
    train_x, test_x = (train_x - mean) / spread, (test_x - mean) / spread
    # The wire that is measured gets the feature that tells most about the species.
    order = np.argsort(-np.abs(train_x.T @ (2.0 * train_y - 1.0)))
    return Iris(train_x[:, order], train_y, test_x[:, order], test_y)


def make_model(device: Device, shots: int | None = 500) -> Model:
    """The classifier's circuit on a device.

    Args:
        device: with four wires.
        shots: per circuit; None for exact expectations.
    """

    def iris(x: Floats, weights: Floats) -> Any:
        for layer in range(LAYERS):
            qml.AngleEmbedding(_ANGLE * x, wires=range(WIRES), rotation="Y")
            qml.StronglyEntanglingLayers(weights[layer], wires=range(WIRES), imprimitive=qml.CZ)
        return qml.expval(qml.Z(0))

    return Model(qml.set_shots(qml.QNode(iris, device, diff_method=None), shots))


def initial_params(seed: int) -> Params:
    """Weights near zero (radians) and a neutral readout."""
    rng = np.random.default_rng([seed, 1])
    weights = rng.normal(0.0, _INITIAL_SPREAD, (LAYERS, 1, WIRES, 3))
    return {"weights": weights, "readout": np.zeros(2)}


def train(
    model: Model,
    data: Iris,
    *,
    seed: int = 0,
    steps: int = 300,
    batch_size: int = 20,
    on_step: Callable[[StepRecord], None] | None = None,
    on_calibrated: Callable[[SPSAOptimizer], None] | None = None,
) -> TrainingResult:
    """Train the classifier; one batch of ``3 * batch_size`` circuits a step.

    Before the first step the step size is calibrated (one batch), after the last one the test
    set is evaluated (one batch).

    Args:
        model: from :func:`make_model`.
        data: from :func:`load_iris`.
        seed: of initial weights, perturbations and mini-batches.
        steps: training steps.
        batch_size: rows of a mini-batch, at most those of the training set.
        on_step: called after every step.
        on_calibrated: called when calibration is done and steps begin.

    Returns:
        The trained parameters and how good they are.

    Raises:
        ConfigurationError: ``steps`` or ``batch_size`` out of range.
    """
    if steps < 1:
        raise ConfigurationError(f"steps={steps} is not allowed; it has to be at least 1.")
    if not 1 <= batch_size <= len(data.train_y):
        raise ConfigurationError(
            f"batch_size={batch_size} is not allowed; it has to be from 1 to {len(data.train_y)}."
        )
    optimizer = SPSAOptimizer(
        maxiter=steps, c=_PERTURBATION, seed=np.random.default_rng([seed, 2]), average=_AVERAGED
    )
    rng = np.random.default_rng([seed, 3])
    params = initial_params(seed)
    x, y = _minibatch(data, batch_size, rng)
    optimizer.calibrate(model.loss, params, first_step=_FIRST_STEP, samples=5, x=x, y=y)
    if on_calibrated is not None:
        on_calibrated(optimizer)

    def objective(params: Params, x: Floats, y: Ints) -> Any:
        logits = model.logits(params, x)
        if params is here:  # the forward point, not a perturbed one
            forward["logits"] = logits
        return _logistic(logits, y)

    forward: dict[str, Any] = {}
    history = []
    for step in range(1, steps + 1):
        x, y = _minibatch(data, batch_size, rng)
        rows, here = model.rows, params
        params, loss = optimizer.step_and_cost(objective, params, x=x, y=y)
        accuracy = _accuracy(np.asarray(forward["logits"]), y)
        history.append(StepRecord(step, float(loss), accuracy, model.rows - rows))
        if on_step is not None:
            on_step(history[-1])

    params = optimizer.averaged(params)
    return TrainingResult(
        params=params,
        history=tuple(history),
        test_accuracy=model.accuracy(params, data.test_x, data.test_y),
        baseline_accuracy=baseline_accuracy(data),
        constant_accuracy=constant_accuracy(data),
    )


def baseline_accuracy(data: Iris) -> float:
    """Test accuracy of logistic regression on the same split.

    Raises:
        ConfigurationError: scikit-learn is not installed.
    """
    regression = _sklearn().linear_model.LogisticRegression()
    return float(regression.fit(data.train_x, data.train_y).score(data.test_x, data.test_y))


def constant_accuracy(data: Iris) -> float:
    """Test accuracy of always predicting the species that is commoner in the training set."""
    common = int(2 * np.sum(data.train_y) >= len(data.train_y))
    return float(np.mean(data.test_y == common))


def _minibatch(data: Iris, size: int, rng: np.random.Generator) -> tuple[Floats, Ints]:
    rows = rng.choice(len(data.train_y), size, replace=False)
    return data.train_x[rows], data.train_y[rows]


def _logistic(logits: Any, y: Ints) -> Any:
    return np.mean(np.logaddexp(0.0, logits * (1.0 - 2.0 * y)))


def _accuracy(logits: Floats, y: Ints) -> float:
    return float(np.mean((logits > 0) == y))


def _sklearn() -> Any:
    """scikit-learn with the parts used here; it is slow to import and optional."""
    try:
        import sklearn.datasets
        import sklearn.linear_model
        import sklearn.model_selection
    except ImportError as error:
        raise ConfigurationError(
            "The Iris task needs scikit-learn: pip install 'pennylane-qstore[train]'."
        ) from error
    return sklearn
