"""Trained arguments of an objective, as NumPy arrays and back again.

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
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pennylane.numpy import tensor

from pennylane_qstore.deferral.operands import real
from pennylane_qstore.errors import ConfigurationError

Arrays = list[NDArray[np.float64]]

_LEAVES = (np.ndarray, np.generic, float, int)
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

    @property
    def count(self) -> int:
        """Number of trained numbers."""
        return sum(value.size for value in self.values)

    def read(self, args: Sequence[Any]) -> Arrays | None:
        """Return the trainable arrays of arguments of the same form; None for another form."""
        leaves = [leaf for arg in args for leaf in leaves_of(arg)]
        if len(leaves) != len(self._trained):
            return None
        arrays = [_to_numpy(leaf) for leaf, yes in zip(leaves, self._trained, strict=True) if yes]
        same = all(a.shape == v.shape for a, v in zip(arrays, self.values, strict=True))
        return arrays if same else None

    def rebuild(self, values: Sequence[NDArray[np.float64]]) -> list[Any]:
        """Return the arguments with other values in the trainable arrays, each of its own kind.

        Args:
            values: one array per trainable array, of its shape.
        """
        fresh = iter([_like(leaf, v) for leaf, v in zip(self._leaves, values, strict=True)])
        trained = iter(self._trained)
        return [
            map_leaves(lambda leaf: next(fresh) if next(trained) else leaf, a) for a in self.args
        ]


def arguments(params: Any) -> tuple[Any, ...]:
    """Return parameters as an objective's arguments: a tuple is several."""
    return params if isinstance(params, tuple) else (params,)


def without_graphs(args: Sequence[Any]) -> list[Any]:
    """Return copies of arguments that torch does not differentiate by: values alone are asked for.

    A device that computes gradients in the forward pass would be paid for them otherwise. An
    objective may write to its arguments: neither the optimizer's nor the user's become others.
    """

    def plain(leaf: Any) -> Any:
        if is_torch(leaf):
            return leaf.detach().clone()
        return leaf.copy() if isinstance(leaf, np.ndarray) else leaf

    return [map_leaves(plain, arg) for arg in args]


def _positions(argnums: Sequence[int], count: int) -> set[int]:
    if not all(-count <= i < count for i in argnums):
        raise ConfigurationError(
            f"argnums={tuple(argnums)} is not allowed with {count} argument(s); positions count "
            "from 0, or from -1 at the end."
        )
    return {i % count for i in argnums}


