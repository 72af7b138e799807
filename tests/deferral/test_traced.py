"""Parameters that are being differentiated."""

from __future__ import annotations

import numpy as np
import pennylane as qml
import pytest
from autograd import grad

from pennylane_qstore.deferral.traced import traced_parameters


def tape(*parameters):
    return qml.tape.QuantumScript(
        [qml.RX(p, 0) for p in parameters], [qml.expval(qml.Hamiltonian([0.5], [qml.Z(0)]))]
    )


def test_nothing_is_differentiated():
    assert traced_parameters(tape(1.0, np.ones(2), qml.numpy.array(1.0))) == []


def test_autograds_boxes_are():
    seen = []

    def f(x):
        seen.append(traced_parameters(tape(1.0, x, 2 * x)))
        return x * x

    grad(f)(1.0)
    assert seen == [[1, 2]]


@pytest.mark.ml
def test_torch_tensors_that_require_a_gradient_are():
    torch = pytest.importorskip("torch")
    circuit = tape(torch.tensor(1.0), torch.tensor(1.0, requires_grad=True))
    assert traced_parameters(circuit) == [1]
    with torch.no_grad():
        assert traced_parameters(circuit) == []
