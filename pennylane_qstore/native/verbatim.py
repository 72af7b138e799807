"""Verbatim boxes: operations that are sent as they are written."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pennylane as qml
from pennylane.operation import Operator
from pennylane.queuing import AnnotatedQueue, QueuingManager
from pennylane.wires import Wires

from pennylane_qstore.errors import CompileError


class VerbatimBegin(qml.Barrier):  # type: ignore[misc]
    """The beginning of a verbatim box; a barrier, and nothing to other devices.

    Args:
        wires: wires of the box.
    """

    def label(self, *_: Any, **__: Any) -> str:
        """Return the text in drawings."""
        return "|["

    def adjoint(self) -> VerbatimEnd:
        """Return the end: the adjoint of a box is a box of adjoints."""
        return VerbatimEnd(self.wires)


class VerbatimEnd(qml.Barrier):  # type: ignore[misc]
    """The end of a verbatim box; a barrier, and nothing to other devices.

    Args:
        wires: wires of the box.
    """

    def label(self, *_: Any, **__: Any) -> str:
        """Return the text in drawings."""
        return "]|"

    def adjoint(self) -> VerbatimBegin:
        """Return the beginning: the adjoint of a box is a box of adjoints."""
        return VerbatimBegin(self.wires)


def has_boxes(operations: Sequence[Operator]) -> bool:
    """Return True where operations hold a box."""
    return any(type(op) is VerbatimBegin for op in operations)


@contextmanager
def _box() -> Iterator[None]:
    begin = VerbatimBegin()
    yield
    queue = list(QueuingManager.active_context().queue) if QueuingManager.recording() else []
    inside = itertools.dropwhile(lambda item: item is not begin, queue)
    wires = Wires.all_wires([item.wires for item in inside if isinstance(item, Operator)])
    if wires:
        begin._wires = wires
        VerbatimEnd(wires)
    else:
        QueuingManager.remove(begin)


def verbatim(operations: Any = None) -> Any:
    """Mark operations that a ``qstore.ionq`` device sends as they are written.

    Native gates (``GPI``, ``GPI2``, and the machine's ``MS`` or ``ZZ``) go to the machine with
    their own numbers and in their order. Other gates are translated one by one. Nothing in a box is
    merged, moved or dropped, and nothing moves across it; virtual rotations about Z of what stands
    before are written as pulses first. Other devices take the operations as if there were no box.

    Args:
        operations: a quantum function, an operation or a list of them; without it, operations are
            those of a ``with`` block.

    Returns:
        A context; the function with a box around its operations; or the list of operations, with
        the marks of the box.

    Raises:
        CompileError: something else is given.

    **Example**

    >>> import pennylane_qstore as qstore
    >>> from pennylane_qstore.native.gates import GPI2, ZZ
    >>> @qml.qnode(qml.device("qstore.ionq", wires=2))
    ... def circuit():
    ...     with qstore.verbatim():
    ...         GPI2(0.25, wires=0)
    ...         ZZ(0.25, wires=[0, 1])
    ...         ZZ(-0.25, wires=[0, 1])
    ...     return qml.expval(qml.X(0))
    >>> print(round(float(circuit()), 6))
    1.0
    """
    if operations is None:
        return _box()
    if isinstance(operations, Operator):
        operations = [operations]
    if callable(operations):

        @functools.wraps(operations)
        def boxed(*args: Any, **kwargs: Any) -> Any:
            with _box():
                return operations(*args, **kwargs)

        return boxed
    if not all(isinstance(op, Operator) for op in operations):
        raise CompileError(
            f"verbatim({operations!r}) is not allowed. Allowed: a quantum function, an operation, "
            "a list of operations, or nothing, for `with qstore.verbatim():`."
        )
    with AnnotatedQueue() as queue, _box():
        for op in operations:
            qml.apply(op)
    if QueuingManager.recording():
        for op in operations:
            QueuingManager.remove(op)
        for op in queue.queue:
            qml.apply(op)
    return list(queue.queue)
