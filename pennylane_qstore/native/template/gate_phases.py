r"""Gates written from runs: one skeleton, and the linear map from the runs' arguments to it.

With U = [[α, -β*], [β, α*]], t = arg/2π and d = 2 atan2(|α|, |β|)/2π, and f the frame of the
wire (in turns) before the run, RZ being virtual:

- no pulse: f → f - 2 t(α),
- one GPi2 of phase t(β) + t(α) + 1/4 - f, then f → f - 2 t(α),
- GPi of phase t(β) + 1/4 - f/2, then f → 0,
- GPi2 of phases t(β) + t(α) - f and that plus d, then f → f + 1/2 - 2 t(α) - d.

MS takes -f from its phases; ZZ commutes with frames. Where a frame has to be written, RZ(f) is GPi
of phase 0, then GPi of f/2; after a GPi2 of phase p, GPi2 of p + 1/2 and GPi of p + f/2 are both.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from pennylane_qstore.gateset import FULL_ANGLE
from pennylane_qstore.native.frontend.program import Affine, ComplexArray, FloatArray
from pennylane_qstore.native.template.batch import NativeGate
from pennylane_qstore.native.template.run_evaluator import EPS, RunEvaluator
from pennylane_qstore.native.template.runs import EndOfParts

_DENSE_ENTRIES = 8192
"""Entries up to which a matrix is kept dense as well: the faster one for few rows."""
_MOST_PRODUCTS = 1 << 18
"""More than these OpenBLAS gives to several threads, which wait for each other, and whose number
might decide the last bit: a run that starts again has to send the same bytes."""

Codes = npt.NDArray[np.uint8]


class PulseCode(IntEnum):
    """The pulses that a run of one-qubit gates is written with."""

    NONE = 0
    GPI2 = 1
    TWO_GPI2 = 2
    GPI = 3


_EDGES = (EPS, np.pi / 4 - EPS, np.pi / 4 + EPS, np.pi / 2 - EPS)
_BETWEEN_EDGES = (
    PulseCode.GPI,
    PulseCode.TWO_GPI2,
    PulseCode.GPI2,
    PulseCode.TWO_GPI2,
    PulseCode.NONE,
)
"""The code of a tilt, atan2(|α|, |β|), below, between and above the edges."""
PULSES = (0, 1, 2, 1)
"""Number of pulses by code."""
_EDGES_ARRAY, _CODES_ARRAY = np.array(_EDGES), np.array(_BETWEEN_EDGES, dtype=np.uint8)
_PULSES_ARRAY = np.array(PULSES)


def tilts_of(columns: ComplexArray) -> FloatArray:
    """Return atan2(|α|, |β|) of first columns (2, ...), in radians."""
    return np.asarray(np.arctan2(*np.abs(columns)))


def codes_of(tilts: FloatArray) -> Codes:
    """Return the :class:`PulseCode` of each tilt."""
    return np.asarray(_CODES_ARRAY[np.searchsorted(_EDGES_ARRAY, tilts)])


def code_of(tilt: float) -> PulseCode:
    """Return the code of one tilt."""
    return _BETWEEN_EDGES[bisect_left(_EDGES, tilt)]


def pulses_of(codes: Codes) -> npt.NDArray[np.int_]:
    """Return the number of pulses of each code."""
    return np.asarray(_PULSES_ARRAY[codes])


@dataclass(frozen=True, slots=True)
class GatePhases:
    """One gate skeleton and the linear map from a row's arguments to its parameters.

    The arguments, in turns, are arg α of all runs, arg β, and twice atan2(|α|, |β|); then the
    angles of the entanglers that depend on parameters, within ±1/4: of ZZ as they are; of MS,
    which IonQ takes from 0 to 1/4, first how large each is, then 1/2 for each negative one; and the
    numbers of gates that are sent as they are.

    Args:
        gates: the skeleton, (name, wires) in time order.
        matrix: sparse, (slots, arguments): a phase depends on the runs before it on its wire.
        dense: the same as a full matrix; None where that is large.
        const: (slots, 1), turns.
        frames: sparse, (wires, arguments): the virtual Z left at the end.
        frame_const: (wires, 1), turns.
        as_written: slots of the numbers that are sent as they are, the last arguments in order.
        written_frames: frames that are written as pulses where they are not zero, as ``frames``
            and ``frame_const``; None if there are none.
    """

    gates: tuple[NativeGate, ...]
    matrix: csr_array
    dense: FloatArray | None
    const: FloatArray
    frames: csr_array
    frame_const: FloatArray
    as_written: Sequence[int] = ()
    written_frames: tuple[csr_array, FloatArray] | None = None

    @property
    def nbytes(self) -> int:
        """Bytes of its arrays."""
        sparse = [a for m in (self.matrix, self.frames) for a in (m.data, m.indices, m.indptr)]
        dense = [] if self.dense is None else [self.dense]
        return int(sum(a.nbytes for a in (*sparse, *dense, self.const, self.frame_const)))

    def parameters(self, x: FloatArray) -> FloatArray:
        """Return parameters (slots, rows), in turns within ±1/2, at arguments (arguments, rows)."""
        small = self.dense is not None and self.dense.size * x.shape[1] <= _MOST_PRODUCTS
        turns: FloatArray = (self.dense if small else self.matrix) @ x
        turns += self.const
        turns -= np.rint(turns)
        if self.as_written:
            turns[self.as_written] = x[-len(self.as_written) :]
        return turns

    def still_frames(self, x: FloatArray) -> Codes:
        """Return which frames that are written are zero, (frames, rows), at arguments."""
        assert self.written_frames is not None  # noqa: S101 - asked only where there are some
        matrix, const = self.written_frames
        turns = matrix @ x + const
        return np.asarray(np.abs(turns - np.round(turns)) < EPS, dtype=np.uint8)

    def frames_at(self, x: FloatArray) -> FloatArray:
        """Return frames (wires, rows), in turns within ±1/2, at arguments (arguments, rows)."""
        turns = self.frames @ x + self.frame_const
        return np.asarray(turns - np.round(turns))


def write_gates(
    runs: RunEvaluator,
    signs: FloatArray,
    codes: Codes,
    dropped: npt.NDArray[np.bool_],
    still: bytes = b"",
) -> GatePhases:
    """Write the gates of rows that agree in the pulses of their runs.

    Args:
        runs: runs and entanglers.
        signs: ±1 for each entangler: the sign that its angle gets from what moved through it.
        codes: pulses of each run.
        dropped: entanglers whose angle is zero.
        still: for each frame that is written where it is not zero, whether it is zero; missing
            ones are not.

    Returns:
        The skeleton and its phases.
    """
    writer = _GateWriter(runs, codes, still)
    for e, entangler in enumerate(runs.entanglers):
        writer.end_parts(e)
        writer.run(entangler.a)
        writer.run(entangler.b)
        if not dropped[e]:
            writer.entangle(e, float(entangler.angle.const * signs[e]))
    writer.end_parts(len(runs.entanglers))
    for part in writer.open:
        writer.run(part)
    return writer.finished()


class _GateWriter:
    """Gates in time order; phases as affine functions of the arguments; a frame per wire."""

    def __init__(self, runs: RunEvaluator, codes: Codes, still: bytes) -> None:
        self._runs, self._codes, self._still = runs, codes.tolist(), still
        self._gates: list[NativeGate] = []
        self._phases: list[Affine] = []
        self._frames = [Affine()] * max(1, max(runs.parts, default=0) + 1)
        self._written = [0] * len(runs.index)
        self._turning = {e: 3 * runs.size + i for i, e in enumerate(runs.turning)}
        self._width = 3 * runs.size + len(self._turning) * (2 if runs.family == "ms" else 1)
        self._ends = list(reversed(runs.ends))
        self._as_written: list[int] = []
        self._written_frames: list[Affine] = []
        self._last: dict[int, int] = {}  # slots of GPi2 that nothing follows on their wires
        self.open = dict.fromkeys(range(len(runs.index)))
        """Parts of the circuit that no fence has ended yet."""

    def end_parts(self, entanglers: int) -> None:
        """Write the fences that stand after this many entanglers."""
        while self._ends and self._ends[-1].entanglers == entanglers:
            self._end(self._ends.pop())

    def _end(self, end: EndOfParts) -> None:
        runs = self._runs
        for part in end.parts:
            self.run(part)
            del self.open[part]
        varying = [runs.parts[part] for part in end.parts if part in runs.varying]
        for q in end.fence.wires:
            if end.fence.exact:
                self._write_frame(q, always=q in varying)
            self._last.pop(q, None)
        if (gate := end.fence.gate) is not None:
            first, count = len(self._phases), len(gate.angles)
            self._as_written.extend(range(first, first + count))
            self._add(gate.name.lower(), end.fence.wires, *[Affine()] * count)

    def _write_frame(self, q: int, *, always: bool) -> None:
        """Write the virtual Z of a wire as pulses; if not ``always``, where it is not zero."""
        frame, self._frames[q] = self._frames[q], Affine()
        if not frame.terms and abs(frame.const - round(frame.const)) < EPS:
            return
        if not always:
            self._written_frames.append(frame)
            if self._still[len(self._written_frames) - 1 : len(self._written_frames)] == b"\x01":
                return
        before = Affine()
        if q in self._last:
            slot = self._last.pop(q)
            before = self._phases[slot]
            self._phases[slot] = before.plus(0.5)
        else:
            self._add("gpi", (q,), Affine())
        self._add("gpi", (q,), before.plus(frame.scaled(0.5)))

    def run(self, part: int) -> None:
        """Write the next run of a part."""
        runs, q = self._runs, self._runs.parts[part]
        run = runs.index[part][self._written[part]]
        self._written[part] += 1
        alpha, beta, d = run, runs.size + run, 2 * runs.size + run
        frame = self._frames[q]
        back = frame.scaled(-1.0)
        after = frame.plus(Affine(((alpha, -2.0),)))
        match self._codes[run]:
            case PulseCode.GPI2:
                phase = back.plus(Affine(((beta, 1.0), (alpha, 1.0)), 0.25))
                self._add("gpi2", (q,), phase)
            case PulseCode.GPI:
                self._add("gpi", (q,), frame.scaled(-0.5).plus(Affine(((beta, 1.0),), 0.25)))
                after = Affine()
            case PulseCode.TWO_GPI2:
                phase = back.plus(Affine(((beta, 1.0), (alpha, 1.0))))
                self._add("gpi2", (q,), phase)
                self._add("gpi2", (q,), phase.plus(Affine(((d, 1.0),))))
                after = after.plus(Affine(((d, -1.0),), 0.5))
        self._frames[q] = after

    def entangle(self, e: int, const: float) -> None:
        """Write an entangler; ``const`` is its angle in turns where no parameter decides."""
        entangler, parts = self._runs.entanglers[e], self._runs.parts
        a, b = on = parts[entangler.a], parts[entangler.b]
        turning = self._turning.get(e)
        if self._runs.family == "ms":
            if turning is None:
                size = Affine((), min(abs(const), FULL_ANGLE))
                half = Affine((), 0.5 * (const < 0))
            else:
                size = Affine(((turning, 1.0),))
                half = Affine(((turning + len(self._turning), 1.0),))
            first, second = (self._frames[q].scaled(-1.0) for q in on)
            self._add("ms", on, first, half.plus(second), size)
        elif turning is not None:
            self._add("zz", on, Affine(((turning, 1.0),)))
        elif abs(const + FULL_ANGLE) < EPS:  # ZZ(-1/4) is ZZ(1/4) · Z⊗Z
            self._add("zz", on, Affine((), FULL_ANGLE))
            for q in (a, b):
                self._frames[q] = self._frames[q].plus(0.5)
        else:
            self._add("zz", on, Affine((), const))

    def finished(self) -> GatePhases:
        """Return what was written as arrays."""
        if not self._gates:  # a job wants a gate: one that undoes itself
            self._add("gpi2", (0,), Affine())
            self._add("gpi2", (0,), Affine((), 0.5))
        width = self._width + len(self._as_written)
        matrix, const = _arrays(self._phases, width)
        small = len(self._phases) * width <= _DENSE_ENTRIES
        dense = matrix.toarray() if small else None
        written = self._written_frames
        return GatePhases(
            tuple(self._gates),
            matrix,
            dense,
            const,
            *_arrays(self._frames, width),
            as_written=self._as_written,
            written_frames=_arrays(written, width) if written else None,
        )

    def _add(self, name: str, on: tuple[int, ...], *phases: Affine) -> None:
        for q in on:
            self._last.pop(q, None)
        if name == "gpi2":
            self._last[on[0]] = len(self._phases)
        self._gates.append((name, on))
        self._phases.extend(phases)


def _arrays(rows: Sequence[Affine], width: int) -> tuple[csr_array, FloatArray]:
    """Sparse matrix (rows, width) and constants (rows, 1) of affine functions."""
    entries = [entry for row in rows for entry in sorted(row.terms)]
    ends = np.cumsum([0, *(len(row.terms) for row in rows)])
    columns, factors = zip(*entries, strict=True) if entries else ((), ())
    data = np.array(factors, dtype=float), np.array(columns, dtype=np.intp), ends
    const = np.array([[row.const] for row in rows], dtype=float)
    return csr_array(data, shape=(len(rows), width)), const
