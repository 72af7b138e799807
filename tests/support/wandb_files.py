"""Records in the files of an offline run of Weights & Biases.

The package reads them in Go. A file is LevelDB's log: blocks of 32 KiB, of which the first begins
with 7 bytes of its own. The records are the package's protobufs.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_BLOCK = 1 << 15
_HEADER = struct.Struct("<IHB")  # checksum, length, kind
_FULL, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4


def records(path: Path) -> Iterator[Any]:
    """Yield the records of a file, in order."""
    from wandb.proto.wandb_internal_pb2 import Record

    content = path.read_bytes()
    assert content[:4] == b":W&B"
    place, parts = 7, b""
    while place + _HEADER.size <= len(content):
        left = _BLOCK - place % _BLOCK
        if left < _HEADER.size:
            place += left
            continue
        _, length, kind = _HEADER.unpack_from(content, place)
        assert kind in (_FULL, _FIRST, _MIDDLE, _LAST)
        place += _HEADER.size
        parts += content[place : place + length]
        place += length
        if kind in (_FULL, _LAST):
            yield Record.FromString(parts)
            parts = b""
