"""A classifier by a quantum kernel: overlaps of states, measured as one batch of circuits."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import pennylane as qml
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.svm import SVC
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from pennylane_qstore.estimators.variational import chosen_device, labelled_rows
from pennylane_qstore.training.tasks.variational import Inputs, chosen_wires
from pennylane_qstore.validation import check_count, check_number

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class QuantumKernelClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    r"""A support vector machine with the kernel :math:`|\langle\phi(x)|\phi(x')\rangle|^2`.

    V. Havlicek et al., Nature 567, 209 (2019). A fit on ``N`` rows measures ``N (N - 1) / 2``
    circuits, a prediction one for each pair of a row and a support vector, in as few jobs as the
    service's limits allow.

    Args:
        C: of :class:`sklearn.svm.SVC`; smaller numbers regularise more.
        wires: of the circuits; by default as many as there are columns, at most 4. More columns
            become principal components.
        uploads: times that the features are embedded, with entangling gates after each.
        angle: of the embedding, in radians per standard deviation of a column.
        shots: per circuit; None for exact overlaps, simulated in this process and for nothing.
        device: to measure on; by default the embedded emulator, which is free. A limit on what is
            spent is the device's ``budget_usd``.
        random_state: of the emulator's shots.

    Attributes:
        classes_: labels.
        n_features_in_: columns of the data.

    **Example**

    >>> qstore.QuantumKernelClassifier(shots=200, random_state=1).fit(X, y).score(X_test, y_test)
    """

    def __init__(
        self,
        *,
        C: float = 1.0,
        wires: int | None = None,
        uploads: int = 2,
        angle: float = 0.6,
        shots: int | None = 500,
        device: Any = None,
        random_state: Any = None,
    ) -> None:
        self.C = C
        self.wires = wires
        self.uploads = uploads
        self.angle = angle
        self.shots = shots
        self.device = device
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> Self:
        """Measure the kernel of all pairs of rows, and fit.

        Args:
            X: rows, ``[N, F]``.
            y: labels, ``[N]``.

        Returns:
            The classifier itself.

        Raises:
            ValueError: data of another form, or of one class.
            QStoreError: a job failed.
        """
        X, classes = labelled_rows(self, X, y)
        check_count("uploads", self.uploads)
        check_number("C", self.C, above=0)
        self._seed = int(check_random_state(self.random_state).randint(2**31))
        self._inputs = Inputs.learn(X, chosen_wires(self.wires, X.shape[1]))
        features = self._inputs(X)
        first, second = np.triu_indices(len(X), 1)
        kernel = np.eye(len(X))
        kernel[first, second] = self._overlaps(features, features, first, second)
        kernel[second, first] = kernel[first, second]
        self._machine = SVC(C=self.C, kernel="precomputed").fit(kernel, classes)
        self._support = features[self._machine.support_]
        self._rows = len(X)
        return self

    def decision_function(self, X: Any) -> Floats:
        """Return what :class:`sklearn.svm.SVC` returns for the measured overlaps.

        Args:
            X: rows, ``[N, F]``.

        Returns:
            ``[N]`` for two classes, else ``[N, classes]``.
        """
        kernel = self._kernel(X)
        return np.asarray(self._machine.decision_function(kernel))

    def predict(self, X: Any) -> Any:
        """Return labels, ``[N]``.

        Args:
            X: rows, ``[N, F]``.
        """
        kernel = self._kernel(X)
        return self.classes_[self._machine.predict(kernel)]

    def _kernel(self, x: Any) -> Floats:
        """Return overlaps with the training rows, ``[N, rows]``; those that count are measured."""
        check_is_fitted(self)
        features = self._inputs(validate_data(self, x, reset=False, dtype=np.float64))
        kernel = np.zeros((len(features), self._rows))
        first, second = np.indices((len(features), len(self._support))).reshape(2, -1)
        overlaps = self._overlaps(features, self._support, first, second)
        kernel[:, self._machine.support_] = overlaps.reshape(len(features), -1)
        return kernel

    def _overlaps(self, a: Floats, b: Floats, first: Ints, second: Ints) -> Floats:
        """Return the overlaps of rows of features ``a[first]`` and ``b[second]``."""
        wires = range(a.shape[1])

        def embed(x: Floats) -> None:
            for _ in range(self.uploads):
                qml.AngleEmbedding(self.angle * x, wires, rotation="Y")
                for wire in wires[:-1]:
                    qml.CZ((wire, wire + 1))
                qml.AngleEmbedding(self.angle * x, wires, rotation="Z")

        if self.shots is None:

            def state(x: Floats) -> Any:
                embed(x)
                return qml.state()

            states = qml.QNode(state, qml.device("default.qubit", wires=wires))
            return np.asarray(np.abs(np.sum(states(a)[first].conj() * states(b)[second], -1)) ** 2)

        def overlap(x: Floats, y: Floats) -> Any:
            embed(x)
            qml.adjoint(embed)(y)
            return qml.probs(wires=wires)

        device = chosen_device(self.device, len(wires), self._seed)
        node = qml.set_shots(qml.QNode(overlap, device, diff_method=None), self.shots)
        return np.asarray(node(a[first], b[second]))[:, 0]
