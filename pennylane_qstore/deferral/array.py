"""Arrays whose values are still to be fetched, and stay so under arithmetic.

A :class:`DeferredArray` is a node of a small expression graph: a result of a circuit, or a
NumPy operation on such. Beside it stands ``standin``, an array of the same type, shape and
dtype with made-up values, found by applying the operation to the operands' own stand-ins:
so shape errors are raised where they are made, and nobody has to fetch to learn a shape.
Looking at a value fetches everything that is pending in the same scope, in one batch.

An operation sees its operands as they were when it was written down: arrays and lists among
them are copied, and as long as the scope is open what has been fetched cannot be written to.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from typing import Any, ClassVar, cast

import numpy as np

from pennylane_qstore.compat.interfaces import teach_deferred_arrays
from pennylane_qstore.compat.pennylane import asks_before_an_update
from pennylane_qstore.compat.python import current_frame
from pennylane_qstore.deferral.conversions import Fetching, refuse_json
from pennylane_qstore.deferral.numpy_functions import (
    LAZY_FUNCTIONS,
    SHAPE_FUNCTIONS,
    UFUNC_METHODS,
    VALUE_FUNCTIONS,
    words,
)
from pennylane_qstore.deferral.operands import (
    Scope,
    Source,
    copied,
    deferred_in,
    is_numeric,
    is_static,
    real,
    standins,
    thaw,
    updates_parameters,
)

_UNSET: Any = object()


class DeferredArray(Fetching):
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
        "_operands",
        "_scopes",
        "_source",
        "_value",
        "standin",
    )

    __array_priority__: ClassVar[float] = 1000.0

    def __new__(cls, like: Any, *node: Any) -> Any:
        """Make a node; of a number alone, as ``statistics`` calls ``type(value)``, that number."""
        return object.__new__(cls) if node else np.asarray(real(like))[()]

    def __init__(self, like: Any, source: Source | None, call: Any, operands: Any) -> None:
        self.standin = like
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
        for array in (like, *[operand.standin for operand in operands]):
            if isinstance(array, np.ndarray):  # scalars made of scalars never change
                for scope in self._scopes:
                    scope.track(self)
                break

    @classmethod
    def leaf(cls, like: Any, source: Source) -> DeferredArray:
        """Return a result of a circuit that is not there yet.

        Args:
            like: an array or scalar of its type, shape and dtype.
            source: fetches it.

        Returns:
            A deferred array of that shape.
        """
        teach_deferred_arrays(DeferredArray)
        return cls(like, source, None, ())

    @staticmethod
    def applied(func: Callable[..., Any], *args: Any, like: Any = None) -> Any:
        """Apply a function of arrays, when its value is needed.

        Args:
            func: called with real arrays, whose shapes alone decide the shape of its result.
            args: of it; trees of deferred arrays and others.
            like: an array like the result; by default the function's value of stand-ins.

        Returns:
            A deferred array, or the value if all that it needs is at hand.
        """
        return _apply(func, args, {}, lazy=True, like=like)

    # ------------------------------------------------------------------ looked at

    def fetch(self) -> Any:
        """Return the real array or scalar; fetch everything that is pending."""
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
            thaw(value)
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
            return func(*real(args), **real(kwargs))

    @property
    def ready(self) -> bool:
        """True where the value is there or can be computed without sending anything."""
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

    unwrap = fetch  # as PennyLane's tensors ask for it

    def __reduce__(self) -> tuple[Any, ...]:
        return real, (self.fetch(),)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if name == "requires_grad":
            return self.standin.requires_grad
        if not hasattr(self.standin, name):
            raise AttributeError(f"{type(self.standin).__name__!r} has no attribute {name!r}")
        return getattr(self.fetch(), name)

    def __setitem__(self, index: Any, value: Any) -> None:
        for scope in self._scopes:
            scope.settle()  # what is computed from this has to be so before it changes
        array = self.fetch()
        thawed = thaw(array) if self._frozen else []
        array[index] = real(value)
        for each in thawed:
            each.flags.writeable = False

    @property
    def __class__(self) -> type:
        """The class of the value, once there is one; before that, our own."""
        refuse_json(current_frame(1))
        if self._value is _UNSET:
            if not self._is_over and not asks_before_an_update(current_frame(1)):
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
        shape: tuple[int, ...] = self.standin.shape
        return shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """The data type; nothing is fetched."""
        dtype: np.dtype[Any] = self.standin.dtype
        return dtype

    @property
    def ndim(self) -> int:
        """The number of axes; nothing is fetched."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """The number of elements; nothing is fetched."""
        size: int = self.standin.size
        return size

    def __len__(self) -> int:
        if not self.shape:  # torch.tensor, for one, asks for it
            raise TypeError(
                "A deferred number has no len(). Give a function that takes real numbers only "
                "float(value), or numpy.asarray(value) for an array."
            )
        return len(self.standin)

    # ------------------------------------------------------------------ stays deferred

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        func = ufunc if method == "__call__" else getattr(ufunc, method)
        lazy = method in UFUNC_METHODS and ufunc.nout == 1 and kwargs.get("out") is None
        if lazy and updates_parameters(inputs, current_frame(1)):
            lazy = False
        return _apply(func, inputs, kwargs, lazy=lazy)

    def __array_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        if func in SHAPE_FUNCTIONS:
            return func(*standins(args), **standins(kwargs))
        lazy = func in LAZY_FUNCTIONS and kwargs.get("out") is None
        if lazy and func in VALUE_FUNCTIONS:
            lazy = next(deferred_in((args[1:], kwargs)), None) is None
        return _apply(func, args, kwargs, lazy=lazy)

    def __getitem__(self, index: Any) -> DeferredArray:
        # A mask or an index that is itself deferred decides the shape by its values.
        item: DeferredArray = _apply(operator.getitem, (self, index), {}, lazy=is_static(index))
        return item

    def __iter__(self) -> Iterator[DeferredArray]:
        return (self[i] for i in range(len(self)))

    @property
    def T(self) -> DeferredArray:  # noqa: N802 - NumPy's name
        """The transpose, deferred."""
        transposed: DeferredArray = _apply(np.transpose, (self,), {}, lazy=True)
        return transposed


def _apply(
    func: Callable[..., Any], args: Any, kwargs: Any, *, lazy: bool, like: Any = None
) -> Any:
    """Defer an operation, or do it if its value is needed or at hand already."""
    operands = cast("tuple[DeferredArray, ...]", tuple(deferred_in((args, kwargs))))
    if lazy and any(o._value is _UNSET for o in operands):
        if like is None:
            with np.errstate(all="ignore"):  # of made-up values; the real ones may warn later
                like = func(*standins(args), **standins(kwargs))
        if isinstance(like, np.ndarray | np.generic):
            call = func, copied(args), copied(kwargs)
            return DeferredArray(like, None, call, operands)
    return func(*real(args), **real(kwargs))


# --------------------------------------------------------------------------- operators


def _operator(plain: Callable[[Any, Any], Any]) -> tuple[Any, Any]:
    # Python's own operator rather than the ufunc: on NumPy scalars they differ by a rounding.
    def forward(self: DeferredArray, other: Any) -> Any:
        lazy = is_numeric(other) and not updates_parameters((other,), current_frame(1))
        return _apply(plain, (self, other), {}, lazy=lazy)

    def reflected(self: DeferredArray, other: Any) -> Any:
        lazy = is_numeric(other) and not updates_parameters((other,), current_frame(1))
        return _apply(plain, (other, self), {}, lazy=lazy)

    return forward, reflected


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
for _name in words("neg pos abs invert"):
    setattr(DeferredArray, f"__{_name}__", _method(f"__{_name}__"))
for _name in words(
    "astype clip conj conjugate copy cumprod cumsum diagonal flatten max mean min prod ravel "
    "reshape round squeeze std sum swapaxes take trace transpose var view"
):
    setattr(DeferredArray, _name, _method(_name))
