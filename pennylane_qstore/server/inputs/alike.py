"""Jobs whose circuits are the same text but for their numbers: read as tables of numbers.

A body that is decoded as a whole makes an object for each gate of each circuit. A training step
has hundreds of circuits of one structure: the first is decoded, and compiled code finds the numbers
of those that have its text. What does not fit, or is not worth it, is decoded as a whole, with the
same result: here nothing is refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import orjson
from numpy.typing import NDArray

from pennylane_qstore import compiled
from pennylane_qstore.backends import MAX_CIRCUITS

NUMERIC = ("phase", "phases", "angle", "rotation", "time", "coefficients")
"""Members of gates that hold numbers."""
_FEWEST = 8
"""Circuits that are worth a table."""
_MOST_STRUCTURES = 32
_LONGEST = 1 << 16
"""Bytes of a circuit of which the structure is kept."""
_SAVED_S = 1.3e-8
"""Seconds for each byte that are longer where the body is decoded as a whole."""
_LIST, _MARK, _NEXT = b'"circuits":[', b'"circuit":[', b'},{"name":'
_HEAD = b'{"name":"'
_NAMED = re.compile(_HEAD.replace(b"{", rb"\{") + rb'[ !#-\[\]-~]*+","circuit":\[')
_NAMELESS, _NEXT_NAMELESS = b'{"circuit":[', b'},{"circuit":'
_PADDING = 8
_FLOAT = re.compile(rb"(?<=[:,[])-?\d+(?:\.\d+(?:[eE][-+]?\d+)?|[eE][-+]?\d+)(?=[],}])")
_LEFT = 1 << 12
"""Numbers that the compiled reader may leave to the decoder in one call."""


@dataclass(frozen=True, slots=True, eq=False)
class Structure:
    """The text of a circuit without its name and its numbers.

    Args:
        named: whether a name stands before the gates; else what is read for it is their key.
        gates: a float stands for a number of each circuit: it is the place of the number in the
            circuit's row.
        known: the text and eight more bytes, shape [bytes].
        ends: where the name and each number are missing in it; its length.
    """

    named: bool
    gates: list[dict[str, Any]]
    known: NDArray[np.uint8]
    ends: NDArray[np.int64]

    @property
    def places(self) -> int:
        """Numbers of a circuit."""
        return len(self.ends) - 2


class Table(NamedTuple):
    """Circuits whose JSON differs in numbers alone.

    Args:
        structure: their text.
        numbers: shape [circuits, places].
        positions: of the circuits in the job, shape [circuits].
    """

    structure: Structure
    numbers: NDArray[np.float64]
    positions: NDArray[np.intp]


class AlikeCircuits(NamedTuple):
    """The circuits of a job.

    Args:
        names: of all of them, in order; ``None`` where there is none.
        tables: in the order of the first circuit of each.
    """

    names: list[str | None]
    tables: list[Table]


def read_alike(body: bytes) -> dict[str, Any] | None:
    """Return the JSON of a body, with its circuits as :class:`AlikeCircuits`.

    Args:
        body: of a request.

    Returns:
        The object; ``None`` where the body is to be decoded as a whole.
    """
    begin = body.find(_LIST) + len(_LIST)
    count = body.count(_MARK, begin)
    if begin < len(_LIST) or not _FEWEST <= count <= MAX_CIRCUITS:
        return None
    if not compiled.pays("text", len(body) * _SAVED_S):
        return None
    if (kernel := compiled.load("text_kernel")) is None:
        return None
    try:
        circuits, end = _Reader(body, count, kernel).read(begin)
        rest = body[:begin] + body[end:]
        data: dict[str, Any] = orjson.loads(rest)
        source = data["input"]
        # one list of circuits, written as it is looked for: the decoder keeps the last one
        alone = b"\\" not in rest and rest.count(b'"circuits"') == rest.count(b'"input"') == 1
        plain = isinstance(source["gateset"], str) and "circuit" not in source
        if not alone or not plain or source["circuits"] != []:
            return None
    except (ValueError, TypeError, LookupError, AttributeError):
        return None  # whoever decodes the whole says what is wrong
    source["circuits"] = circuits
    return data


class _Reader:
    """Reads circuits, each by the structure of one before it or by its own."""

    def __init__(self, body: bytes, count: int, kernel: Any) -> None:
        self._body, self._text = body, np.frombuffer(body, np.uint8)
        self._kernel, self._count = kernel, count
        self._names = np.empty((count, 2), np.int64)
        self._left = np.empty((_LEFT, 4), np.int64)

    def read(self, at: int) -> tuple[AlikeCircuits, int]:
        """Return all circuits from a place on, and the place behind them.

        Raises:
            ValueError: they cannot be read so.
        """
        tables: dict[Structure, tuple[NDArray[np.float64], list[int]]] = {}
        names: list[str | None] = []
        while len(names) < self._count:
            for structure, (numbers, positions) in tables.items():
                first = len(positions)
                read, at = self._rows(at, structure, first, numbers)
                if read:
                    positions.extend(range(len(names), len(names) + read))
                    spans = self._names[first : first + read].tolist()
                    found = [self._body[a:b].decode() for a, b in spans]
                    if not structure.named and found.count("circuit") < read:
                        raise ValueError
                    names += found if structure.named else [None] * read
                    if (self._body[at - 1 : at] == b",") == (len(names) == self._count):
                        raise ValueError
                    break
            else:
                structure = self._structure(at)
                if structure in tables or len(tables) == _MOST_STRUCTURES:
                    raise ValueError
                most = (len(self._body) - at) // (len(structure.known) - _PADDING) + 1
                room = min(self._count - len(names), most)
                tables[structure] = np.empty((room, structure.places)), []
        found_tables = [
            Table(structure, numbers[: len(positions)], np.array(positions, dtype=np.intp))
            for structure, (numbers, positions) in tables.items()
        ]
        return AlikeCircuits(names, found_tables), at

    def _rows(
        self, at: int, structure: Structure, first: int, numbers: NDArray[np.float64]
    ) -> tuple[int, int]:
        """Read circuits of a structure; return how many there are, and the place behind them."""
        known, ends, left = structure.known, structure.ends, self._left
        if structure.places > len(left):
            raise ValueError
        rows, at, count = self._kernel.read(
            self._text, at, known, ends, first, self._names, numbers, left
        )
        for row, column, begin, end in left[:count].tolist():
            number = orjson.loads(self._body[begin:end])
            if type(number) not in (int, float):
                raise ValueError
            numbers[row, column] = number
        return rows, at

    def _structure(self, at: int) -> Structure:
        """Return the structure of the circuit at a place."""
        named = _NAMED.match(self._body, at)
        if named is None and not self._body.startswith(_NAMELESS, at):
            raise ValueError
        begin = at + len(_NAMELESS) if named is None else named.end()
        end = self._body.find(_NEXT_NAMELESS if named is None else _NEXT, at)
        if end < 0:  # gates of the last circuit end where the list of circuits does
            end = self._body.rfind(b"]", at, self._body.rfind(b"]")) + 1
        if end - at > _LONGEST:
            raise ValueError
        pieces = _FLOAT.split(self._body[begin - 1 : end])
        return _structure_of(named is not None, tuple(pieces))


@lru_cache(maxsize=16)
def _structure_of(named: bool, pieces: tuple[bytes, ...]) -> Structure:
    """Return the structure whose gates have these pieces of text between their numbers.

    Raises:
        ValueError: they are no array of gates that are the same in every circuit.
        TypeError: the same.
        LookupError: the same.
        AttributeError: the same.
    """
    text = b"".join([b"%b%d.0" % (piece, k) for k, piece in enumerate(pieces[:-1])])
    gates = orjson.loads(text + pieces[-1])
    places: list[Any] = []
    for gate in gates:
        for key, value in gate.items():
            members = value if isinstance(value, list) else [value]
            if not {int, float, str}.issuperset(map(type, members)):
                raise ValueError
            places += members if key in NUMERIC else []
    if str in map(type, places) or not all(isinstance(gate["gate"], str) for gate in gates):
        raise ValueError
    if sorted(p for p in places if type(p) is float) != [*range(len(pieces) - 1)]:
        raise ValueError
    head, key = (_HEAD, b'","circuit":') if named else (b'{"', b'":')
    parts = [head, key + pieces[0], *pieces[1:]]
    parts[-1] += b"}"
    known = np.frombuffer(b"".join(parts) + bytes(_PADDING), np.uint8)
    return Structure(named, gates, known, np.cumsum([*map(len, parts)]))
