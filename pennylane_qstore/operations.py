"""Operations and tapes with other parameters, all else unchanged.

PennyLane's ``bind_new_parameters`` loses zero control values, reverses ``change_op_basis``, takes
the parameter of an ``Evolution`` for one of its generator, and loses the options of measurements.
Here each operation is rebuilt from the inside out, and what was rebuilt is compared to what was
there; no operation comes back with less than it had.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pennylane as qml
from pennylane.measurements import MeasurementProcess
from pennylane.operation import Operator
from pennylane.ops.op_math import (
    Adjoint,
    ChangeOpBasis,
    CompositeOp,
    Controlled,
    ControlledOp,
    Evolution,
    Exp,
    LinearCombination,
    Pow,
    Prod,
    SProd,
    Sum,
)
from pennylane.queuing import QueuingManager
from pennylane.tape import QuantumScript

from pennylane_qstore.errors import CompileError

_MAX_ORDERS = 3
"""Parts of an operation up to which every order of their parameters is tried."""


def with_parameters(op: Operator, data: Sequence[Any]) -> Operator:
    """Return an operation with other parameters; type, wires, options stay.

    Nothing is queued, and neither the operation nor a parameter is written to. Operations
    without parameters are returned as they are; parts without parameters are shared.

    Args:
        op: the operation, of any depth.
        data: its parameters in the order of ``op.data``, of any interface; each may have a
            batch dimension that the old one had not, or lack it.

    Returns:
        A new operation.

    Raises:
        CompileError: the number of parameters is another, or the operation cannot be rebuilt
            (a class of its own that does not tell how).
    """
    if len(data) != len(op.data):
        raise CompileError(
            f"{op.name} has {len(op.data)} parameters; {len(data)} cannot take their place."
        )
    if not data:
        return op
    with QueuingManager.stop_recording():
        return _rebuilt(op, tuple(data))


def tape_with_parameters(
    tape: QuantumScript, data: Sequence[Any], indices: Sequence[int] | None = None
) -> QuantumScript:
    """Return a tape with other parameters, those of its observables included.

    Args:
        tape: the tape.
        data: the new parameters.
        indices: index of each in ``tape.get_parameters(trainable_only=False)``, in any order;
            None for all of them.

    Returns:
        A new tape with the same shots and trainable parameters.

    Raises:
        CompileError: an operation cannot be rebuilt.
    """
    indices = range(len(tape.par_info)) if indices is None else indices
    new: dict[int, dict[int, Any]] = {}
    for index, value in zip(indices, data, strict=True):
        place = tape.par_info[index]
        new.setdefault(place["op_idx"], {})[place["p_idx"]] = value
    circuit = list(tape)
    for at, values in new.items():
        item = circuit[at]
        measured = isinstance(item, MeasurementProcess)
        op = item.obs if measured else item
        op = with_parameters(op, [values.get(i, old) for i, old in enumerate(op.data)])
        circuit[at] = _measuring(item, op) if measured else op
    count = len(tape.operations)
    return type(tape)(
        circuit[:count], circuit[count:], shots=tape.shots, trainable_params=tape.trainable_params
    )


def is_foreign(op: Operator) -> bool:
    """Return True for an operation of a class that is not PennyLane's."""
    return not type(op).__module__.startswith("pennylane.")


def _measuring(measurement: MeasurementProcess, observable: Operator) -> MeasurementProcess:
    new = copy.copy(measurement)
    new.obs = observable
    return new


def _rebuilt(op: Operator, data: tuple[Any, ...]) -> Operator:
    for candidate in _candidates(op, data):
        try:
            made = candidate()
        except (TypeError, ValueError, AttributeError, IndexError, KeyError):
            continue  # this class is called in another way
        if _same_structure(op, made):
            return made
    raise CompileError(
        f"{op.name} on wires {op.wires.tolist()} cannot be given other parameters: its class does "
        "not tell how it is rebuilt. Give it _flatten and _unflatten, as PennyLane describes them."
    )


def _candidates(op: Operator, data: tuple[Any, ...]) -> Iterator[Callable[[], Operator]]:
    """Ways to rebuild an operation, the surest first."""
    if (rule := _rule(op)) is not None:
        yield lambda: rule(op, data)
        return
    content, metadata = op._flatten()
    parts, tree = qml.pytrees.flatten(content, is_leaf=lambda x: isinstance(x, Operator))

    def unflattened(new: Sequence[Any]) -> Operator:
        made: Operator = type(op)._unflatten(qml.pytrees.unflatten(new, tree), metadata)
        return made

    if not any(isinstance(part, Operator) for part in parts):
        if len(parts) == len(data) and _keeps_attributes(op, unflattened, parts):
            yield lambda: unflattened(data)
        if not any(isinstance(value, Operator) for value in op.hyperparameters.values()):
            yield lambda: _copied(op, data)
        return
    for order in _orders(len(parts)):
        if (new := _shared_out(parts, order, data)) is not None:
            yield lambda new=new: _checked(unflattened(new), data)  # type: ignore[misc]


def _orders(count: int) -> Iterator[Sequence[int]]:
    if count <= _MAX_ORDERS:
        yield from itertools.permutations(range(count))
    else:
        yield range(count)


