"""The Iris task: two species that overlap, four qubits, SPSA, mini-batches in one request.

Versicolor and virginica are the hard pair of the data set. The classifier embeds the four
features twice (data re-uploading) between two blocks of StronglyEntanglingLayers, takes the
expectation of Z on one wire, scaled and shifted by trained numbers, as the logit, and learns
by the logistic loss. A training step evaluates one mini-batch at two perturbed points and at
the current one: three broadcast circuits in one batch.

Everything here is a function of a device that is passed in; nothing prints or writes files.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import pennylane as qml
from numpy.typing import NDArray
from pennylane.devices import Device

from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.training.callbacks import Calibrate
from pennylane_qstore.training.run import TrainingRun
from pennylane_qstore.training.spsa import SPSAOptimizer
from pennylane_qstore.training.tasks.data import Split, sklearn

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


def load_iris(seed: int) -> Split:
    """Versicolor and virginica, split at random with both species in equal parts.

    Features are in standard deviations from the training mean, the most telling one first.

    Args:
        seed: of the split.

    Raises:
        ConfigurationError: scikit-learn is not installed.
    """
    library = sklearn()
    data = library.datasets.load_iris()
    two = data.target > 0
    train_x, test_x, train_y, test_y = library.model_selection.train_test_split(
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
    return Split(train_x[:, order], train_y, test_x[:, order], test_y)


def make_circuit(device: Device, shots: int | None = 500) -> Any:
    """The QNode of ``(features [B, 4], weights [2, 1, 4, 3])``; expectations ``[B]``.

    Args:
        device: with four wires.
        shots: per circuit; None for exact expectations.
    """

    def iris(x: Floats, weights: Floats) -> Any:
        for layer in range(LAYERS):
            qml.AngleEmbedding(_ANGLE * x, wires=range(WIRES), rotation="Y")
            qml.StronglyEntanglingLayers(weights[layer], wires=range(WIRES), imprimitive=qml.CZ)
        return qml.expval(qml.Z(0))

    return qml.set_shots(qml.QNode(iris, device, diff_method=None), shots)


def initial_params(seed: int) -> Params:
    """Weights near zero (radians) and a neutral readout."""
    rng = np.random.default_rng([seed, 1])
    weights = rng.normal(0.0, _INITIAL_SPREAD, (LAYERS, 1, WIRES, 3))
    return {"weights": weights, "readout": np.zeros(2)}


def make_run(
    device: Device,
    data: Split,
    *,
    seed: int = 0,
    steps: int = 300,
    batch_size: int = 20,
    shots: int | None = 500,
    name: str = "iris",
    callbacks: Sequence[Any] = (),
    **options: Any,
) -> TrainingRun:
    """The training; one batch of ``3 * batch_size`` circuits a step.

    Before the first step the step size is calibrated, in one batch.

    Args:
        device: with four wires.
        data: from :func:`load_iris`.
        seed: of initial weights, perturbations and mini-batches.
        steps: that will be trained; the step sizes follow.
        batch_size: rows of a mini-batch, at most those of the training set.
        shots: per circuit.
        name: of the run.
        callbacks: after the calibration.
        **options: further ones of :class:`TrainingRun`.

    Raises:
        ConfigurationError: ``steps`` or ``batch_size`` out of range.
    """
    if steps < 1:
        raise ConfigurationError(f"steps={steps} is not allowed; it has to be at least 1.")
    circuit = make_circuit(device, shots)

    def logits(params: Params, x: Floats) -> Any:
        """Log-odds of virginica, ``[B]``, from one broadcast circuit."""
        scale, shift = params["readout"]
        return _LOGIT * (1.0 + scale) * circuit(x, params["weights"]) + shift

    optimizer = SPSAOptimizer(
        maxiter=steps, c=_PERTURBATION, seed=np.random.default_rng([seed, 2]), average=_AVERAGED
    )
    return TrainingRun(
        logits,
        initial_params(seed),
        optimizer,
        loss=_logistic,
        metrics={"accuracy": _accuracy},
        data=(data.train_x, data.train_y),
        batch_size=batch_size,
        drop_last=True,
        seed=seed,
        device=device,
        name=name,
        callbacks=[Calibrate(_FIRST_STEP), *callbacks],
        **options,
    )


def _logistic(logits: Any, y: Ints) -> Any:
    """Mean logistic loss (nats)."""
    return np.mean(np.logaddexp(0.0, logits * (1.0 - 2.0 * y)))


def _accuracy(logits: Floats, y: Ints) -> float:
    return float(np.mean((logits > 0) == y))
