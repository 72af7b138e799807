"""Jobs whose circuits are the same text but for their numbers: read by a pattern, not one by one.

A body that is decoded as a whole makes an object for each gate of each circuit. A training step
has hundreds of circuits of one structure: the first is decoded, and a regular expression made of
its text finds the numbers of the others. What does not match is decoded as a whole, with the same
result: here nothing is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import repeat
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

NUMERIC = ("phase", "phases", "angle", "rotation", "time", "coefficients")
"""Members of gates that hold numbers."""
_FEWEST = 8
"""Circuits that are worth a pattern, which takes a millisecond to make for each kilobyte."""
_LONGEST = 1 << 14
"""Bytes of a circuit up to which a pattern is made."""
_MARK = b'"circuit":'
_FLOAT = re.compile(rb"(?<=[:,[])-?\d+(?:\.\d+(?:[eE][-+]?\d+)?|[eE][-+]?\d+)(?=[],}])")
_ANY_NUMBER = b"([-+0-9.eE]++)"


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """Circuits whose JSON differs in numbers alone.

    Args:
        gates: of all circuits. A float stands for a number of each circuit: it is the place of
            the number in the circuit's row.
        numbers: shape [circuits, places].
    """

    gates: list[dict[str, Any]]
    numbers: NDArray[np.float64]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the gates."""
        return tuple(gate["gate"] for gate in self.gates)

    def columns(self, rows: Sequence[int]) -> Callable[[Any], NDArray[np.float64]]:
        """Return a function of a numeric member in ``gates`` that gives it for some circuits.

        Args:
            rows: of the table.

        Returns:
            The function; its result has shape [rows], or [rows, length] of lists.
        """
        numbers = self.numbers[rows]

        def column(value: Any) -> NDArray[np.float64]:
            if isinstance(value, list):
                return np.array([column(v) for v in value]).reshape(-1, len(rows)).T
            if type(value) is int:
                return np.full(len(rows), float(value))
            return numbers[:, int(value)]

        return column


@dataclass(slots=True, eq=False)
class TableRow:
    """The gates of one circuit: the row of a table at a place."""

    table: Table
    place: int

    def __len__(self) -> int:
        return len(self.table.gates)


def read_alike(body: bytes) -> dict[str, Any] | None:
    """Return the JSON of a body, in which each circuit's gates are a row of a table.

    Args:
        body: of a request.

    Returns:
        The object; ``None`` where the body is to be decoded as a whole.
    """
    head, *parts = body.split(_MARK)
    if len(parts) < _FEWEST:
        return None
    # Gates end with the last bracket before the next circuit; behind the last one their list ends.
    ends = [part.rfind(b"]") + 1 for part in parts]
    ends[-1] = parts[-1].rfind(b"]", 0, ends[-1] - 1) + 1
    tails = [part[end:] for part, end in zip(parts, ends, strict=True)]
    try:
        data = orjson.loads(head + b"".join([b"%b%d%b" % (_MARK, *t) for t in enumerate(tails)]))
        circuits = data["input"]["circuits"]
        if [circuit["circuit"] for circuit in circuits] != [*range(len(parts))]:
            return None
        rows = _tabled([part[:end] for part, end in zip(parts, ends, strict=True)])
    except (ValueError, TypeError, LookupError, AttributeError):
        return None  # whoever decodes the whole says what is wrong
    if rows is None:
        return None
    for circuit, row in zip(circuits, rows, strict=True):
        circuit["circuit"] = row
    found: dict[str, Any] = data
    return found


def _tabled(texts: Sequence[bytes]) -> list[TableRow] | None:
    """Return a row for each circuit; ``None`` where a structure has few circuits."""
    rows: dict[int, TableRow] = {}
    left = [*range(len(texts))]
    while left:
        first = texts[left[0]]
        if len(left) < _FEWEST or len(first) > _LONGEST:
            return None
        pieces = _FLOAT.split(first)
        gates = _gates(pieces)
        if gates is None or _FLOAT.split(texts[left[1]]) != pieces:
            return None
        match = _pattern(tuple(pieces)).fullmatch
        alike: list[int] = []
        others: list[int] = []
        parts: list[bytes] = []  # no objects that the garbage collector would count
        for i in left:
            if (found := match(texts[i])) is None:
                others.append(i)
            else:
                alike.append(i)
                parts.append(b",".join(found.groups()))
        if len(alike) < _FEWEST:
            return None
        shape = len(alike), len(pieces) - 1
        numbers = orjson.loads(b"[%b]" % b",".join(filter(None, parts)))
        table = Table(gates, np.fromiter(numbers, np.float64, shape[0] * shape[1]).reshape(shape))
        rows.update(zip(alike, map(TableRow, repeat(table), range(len(alike))), strict=True))
        left = others
    return [rows[i] for i in range(len(texts))]


def _gates(pieces: Sequence[bytes]) -> list[dict[str, Any]] | None:
    """Return the gates of a table; ``None`` where a number that may differ is no gate's number."""
    text = b"".join([b"%b%d.0" % (piece, k) for k, piece in enumerate(pieces[:-1])])
    gates = orjson.loads(text + pieces[-1])
    places: list[Any] = []
    for gate in gates:
        for key in NUMERIC:
            if gate.get(key) is not None:
                places += gate[key] if isinstance(gate[key], list) else [gate[key]]
    if not all(type(place) in (int, float) for place in places):
        return None
    if sorted(p for p in places if type(p) is float) != [*range(len(pieces) - 1)]:
        return None
    return gates if all(isinstance(gate["gate"], str) for gate in gates) else None


@lru_cache(maxsize=64)
def _pattern(pieces: tuple[bytes, ...]) -> re.Pattern[bytes]:
    """Return the pattern of the texts that have these pieces between their numbers."""
    return re.compile(_ANY_NUMBER.join(map(re.escape, pieces)))
