"""Histograms in bodies of responses, validated. Pure.

Outcome integers are IonQ's: bit k of the integer is qubit k. What is not exactly a distribution is
:class:`InvalidResponse`, never a plausible result.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import chain, cycle
from typing import Any, NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray

from pennylane_qstore.backends import MAX_QUBITS
from pennylane_qstore.errors import InvalidResponse
from pennylane_qstore.fixed_decimals import read_rows
from pennylane_qstore.ionq.messages.responses import check_id, parse_object

SUM_TOLERANCE = 1e-5
"""Probabilities may sum to 1 within this; then they are renormalised."""

_PIECE = 1 << 17
"""Bytes of aggregated results that are decoded at once."""
_OUTCOMES = re.compile(r"(?:0|[1-9][0-9]{0,19})(?:,(?:0|[1-9][0-9]{0,19}))*")


class Histogram(NamedTuple):
    """Measured distribution of one circuit.

    Attributes:
        states: outcomes, uint64 [K], ascending; bit k is qubit k.
        probabilities: float64 [K], positive sum 1.
    """

    states: NDArray[np.uint64]
    probabilities: NDArray[np.float64]


def parse_histogram(value: object, qubits: int) -> Histogram:
    """Return a validated histogram.

    Args:
        value: decoded JSON, ``{"<outcome>": probability, ...}``.
        qubits: outcomes must lie below ``2**qubits``.

    Returns:
        States uint64 [K], ascending, and their probabilities float64 [K].

    Raises:
        InvalidResponse: not an object, empty, a key that is not an outcome, a value that is
            negative or not a number, or a sum that is not 1 within ``SUM_TOLERANCE``.
    """
    return _parse_histograms([value], qubits)[0]


def _parse_histograms(values: Sequence[object], qubits: int) -> list[Histogram]:
    """Return validated histograms: their probabilities are checked and scaled all at once."""
    tables: list[dict[str, Any]] = []
    for value in values:
        if not isinstance(value, dict) or not value:
            raise InvalidResponse(f"A histogram is missing or empty: {str(value)[:80]!r}.")
        tables.append(value)
    # A job's circuits have mostly the same outcomes.
    first = [*chain.from_iterable(tables[:1])]
    alike = all(map(first.__eq__, map(list, tables)))
    outcomes = [_outcomes(",".join(t), len(t)) for t in (tables[:1] if alike else tables)]
    for states, _ in outcomes:
        if int(states[-1]) >> min(qubits, MAX_QUBITS):
            raise InvalidResponse(
                f"A histogram of {qubits} qubits has outcome {states[-1]}; "
                f"the largest possible is {2**qubits - 1}."
            )
    return [
        Histogram(states, p if order is None else p[order])
        for (states, order), p in zip(cycle(outcomes), _distributions(tables), strict=False)
    ]


def _distributions(tables: Sequence[dict[str, Any]]) -> list[NDArray[np.float64]]:
    """Return the probabilities of each table, which add up to one, in the order of its names."""
    if not tables:
        return []
    sizes = np.array([len(table) for table in tables])
    ends = np.cumsum(sizes)
    try:
        sum(_numbers(tables))  # a text would pass for a number below
        flat = np.fromiter(_numbers(tables), np.float64, ends[-1])
    except TypeError:
        _refuse_first(tables, lambda p: type(p) not in (float, int), "that is not a number")
    except OverflowError:
        _refuse_first(tables, lambda p: abs(p) > sys.float_info.max, "out of range")
    # bool is an int to Python, but true is no probability.
    if ((flat == 0) | (flat == 1)).any() and bool in set(map(type, _numbers(tables))):
        _refuse_first(tables, lambda p: type(p) is bool, "that is not a number")
    totals, good = _totals(flat, ends - sizes)
    if not good.all():
        first = int(np.argmin(good))
        raise InvalidResponse(
            f"A histogram is not a distribution (sum {totals[first]}): {_some(tables[first])}."
        )
    scaled = flat / np.repeat(totals, sizes)
    return [
        scaled[end - size : end] for end, size in zip(ends.tolist(), sizes.tolist(), strict=True)
    ]


def _totals(
    flat: NDArray[np.float64], starts: NDArray[np.intp]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the sums of distributions that start at these places, and which of them may pass."""
    # A NaN fails every comparison, so each condition is stated as what must hold.
    in_range = (flat >= 0) & (flat <= 1 + SUM_TOLERANCE)
    totals = np.add.reduceat(np.where(in_range, flat, math.nan), starts)
    return totals, np.abs(totals - 1) <= SUM_TOLERANCE


def _numbers(tables: Sequence[dict[str, Any]]) -> Iterator[Any]:
    return chain.from_iterable(map(dict.values, tables))


