r"""Templates: a compiled structure with holes for numbers, bound for all rows at once.

Everything structural is decided when the template is made: which runs of one-qubit gates
there are, how rotations move through entanglers (:mod:`~.pushing`), which
outcomes the readout relabels. Binding multiplies the runs, finds the moved angles level by
level, and writes all phases with one matrix product, since phases in turns are linear in the
arguments of the runs' amplitudes (virtual Z frames included).

Rows where an angle happens to be special (a run that needs no pulse, a π rotation, an
interaction of angle 0) are found after binding and written in their cheaper form; where the
plan does not suit them, wire by wire with another.
"""

from __future__ import annotations

import math
import threading
from bisect import bisect_left
from cmath import phase
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pennylane_qstore.native.frontend.program import ComplexArray, FloatArray
from pennylane_qstore.native.gates import TURN
from pennylane_qstore.native.ir import IRCircuit, OutputParity
from pennylane_qstore.native.su2 import from_first_column
from pennylane_qstore.native.template.gate_phases import (
    EPS,
    FLIP,
    FULL,
    HALF,
    NONE,
    Codes,
    Emission,
    Gate,
    emit,
    turning,
)
from pennylane_qstore.native.template.pushed_runs import Moves
from pennylane_qstore.native.template.pushing import Rule, chain, plan_ms, plan_zz
from pennylane_qstore.native.template.runs import (
    Bank,
    Runs,
    random_rows,
    runs_of,
)

CHUNK = 256
"""Rows bound at once: the working arrays stay in the processor's cache."""

_MAX_PATTERNS = 512

_IN_TURNS = np.array([1.0, 1.0, 2.0])[:, None, None] / TURN
"""Factors of arg α, arg β, and atan2(|α|, |β|)."""

_EDGES = (EPS, np.pi / 4 - EPS, np.pi / 4 + EPS, np.pi / 2 - EPS)
_CODES = (FLIP, FULL, HALF, FULL, NONE)
"""What a run is left with when its tilt, atan2(|α|, |β|), lies below, between and above edges."""

_PULSES = (0, 1, 2, 1)
"""Of a run, by what it is left with."""

_EDGES_ARRAY, _CODES_ARRAY = np.array(_EDGES), np.array(_CODES, dtype=np.uint8)
_PULSES_ARRAY = np.array(_PULSES)

_Groups = Iterable[tuple[Emission, npt.NDArray[np.intp]]]
"""Skeletons, each with the indices of its rows."""

_FIRST = np.zeros(1, dtype=np.intp)
"""The index of a row that is alone."""


class NativeBlock(NamedTuple):
    """Rows of one gate skeleton.

    ``rows`` are their indices in the batch, ``gates`` the (name, wires) in time order, and
    ``params`` (len(rows), slots) their parameters in turns: one for GPi, GPi2 and ZZ, three
    (two phases and the angle) for MS.
    """

    rows: npt.NDArray[np.intp]
    gates: tuple[Gate, ...]
    params: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Readout:
    """What the outcomes mean: tape bits as an affine map over GF(2) of the measured bits.

    Args:
        matrix: (tape wires measured, native wires measured), zeros and ones.
        offset: (tape wires measured,), zeros and ones.
    """

    matrix: npt.NDArray[np.uint8]
    offset: npt.NDArray[np.uint8]

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Readout)
            and np.array_equal(self.matrix, other.matrix)
            and np.array_equal(self.offset, other.offset)
        )

    def __hash__(self) -> int:
        return hash((self.matrix.shape, self.matrix.tobytes(), self.offset.tobytes()))

    def apply(self, bits: npt.NDArray[np.integer]) -> npt.NDArray[np.uint8]:
        """Tape bits (shots, tape wires) of measured bits (shots, native wires)."""
        bits = np.asarray(bits, dtype=np.uint8)
        return np.asarray((bits @ self.matrix.T + self.offset) & 1, dtype=np.uint8)


class NativeBatch(NamedTuple):
    """A bound template: circuits in native gates, and how to read their outcomes.

    Args:
        rows: number of circuits.
        qubits: number of native wires.
        blocks: the circuits, by gate skeleton.
        measured: native wires measured, in the order of the readout's columns.
        readout: from measured bits to the tape's.
    """

    rows: int
    qubits: int
    blocks: tuple[NativeBlock, ...]
    measured: tuple[int, ...]
    readout: Readout


