"""Results as torch tensors with the gradients of circuits."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

pytestmark = pytest.mark.ml


def test_results_are_functions_of_the_parameters():
    from pennylane_qstore.execution.torch_results import torch_results

    parameter = torch.tensor(2.0, requires_grad=True)  # in single precision
    values = (np.float64(4.0), (np.array([1.0, 3.0]),))
    seen = []

    def vjp(cotangents):
        seen.append(cotangents)
        return [np.asarray(7.0)]

    number, (array,) = torch_results([parameter], values, vjp)
    (number * 2 + array[1]).backward()
    assert parameter.grad == 7.0
    assert parameter.grad.dtype is torch.float32
    ((first, (second,)),) = seen
    assert first == 2.0
    assert second.tolist() == [0.0, 1.0]


def test_nobody_differentiates():
    from pennylane_qstore.execution.torch_results import torch_results

    (number,) = torch_results([], (np.float64(4.0),), None)
    assert number.dtype is torch.float64
    assert not number.requires_grad
