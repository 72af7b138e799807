"""Compilers side by side: native gates, pulses and time of every circuit, every result verified.

Seconds are those of processors, not of the clock. A circuit that a compiler has not done within the
limit, or wrongly, counts neither for it nor against it; the table says so.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date
from typing import Any, NamedTuple

from pennylane_qstore.bench.compile_check import Compiled, Counts, is_right
from pennylane_qstore.bench.compile_circuits import Circuit
from pennylane_qstore.bench.compile_workers import Worker, timed
from pennylane_qstore.bench.compilers import OURS, RIVALS, Compiler, versions
from pennylane_qstore.bench.text import aligned, silent

LIMIT_S = 60.0
"""Seconds by the clock that one compiler may take for one circuit, by default."""


FIGURES = ("two_qubit_gates", "angle", "pulses")
"""Names of what is counted, in JSON."""


class Row(NamedTuple):
    """One circuit by one compiler.

    Attributes:
        circuit: its name.
        compiler: its name.
        counts: two-qubit gates, angle and pulses; None where there is no circuit.
        seconds: of processors.
        problem: why the row does not count; empty where the circuit is right.
    """

    circuit: str
    compiler: str
    counts: Counts | None
    seconds: float
    problem: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return a flat dictionary for JSON."""
        counts = dict(zip(FIGURES, self.counts or (None, None, None), strict=True))
        row = {"circuit": self.circuit, "compiler": self.compiler, **counts}
        return {**row, "processor_s": self.seconds, "problem": self.problem}


def installed() -> dict[str, Callable[[str], Compiler]]:
    """Return our settings and the rivals that are installed, by name."""
    there = {name: rival.make for name, rival in RIVALS.items() if rival.installed}
    return {**OURS, **there}


def notes(circuits: int, family: str, limit_s: float) -> list[str]:
    """Return what belongs below the tables.

    Args:
        circuits: how many.
        family: of native gates.
        limit_s: seconds for each circuit.

    Returns:
        Lines: what was measured, versions, what is not installed.
    """
    told = [
        f"{circuits} circuit{'s' * (circuits > 1)}, family {family}, at most {limit_s:g} s each, "
        f"{date.today()}; every circuit verified: its unitary, or its outcomes where it absorbs.",
        ", ".join(f"{package} {version}" for package, version in versions().items()),
    ]
    if missing := [name for name, rival in RIVALS.items() if not rival.installed]:
        told.append(
            f"Not installed: {'; '.join(missing)} (pip install 'pennylane-qstore[rivals]')."
        )
    return told


def compare(
    circuits: Sequence[Circuit],
    compilers: Mapping[str, Callable[[str], Compiler]],
    *,
    family: str = "zz",
    limit_s: float | None = LIMIT_S,
    report: Callable[[str], None] = silent,
) -> list[Row]:
    """Compile every circuit by every compiler, and check every result.

    Args:
        circuits: to compile.
        compilers: by name, each made for a family.
        family: ``"zz"`` or ``"ms"``.
        limit_s: seconds by the clock for one circuit, each compiler in a process of its own; None
            for no limit, in this process.
        report: told each row.

    Returns:
        A row of each circuit by each compiler, compiler by compiler.
    """
    rows: list[Row] = []
    for name, make in compilers.items():
        for row in _rows(name, make, circuits, family, limit_s):
            rows.append(row)
            report(f"{row.compiler}: {row.circuit} {row.problem or cell(row)}")
    return rows


def _rows(
    name: str,
    make: Callable[[str], Compiler],
    circuits: Sequence[Circuit],
    family: str,
    limit_s: float | None,
) -> Iterator[Row]:
    if limit_s is None:
        compiler = make(family)
        for circuit in circuits:
            yield _row(name, circuit, family, *timed(compiler, circuit))
        return
    with Worker(make, family) as worker:
        for circuit in circuits:
            try:
                compiled, seconds = worker.compile(circuit, limit_s)
            except (TimeoutError, RuntimeError) as error:
                yield Row(circuit.name, name, None, 0.0, str(error))
            else:
                yield _row(name, circuit, family, compiled, seconds)


def _row(name: str, circuit: Circuit, family: str, compiled: Compiled, seconds: float) -> Row:
    problem = "" if is_right(compiled, circuit.tape) else "wrong circuit"
    return Row(circuit.name, name, compiled.counts(family), seconds, problem)


def cell(row: Row) -> str:
    """Return two-qubit gates, their angle and pulses, such as ``18 12.82 40``, or the problem."""
    if row.problem or row.counts is None:
        return row.problem if len(row.problem) < 20 else "failed"
    return f"{row.counts.pairs} {row.counts.angle:.2f} {row.counts.pulses}"


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
    means = [_mean([(our[i], their[i]) for our, their in pairs]) for i in range(4)]
    if rival == BEST:  # it has the time of none
        means[-1] = None
    return Score(setting, rival, *counted, *means)


def _mean(pairs: Iterable[tuple[Any, Any]]) -> float | None:
    logs = [math.log(their / our) for our, their in pairs if our > 0 and their > 0]
    return math.exp(sum(logs) / len(logs)) if logs else None