class Template:
    """A compiled structure.

    Args:
        circuit: operations without two-qubit blocks; ``circuit.outputs`` are the measured bits.
        family: ``"ms"`` or ``"zz"``.
        parameters: number of parameters P.
        compact: whether wires without operations are left out.
        push: whether rotations may move through entanglers.
    """

    def __init__(
        self,
        circuit: IRCircuit,
        family: str,
        parameters: int,
        *,
        compact: bool = True,
        push: bool = True,
    ) -> None:
        self.family = family
        self.parameters = parameters
        runs = runs_of(circuit, family, compact=compact)
        self.qubits = max(1, len(runs.wires))
        self.measured, self.readout = _readout(circuit.outputs, runs.wires)
        self._entanglers = runs.entanglers
        self._bank = Bank(runs, parameters)
        # The run after each entangler, on its first wire and on its second: all different ones.
        index = self._bank.index
        self._after = np.array(
            [
                [index[e.a][e.run_a + 1] for e in runs.entanglers],
                [index[e.b][e.run_b + 1] for e in runs.entanglers],
            ],
            dtype=np.intp,
        )
        self._turning = turning(runs.entanglers)
        self.off_plan_rows = self.fallbacks = 0
        self._flips, self._signs = np.ones(len(self._entanglers)), np.ones((1, 1))
        self._others: tuple[Moves, ...] | None = None
        self._lock = threading.Lock()
        self._patterns: dict[bytes, Emission] = {}
        self._plan(runs, push)

    @property
    def pulses(self) -> int:
        """GPi and GPi2 pulses of a generic row."""
        return int(_pulses(self._codes).sum())

    @property
    def entanglers(self) -> int:
        """MS or ZZ gates of a generic row."""
        return len(self._entanglers)

    @property
    def depth(self) -> int:
        """Gates on the longest path of a generic row."""
        pulses = _pulses(self._codes)
        at = [int(pulses[index[0]]) for index in self._bank.index]
        for e in self._entanglers:
            end = max(at[e.a], at[e.b]) + 1
            at[e.a] = end + int(pulses[self._bank.index[e.a][e.run_a + 1]])
            at[e.b] = end + int(pulses[self._bank.index[e.b][e.run_b + 1]])
        return max(at, default=0)

    @property
    def nbytes(self) -> int:
        """Bytes held by the template's arrays."""
        parts = (self, self._bank, self._bank.angles, self._moves, *(self._others or ()))
        arrays = [array for part in parts for array in _arrays(part)]
        with self._lock:
            emissions = list(self._patterns.values())
        return sum(a.nbytes for a in arrays) + sum(e.nbytes for e in emissions)

    def bind(self, parameters: FloatArray) -> NativeBatch:
        """Circuits for parameters ``[rows, P]``."""
        rows = len(parameters)
        blocks: list[NativeBlock] = []
        for start in range(0, rows, CHUNK):
            blocks += self._bind_chunk(parameters[start : start + CHUNK], start)
        return NativeBatch(rows, self.qubits, tuple(blocks), self.measured, self.readout)

    def frames(self, parameters: FloatArray) -> FloatArray:
        """Virtual Z left on each native wire, in turns, (rows, native wires)."""
        out = np.zeros((len(parameters), self.qubits))
        x, groups = self._evaluate(parameters)
        for emission, rows in groups:
            frames = emission.frames @ x[:, rows] + emission.frame_const
            out[rows] = (frames - np.round(frames)).T
        return out

    def _bind_chunk(self, parameters: FloatArray, start: int) -> Iterable[NativeBlock]:
        x, groups = self._evaluate(parameters)
        for emission, rows in groups:
            params = emission.parameters(x if len(rows) == len(parameters) else x[:, rows])
            yield NativeBlock(rows + start, emission.gates, np.ascontiguousarray(params.T))

    def _evaluate(self, parameters: FloatArray) -> tuple[FloatArray, _Groups]:
        """Arguments of emissions, (arguments, rows), and the rows of each."""
        if len(parameters) == 1 and self._bank.small:
            found = self._evaluate_alone(parameters)
            if found is not None:
                return found
        angles, columns = self._amplitudes(parameters)
        self._moves(*columns)
        tilts = _tilts(columns)
        codes = _codes(tilts)
        if self._pushes and (codes != self._codes[:, None]).any():
            more = np.flatnonzero(_pulses(codes).sum(axis=0) > self._planned)
            if more.size:
                columns[:, :, more] = fewest = self._fewest(parameters[more], columns[:, :, more])
                tilts[:, more] = _tilts(fewest)
                codes[:, more] = _codes(tilts[:, more])
        x = np.empty((3, *codes.shape))
        np.arctan2(columns.imag, columns.real, out=x[:2])
        x[2] = tilts
        x *= _IN_TURNS
        x = x.reshape(-1, codes.shape[1])
        if not self._turning:
            return x, self._by_pattern(codes)
        turns = angles[self._turning]
        if self.family == "ms":
            x = np.concatenate([x, np.minimum(np.abs(turns), 0.25), 0.5 * (turns < 0)])
        else:
            x = np.concatenate([x, turns])
        return x, self._by_pattern(np.concatenate([codes, np.abs(angles) < EPS]))

    def _evaluate_alone(self, parameters: FloatArray) -> tuple[FloatArray, _Groups] | None:
        """The same for one row, in Python's numbers; None where another plan may suit it better."""
        angles, columns = self._bank.alone(parameters)
        turns, zero = [], bytearray(len(angles))
        for e, runs, flip in self._turners:
            halves = math.ceil(2 * angles[e] - (0.5 + EPS))
            if halves % 2:
                for run in runs:
                    columns[run] = self._after_half(*columns[run])
            turns.append((angles[e] - halves / 2) * flip)
            zero[e] = abs(turns[-1]) < EPS
        self._moves.alone(columns)
        tilts = [math.atan2(abs(a), abs(b)) for a, b in columns]
        codes = bytes([_CODES[bisect_left(_EDGES, tilt)] for tilt in tilts])
        if not self._key.startswith(codes):
            if self._pushes and sum([_PULSES[code] for code in codes]) > self._planned:
                return None
            with self._lock:
                self.off_plan_rows += 1
        x = [phase(a) / TURN for a, _ in columns]
        x += [phase(b) / TURN for _, b in columns]
        x += [tilt * 2 / TURN for tilt in tilts]
        if self.family == "ms":
            x += [min(abs(turn), 0.25) for turn in turns]
            x += [0.5 if turn < 0 else 0.0 for turn in turns]
        else:
            x += turns
        return np.array(x)[:, None], [(self._emission(codes + zero), _FIRST)]

    def _amplitudes(self, parameters: FloatArray) -> tuple[FloatArray, ComplexArray]:
        """Entangling angles, and (α, β) of the runs with nothing moved, (2, runs, rows)."""
        angles, columns = self._bank.evaluate(parameters)
        if self._turning:
            angles = self._wrap(angles, columns)
        return angles, columns

    def _fewest(self, parameters: FloatArray, columns: ComplexArray) -> ComplexArray:
        """Wire by wire, the plan that leaves the fewest pulses at these rows.

        At special angles a plan made for generic ones may leave more than it should.
        """
        starts = [index[0] for index in self._bank.index]
        lengths = [len(index) for index in self._bank.index]
        for moves in self._alternatives():
            _, others = self._amplitudes(parameters)
            moves(*others)
            its, now = (
                np.add.reduceat(_pulses(_codes(_tilts(found))), starts, axis=0)
                for found in (others, columns)
            )
            columns = np.where(np.repeat(its < now, lengths, axis=0), others, columns)
        return columns

    def _by_pattern(self, patterns: Codes) -> _Groups:
        """Rows grouped by pattern; nearly always there is one group.

        A row's pattern has what is left of each run, and whether each entangler's angle is zero
        (if that depends on parameters).
        """
        planned = self._pattern[: len(patterns), None]
        special = (patterns != planned).any(axis=0)
        ordinary = np.flatnonzero(~special)
        if ordinary.size:
            yield self._emission(self._key), ordinary
        if ordinary.size == len(special):
            return
        rows = np.flatnonzero(special)
        runs = slice(self._bank.size)
        with self._lock:
            self.off_plan_rows += int((patterns[runs, rows] != planned[runs]).any(axis=0).sum())
        members: dict[bytes, list[int]] = {}
        for row, pattern in zip(rows.tolist(), patterns[:, rows].T.copy(), strict=True):
            members.setdefault(pattern.tobytes(), []).append(row)
        for key, its in members.items():
            yield self._emission(key + self._key[len(key) :]), np.array(its, dtype=np.intp)

    def _emission(self, key: bytes) -> Emission:
        """Of pulses per run, and whether the angle of each entangler is zero."""
        found = self._patterns.get(key)
        if found is None:
            pattern = np.frombuffer(key, dtype=np.uint8)
            codes, zero = pattern[: self._bank.size], pattern[self._bank.size :].astype(bool)
            found = emit(self._bank, self._entanglers, self._flips, codes, zero, self.family)
            with self._lock:
                if len(self._patterns) >= _MAX_PATTERNS:
                    self._patterns.clear()
                self._patterns[key] = found
        return found

    def _wrap(self, angles: FloatArray, columns: ComplexArray) -> FloatArray:
        """Angles within ±1/4; half a turn is a Pauli on the runs that follow."""
        halves = np.ceil(2 * angles - (0.5 + EPS))
        odd, rows = np.nonzero(halves % 2)
        if odd.size:
            alpha, beta = columns.reshape(2, -1)  # one index is cheaper than two
            at = (self._after[:, odd] * angles.shape[1] + rows).ravel()
            alpha[at], beta[at] = self._after_half(alpha[at], beta[at])
        return np.asarray((angles - halves / 2) * self._signs)

    def _after_half(self, a: Any, b: Any) -> tuple[Any, Any]:
        """(α, β) of a run that half a turn of the entangler goes into; arrays or numbers."""
        if self.family == "zz":  # times -iZ on the right
            return -1j * a, -1j * b
        return 1j * b.conjugate(), -1j * a.conjugate()  # times -iX

    # --- planning --------------------------------------------------------------------------

    def _plan(self, runs: Runs, push: bool) -> None:
        self._constant = [
            [all(not hasattr(op, "axis") for op in run) for run in wire] for wire in runs.runs
        ]
        self._pushes = push and self.family == "ms"
        rng = np.random.default_rng(20)
        sample = random_rows(rng, 1, self.parameters)
        rules = self._rules(sample) if push else self._no_rules()
        if self._pushes and self.parameters:
            self._verify(rules, sample, random_rows(rng, 1, self.parameters))
        self._moves = Moves(rules, self._bank)
        if self.family == "zz":
            self._flips = self._moves.flips(self._entanglers)
            self._signs = self._flips[:, None]
        self._codes = np.ascontiguousarray(self._codes_at(self._moves, sample)[:, 0])
        zero = np.zeros(len(self._entanglers), dtype=np.uint8)
        self._pattern = np.concatenate([self._codes, zero])
        self._key = self._pattern.tobytes()
        self._planned = int(_pulses(self._codes).sum())
        self._turners = [
            (e, self._after[:, e].tolist(), float(self._flips[e])) for e in self._turning
        ]

    def _rules(self, row: FloatArray) -> list[list[Rule]]:
        """The plan that leaves the fewest pulses at one row of parameters."""
        _, (alpha, beta) = self._amplitudes(row)
        rules = self._no_rules()
        for q, index in enumerate(self._bank.index):
            samples = [from_first_column(alpha[r, 0], beta[r, 0]) for r in index]
            if len(index) > 1 and self.family == "ms":
                rules[q] = plan_ms(samples, self._constant[q])
            elif len(index) > 1:
                rules[q] = [Rule("const", c) for c in plan_zz(samples)]
        return rules

    def _no_rules(self) -> list[list[Rule]]:
        return [[Rule("const", 0.0)] * (len(index) + 1) for index in self._bank.index]

    def _alternatives(self) -> tuple[Moves, ...]:
        """Other plans: what fits any runs, nothing moved, and some made for special angles."""
        if self._others is None:
            rng = np.random.default_rng(21)
            special = np.array([0.0, np.pi / 2, np.pi])
            rows = np.repeat(special[:, None], self.parameters, axis=1)
            rows = np.concatenate([rows, rng.choice(special, (1, self.parameters))])
            plans = [
                [chain(len(index) - 1) for index in self._bank.index],
                self._no_rules(),
                *(self._rules(row[None]) for row in rows),
            ]
            self._others = tuple(Moves(plan, self._bank) for plan in plans)
        return self._others

    def _verify(self, rules: list[list[Rule]], sample: FloatArray, check: FloatArray) -> None:
        """A wire whose plan does not hold at a second sample falls back to the plain chain."""
        moves = Moves(rules, self._bank)
        first, second = self._codes_at(moves, sample), self._codes_at(moves, check)
        for q, index in enumerate(self._bank.index):
            if _pulses(second[index, 0]).sum() > _pulses(first[index, 0]).sum():
                rules[q] = chain(len(index) - 1)
                self.fallbacks += 1

    def _codes_at(self, moves: Moves, parameters: FloatArray) -> Codes:
        _, columns = self._amplitudes(parameters)
        moves(*columns)
        return _codes(_tilts(columns))


