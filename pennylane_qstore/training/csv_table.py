"""CSV files as tables: every error names the line and the column."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pennylane_qstore.errors import ConfigurationError

_MOST_BYTES = 100_000_000
_SEPARATORS = (",", ";", "\t")
_LARGEST = 1e100  # squares of numbers stay numbers
_SHOWN = 40  # characters of a cell in a message


@dataclass(frozen=True, slots=True)
class CsvTable:
    """A table of texts.

    Attributes:
        path: of the file.
        columns: names, from its first line.
        rows: cells, in every row one for each column.
        lines: number of the line at which each row begins.
    """

    path: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    lines: tuple[int, ...]

    def place(self, column: str) -> int:
        """Return the place of a column among the others.

        Args:
            column: its name.

        Raises:
            ConfigurationError: there is no such column.
        """
        if column not in self.columns:
            raise ConfigurationError(
                f"{self.path!r} has no column {_shown(column)}. Its first line names: "
                f"{', '.join(map(_shown, self.columns))}."
            )
        return self.columns.index(column)

    def texts(self, column: str) -> list[str]:
        """Return the cells of a column, one for each row.

        Args:
            column: its name.

        Raises:
            ConfigurationError: there is no such column, or a cell is empty.
        """
        place = self.place(column)
        cells = [row[place].strip() for row in self.rows]
        for line, cell in zip(self.lines, cells, strict=True):
            if not cell:
                raise self._error(line, column, "is empty. Fill it in, or leave the line out")
        return cells

    def numbers(self, columns: Sequence[str]) -> NDArray[np.float64]:
        """Return columns as numbers, ``[rows, columns]``.

        Args:
            columns: their names.

        Raises:
            ConfigurationError: there is no such column, or a cell is no number.
        """
        found = [self._floats(column) for column in columns]
        return np.array(found, dtype=np.float64).reshape(len(columns), len(self.rows)).T

    def _floats(self, column: str) -> list[float]:
        values = []
        for line, cell in zip(self.lines, self.texts(column), strict=True):
            value = read_number(cell)
            if value is None:
                raise self._error(line, column, f"{_shown(cell)} is no number up to 1e100")
            values.append(value)
        return values

    def _error(self, line: int, column: str, fault: str) -> ConfigurationError:
        return ConfigurationError(f"{self.path!r}, line {line}, column {_shown(column)}: {fault}.")


def read_csv(path: str | Path) -> CsvTable:
    """Return the table of a file, whose first line names the columns.

    Args:
        path: of a text in UTF-8, with commas, semicolons or tabs between the cells.

    Returns:
        The table; empty lines are left out.

    Raises:
        ConfigurationError: no such file, or no such table; the message names the line.
    """
    text, shown = _text(Path(path)), repr(str(path))
    first = text.lstrip("\r\n").partition("\n")[0]
    separator = max(_SEPARATORS, key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    rows: list[tuple[str, ...]] = []
    lines: list[int] = []
    columns: tuple[str, ...] = ()
    line = 1
    try:
        for row in reader:
            if not columns:
                columns = _names(row, f"{shown}, line {line}")
            elif row:
                if len(row) != len(columns):
                    raise ConfigurationError(
                        f"{shown}, line {line}: {len(row)} cells, and the first line names "
                        f"{len(columns)} columns."
                    )
                rows.append(tuple(row))
                lines.append(line)
            line = reader.line_num + 1
    except csv.Error as error:
        raise ConfigurationError(f"{shown}, line {line}: {error}.") from error
    if not rows:
        raise ConfigurationError(f"{shown} has no rows. The first line names the columns.")
    return CsvTable(str(path), columns, tuple(rows), tuple(lines))


def read_number(text: str) -> float | None:
    """Return the number that a text writes; None for another text, and beyond 1e100."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if abs(value) <= _LARGEST and "_" not in text else None


def _text(path: Path) -> str:
    shown = repr(str(path))
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise ConfigurationError(f"{shown} is larger than 100 MB. Give a part of its rows.")
        content = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{shown} cannot be read: {error.strerror}.") from error
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigurationError(
            f"{shown}, line {line}: no text in UTF-8. Save the table as CSV (UTF-8)."
        ) from error


def _names(row: Sequence[str], where: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in row)
    for place, name in enumerate(names, 1):
        if not name:
            raise ConfigurationError(f"{where}: column {place} has no name.")
        if names.index(name) != place - 1:
            raise ConfigurationError(f"{where}: two columns are named {_shown(name)}.")
    return names


def _shown(text: str) -> str:
    """Return a text of the file for a message: shortened, without control characters."""
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}...")
