"""Keys by which the analysis of measurements is remembered."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import pennylane as qml
from pennylane.measurements import ExpectationMP, MeasurementProcess, VarianceMP
from pennylane.operation import Operator
from pennylane.ops import LinearCombination, Prod, SProd, Sum

from pennylane_qstore.measurement.recipes import Postselected, StandardErrorMP


def measurement_key(
    measurements: Sequence[MeasurementProcess], wires: Mapping[Any, int]
) -> Hashable | None:
    """Return a key of all that a plan depends on.

    Args:
        measurements: of one tape.
        wires: index of each wire label.

    Returns:
        A hashable key; None where there is none.
    """
    keys: list[Hashable] = []
    for m in measurements:
        if isinstance(m, Postselected):
            keys.append((Postselected, tuple([wires[w] for w in m.wires]), m.values, m.fill))
            continue
        if isinstance(m, StandardErrorMP):
            inner = measurement_key([m.measured], wires)
            if inner is None:
                return None
            keys.append((StandardErrorMP, inner))
            continue
        given = getattr(m, "_eigvals", None)
        if m.mv is not None or given is not None:  # of mid-circuit measurements, mostly
            raw = given is None and not isinstance(m, (ExpectationMP, VarianceMP))
            values = None if raw else np.asarray(m.eigvals(), dtype=float).tobytes()
            keys.append((type(m), values, tuple([wires[w] for w in m.wires]), given is None))
            continue
        obs = None if m.obs is None else _observable_key(m.obs, wires)
        if m.obs is not None and obs is None:
            return None
        on = None if m.obs is not None else tuple([wires[w] for w in m.wires])
        keys.append((type(m), obs, on, getattr(m, "all_outcomes", None)))
    return tuple(keys)


def _observable_key(op: Operator, wires: Mapping[Any, int]) -> Hashable | None:
    kind = type(op)
    if kind in (qml.PauliX, qml.PauliY, qml.PauliZ, qml.Identity, qml.Hadamard):
        return kind, tuple([wires[w] for w in op.wires])
    if kind is SProd and not np.ndim(op.scalar):
        base = _observable_key(op.base, wires)
        return None if base is None else (kind, complex(op.scalar), base)
    if isinstance(op, (Prod, Sum, LinearCombination)):
        keys = tuple([_observable_key(o, wires) for o in op.operands])
        return None if None in keys else (kind, keys)
    if isinstance(op, (qml.Hermitian, qml.Projector)):
        data = np.ascontiguousarray(op.data[0])
        return kind, tuple([wires[w] for w in op.wires]), data.shape, data.tobytes()
    return None
