"""The table of compilers: wins, ties and losses, and by what factor rivals need more."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from pennylane_qstore.bench.compile import Row, cell
from pennylane_qstore.bench.compile_ours import OURS
from pennylane_qstore.bench.text import aligned

BEST = "best of them"
"""The rival that has, circuit by circuit, the fewest two-qubit gates, then the least angle."""
_TOL = 1e-6
"""Angles (full gates) that differ by less count as equal."""


class Score(NamedTuple):
    """One of our settings beside one rival.

    Attributes:
        ours: our setting.
        rival: the other compiler.
        circuits: that both have compiled rightly.
        wins, ties, losses: circuits for which ours has fewer, as many and more two-qubit gates.
        pairs, angle, pulses, seconds: geometric means of the rival's figure over ours, of circuits
            for which neither is 0; None where there is none.
    """

    ours: str
    rival: str
    circuits: int
    wins: int
    ties: int
    losses: int
    pairs: float | None
    angle: float | None
    pulses: float | None
    seconds: float | None


class Loss(NamedTuple):
    """A circuit of which some rival's has less of something than ours."""

    ours: str
    circuit: str
    what: str
    our_figure: float
    best_figure: float
    rival: str


class _Figures(NamedTuple):
    pairs: int
    angle: float
    pulses: int
    seconds: float
    compiler: str


_WHAT = ("two-qubit gates", "angle", "pulses")
_ByCircuit = Mapping[str, _Figures]


def scores(rows: Sequence[Row]) -> list[Score]:
    """Return the score of each of our settings beside each rival, and beside the best of them.

    Args:
        rows: of :func:`~pennylane_qstore.bench.compile.compare`.
    """
    ours, rivals = _right(rows)
    if len(rivals) > 1:
        rivals[BEST] = {
            circuit: min(there, key=lambda figures: figures[:2])
            for circuit, there in _by_circuit(rivals).items()
        }
    return [
        _score(setting, mine, rival, theirs)
        for setting, mine in ours.items()
        for rival, theirs in rivals.items()
    ]


def losses(rows: Sequence[Row]) -> list[Loss]:
    """Return every circuit and figure by which a rival's circuit is better than ours.

    Args:
        rows: of :func:`~pennylane_qstore.bench.compile.compare`.
    """
    ours, rivals = _right(rows)
    there = _by_circuit(rivals)
    found: list[Loss] = []
    for setting, mine in ours.items():
        for circuit in [circuit for circuit in there if circuit in mine]:
            for i, what in enumerate(_WHAT):
                best = min(there[circuit], key=operator.itemgetter(i))
                own, their = mine[circuit][:3][i], best[:3][i]
                if their < own - _TOL:
                    found.append(Loss(setting, circuit, what, own, their, best.compiler))
    return found


def text(rows: Sequence[Row], notes: Sequence[str] = ()) -> str:
    """Return the tables for people.

    Args:
        rows: of :func:`~pennylane_qstore.bench.compile.compare`.
        notes: lines below them.

    Returns:
        Every circuit by every compiler; the scores; where a rival's circuit is better.
    """
    cells = {(row.circuit, row.compiler): cell(row) for row in rows}
    compilers = list(dict.fromkeys(row.compiler for row in rows))
    each = [["two-qubit gates, angle, pulses", *compilers]]
    each += [
        [circuit, *(cells.get((circuit, name), "-") for name in compilers)]
        for circuit in dict.fromkeys(row.circuit for row in rows)
    ]
    header = ["ours", "rival", "circuits", "wins", "ties", "losses", "gates", "angle", "pulses"]
    table = [[*header, "time"]]
    for score in scores(rows):
        means = ["-" if mean is None else f"{mean:.2f}" for mean in score[6:]]
        table.append([score.ours, score.rival, *map(str, score[2:6]), *means])
    lines = aligned(each)
    if len(table) > 1:
        lines += ["", "Two-qubit gates; geometric means of the rival's figures over ours:"]
        lines += aligned(table, left=2)
    if lost := losses(rows):
        lines += ["", "A rival's circuit is better in:"]
        lines += [
            f"{one.ours}, {one.circuit}: {one.what} {one.our_figure:g}, {one.rival} "
            f"{one.best_figure:g}"
            for one in lost
        ]
    if problems := [f"{row.compiler}, {row.circuit}: {row.problem}" for row in rows if row.problem]:
        lines += ["", "Left out:", *problems]
    return "\n".join([*lines, *(["", *notes] if notes else [])])


def _right(rows: Iterable[Row]) -> tuple[dict[str, _ByCircuit], dict[str, _ByCircuit]]:
    """Return figures by compiler and circuit, ours and those of rivals, of what counts."""
    both: tuple[dict[str, dict[str, _Figures]], ...] = {}, {}
    for row in rows:
        if row.counts is not None and not row.problem:
            figures = _Figures(*row.counts, row.seconds, row.compiler)
            both[row.compiler not in OURS].setdefault(row.compiler, {})[row.circuit] = figures
    return {**both[0]}, {**both[1]}


def _by_circuit(rivals: Mapping[str, _ByCircuit]) -> dict[str, list[_Figures]]:
    circuits = dict.fromkeys(circuit for found in rivals.values() for circuit in found)
    return {c: [found[c] for found in rivals.values() if c in found] for c in circuits}


def _score(setting: str, mine: _ByCircuit, rival: str, theirs: _ByCircuit) -> Score:
    pairs = [(mine[circuit], theirs[circuit]) for circuit in mine if circuit in theirs]
    wins = sum(our.pairs < their.pairs for our, their in pairs)
    ties = sum(our.pairs == their.pairs for our, their in pairs)
    counted = len(pairs), wins, ties, len(pairs) - wins - ties
    means = [_mean([(o.pairs, t.pairs) for o, t in pairs])]
    means += [_mean([(o.angle, t.angle) for o, t in pairs])]
    means += [_mean([(o.pulses, t.pulses) for o, t in pairs])]
    means += [None if rival == BEST else _mean([(o.seconds, t.seconds) for o, t in pairs])]
    return Score(setting, rival, *counted, *means)


def _mean(pairs: Iterable[tuple[float, float]]) -> float | None:
    logs = [math.log(their / our) for our, their in pairs if our > 0 and their > 0]
    return math.exp(sum(logs) / len(logs)) if logs else None
