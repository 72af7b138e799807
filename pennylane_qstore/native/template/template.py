r"""Templates: a compiled structure with holes for numbers, bound for all rows at once.

Everything structural is decided when the template is made: which runs of one-qubit gates
there are, how rotations move through entanglers (:mod:`~.pushing`), which outcomes the readout
relabels. Binding multiplies the runs, finds the moved angles level by level, and writes all
phases with one matrix product, since phases in turns are linear in the arguments of the runs'
amplitudes (virtual Z frames included).

Rows where an angle happens to be special (a run that needs no pulse, a π rotation, an
interaction of angle 0) are found after binding and written in their cheaper form; where the
plan does not suit them, wire by wire with another.
"""

from __future__ import annotations

import math
import threading
from cmath import phase
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from pennylane_qstore.gateset import FULL_ANGLE
from pennylane_qstore.native.frontend.program import ComplexArray, FloatArray
from pennylane_qstore.native.gates import TURN
from pennylane_qstore.native.ir import IRCircuit
from pennylane_qstore.native.template.batch import NativeBatch, NativeBlock, Readout
from pennylane_qstore.native.template.gate_phases import (
    PULSES,
    Codes,
    GatePhases,
    code_of,
    codes_of,
    pulses_of,
    tilts_of,
    write_gates,
)
from pennylane_qstore.native.template.planning import alternative_pushes, depth_of, make_plan
from pennylane_qstore.native.template.pushed_runs import PushPlan
from pennylane_qstore.native.template.run_evaluator import EPS, RunEvaluator
from pennylane_qstore.native.template.runs import Fence, runs_of
from pennylane_qstore.native.template.single_row import SingleRow

CHUNK = 256
"""Rows bound at once: the working arrays stay in the processor's cache."""
_MAX_PATTERNS = 512
"""Skeletons kept: one for each pattern of special angles that was met."""
_IN_TURNS = np.array([1.0, 1.0, 2.0])[:, None, None] / TURN
"""Factors of arg α, arg β, and atan2(|α|, |β|)."""

_Groups = Iterable[tuple[GatePhases, npt.NDArray[np.intp]]]
"""Skeletons, each with the indices of its rows."""
_FIRST = np.zeros(1, dtype=np.intp)
"""The index of a row that is alone."""


