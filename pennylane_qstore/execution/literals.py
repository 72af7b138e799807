"""Numbers that are written into a circuit: constants that the compiler may use.

The compiler sees a tape's angles as parameters. Those that a user wrote as numbers, and does not
train, are better constants: what stands between them merges. They are known by what they are (a
Python number in the tape, not one that is being differentiated) and by staying the same: over the
rows of a batch, or in three batches of a structure. A batch whose numbers are others than the
constants gets the general template. A structure has at most one set of constants.

In a named run a batch is told by its content when the run starts again, maybe in the middle. There
the batch alone decides, and only special numbers count, which trained ones are but for a moment.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from pennylane.tape import QuantumScript

from pennylane_qstore.execution.partial_results import TapeContext
from pennylane_qstore.native.cache import SmartCircuitCache
from pennylane_qstore.native.frontend.affine_fit import parameter_counts, program_of
from pennylane_qstore.native.frontend.program import FloatArray, Program, StructuredTape

Constants = tuple[tuple[int, float], ...]
"""Columns of a program and the numbers that they are."""

BATCHES = 3
"""Batches of a structure after which what stayed the same is taken as constant."""
_KEPT = 10_000
"""Structures that are remembered."""
_SPECIAL = np.pi / 4
"""Radians; a circuit becomes shorter where constants are multiples of it."""


@dataclass(slots=True)
class Structure:
    """A structure of a batch, and all its rows.

    Attributes:
        tape: the first tape that has the structure.
        piece: its rows.
        program: the structure's program.
        rows: columns of the program over the batch, ``[rows, columns]``, by tape.
        constants: columns that are compiled as constants, with their numbers.
    """

    tape: QuantumScript
    piece: StructuredTape
    program: Program
    rows: list[FloatArray]
    constants: Constants = ()

    def columns(self) -> FloatArray:
        """Return the columns of all rows, ``[rows, columns]``."""
        return joined(self.rows)


def joined(parts: Sequence[FloatArray]) -> FloatArray:
    """Return rows that were given in parts as one array, ``[rows, columns]``."""
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


ChooseConstants = Callable[[Hashable, Structure], Constants]
"""Chooses the constants of a structure, by its key, for the rows of one batch."""


def structures_of(
    tapes: Iterable[tuple[QuantumScript, Sequence[StructuredTape], Mapping[Any, int]]],
    cache: SmartCircuitCache,
    choose_constants: ChooseConstants,
) -> tuple[dict[Hashable, Structure], list[list[FloatArray]]]:
    """Return the structures of a batch, and the columns of its rows.

    Args:
        tapes: each tape with its rows by structure, and the index of each wire label.
        cache: of programs.
        choose_constants: chooses the numbers of each that are compiled as constants.

    Returns:
        Each structure by its key and its number of wires; and for each tape the columns of each
        of its pieces, ``[rows, columns]``.
    """
    found: dict[Hashable, Structure] = {}
    columns: list[list[FloatArray]] = []
    for i, (tape, pieces, wires) in enumerate(tapes):
        columns.append([])
        for piece in pieces:
            key = piece.key, len(wires)
            structure = found.get(key)
            if structure is None:
                with TapeContext(i):
                    build = functools.partial(program_of, piece, wires)
                    program = cache.get(("program", *key), build)
                structure = found[key] = Structure(tape, piece, program, [])
            structure.rows.append(structure.program.columns(piece.parameters))
            columns[-1].append(structure.rows[-1])
    for known, structure in found.items():
        structure.constants = choose_constants(known, structure)
    return found, columns


def no_constants(key: Hashable, structure: Structure) -> Constants:
    """Take all numbers as parameters.

    Args:
        key: of the structure.
        structure: its rows.

    Returns:
        No constants.
    """
    return ()


def special_constants(key: Hashable, structure: Structure) -> Constants:
    """Choose by the batch alone: written numbers, the same in all rows, and special.

    Args:
        key: of the structure.
        structure: its rows.

    Returns:
        The constants, the same whatever was executed before.
    """
    columns = structure.columns()
    same = _unchanging(columns)
    quarters = columns[0, same] / _SPECIAL
    same = same[np.abs(quarters - np.round(quarters)) < 1e-9]
    return _written(structure, columns[0], same) if same.size else ()


class SteadyConstants:
    """Choose constants by what was executed before; for one device.

    The numbers that are written into the first batch of a structure, or else all numbers that
    are the same in its first three batches.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._watched: dict[Hashable, _Watched] = {}

    def __call__(self, key: Hashable, structure: Structure) -> Constants:
        """Return the constants of a batch.

        Args:
            key: of the structure.
            structure: its rows.

        Returns:
            The constants; none where the rows have other numbers, or while it is not decided.
        """
        with self._lock:
            watched = self._watched.get(key)
            if watched is None:
                if len(self._watched) >= _KEPT:
                    self._watched.clear()
                columns = structure.columns()
                same = _unchanging(columns)
                written = _written(structure, columns[0], same)
                watched = self._watched[key] = _Watched.of(
                    written or _constants(columns[0], same), 1, bool(written)
                )
            elif not watched.decided:
                watched = self._watched[key] = watched.after(structure.columns())
            elif not (watched.chosen and watched.holds(structure.columns())):
                return ()
        return watched.chosen if watched.decided else ()


