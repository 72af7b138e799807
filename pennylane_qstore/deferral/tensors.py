"""PennyLane's tensors beside deferred arrays: ``tensor - deferred`` stays deferred."""

from __future__ import annotations

from typing import Any

from pennylane.numpy import tensor

from pennylane_qstore.deferral.array import is_deferred


def teach_tensors() -> None:
    """Let a tensor leave an operation to the deferred array on its other side.

    ``tensor.__array_ufunc__`` wraps the ``NotImplemented`` with which an ndarray leaves an
    operation to the other operand, instead of returning it. Labels held in a PennyLane tensor
    would so fetch each sample alone. Nothing changes for other operands.
    """
    original = tensor.__array_ufunc__

    def __array_ufunc__(self: Any, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:  # noqa: N807
        if any(is_deferred(i) for i in inputs):
            return NotImplemented
        return original(self, ufunc, method, *inputs, **kwargs)

    tensor.__array_ufunc__ = __array_ufunc__