class Template:
    """A compiled structure.

    Args:
        circuit: operations without two-qubit unitaries; ``circuit.outputs`` are the measured
            bits.
        fences: places in it that nothing moves across, in time order.
        family: ``"ms"`` or ``"zz"``.
        parameters: number of parameters P.
        compact: whether wires without operations are left out.
        commute_rotations: whether rotations may move through entanglers.

    Attributes:
        off_plan_rows: rows bound so far with other pulses than planned.
        search_stopped: whether the search for fewer gates ran out of time.
    """

    def __init__(
        self,
        circuit: IRCircuit,
        family: str,
        parameters: int,
        *,
        fences: Sequence[Fence] = (),
        compact: bool = True,
        commute_rotations: bool = True,
    ) -> None:
        runs = runs_of(circuit, family, compact=compact, fences=fences)
        self.qubits = max(1, len(runs.wires))
        self.measured, self.readout = Readout.of(circuit.outputs, runs.wires)
        self._runs = RunEvaluator(runs, family, parameters)
        self._plan = plan = make_plan(self._runs, commute_rotations=commute_rotations)
        self._single: SingleRow | None = None
        if not fences and SingleRow.pays_for(self._runs):
            self._single = SingleRow(self._runs, plan.push, plan.signs)
        self._replans = commute_rotations and family == "ms"
        self._alternatives: tuple[PushPlan, ...] | None = None
        nothing_dropped = np.zeros(len(runs.entanglers), dtype=np.uint8)
        self._pattern = np.concatenate([plan.codes, nothing_dropped])
        self._key = self._pattern.tobytes()
        self._lock = threading.Lock()
        self._patterns: dict[bytes, GatePhases] = {}
        self.off_plan_rows = 0
        self.search_stopped = False

    @property
    def pulses(self) -> int:
        """GPi and GPi2 pulses of a generic row."""
        return self._plan.pulses

    @property
    def entanglers(self) -> int:
        """MS or ZZ gates of a generic row."""
        return len(self._runs.entanglers)

    @property
    def depth(self) -> int:
        """Gates on the longest path of a generic row."""
        return depth_of(self._runs, pulses_of(self._plan.codes).tolist())

    @property
    def fallbacks(self) -> int:
        """Wires whose plan did not hold at a second sample."""
        return self._plan.fallbacks

    @property
    def nbytes(self) -> int:
        """Bytes held by the template's arrays."""
        pushes = (self._plan.push, *(self._alternatives or ()))
        with self._lock:
            skeletons = list(self._patterns.values())
        held = self._pattern.nbytes + self._runs.nbytes
        return held + sum(p.nbytes for p in pushes) + sum(s.nbytes for s in skeletons)

    def bind(self, parameters: FloatArray) -> NativeBatch:
        """Return the circuits for parameters ``[rows, P]``, in radians."""
        rows = len(parameters)
        blocks: list[NativeBlock] = []
        for start in range(0, rows, CHUNK):
            blocks += self._bind_chunk(parameters[start : start + CHUNK], start)
        return NativeBatch(rows, self.qubits, tuple(blocks), self.measured, self.readout)

    def frames(self, parameters: FloatArray) -> FloatArray:
        """Return the virtual Z left on each native wire, in turns, (rows, native wires)."""
        out = np.zeros((len(parameters), self.qubits))
        x, groups = self._evaluate(parameters)
        for skeleton, rows in groups:
            out[rows] = skeleton.frames_at(x[:, rows]).T
        return out

    def _bind_chunk(self, parameters: FloatArray, start: int) -> Iterable[NativeBlock]:
        x, groups = self._evaluate(parameters)
        for skeleton, rows in groups:
            turns = skeleton.parameters(x if len(rows) == len(parameters) else x[:, rows])
            yield NativeBlock(rows + start, skeleton.gates, np.ascontiguousarray(turns.T))

    def _evaluate(self, parameters: FloatArray) -> tuple[FloatArray, _Groups]:
        """Arguments of the skeletons, (arguments, rows), and the rows of each."""
        if len(parameters) == 1 and self._single is not None:
            alone = self._evaluate_row(self._single, parameters)
            if alone is not None:
                return alone
        runs, plan = self._runs, self._plan
        angles, columns = runs.evaluate(parameters)
        plan.push.apply(*columns)
        tilts = tilts_of(columns)
        codes = self._codes(tilts)
        if self._replans and (codes != plan.codes[:, None]).any():
            worse = np.flatnonzero(pulses_of(codes).sum(axis=0) > plan.pulses)
            if worse.size:
                columns[:, :, worse] = best = self._replanned(
                    parameters[worse], columns[:, :, worse]
                )
                tilts[:, worse] = tilts_of(best)
                codes[:, worse] = self._codes(tilts[:, worse])
        x = np.empty((3, *codes.shape))
        np.arctan2(columns.imag, columns.real, out=x[:2])
        x[2] = tilts
        x *= _IN_TURNS
        x = x.reshape(-1, codes.shape[1])
        patterns = codes
        if runs.turning:
            angles *= plan.signs[:, None]
            turns = angles[runs.turning]
            if runs.family == "ms":
                x = np.concatenate([x, np.minimum(np.abs(turns), FULL_ANGLE), 0.5 * (turns < 0)])
            else:
                x = np.concatenate([x, turns])
            zero = np.abs(angles) < EPS
            zero[runs.kept_entanglers] = False
            patterns = np.concatenate([codes, zero])
        if runs.as_written is not None:
            x = np.concatenate([x, runs.as_written(parameters)])
        return x, self._skeletons(x, patterns)

    def _codes(self, tilts: FloatArray) -> Codes:
        """Return the pulses of each run and row; runs that are kept have theirs at every angle."""
        codes, kept = codes_of(tilts), self._runs.kept_runs
        if kept:
            codes[kept] = self._plan.codes[kept, None]
        return codes

    def _evaluate_row(
        self, single: SingleRow, parameters: FloatArray
    ) -> tuple[FloatArray, _Groups] | None:
        """The same for one row; None where another plan may suit it better."""
        columns, turns, zero = single.evaluate(parameters)
        tilts = [math.atan2(abs(a), abs(b)) for a, b in columns]
        codes = bytes([code_of(tilt) for tilt in tilts])
        if not self._key.startswith(codes):
            if self._replans and sum([PULSES[code] for code in codes]) > self._plan.pulses:
                return None
            with self._lock:
                self.off_plan_rows += 1
        x = [phase(a) / TURN for a, _ in columns]
        x += [phase(b) / TURN for _, b in columns]
        x += [tilt * 2 / TURN for tilt in tilts]
        if self._runs.family == "ms":
            x += [min(abs(turn), FULL_ANGLE) for turn in turns]
            x += [0.5 if turn < 0 else 0.0 for turn in turns]
        else:
            x += turns
        return np.array(x)[:, None], [(self._skeleton(codes + zero), _FIRST)]

    def _replanned(self, parameters: FloatArray, columns: ComplexArray) -> ComplexArray:
        """Runs by the plan that leaves the fewest pulses at these rows, wire by wire.

        At special angles a plan made for generic ones may leave more than it should.
        """
        starts = [index[0] for index in self._runs.index]
        lengths = [len(index) for index in self._runs.index]
        if self._alternatives is None:
            self._alternatives = alternative_pushes(self._runs)
        for push in self._alternatives:
            _, others = self._runs.evaluate(parameters)
            push.apply(*others)
            theirs, ours = (
                np.add.reduceat(pulses_of(codes_of(tilts_of(runs))), starts, axis=0)
                for runs in (others, columns)
            )
            columns = np.where(np.repeat(theirs < ours, lengths, axis=0), others, columns)
        return columns

    def _by_pattern(self, patterns: Codes) -> Iterator[tuple[bytes, npt.NDArray[np.intp]]]:
        """Rows grouped by pattern; nearly always there is one group.

        A row's pattern has the code of each run, and whether each entangler's angle is zero
        (if that depends on parameters).
        """
        planned = self._pattern[: len(patterns), None]
        special = (patterns != planned).any(axis=0)
        ordinary = np.flatnonzero(~special)
        if ordinary.size:
            yield self._key, ordinary
        if ordinary.size == len(special):
            return
        rows = np.flatnonzero(special)
        runs = slice(self._runs.size)
        with self._lock:
            self.off_plan_rows += int((patterns[runs, rows] != planned[runs]).any(axis=0).sum())
        for key, same in _grouped(patterns[:, rows], rows):
            yield key + self._key[len(key) :], same

    def _skeletons(self, x: FloatArray, patterns: Codes) -> _Groups:
        """Skeletons and the rows of each; frames that are zero are not written."""
        for key, rows in self._by_pattern(patterns):
            skeleton = self._skeleton(key)
            if skeleton.written_frames is None:
                yield skeleton, rows
                continue
            for still, same in _grouped(skeleton.still_frames(x[:, rows]), rows):
                yield self._skeleton(key + still), same

    def _skeleton(self, key: bytes) -> GatePhases:
        """The gates of a pattern, written when it is first met."""
        skeleton = self._patterns.get(key)
        if skeleton is None:
            codes, dropped, still = np.split(
                np.frombuffer(key, dtype=np.uint8), [self._runs.size, len(self._key)]
            )
            zero = dropped.astype(bool)
            skeleton = write_gates(self._runs, self._plan.signs, codes, zero, still.tobytes())
            with self._lock:
                if len(self._patterns) >= _MAX_PATTERNS:
                    self._patterns.clear()
                self._patterns[key] = skeleton
        return skeleton


def _grouped(
    patterns: Codes, rows: npt.NDArray[np.intp]
) -> Iterator[tuple[bytes, npt.NDArray[np.intp]]]:
    """Yield each pattern of a column of ``patterns``, and those of ``rows`` that have it."""
    members: dict[bytes, list[int]] = {}
    for row, pattern in zip(rows.tolist(), patterns.T.copy(), strict=True):
        members.setdefault(pattern.tobytes(), []).append(row)
    for pattern, same in members.items():
        yield pattern, np.array(same, dtype=np.intp)
