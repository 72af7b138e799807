"""Compilers side by side: native gates, pulses and time of every circuit, every result verified.

Seconds are those of processors, not of the clock. A circuit that a compiler has not done within the
limit, or wrongly, counts neither for it nor against it; the table says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from typing import Any, NamedTuple

from pennylane_qstore.bench.compile_check import Compiled, Counts, is_right
from pennylane_qstore.bench.compile_circuits import Circuit
from pennylane_qstore.bench.compile_ours import OURS, Compiler
from pennylane_qstore.bench.compile_rivals import RIVALS, versions
from pennylane_qstore.bench.compile_workers import Worker, timed
from pennylane_qstore.bench.text import silent

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
