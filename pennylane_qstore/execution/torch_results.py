"""Results of circuits as torch tensors, which know the gradients of circuits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from pennylane import pytrees

from pennylane_qstore.deferral.operands import is_deferred
from pennylane_qstore.deferral.tensor import DeferredTensor


def torch_results(
    parameters: Sequence[torch.Tensor], values: Any, vjp: Callable[[Any], Sequence[Any]]
) -> Any:
    """Return results as tensors that are functions of parameters.

    Args:
        parameters: that are being differentiated; none where nobody does.
        values: nested results, deferred or not.
        vjp: from cotangents, nested as the results, to one array per parameter.

    Returns:
        Tensors, nested as the results; deferred ones for deferred arrays.
    """
    leaves, structure = pytrees.flatten(values)

    def products(cotangents: Sequence[Any]) -> Sequence[Any]:
        return vjp(pytrees.unflatten([np.asarray(c) for c in cotangents], structure))

    tensors = (
        _Results.apply(products, leaves, *parameters) if parameters else map(_as_tensor, leaves)
    )
    return pytrees.unflatten(list(tensors), structure)


class _Results(torch.autograd.Function):  # type: ignore[misc]
    @staticmethod
    def forward(ctx: Any, products: Any, leaves: Any, *parameters: Any) -> Any:
        ctx.products, ctx.dtypes = products, [parameter.dtype for parameter in parameters]
        return tuple(map(_as_tensor, leaves))

    @staticmethod
    @torch.autograd.function.once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, *cotangents: Any) -> Any:
        products = ctx.products(cotangents)
        return (
            None,
            None,
            *(
                torch.as_tensor(np.asarray(product), dtype=dtype)
                for product, dtype in zip(products, ctx.dtypes, strict=True)
            ),
        )


def _as_tensor(value: Any) -> torch.Tensor:
    return DeferredTensor(value) if is_deferred(value) else torch.as_tensor(np.asarray(value))
