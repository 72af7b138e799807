"""Torch tensors whose values are still to be fetched, and stay so under torch's operations.

A :class:`DeferredTensor` holds a :class:`~.array.DeferredArray`. Torch's autograd records what is
done with it as with any tensor, since the operations arrive here below autograd; each becomes an
operation on arrays. Going backward fetches everything that is pending, in one batch, and from then
on tensors are plain ones.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import autoray
import numpy as np
import torch
from numpy.typing import NDArray

from pennylane_qstore.compat.interfaces import goes_backward
from pennylane_qstore.deferral.array import DeferredArray
from pennylane_qstore.deferral.operands import (
    Deferred,
    deferred_in,
    is_deferred,
    real,
    standins,
    substituted,
)

_SEES_VALUES = (
    torch.Tag.data_dependent_output,
    torch.Tag.dynamic_output_shape,
    torch.Tag.nondeterministic_seeded,  # drawn once, for the real values
)


Function = Callable[..., Any]


class DeferredTensor(torch.Tensor, Deferred):  # type: ignore[misc]
    """A tensor that is fetched when its value is needed: ``backward``, ``item``, a comparison.

    Args:
        array: its values, deferred or not.
        base: the tensor that it is a view of.
        view: from a plain tensor of the base's values to the view of it.
    """

    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls: Any, array: Any, *_view: Any) -> Any:
        """Make a tensor without memory of its own."""
        like = _tensor(standins(array))
        return torch.Tensor._make_wrapper_subclass(cls, like.shape, dtype=like.dtype)

    def __init__(
        self, array: Any, base: DeferredTensor | None = None, view: Function | None = None
    ) -> None:
        self._array, self._viewed, self._view = array, base, view
        self._seen = None if base is None else base.array

    @property
    def array(self) -> Any:
        """The values; those of a view follow its base."""
        view, base = self._view, self._viewed
        if base is not None and view is not None and base.array is not self._seen:
            self._seen = base.array
            self._array = DeferredArray.applied(lambda a: _array(view(_tensor(a))), self._seen)
        return self._array

    def write(self, array: Any) -> None:
        """Replace the values, and with them those of the base and its other views.

        Args:
            array: the new values, deferred or not.
        """
        view, base = self._view, self._viewed
        if base is None or view is None:
            self._array = array
            return

        def written(whole: Any, part: Any) -> Any:
            tensor = _tensor(whole)
            view(tensor).copy_(_tensor(part))
            return _array(tensor)

        base.write(DeferredArray.applied(written, base.array, array))

    def fetch(self) -> torch.Tensor:
        """Return a plain tensor, of which torch knows how it came about."""
        real(self.array)
        return self.clone()

    @classmethod
    def __torch_dispatch__(
        cls, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        tree = (args, kwargs or {})
        arrays = [node.array for node in deferred_in(tree) if isinstance(node, DeferredTensor)]
        is_ready = all(array.ready for array in arrays if is_deferred(array))
        if is_ready or goes_backward() or any(tag in _SEES_VALUES for tag in func.tags):
            return _executed(func, *tree)
        if not func._schema.is_mutable:
            return _deferred(func, *tree)
        target = args[0] if func._schema.arguments[0].is_write else None
        if not isinstance(target, DeferredTensor):
            return _executed(func, *tree)
        target.write(DeferredArray.applied(partial(_first_changed, func), *_as_arrays(tree)))
        return target

    def numpy(self, *, force: bool = False) -> NDArray[Any]:
        """Return the values as a NumPy array; fetches them."""
        plain: NDArray[Any] = self.fetch().numpy(force=force)
        return plain

    def tolist(self) -> Any:
        """Return the values as numbers in lists; fetches them."""
        return self.fetch().tolist()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self.numpy(), dtype=dtype)

    def __format__(self, spec: str) -> str:
        return format(self.item() if self.dim() == 0 else self.fetch(), spec)

    def __repr__(self, *, tensor_contents: Any = None) -> str:
        return repr(self.fetch())

    def __reduce_ex__(self, protocol: Any) -> Any:
        return torch.from_numpy, (self.numpy(force=True),)


autoray.register_backend(DeferredTensor, "torch")


def _executed(func: Any, args: Any, kwargs: Any) -> Any:
    """Do an operation on plain tensors; what it changes in deferred ones is kept there."""
    plain_args, plain_kwargs = substituted((args, kwargs), _plain)
    out = func(*plain_args, **plain_kwargs)
    if not func._schema.is_mutable:
        return out
    named = [argument.name for argument in func._schema.arguments[: len(args)]]
    before, after = (
        dict(zip(named, a, strict=True)) | k
        for a, k in ((args, kwargs), (plain_args, plain_kwargs))
    )
    for argument in func._schema.arguments:
        if argument.is_write and argument.name in before:
            targets, changed = before[argument.name], after[argument.name]
            if not isinstance(targets, list | tuple):
                targets, changed = (targets,), (changed,)
            for target, tensor in zip(targets, changed, strict=True):
                if isinstance(target, DeferredTensor):
                    target.write(_array(tensor))
    return args[0] if out is plain_args[0] else out


def _deferred(func: Any, args: Any, kwargs: Any) -> Any:
    """Defer an operation that changes nothing."""
    arrays = _as_arrays((args, kwargs))
    returns = func._schema.returns
    is_view = bool(returns) and returns[0].alias_info is not None

    def result(index: int | None, like: torch.Tensor) -> DeferredTensor:
        def part(out: Any) -> Any:
            return out if index is None else out[index]

        def computed(args: Any, kwargs: Any) -> Any:
            return _array(part(_applied(func, args, kwargs)))

        array = DeferredArray.applied(computed, *arrays, like=_array(like))
        if not is_view or not isinstance(args[0], DeferredTensor):
            return DeferredTensor(array)
        return DeferredTensor(array, args[0], lambda base: part(func(base, *args[1:], **kwargs)))

    out = _applied(func, *standins(arrays))
    if isinstance(out, torch.Tensor):
        return result(None, out)
    return type(out)(result(i, like) for i, like in enumerate(out))


def _plain(tensor: Any) -> torch.Tensor:
    return _tensor(real(tensor.array))


def _values(tensor: Any) -> Any:
    return tensor.array


def _first_changed(func: Any, args: Any, kwargs: Any) -> NDArray[Any]:
    """Return what an operation makes of its first argument, which it changes."""
    target = _tensor(args[0])
    _applied(func, (target, *args[1:]), kwargs)
    return _array(target)


def _applied(func: Any, args: Any, kwargs: Any) -> Any:
    with torch.no_grad():
        return func(*_as_tensors(args), **_as_tensors(kwargs))


def _as_arrays(tree: Any) -> Any:
    """Return arguments as they stand: deferred tensors as arrays, plain ones copied."""
    return substituted(
        tree,
        _values,
        lambda leaf: leaf.clone() if isinstance(leaf, torch.Tensor) else leaf,
    )


def _as_tensors(tree: Any) -> Any:
    """Return arguments with tensors for arrays."""
    return substituted(
        tree, lambda leaf: leaf, lambda leaf: _tensor(leaf) if isinstance(leaf, _ARRAYS) else leaf
    )


_ARRAYS = (np.ndarray, np.generic)


def _tensor(array: Any) -> torch.Tensor:
    """Return a tensor with memory of its own; tensors are returned as they are."""
    return array if isinstance(array, torch.Tensor) else torch.from_numpy(np.array(array))


def _array(tensor: torch.Tensor) -> NDArray[Any]:
    array: NDArray[Any] = tensor.detach().numpy().copy()
    return array
