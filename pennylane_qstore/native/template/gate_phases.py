"""Gates written from runs: one skeleton, and the linear map from the runs' arguments to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from pennylane_qstore.native.frontend.program import FloatArray
from pennylane_qstore.native.template.runs import Bank, Entangler

EPS = 1e-10
"""Amplitudes and angles (turns) below this are nothing."""

NONE, HALF, FULL, FLIP = 0, 1, 2, 3
"""What a run is left with: no pulse, one GPi2, two GPi2, one GPi."""

_SMALL = 8192
"""Entries up to which a matrix is kept in full as well: for few rows the faster one."""
_MOST_PRODUCTS = 1 << 18
"""More than these OpenBLAS gives to several threads, which wait for each other, and whose number
might decide the last bit: a run that starts again has to send the same bytes."""

Gate = tuple[str, tuple[int, ...]]
Codes = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Emission:
    """One gate skeleton and the linear map from a row's arguments to its parameters.

    The arguments are those of the runs' amplitudes (see :func:`emit`), then the angles of the
    entanglers that turn with parameters (see :func:`turning`).

    Args:
        gates: the skeleton, (name, wires) in time order.
        matrix: sparse, (slots, arguments): a phase depends on the runs before it on its wire.
        full: the same, not sparse; None where that is large.
        const: (slots, 1), turns.
        frames: sparse, (wires, arguments): the virtual Z left at the end.
        frame_const: (wires, 1), turns.
    """

    gates: tuple[Gate, ...]
    matrix: csr_array
    full: FloatArray | None
    const: FloatArray
    frames: csr_array
    frame_const: FloatArray

    @property
    def nbytes(self) -> int:
        """Bytes of its arrays."""
        sparse = [a for m in (self.matrix, self.frames) for a in (m.data, m.indices, m.indptr)]
        full = [] if self.full is None else [self.full]
        return int(sum(a.nbytes for a in (*sparse, *full, self.const, self.frame_const)))

    def parameters(self, x: FloatArray) -> FloatArray:
        """Parameters (slots, rows), turns within ±1/2, at arguments (arguments, rows)."""
        few = self.full is not None and self.full.size * x.shape[1] <= _MOST_PRODUCTS
        found: FloatArray = (self.full if few else self.matrix) @ x
        found += self.const
        found -= np.rint(found)
        return found


def turning(entanglers: Sequence[Entangler]) -> list[int]:
    """Entanglers whose angle depends on parameters.

    Their angles, in turns within ±1/4, are arguments of an emission: of ZZ as they are; of MS,
    which IonQ takes from 0 to 1/4, first how large each is, then 1/2 for each that is negative.
    """
    return [i for i, entangler in enumerate(entanglers) if entangler.angle.terms]


def emit(
    bank: Bank,
    entanglers: Sequence[Entangler],
    flips: FloatArray,
    codes: Codes,
    zero: npt.NDArray[np.bool_],
    family: str,
) -> Emission:
    r"""Write the gates, with RZ kept as a frame per wire.

    With U = [[α, -β*], [β, α*]], t = arg/2π and d = 2 atan2(|α|, |β|)/2π, and f the frame (in
    turns) before the run:

    - no pulse: f → f - 2 t(α),
    - one GPi2 of phase t(β) + t(α) + 1/4 - f, then f → f - 2 t(α),
    - GPi of phase t(β) + 1/4 - f/2, then f → 0,
    - GPi2 of phases t(β) + t(α) - f and that plus d, then f → f + 1/2 - 2 t(α) - d.

    MS takes -f from its phases; ZZ commutes with frames.
    """
    r = bank.size
    turner = {e: 3 * r + i for i, e in enumerate(turning(entanglers))}
    one = 3 * r + len(turner) * (2 if family == "ms" else 1)
    width = one + 1
    gates: list[Gate] = []
    rows: list[FloatArray] = []
    frame = [np.zeros(width) for _ in bank.index] or [np.zeros(width)]
    done = [0] * len(bank.index)

    def unit(*entries: tuple[int, float]) -> FloatArray:
        row = np.zeros(width)
        for i, value in entries:
            row[i] = value
        return row

    def flush(q: int) -> None:
        run = bank.index[q][done[q]]
        done[q] += 1
        alpha, beta, d = run, r + run, 2 * r + run
        code, f = codes[run], frame[q]
        if code == HALF:
            gates.append(("gpi2", (q,)))
            rows.append(unit((beta, 1), (alpha, 1), (one, 0.25)) - f)
        elif code == FLIP:
            gates.append(("gpi", (q,)))
            rows.append(unit((beta, 1), (one, 0.25)) - f / 2)
            frame[q] = np.zeros(width)
            return
        elif code == FULL:
            first = unit((beta, 1), (alpha, 1)) - f
            gates.extend([("gpi2", (q,))] * 2)
            rows.extend([first, first + unit((d, 1))])
            frame[q] = f + unit((one, 0.5), (alpha, -2), (d, -1))
            return
        frame[q] = f + unit((alpha, -2))

    for e, entangler in enumerate(entanglers):
        a, _, b, _, angle = entangler
        flush(a)
        flush(b)
        if zero[e]:
            continue
        value = angle.const * flips[e]
        gates.append((family, (a, b)))
        if family == "ms":
            if e in turner:
                size, half = unit((turner[e], 1)), unit((turner[e] + len(turner), 1))
            else:
                size, half = unit((one, min(abs(value), 0.25))), unit((one, 0.5 * (value < 0)))
            rows.extend([-frame[a], half - frame[b], size])
        elif e in turner:
            rows.append(unit((turner[e], 1)))
        elif abs(value + 0.25) < EPS:  # ZZ(-1/4) is ZZ(1/4) · Z⊗Z
            rows.append(unit((one, 0.25)))
            for q in (a, b):
                frame[q] = frame[q] + unit((one, 0.5))
        else:
            rows.append(unit((one, value)))
    for q in range(len(bank.index)):
        flush(q)
    if not gates:  # a job wants a gate: one that undoes itself
        gates = [("gpi2", (0,)), ("gpi2", (0,))]
        rows = [unit(), unit((one, 0.5))]
    table = np.array(rows)
    frames = np.array(frame)
    return Emission(
        tuple(gates),
        csr_array(table[:, :-1]),
        table[:, :-1].copy() if table.size <= _SMALL else None,
        table[:, -1:].copy(),
        csr_array(frames[:, :-1]),
        frames[:, -1:].copy(),
    )