@dataclass(frozen=True, slots=True, eq=False)
class _Watched:
    """Numbers of a structure that were the same so far.

    Attributes:
        chosen: the numbers.
        columns, values: the same as arrays.
        batches: how many batches had them.
        decided: whether they are the structure's constants for good.
    """

    chosen: Constants
    columns: npt.NDArray[np.intp]
    values: FloatArray
    batches: int
    decided: bool

    @classmethod
    def of(cls, chosen: Constants, batches: int, decided: bool) -> _Watched:
        columns = np.array([i for i, _ in chosen], dtype=np.intp)
        values = np.array([value for _, value in chosen])
        return cls(chosen, columns, values, batches, decided or not chosen)

    def holds(self, columns: FloatArray) -> bool:
        """Return whether all rows have these numbers."""
        return bool((columns[:, self.columns] == self.values).all())

    def after(self, columns: FloatArray) -> _Watched:
        """Return the numbers that another batch leaves."""
        kept = (columns[:, self.columns] == self.values).all(axis=0)
        chosen = tuple([one for one, same in zip(self.chosen, kept, strict=True) if same])
        return self.of(chosen, self.batches + 1, self.batches + 1 >= BATCHES)


def _unchanging(columns: FloatArray) -> npt.NDArray[np.intp]:
    """Return the columns that are the same in all rows."""
    same = np.flatnonzero(columns[0] == columns[-1])  # mostly few, if any
    if len(columns) > 2 and same.size:
        same = same[(columns[:, same] == columns[0, same]).all(axis=0)]
    return same


def _constants(row: FloatArray, columns: npt.NDArray[np.intp]) -> Constants:
    return tuple([(int(i), float(row[i])) for i in columns])


def _written(structure: Structure, row: FloatArray, columns: npt.NDArray[np.intp]) -> Constants:
    """Return those of the columns that are written numbers, and products of them."""
    piece, trainable, every = (
        structure.piece,
        structure.tape.trainable_params,
        structure.tape.par_info,
    )
    # What PennyLane has found from a state or a matrix is not written; nor is what is trained, and
    # that is everything where nobody has said. Nobody writes 0, but training may begin there.
    if piece.by_value or len(trainable) == len(every):
        return ()
    trained = {(id(every[i]["op"]), every[i]["p_idx"]) for i in trainable}
    written: list[int] = []
    first = 0
    for op, count in zip(piece.operations, parameter_counts(piece.operations), strict=True):
        if count == len(op.data):  # numbers, not arrays
            written += [
                first + k
                for k, value in enumerate(op.data)
                if type(value) in (float, int) and value and (id(op), k) not in trained
            ]
        first += count
    chosen = set(written).intersection(columns.tolist())
    products = enumerate(structure.program.products, first)
    chosen |= {i for i, factors in products if chosen.issuperset(factors)}
    return _constants(row, np.array(sorted(chosen), dtype=np.intp))
