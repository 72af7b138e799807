"""Barriers and verbatim boxes: a program as sections that are compiled one by one.

Gates between two barriers on a wire have a level, one more than those before. All gates of
one level that stand in no box are one section, which passes see as a circuit; a box is another, of
which they see nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from pennylane_qstore.errors import CompileError
from pennylane_qstore.gateset import NATIVE
from pennylane_qstore.native.frontend.program import Gate, Program
from pennylane_qstore.native.ir import IRCircuit, Operation, OutputParity, moved, wires_of
from pennylane_qstore.native.passes.lower import alone
from pennylane_qstore.native.template.runs import Fence

BARRIER, BEGIN, END = "Barrier", "VerbatimBegin", "VerbatimEnd"
"""Names of gates that only say where compiling stops."""
MARKS = (BARRIER, BEGIN, END)


class Section(NamedTuple):
    """Gates that are compiled together; or a box, or a barrier, which has none.

    Attributes:
        gates: in time order.
        wires: of a box or a barrier; empty for all other gates.
        is_box: whether they are sent one by one.
    """

    gates: tuple[Gate, ...]
    wires: tuple[int, ...] = ()
    is_box: bool = False

    @property
    def is_closed(self) -> bool:
        """True for a box and for a barrier, which passes see nothing of."""
        return self.is_box or bool(self.wires)


def sections_of(gates: Sequence[Gate], wires: int) -> list[Section]:
    """Divide gates at barriers and boxes.

    Args:
        gates: elementary gates and marks, in time order.
        wires: number of wires.

    Returns:
        Sections in time order, each on wires where the one before is over; at least one.

    Raises:
        CompileError: a box ends that did not begin.
    """
    level = [0] * wires
    free: dict[int, list[Gate]] = {}
    closed: dict[int, list[Section]] = {}

    def close(section: Section) -> None:
        at = 1 + max([level[q] for q in section.wires], default=0)
        closed.setdefault(at, []).append(section)
        for q in section.wires:
            level[q] = at + section.is_box

    box: list[Gate] = []
    depth = 0
    for gate in gates:
        if gate.name in (BEGIN, END):
            depth += 1 if gate.name == BEGIN else -1
            if depth < 0:
                raise CompileError(
                    "A verbatim box ends that has not begun: a transform has taken its beginning "
                    "away. Put qstore.verbatim() around the operations that it leaves."
                )
            box.append(gate)
            if not depth:
                close(_box(box))
                box = []
        elif depth:
            box.append(gate)
        elif gate.name == BARRIER:
            close(Section((), gate.wires or tuple(range(wires))))
        else:
            at = max(level[q] for q in gate.wires)
            free.setdefault(at, []).append(gate)
            for q in gate.wires:
                level[q] = at
    if box:
        close(_box(box))
    sections: list[Section] = []
    for at in sorted({*free, *closed}):
        sections += closed.get(at, [])
        if at in free:
            sections.append(Section(tuple(free[at])))
    return sections or [Section(())]


def boxed(program: Program) -> tuple[Gate, ...]:
    """Return a program's gates as one box."""
    wires = tuple(range(program.wires))
    return Gate(BEGIN, wires), *program.gates, Gate(END, wires)


def outside_boxes(gates: Sequence[Gate]) -> list[bool]:
    """Return for each gate whether it stands in no box; marks stand in one."""
    depth = np.cumsum([(g.name == BEGIN) - (g.name == END) for g in gates])
    return [d == 0 and g.name not in MARKS for g, d in zip(gates, depth, strict=True)]


def _box(gates: Sequence[Gate]) -> Section:
    wires = dict.fromkeys(q for gate in gates for q in gate.wires)
    return Section(tuple(g for g in gates if g.name not in MARKS), tuple(wires), is_box=True)


class Joined:
    """Sections that are put together again.

    Args:
        wires: number of wires.
        family: entangling gate, ``"ms"`` or ``"zz"``.

    Attributes:
        outputs: where the outcomes are found.
        fences: barriers and gates of boxes.
    """

    def __init__(self, wires: int, family: str) -> None:
        self._wires, self._family = wires, family
        self._operations: list[Operation] = []
        self.outputs = tuple(OutputParity(frozenset((q,))) for q in range(wires))
        self.fences: list[Fence] = []

    def add(self, circuit: IRCircuit) -> None:
        """Add a compiled section."""
        at = self._found()
        self._operations += [moved(op, [at[q] for q in wires_of(op)]) for op in circuit.operations]
        self.outputs = tuple(bit.relabelled(at) for bit in circuit.outputs)

    def close(self, section: Section, measured: Sequence[int]) -> None:
        """Add a barrier or a box.

        Args:
            section: the barrier or the box.
            measured: wires that are outputs.

        Raises:
            CompileError: a box has an entangler of another family.
        """
        at = self._found()

        def fence(wires: Sequence[int], **what: Any) -> None:
            on = tuple([at[q] for q in wires])
            self.fences.append(Fence(len(self._operations), on, **what))

        fence(section.wires, exact=section.is_box)
        for gate in section.gates:
            name = gate.name.lower()
            if name in NATIVE and name not in ("gpi", "gpi2", self._family):
                raise CompileError(
                    f"{gate.name} in a verbatim box cannot be sent: the machine's entangling gate "
                    f"is {self._family.upper()}. Write that one, or take {gate.name} out of the "
                    "box. Nothing was sent."
                )
            is_native = name in NATIVE
            fence(gate.wires, exact=True, gate=gate if is_native else None, kept=not is_native)
            if not is_native:
                parts = alone(gate)
                self._operations += [moved(op, [at[q] for q in wires_of(op)]) for op in parts]
        if section.gates:
            fence(section.wires, exact=True)
        self.outputs = tuple([self.outputs[q] for q in measured])

    def circuit(self, *, from_zero: bool) -> IRCircuit:
        """Return the whole.

        Args:
            from_zero: whether it starts in |0…0⟩, so that wires without operations are read as 0.

        Returns:
            The circuit, which :attr:`fences` belong to.
        """
        outputs = self.outputs
        if from_zero:
            touched = {q for op in self._operations for q in wires_of(op)}
            touched |= {q for fence in self.fences if fence.gate for q in fence.wires}
            outputs = tuple([bit._replace(wires=bit.wires & touched) for bit in outputs])
        return IRCircuit(self._wires, tuple(self._operations), outputs)

    def _found(self) -> list[int]:
        """Wires of the sections so far, by wires of the program."""
        return [next(iter(bit.wires)) for bit in self.outputs]
