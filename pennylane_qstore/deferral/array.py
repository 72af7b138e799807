"""Arrays whose values are still to be fetched, and stay so under arithmetic.

A :class:`DeferredArray` is a node of a small expression graph: a result of a circuit, or a
NumPy operation on such. Beside it stands ``_like``, an array of the same type, shape and
dtype with made-up values, found by applying the operation to the operands' own stand-ins:
so shape errors are raised where they are made, and nobody has to fetch to learn a shape.
Looking at a value fetches everything that is pending in the same scope, in one batch.

An operation sees its operands as they were when it was written down: arrays and lists among
them are copied, and as long as the scope is open what has been fetched cannot be written to.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import DTypeLike
from pennylane.numpy import tensor

from pennylane_qstore.compat import (
    called_by_an_optimizer,
    current_frame,
    teach_deferred_arrays,
    trace_stack,
)
from pennylane_qstore.deferral import numpy_functions
from pennylane_qstore.deferral.autograd_traces import tracing
from pennylane_qstore.deferral.numpy_functions import words

_UNSET: Any = object()


class Scope(Protocol):
    """Where results are deferred."""

    closed: bool
    """Whether the scope is over, that is, whether everything has been fetched."""
    stale: int
    """What :func:`~.traces.stale_traces` was when it was opened."""

    def track(self, node: DeferredArray) -> None:
        """Remember a value, for as long as others do."""

    def settle(self) -> None:
        """Settle all values that others still hold."""


class Source(Protocol):
    """Where the leaves of an expression get their values."""

    @property
    def scope(self) -> Scope:
        """The scope it belongs to."""

    @property
    def ready(self) -> bool:
        """Whether :meth:`fetch` would return or raise without sending anything."""

    def fetch(self) -> Any:
        """The value, fetched together with all that is pending if need be."""


class DeferredArray:
    """A NumPy array or scalar that is fetched when it is first looked at.

    Arithmetic, ufuncs, the common NumPy functions, indexing, reductions and reshapes give
    further deferred arrays. ``float``, ``bool``, ``print``, comparisons, ``np.asarray``,
    ``.item()`` and whatever else needs the value fetch it. ``shape``, ``dtype``, ``ndim``,
    ``size`` and ``requires_grad`` are known at once. Its elements can be assigned, which fetches
    it; otherwise (``out=``, ``sort``) it is read-only.

    Once its scope is over it holds a real array and passes for one: ``isinstance``, pickle,
    hashing and writing to it; arithmetic with it gives NumPy arrays.
    """

    __slots__ = (
        "__weakref__",
        "_call",
        "_errstate",
        "_frozen",
        "_like",
        "_operands",
        "_scopes",
        "_source",
        "_value",
    )

    __array_priority__: ClassVar[float] = 1000.0

    def __new__(cls, like: Any, *node: Any) -> Any:
        """A node; of a number alone, as ``statistics`` calls ``type(value)``, that number."""
        return object.__new__(cls) if node else np.asarray(real(like))[()]

    def __init__(self, like: Any, source: Source | None, call: Any, operands: Any) -> None:
        self._like = like
        self._value: Any = _UNSET
        self._call: tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]] | None = call
        self._operands: tuple[DeferredArray, ...] = operands
        self._errstate = None if call is None else np.geterr()
        self._source = source
        self._frozen = False
        # Nearly always one and the same scope; a set of sources would grow with every term.
        self._scopes: frozenset[Scope] = (
            operands[0]._scopes if source is None else frozenset((source.scope,))
        )
        for operand in operands[1:]:
            if operand._scopes is not self._scopes:
                self._scopes |= operand._scopes
        for array in (like, *[operand._like for operand in operands]):
            if isinstance(array, np.ndarray):  # scalars made of scalars never change
                for scope in self._scopes:
                    scope.track(self)
                break

    @classmethod
    def leaf(cls, like: Any, source: Source) -> DeferredArray:
        """A result of a circuit: ``like`` has its type, shape and dtype."""
        teach_deferred_arrays(DeferredArray)
        return cls(like, source, None, ())

    # ------------------------------------------------------------------ looked at

    def fetch(self) -> Any:
        """The real array or scalar; fetches everything that is pending."""
        if self._value is not _UNSET:
            return self._value
        # By hand, since a sum over many samples is a chain deeper than Python's stack.
        stack = [self]
        while stack:
            node = stack[-1]
            if node._value is _UNSET:
                waiting = [o for o in node._operands if o._value is _UNSET]
                if waiting:
                    stack.extend(waiting)
                    continue
                node._value = node._compute()
                node._freeze()
                node._call, node._operands = None, ()
            stack.pop()
        return self._value

    def settle(self) -> None:
        """Compute the value; once all scopes of it are over, it may be written to."""
        try:
            value = self.fetch()
        except Exception:  # noqa: BLE001 - raised again where the value is looked at
            return
        if self._frozen and self._is_over:
            _thaw(value)
            self._frozen = False

    @property
    def _is_over(self) -> bool:
        return all(scope.closed for scope in self._scopes)

    def _freeze(self) -> None:
        """Refuse writing: what else is computed from the value may come later."""
        value = self._value
        if isinstance(value, np.ndarray) and not self._is_over:
            self._frozen = value.flags.writeable or any(o._frozen for o in self._operands)
            value.flags.writeable = False

    def _compute(self) -> Any:
        if self._call is None:
            assert self._source is not None  # noqa: S101 - a leaf, or computed already
            return self._source.fetch()
        func, args, kwargs = self._call
        with np.errstate(**self._errstate):  # type: ignore[arg-type]
            return func(*_real(args), **_real(kwargs))

    @property
    def ready(self) -> bool:
        """Whether the value is there or can be computed without sending anything."""
        seen, stack = set(), [self]
        while stack:
            node = stack.pop()
            if node._value is not _UNSET or id(node) in seen:
                continue
            if node._source is not None and not node._source.ready:
                return False
            seen.add(id(node))
            stack.extend(node._operands)
        return True

    def unwrap(self) -> Any:
        """The real array; the name by which PennyLane's tensors ask for it."""
        return self.fetch()

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> np.ndarray:
        # A copy unless forbidden: others may still be computed from our own array.
        return np.array(self.fetch(), dtype=dtype, copy=copy is not False)

    def __float__(self) -> float:
        return float(self.fetch())

    def __int__(self) -> int:
        return int(self.fetch())

    def __complex__(self) -> complex:
        return complex(self.fetch())

    def __bool__(self) -> bool:
        return bool(self.fetch())

    def __index__(self) -> int:
        return operator.index(self.fetch())

    def __round__(self, digits: int | None = None) -> Any:
        return round(self.fetch(), digits) if digits is not None else round(self.fetch())

    def __format__(self, spec: str) -> str:
        return format(self.fetch(), spec)

    def __repr__(self) -> str:
        return repr(self.fetch())

    def __str__(self) -> str:
        return str(self.fetch())

    def __contains__(self, item: Any) -> bool:
        return item in self.fetch()

    def __hash__(self) -> int:
        return hash(self.fetch())

    def __trunc__(self) -> Any:
        return math.trunc(self.fetch())

    def __divmod__(self, other: Any) -> Any:
        return divmod(self.fetch(), _real(other))

    def __rdivmod__(self, other: Any) -> Any:
        return divmod(other, self.fetch())

    def __reduce__(self) -> tuple[Any, ...]:
        return real, (self.fetch(),)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if name == "requires_grad":
            return self._like.requires_grad
        if not hasattr(self._like, name):
            raise AttributeError(f"{type(self._like).__name__!r} has no attribute {name!r}")
        return getattr(self.fetch(), name)

    def __setitem__(self, index: Any, value: Any) -> None:
        for scope in self._scopes:
            scope.settle()  # what is computed from this has to be so before it changes
        array = self.fetch()
        thawed = _thaw(array) if self._frozen else []
        array[index] = _real(value)
        for each in thawed:
            each.flags.writeable = False

    @property
    def __class__(self) -> type:
        """The class of the value, once there is one; before that, our own."""
        if self._value is _UNSET:
            if not self._is_over:
                return DeferredArray
            self.fetch()
        return type(self._value)

    @__class__.setter
    def __class__(self, value: type) -> None:
        raise TypeError("the class of a deferred array cannot be set")

    # ------------------------------------------------------------------ known at once

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape; nothing is fetched."""
        shape: tuple[int, ...] = self._like.shape
        return shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """The data type; nothing is fetched."""
        dtype: np.dtype[Any] = self._like.dtype
        return dtype

    @property
    def ndim(self) -> int:
        """The number of axes; nothing is fetched."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """The number of elements; nothing is fetched."""
        size: int = self._like.size
        return size

    def __len__(self) -> int:
        if not self.shape:  # torch.tensor, for one, asks for it
            raise TypeError(
                "A deferred number has no len(). What takes real numbers only is given "
                "float(value), or numpy.asarray(value) for an array."
            )
        return len(self._like)

    # ------------------------------------------------------------------ stays deferred

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        func = ufunc if method == "__call__" else getattr(ufunc, method)
        lazy = (
            method in numpy_functions.UFUNC_METHODS
            and ufunc.nout == 1
            and kwargs.get("out") is None
        )
        if lazy and _updates_parameters(inputs, current_frame(1)):
            lazy = False
        return _apply(func, inputs, kwargs, lazy=lazy)

    def __array_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        if func in numpy_functions.SHAPE_FUNCTIONS:
            return func(*_standins(args), **_standins(kwargs))
        lazy = func in numpy_functions.LAZY_FUNCTIONS and kwargs.get("out") is None
        if lazy and func in numpy_functions.TOLD_FUNCTIONS:
            lazy = next(_deferred_in((args[1:], kwargs)), None) is None
        return _apply(func, args, kwargs, lazy=lazy)

    def __getitem__(self, index: Any) -> DeferredArray:
        # A mask or an index that is itself deferred decides the shape by its values.
        item: DeferredArray = _apply(operator.getitem, (self, index), {}, lazy=_is_static(index))
        return item

    def __iter__(self) -> Iterator[DeferredArray]:
        return (self[i] for i in range(len(self)))

    @property
    def T(self) -> DeferredArray:  # noqa: N802 - NumPy's name
        """The transpose, deferred."""
        transposed: DeferredArray = _apply(np.transpose, (self,), {}, lazy=True)
        return transposed


def _apply(
    func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], *, lazy: bool
) -> Any:
    """Defer an operation, or do it if its value is needed or at hand already."""
    operands = tuple(_deferred_in((args, kwargs)))
    if lazy and any(o._value is _UNSET for o in operands) and not _differentiated(operands):
        with np.errstate(all="ignore"):  # of made-up values; the real ones may warn later
            like = func(*_standins(args), **_standins(kwargs))
        if isinstance(like, np.ndarray | np.generic):
            call = func, _as_they_are(args), _as_they_are(kwargs)
            return DeferredArray(like, None, call, operands)
    return func(*_real(args), **_real(kwargs))


def _differentiated(operands: tuple[DeferredArray, ...]) -> bool:
    if trace_stack.top < 0:  # nearly always
        return False
    return tracing(min(scope.stale for operand in operands for scope in operand._scopes))


def real(tree: Any) -> Any:
    """A value with the deferred arrays in it replaced by real ones.

    Tuples, lists and dictionaries are looked into; what holds none is returned as it is.
    """
    return _real(tree) if next(_deferred_in(tree), None) is not None else tree


def is_deferred(value: Any) -> bool:
    """Whether a value is a :class:`DeferredArray`, fetched or not."""
    return type(value) is DeferredArray


# --------------------------------------------------------------------------- operators


def _operator(plain: Callable[[Any, Any], Any]) -> tuple[Any, Any]:
    # Python's own operator rather than the ufunc: on NumPy scalars they differ by a rounding.
    def forward(self: DeferredArray, other: Any) -> Any:
        lazy = _is_numeric(other) and not _updates_parameters((other,), current_frame(1))
        return _apply(plain, (self, other), {}, lazy=lazy)

    def reflected(self: DeferredArray, other: Any) -> Any:
        lazy = _is_numeric(other) and not _updates_parameters((other,), current_frame(1))
        return _apply(plain, (other, self), {}, lazy=lazy)

    return forward, reflected


def _unary(plain: Callable[[Any], Any]) -> Any:
    return lambda self: _apply(plain, (self,), {}, lazy=True)


def _comparison(plain: Callable[[Any, Any], Any]) -> Any:
    def compare(self: DeferredArray, other: Any) -> Any:
        return plain(self.fetch(), _real(other))

    return compare


def _method(name: str) -> Any:
    def method(self: DeferredArray, *args: Any, **kwargs: Any) -> Any:
        return _apply(operator.methodcaller(name, *args, **kwargs), (self,), {}, lazy=True)

    method.__name__ = name
    method.__doc__ = f"As :meth:`numpy.ndarray.{name}`, deferred."
    return method


for _name in words("add sub mul truediv floordiv mod pow matmul lshift rshift and or xor"):
    _forward, _reflected = _operator(getattr(operator, f"__{_name}__"))
    setattr(DeferredArray, f"__{_name}__", _forward)
    setattr(DeferredArray, f"__r{_name}__", _reflected)
for _name in words("lt le gt ge eq ne"):
    setattr(DeferredArray, f"__{_name}__", _comparison(getattr(operator, _name)))
for _name in words("neg pos abs invert"):
    setattr(DeferredArray, f"__{_name}__", _unary(getattr(operator, _name)))
for _name in words(
    "astype clip conj conjugate copy cumprod cumsum diagonal flatten max mean min prod ravel "
    "reshape round squeeze std sum swapaxes take trace transpose var"
):
    setattr(DeferredArray, _name, _method(_name))


# --------------------------------------------------------------------------- operands

_UNCHANGING = frozenset((float, int, np.float64))  # most operands; quickly told
_NUMERIC = (bool, int, float, complex, np.ndarray, np.generic, list, tuple)


def _is_numeric(value: Any) -> bool:
    return type(value) is DeferredArray or isinstance(value, _NUMERIC)


def _is_static(index: Any) -> bool:
    """Whether an index tells the shape of what it selects."""
    if isinstance(index, tuple):
        return all(_is_static(i) for i in index)
    if type(index) is DeferredArray:
        return False
    if isinstance(index, np.ndarray | list):
        return np.asarray(index).dtype != bool
    return not isinstance(index, bool | np.bool_)


def _updates_parameters(inputs: tuple[Any, ...], frame: Any) -> bool:
    """Whether PennyLane's own optimizer is stepping its parameters.

    The parameters that an optimizer returns have to be real tensors: they outlive the scope.
    """
    if not any(isinstance(i, tensor) and i.requires_grad for i in inputs):
        return False
    return called_by_an_optimizer(frame)


def _deferred_in(tree: Any) -> Iterator[DeferredArray]:
    if type(tree) is DeferredArray:
        yield tree
    elif isinstance(tree, tuple | list):
        for item in tree:
            yield from _deferred_in(item)
    elif isinstance(tree, dict):
        for item in tree.values():
            yield from _deferred_in(item)


def _substitute(
    tree: Any,
    value: Callable[[DeferredArray], Any],
    other: Callable[[Any], Any] = lambda leaf: leaf,
) -> Any:
    """A tree with its deferred arrays replaced, and what else is no tuple, list or dict."""
    if type(tree) is DeferredArray:
        return value(tree)
    if type(tree) in _UNCHANGING:
        return tree
    if isinstance(tree, tuple):
        items = [_substitute(item, value, other) for item in tree]
        return type(tree)(*items) if hasattr(tree, "_fields") else tuple(items)
    if isinstance(tree, list):
        return [_substitute(item, value, other) for item in tree]
    if isinstance(tree, dict):
        return {key: _substitute(item, value, other) for key, item in tree.items()}
    return other(tree)


def _as_they_are(tree: Any) -> Any:
    """Operands that nobody else can change any more."""
    return _substitute(tree, lambda node: node, _own)


def _own(leaf: Any) -> Any:
    return leaf.copy() if isinstance(leaf, np.ndarray) else leaf


def _thaw(array: np.ndarray) -> list[np.ndarray]:
    """Allow writing to an array and, first, to what it is a view of; returns all of these."""
    base = array.base
    thawed = _thaw(base) if isinstance(base, np.ndarray) and not base.flags.writeable else []
    array.flags.writeable = True
    return [*thawed, array]


def _real(tree: Any) -> Any:
    return _substitute(tree, DeferredArray.fetch)


def _standins(tree: Any) -> Any:
    return _substitute(tree, lambda node: node._like)