def as_loss(value: Any) -> float:
    """Return the value of an objective as a float.

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
    """Refuse values that are no real scalar; a deferred value is not fetched for that.

    Raises:
        ConfigurationError: the value's shape or type.
    """
    shape, dtype = getattr(value, "shape", None), str(getattr(value, "dtype", ""))
    if shape is None:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return
        kind = type(value).__name__
        size = f" of length {len(value)}" if hasattr(value, "__len__") else ""
        returned = f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}{size}"
    elif int(np.prod(shape)) == 1 and dtype.removeprefix("torch.").startswith(_REAL):
        return  # as PennyLane's optimizers, of any shape with one element
    else:
        returned = f"an array of shape {tuple(shape)} and type {dtype}"
    raise ConfigurationError(
        "The objective function must be a scalar function for the gradient to be computed: "
        f"it has to return one real number, but returned {returned}."
    )


def to_plain(array: NDArray[np.float64]) -> dict[str, Any]:
    """Return an array as JSON can hold it, every bit of it."""
    return {"shape": list(array.shape), "values": array.ravel().tolist()}


def from_plain(plain: Mapping[str, Any]) -> NDArray[np.float64]:
    """Return the array that :func:`to_plain` was given."""
    return np.array(plain["values"], dtype=np.float64).reshape(plain["shape"])


# --------------------------------------------------------------------------- trees
#
# Not by PennyLane's pytrees or optree: those take operators apart, know no subclasses of
# dictionaries or sort them, and JAX's own containers are registered with neither.


def leaves_of(tree: Any) -> Iterator[Any]:
    """Yield everything in a tree that is no container, in order."""
    node = _node(tree)
    if node is None:
        yield tree
    else:
        for item in node[0]:
            yield from leaves_of(item)


def map_leaves(function: Callable[[Any], Any], tree: Any) -> Any:
    """Return a tree of the same form.

    Args:
        function: of a leaf.
        tree: nested containers.

    Returns:
        The tree with the function's value in the place of each leaf.
    """
    node = _node(tree)
    if node is None:
        return function(tree)
    items, rebuild = node
    return rebuild([map_leaves(function, item) for item in items])


def _node(tree: Any) -> tuple[Iterable[Any], Callable[[list[Any]], Any]] | None:
    """Return the items of a container, and how to make one of its kind; None for a leaf."""
    if isinstance(tree, _LEAVES):  # the most frequent case first
        return None
    if isinstance(tree, tuple):
        return tree, tree._make if hasattr(tree, "_make") else tuple
    if isinstance(tree, list):
        return tree, list
    if isinstance(tree, dict):
        return tree.values(), partial(_with_values, tree)
    jax = sys.modules.get("jax")
    if jax is None or jax.tree_util.all_leaves([tree]):
        return None
    items, structure = jax.tree_util.tree_flatten(tree)
    return items, structure.unflatten


def _with_values(mapping: dict[Any, Any], values: list[Any]) -> dict[Any, Any]:
    same = copy.copy(mapping)  # of its own class
    same.update(zip(mapping, values, strict=True))
    return same


# --------------------------------------------------------------------------- kinds of arrays


def _is(leaf: Any, module: str, name: str) -> bool:
    """Return True for a value of a class in a module that may not be installed."""
    loaded = sys.modules.get(module)
    return loaded is not None and isinstance(leaf, getattr(loaded, name))


def is_torch(leaf: Any) -> bool:
    """Return True for a tensor of torch."""
    return _is(leaf, "torch", "Tensor")


def is_jax(leaf: Any) -> bool:
    """Return True for an array of JAX that has values, and is no tracer."""
    return _is(leaf, "jax", "Array") and not _is(leaf, "jax.core", "Tracer")


def _is_floating(leaf: Any) -> bool:
    if is_torch(leaf):
        return bool(leaf.is_floating_point())
    if isinstance(leaf, np.ndarray | np.floating) or is_jax(leaf):
        return bool(np.issubdtype(leaf.dtype, np.floating)) or str(leaf.dtype) == "bfloat16"
    return False


def _says_yes(leaf: Any) -> bool:
    return (isinstance(leaf, tensor) or is_torch(leaf)) and bool(leaf.requires_grad)


def _says_no(leaf: Any) -> bool:
    return isinstance(leaf, tensor) and not leaf.requires_grad


def _to_numpy(leaf: Any) -> NDArray[np.float64]:
    return np.array(without_torch(leaf), dtype=np.float64)


def without_torch(leaf: Any) -> Any:
    """Return the numbers of a torch tensor as a NumPy array, anything else as it is."""
    # Through double: torch types such as bfloat16 have no NumPy form.
    return leaf.detach().cpu().double().numpy() if is_torch(leaf) else leaf


def _like(leaf: Any, value: NDArray[np.float64]) -> Any:
    if is_torch(leaf):
        torch = sys.modules["torch"]
        fresh = torch.as_tensor(value, dtype=leaf.dtype, device=leaf.device).clone()
        if isinstance(leaf, torch.nn.Parameter):
            return torch.nn.Parameter(fresh, requires_grad=leaf.requires_grad)
        return fresh.requires_grad_(leaf.requires_grad)
    if is_jax(leaf):
        jax = sys.modules["jax"]
        fresh = jax.numpy.asarray(value, dtype=leaf.dtype)
        return jax.device_put(fresh, leaf.sharding) if leaf.committed else fresh
    dtype = leaf.dtype if np.issubdtype(leaf.dtype, np.floating) else np.dtype(np.float64)
    fresh = np.asarray(value, dtype=dtype)
    if isinstance(leaf, tensor):
        return tensor(fresh, requires_grad=leaf.requires_grad)
    return fresh.copy() if isinstance(leaf, np.ndarray) else fresh[()]