def _refuse_first(
    tables: Sequence[Mapping[str, Any]], is_wrong: Callable[[Any], bool], why: str
) -> NoReturn:
    wrong = next(table for table in tables if any(map(is_wrong, table.values())))
    raise InvalidResponse(f"A histogram has a value {why}: {_some(wrong)}.")


@lru_cache(maxsize=8)
def _outcomes(names: str, count: int) -> tuple[NDArray[np.uint64], NDArray[np.intp] | None]:
    """Return states, ascending and read-only, and the order of the keys that gives them, if any.

    A job's circuits have mostly the same outcomes; ``names`` are their ``count`` keys.
    """
    # One match for all names; a name with a comma of its own would pass for two.
    if not _OUTCOMES.fullmatch(names) or names.count(",") != count - 1:
        raise InvalidResponse(f"A histogram has a key that is not an outcome: {names[:80]!r}.")
    outcomes = [int(name) for name in names.split(",")]
    if max(outcomes) >> MAX_QUBITS:
        raise InvalidResponse(f"A histogram has outcome {max(outcomes)}: no {MAX_QUBITS} qubits.")
    states = np.array(outcomes, dtype=np.uint64)
    order = None
    if (states[1:] < states[:-1]).any():
        order = np.argsort(states, kind="stable")
        states = states[order]
    states.flags.writeable = False
    return states, order


def parse_results(data: bytes, qubits: int) -> Histogram:
    """Return the histogram of a job of one circuit.

    Args:
        data: the body.
        qubits: of the circuit.

    Returns:
        The validated histogram.

    Raises:
        InvalidResponse: as for :func:`parse_histogram`, or an outcome is there twice.
    """
    body = parse_object(data, "The results")
    histogram = parse_histogram(body, qubits)
    _check_unique(data, len(body), "The results")
    return histogram


def parse_aggregate(data: bytes, qubits: int) -> dict[str, Histogram]:
    """Return the histograms of a multi-circuit job by child id, in the order of the body.

    Args:
        data: the body.
        qubits: of each circuit.

    Returns:
        Histograms by child id.

    Raises:
        InvalidResponse: not an object, an unsafe child id, an invalid histogram, or a child or
            an outcome that is there twice.
    """
    if (alike := _alike(data, qubits)) is not None:
        return alike
    histograms: dict[str, Histogram] = {}
    members = 0
    for piece in _pieces(data):
        body = parse_object(piece, "The aggregated results")
        if histograms and not body:
            raise InvalidResponse(f"The aggregated results end with a comma: {data[-40:]!r}.")
        some = _parse_histograms([*body.values()], qubits)
        histograms.update(zip(map(check_id, body), some, strict=True))
        members += sum([len(histogram.states) for histogram in some])
    _check_unique(data, len(histograms) + members, "The aggregated results")
    return histograms


def _alike(data: bytes, qubits: int) -> dict[str, Histogram] | None:
    """Return histograms that are written alike; ``None`` leaves it to the decoder to say why."""
    rows = read_rows(data)
    if rows is None:
        return None
    try:
        states, order = _outcomes(",".join(rows.keys), len(rows.keys))
    except InvalidResponse:
        return None
    starts = np.arange(0, rows.numbers.size, len(states))
    totals, good = _totals(rows.numbers.ravel(), starts)
    if not good.all() or int(states[-1]) >> min(qubits, MAX_QUBITS):
        return None
    scaled = rows.numbers / totals[:, None]
    table = scaled if order is None else scaled[:, order]
    return {name: Histogram(states, p) for name, p in zip(rows.names, table, strict=True)}


def _pieces(data: bytes) -> Iterator[bytes]:
    """Cut an object of objects into smaller ones, whose values stay in the cache of the CPU.

    What is cut elsewhere than between two members is no JSON any more, and was no object of
    histograms.
    """
    begin, lead = 0, b""
    while (end := data.find(b"},", begin + _PIECE)) >= 0:
        yield b"".join((lead, data[begin:end], b"}}"))
        begin, lead = end + 2, b"{"
    yield lead + data[begin:]


def _check_unique(data: bytes, members: int, what: str) -> None:
    """Refuse a body in which a name is there twice; the decoder keeps the last one silently.

    Every member of an object has one colon. Neither ids, nor outcomes, nor numbers hold one, so
    that counting them is enough, and much quicker than decoding name by name.
    """
    if np.count_nonzero(np.frombuffer(data, np.uint8) == ord(":")) != members:
        raise InvalidResponse(f"{what} have a name twice in one object.")


def _some(value: Mapping[str, Any]) -> str:
    return ", ".join(f"{key[:24]!r}: {str(p)[:24]}" for key, p in list(value.items())[:4])
