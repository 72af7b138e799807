"""Histograms as bytes, as the ledger stores them: with a checksum, exact to the last bit."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from itertools import accumulate, pairwise

import numpy as np
import orjson

from pennylane_qstore.errors import LedgerError
from pennylane_qstore.ionq.messages.histograms import Histogram

_PACKED, _CHECKED = b"Q2", b"Q1"
"""Marks of packed results with a checksum, as arrays and, earlier, as JSON."""
_UNCHECKED = b"["
"""Beginning of results that were packed before there was one."""
_CHECKSUM_BYTES = 4
_BODY_AT = len(_CHECKED) + _CHECKSUM_BYTES


def pack(histograms: Sequence[Histogram | None]) -> bytes:
    """Return histograms as compact bytes behind their checksum, exact to the last bit.

    A line of JSON tells the number of outcomes of each, ``null`` where there is none, and whether
    the outcomes of all are those of the first; then come outcomes and probabilities.
    """
    there = [h for h in histograms if h is not None]
    alike = all(h.states is there[0].states for h in there)  # as in a job's full histograms
    head = orjson.dumps([alike, *(None if h is None else len(h.states) for h in histograms)])
    states = [np.asarray(h.states, "<u8").tobytes() for h in (there[:1] if alike else there)]
    probabilities = [np.asarray(h.probabilities, "<f8").tobytes() for h in there]
    body = b"".join((head, b"\n", *states, *probabilities))
    return b"".join((_PACKED, _checksum(body), body))


def unpack(data: bytes) -> list[Histogram | None]:
    """Return the histograms that :func:`pack` packed; older ones, without a checksum, too.

    Raises:
        LedgerError: they were damaged since.
    """
    body = memoryview(data)
    if not data.startswith(_UNCHECKED):
        body = body[_BODY_AT:]
        if data[:2] not in (_PACKED, _CHECKED) or data[2:_BODY_AT] != _checksum(body):
            raise _damaged("the checksum does not fit")
    try:
        if data.startswith(_PACKED):
            return _arrays(bytes(body))
        return [
            None
            if entry is None
            else Histogram(
                np.array(entry[0], dtype=np.uint64), np.array(entry[1], dtype=np.float64)
            )
            for entry in orjson.loads(body)
        ]
    except (ValueError, TypeError, LookupError, OverflowError) as error:
        raise _damaged(str(error)) from None


def _arrays(body: bytes) -> list[Histogram | None]:
    """Return the histograms in a body of arrays."""
    at = body.index(b"\n") + 1
    alike, *sizes = orjson.loads(body[:at])
    there = [size for size in sizes if size is not None]
    outcomes = sum(there[:1] if alike else there)
    states = np.frombuffer(body, "<u8", outcomes, at).astype(np.uint64)
    probabilities = np.frombuffer(body, "<f8", sum(there), at + 8 * outcomes).astype(np.float64)
    places = pairwise(accumulate(there, initial=0))
    rows = (Histogram(states if alike else states[a:b], probabilities[a:b]) for a, b in places)
    return [None if size is None else next(rows) for size in sizes]


def _checksum(body: bytes | memoryview) -> bytes:
    """Return a checksum that any change of up to 32 bits in a row alters."""
    return zlib.crc32(body).to_bytes(_CHECKSUM_BYTES, "big")


def _damaged(problem: str) -> LedgerError:
    return LedgerError(
        f"Results in the ledger are damaged ({problem}): fetch them from the service again, by "
        "the job's id, or restore the file from a backup."
    )
