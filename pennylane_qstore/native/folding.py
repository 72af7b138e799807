"""Compiled circuits with more noise: each followed by its inverse and itself again.

A circuit ``V`` becomes ``V (V† V)^k`` and, for what is left, ``L† L`` of its last gates
(Giurgica-Tiron, Hindy, LaRose, Mari and Zeng, "Digital zero noise extrapolation for quantum error
mitigation", arXiv:2005.10921). Folds of a tape would be compiled away; these are made of native
gates, after the compiler. Outcomes are read as those of ``V``.
"""

from __future__ import annotations

import numpy as np

from pennylane_qstore.gateset import ENTANGLERS
from pennylane_qstore.native.template.batch import NativeBlock, native_slots

_HALF = 0.5
"""Turns between the axis of a rotation and that of its inverse."""


def fold(block: NativeBlock, scale: float) -> NativeBlock:
    """Return rows of one skeleton, folded.

    Args:
        block: the rows.
        scale: factor of the entanglers, or of the pulses where there are none; rounded to what
            whole gates give. Odd numbers are exact.

    Returns:
        The same rows, with more gates.
    """
    counted = [k for k, gate in enumerate(block.gates) if gate[0] in ENTANGLERS]
    counted = counted or list(range(len(block.gates)))
    more, rest = divmod(round((scale - 1) / 2 * len(counted)), max(1, len(counted)))
    if not counted or not (more or rest):
        return block
    slots = native_slots(block.gates)
    inverse = block.params.copy()
    for (name, _), where in zip(block.gates, slots, strict=True):
        if name == "zz":
            inverse[:, where] *= -1
        elif name != "gpi":
            inverse[:, where.start] += _HALF
    gates, parts = list(block.gates), [block.params]
    for first in [0] * more + [counted[-rest]] * bool(rest):
        back = range(len(block.gates) - 1, first - 1, -1)
        gates += [block.gates[k] for k in back]
        gates += block.gates[first:]
        parts += [inverse[:, slots[k]] for k in back]
        parts.append(block.params[:, slots[first].start :])
    return block._replace(gates=tuple(gates), params=np.concatenate(parts, axis=1))