def _readout(
    outputs: Sequence[OutputParity], wires: Sequence[int]
) -> tuple[tuple[int, ...], Readout]:
    at = {q: i for i, q in enumerate(wires)}
    measured = tuple(sorted({at[q] for bit in outputs for q in bit.wires}))
    matrix = np.zeros((len(outputs), len(measured)), dtype=np.uint8)
    for i, bit in enumerate(outputs):
        for q in bit.wires:
            matrix[i, measured.index(at[q])] = 1
    return measured, Readout(matrix, np.array([bit.flip for bit in outputs], dtype=np.uint8))


def _tilts(columns: ComplexArray) -> FloatArray:
    """atan2(|α|, |β|) of amplitudes (2, ...)."""
    return np.asarray(np.arctan2(*np.abs(columns)))


def _codes(tilts: FloatArray) -> Codes:
    """What each run is left with."""
    return np.asarray(_CODES_ARRAY[np.searchsorted(_EDGES_ARRAY, tilts)])


def _pulses(codes: Codes) -> npt.NDArray[np.int_]:
    """Pulses each run is left with."""
    return np.asarray(_PULSES_ARRAY[codes])


def _arrays(thing: object) -> list[np.ndarray]:
    return [v for v in vars(thing).values() if isinstance(v, np.ndarray)]
