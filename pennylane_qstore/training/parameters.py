"""Which of an optimizer's arguments are trained, as NumPy arrays and back again.

The rule, leaf by leaf (tuples, lists, dictionaries and JAX's pytrees are looked into):

* If any array says that it is trainable (``requires_grad=True``: PennyLane tensors, torch
  tensors), exactly those that say so are trained.
* If none does, all floating-point NumPy arrays, JAX arrays and torch tensors are, except
  PennyLane tensors with ``requires_grad=False``.
* ``argnums`` overrides both: all floating-point arrays of these arguments.

Python numbers, integer arrays and keyword arguments are never trained: hand data over as
keyword arguments, or as PennyLane tensors with ``requires_grad=False``.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pennylane.numpy import tensor

from pennylane_qstore.deferral.operands import real
from pennylane_qstore.errors import ConfigurationError

Arrays = list[NDArray[np.float64]]

_REAL = ("float", "bfloat", "int", "uint")


class Parameters:
    """The trainable arrays in a tuple of arguments.

    Args:
        args: an objective's positional arguments.
        argnums: positions whose floating-point arrays are trained, or None for the rule above.

    Raises:
        ConfigurationError: nothing is trainable.
    """

    def __init__(self, args: tuple[Any, ...], argnums: Sequence[int] | None = None) -> None:
        self.args: tuple[Any, ...] = real(args)
        leaves = [(i, leaf) for i, arg in enumerate(self.args) for leaf in leaves_of(arg)]
        if argnums is not None:
            chosen = _positions(argnums, len(self.args))
            self._trained = [i in chosen and _is_floating(leaf) for i, leaf in leaves]
        elif any(_says_yes(leaf) for _, leaf in leaves):
            self._trained = [_says_yes(leaf) for _, leaf in leaves]
        else:
            self._trained = [_is_floating(leaf) and not _says_no(leaf) for _, leaf in leaves]
        self._leaves = [leaf for (_, leaf), yes in zip(leaves, self._trained, strict=True) if yes]
        self.values: Arrays = [_to_numpy(leaf) for leaf in self._leaves]
        if not any(value.size for value in self.values):
            kinds = ", ".join(type(arg).__name__ for arg in args) or "none"
            raise ConfigurationError(
                f"Nothing to train among the arguments ({kinds}). Trainable are floating-point "
                "NumPy, JAX and torch arrays and PennyLane tensors with requires_grad=True; "
                "wrap a Python number in numpy.array()."
            )

    def read(self, args: Sequence[Any]) -> Arrays | None:
        """The trainable arrays of arguments of the same form; None if the form is another."""
        leaves = [leaf for arg in args for leaf in leaves_of(arg)]
        if len(leaves) != len(self._trained):
            return None
        found = [_to_numpy(leaf) for leaf, yes in zip(leaves, self._trained, strict=True) if yes]
        same = all(f.shape == v.shape for f, v in zip(found, self.values, strict=True))
        return found if same else None

    def rebuild(self, values: Sequence[NDArray[np.float64]]) -> list[Any]:
        """The arguments with other values in the trainable arrays, each of its own kind.

        Args:
            values: one array per trainable array, of its shape.
        """
        fresh = iter([_like(leaf, v) for leaf, v in zip(self._leaves, values, strict=True)])
        trained = iter(self._trained)
        return [
            _map_leaves(lambda leaf: next(fresh) if next(trained) else leaf, a) for a in self.args
        ]


def without_graphs(args: Sequence[Any]) -> list[Any]:
    """Arguments that torch does not differentiate by: only values are asked for.

    A device that computes gradients in the forward pass would be paid for them otherwise.
    """

    def plain(leaf: Any) -> Any:
        return leaf.detach() if _is_torch(leaf) and leaf.requires_grad else leaf

    return [_map_leaves(plain, arg) for arg in args]


def _positions(argnums: Sequence[int], count: int) -> set[int]:
    if not all(-count <= i < count for i in argnums):
        raise ConfigurationError(
            f"argnums={tuple(argnums)} is not allowed with {count} argument(s); positions count "
            "from 0, or from -1 at the end."
        )
    return {i % count for i in argnums}


def as_loss(value: Any) -> float:
    """The value of an objective as a float.

    Raises:
        ConfigurationError: it is not a finite real scalar.
    """
    check_scalar(value)
    loss = float(_to_numpy(value).reshape(()))
    if not np.isfinite(loss):
        raise ConfigurationError(
            f"The objective function returned {loss}; a step would destroy the parameters."
        )
    return loss


def check_scalar(value: Any) -> None:
    """Refuse what is not a real scalar; a deferred value is not fetched for that.

    Raises:
        ConfigurationError: the value's shape or type.
    """
    shape, dtype = getattr(value, "shape", None), str(getattr(value, "dtype", ""))
    if shape is None:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return
        kind = type(value).__name__
        size = f" of length {len(value)}" if hasattr(value, "__len__") else ""
        found = f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}{size}"
    elif int(np.prod(shape)) == 1 and dtype.removeprefix("torch.").startswith(_REAL):
        return  # as PennyLane's optimizers, of any shape with one element
    else:
        found = f"an array of shape {tuple(shape)} and type {dtype}"
    raise ConfigurationError(
        "The objective function must be a scalar function for the gradient to be computed: "
        f"it has to return one real number, but returned {found}."
    )


def to_plain(array: NDArray[np.float64]) -> dict[str, Any]:
    """An array as JSON can hold it, every bit of it."""
    return {"shape": list(array.shape), "values": array.ravel().tolist()}


def from_plain(plain: Mapping[str, Any]) -> NDArray[np.float64]:
    """The array that :func:`to_plain` was given."""
    return np.array(plain["values"], dtype=np.float64).reshape(plain["shape"])


# --------------------------------------------------------------------------- trees


def leaves_of(tree: Any) -> Iterator[Any]:
    """What is no container, in order."""
    if isinstance(tree, tuple | list):
        for item in tree:
            yield from leaves_of(item)
    elif isinstance(tree, dict):
        for item in tree.values():
            yield from leaves_of(item)
    elif (node := _jax_node(tree)) is not None:
        for item in node[0]:
            yield from leaves_of(item)
    else:
        yield tree


def _map_leaves(function: Callable[[Any], Any], tree: Any) -> Any:
    if isinstance(tree, tuple):
        items = [_map_leaves(function, item) for item in tree]
        return type(tree)(*items) if hasattr(tree, "_fields") else tuple(items)
    if isinstance(tree, list):
        return [_map_leaves(function, item) for item in tree]
    if isinstance(tree, dict):
        same = copy.copy(tree)  # of its own class
        same.update({key: _map_leaves(function, item) for key, item in tree.items()})
        return same
    if (node := _jax_node(tree)) is not None:
        items, structure = node
        return structure.unflatten([_map_leaves(function, item) for item in items])
    return function(tree)


def _jax_node(tree: Any) -> tuple[list[Any], Any] | None:
    """What is in an object of a class that JAX knows as a container, and its structure."""
    jax = sys.modules.get("jax")
    if jax is None or jax.tree_util.all_leaves([tree]):
        return None
    items, structure = jax.tree_util.tree_flatten(tree)
    return items, structure


# --------------------------------------------------------------------------- kinds of arrays


def _is(leaf: Any, module: str, name: str) -> bool:
    """Whether a value is of a class in a module that may not be installed."""
    loaded = sys.modules.get(module)
    return loaded is not None and isinstance(leaf, getattr(loaded, name))


def _is_torch(leaf: Any) -> bool:
    return _is(leaf, "torch", "Tensor")


def _is_jax(leaf: Any) -> bool:
    return _is(leaf, "jax", "Array") and not _is(leaf, "jax.core", "Tracer")


def _is_floating(leaf: Any) -> bool:
    if _is_torch(leaf):
        return bool(leaf.is_floating_point())
    if isinstance(leaf, np.ndarray | np.floating) or _is_jax(leaf):
        return bool(np.issubdtype(leaf.dtype, np.floating)) or str(leaf.dtype) == "bfloat16"
    return False


def _says_yes(leaf: Any) -> bool:
    return (isinstance(leaf, tensor) or _is_torch(leaf)) and bool(leaf.requires_grad)


def _says_no(leaf: Any) -> bool:
    return isinstance(leaf, tensor) and not leaf.requires_grad


def _to_numpy(leaf: Any) -> NDArray[np.float64]:
    if _is_torch(leaf):  # through double: torch types such as bfloat16 have no NumPy form
        leaf = leaf.detach().cpu().double().numpy()
    return np.array(leaf, dtype=np.float64)


def _like(leaf: Any, value: NDArray[np.float64]) -> Any:
    if _is_torch(leaf):
        torch = sys.modules["torch"]
        fresh = torch.as_tensor(value, dtype=leaf.dtype, device=leaf.device).clone()
        if isinstance(leaf, torch.nn.Parameter):
            return torch.nn.Parameter(fresh, requires_grad=leaf.requires_grad)
        return fresh.requires_grad_(leaf.requires_grad)
    if _is_jax(leaf):
        jax = sys.modules["jax"]
        fresh = jax.numpy.asarray(value, dtype=leaf.dtype)
        return jax.device_put(fresh, leaf.sharding) if leaf.committed else fresh
    dtype = leaf.dtype if np.issubdtype(leaf.dtype, np.floating) else np.dtype(np.float64)
    fresh = np.asarray(value, dtype=dtype)
    if isinstance(leaf, tensor):
        return tensor(fresh, requires_grad=leaf.requires_grad)
    return fresh.copy() if isinstance(leaf, np.ndarray) else fresh[()]