def _shared_out(
    parts: Sequence[Any], order: Sequence[int], data: tuple[Any, ...]
) -> list[Any] | None:
    """Return new parts, where the parameters are the parts' in this order; None if too few."""
    counts = [len(part.data) if isinstance(part, Operator) else 1 for part in parts]
    if sum(counts) != len(data):
        return None
    new, first = list(parts), 0
    for i in order:
        own = data[first : first + counts[i]]
        new[i] = with_parameters(parts[i], own) if isinstance(parts[i], Operator) else own[0]
        first += counts[i]
    return new


def _checked(made: Operator, data: tuple[Any, ...]) -> Operator:
    """Return an operation whose parameters are these; another order of parts is another one."""
    same = len(made.data) == len(data) and all(map(_equal, made.data, data))
    if not same:
        raise ValueError("the parameters are in another order")
    return made


def _copied(op: Operator, data: tuple[Any, ...]) -> Operator:
    new = copy.deepcopy(op)
    new.data = data
    for cached in ("_batch_size", "_ndim_params"):  # computed anew from the new parameters
        if cached in vars(new):
            setattr(new, cached, qml.operation._UNSET_BATCH_SIZE)
    return new


def _keeps_attributes(
    op: Operator, unflattened: Callable[[Sequence[Any]], Operator], parts: Sequence[Any]
) -> bool:
    """Return whether a class from outside PennyLane, rebuilt as it was, is as it was.

    Its options may be attributes that neither hyperparameters nor ``_flatten`` tell.
    """
    if not is_foreign(op):
        return True
    try:
        again, before = vars(unflattened(parts)), vars(op)
    except Exception:  # noqa: BLE001 - whatever a user's class raises where it is not called so
        return False
    names = {name for name in {*again, *before} if not name.startswith("_")} - {"data"}
    return all(_equal(again.get(name), before.get(name)) for name in names)


# --- rules by type -------------------------------------------------------------------------

_Rule = Callable[[Any, tuple[Any, ...]], Operator]


def _rule(op: Operator) -> _Rule | None:
    kind = type(op)
    if kind in (Controlled, ControlledOp):
        return _controlled
    for wrapper, rule in _RULES.items():
        if kind is wrapper or (wrapper in (Adjoint, Pow) and isinstance(op, wrapper)):
            return rule
    return None


def _controlled(op: Controlled, data: tuple[Any, ...]) -> Operator:
    return type(op)(
        with_parameters(op.base, data),
        op.control_wires,
        op.control_values,
        op.work_wires,
        op.work_wire_type,
    )


def _operands(op: CompositeOp, data: tuple[Any, ...]) -> list[Operator]:
    new, first = [], 0
    for operand in op.operands:
        end = first + len(operand.data)
        new.append(with_parameters(operand, data[first:end]))
        first = end
    return new


def _sum(op: Sum, data: tuple[Any, ...]) -> Operator:
    new = Sum(*_operands(op, data))
    if op.grouping_indices is not None:
        new.grouping_indices = op.grouping_indices
    return new


def _linear_combination(op: LinearCombination, data: tuple[Any, ...]) -> Operator:
    coefficients, observables, first = [], [], 0
    for observable in op.ops:
        end = first + 1 + len(observable.data)
        coefficients.append(data[first])
        observables.append(with_parameters(observable, data[first + 1 : end]))
        first = end
    new = LinearCombination(coefficients, observables)
    if op.grouping_indices is not None:
        new.grouping_indices = op.grouping_indices
    return new


_RULES: Mapping[type, _Rule] = {
    Adjoint: lambda op, data: Adjoint(with_parameters(op.base, data)),
    Pow: lambda op, data: Pow(with_parameters(op.base, data), op.z),
    Evolution: lambda op, data: Evolution(op.base, *data),  # its generator's are none of its own
    Exp: lambda op, data: Exp(with_parameters(op.base, data[1:]), data[0]),
    SProd: lambda op, data: SProd(data[0], with_parameters(op.base, data[1:])),
    Prod: lambda op, data: Prod(*_operands(op, data)),
    Sum: _sum,
    LinearCombination: _linear_combination,
    ChangeOpBasis: lambda op, data: ChangeOpBasis(*reversed(_operands(op, data))),
    qml.ops.Conditional: lambda op, data: qml.ops.Conditional(
        op.meas_val, with_parameters(op.base, data)
    ),
}


# --- comparison ----------------------------------------------------------------------------


def _same_structure(op: Operator, made: Operator) -> bool:
    """Return whether two operations differ in parameters at most."""
    if type(op) is not type(made) or op.wires != made.wires or len(op.data) != len(made.data):
        return False
    before, after = op.hyperparameters, made.hyperparameters
    if not before and not after:
        return True
    return before.keys() == after.keys() and all(
        _same_option(value, after[key]) for key, value in before.items()
    )


def _same_option(before: Any, after: Any) -> bool:
    if before is after:
        return True
    if isinstance(before, Operator) and isinstance(after, Operator):
        return _same_structure(before, after)
    if _holds_operators(before):  # samples of QDrift: they follow from the parameters
        return _holds_operators(after)
    return _equal(before, after)


def _holds_operators(value: Any) -> bool:
    return isinstance(value, list | tuple) and any(
        isinstance(item, Operator) or _holds_operators(item) for item in value
    )


def _equal(a: Any, b: Any) -> bool:
    if a is b:
        return True
    try:
        if isinstance(a, Mapping) or callable(a) or isinstance(a, str):
            return bool(a == b)
        return np.shape(a) == np.shape(b) and bool(qml.math.allclose(a, b, 0, 0, equal_nan=True))
    except Exception:  # noqa: BLE001 - options of any kind: what compares in no other way
        return repr(a) == repr(b)
