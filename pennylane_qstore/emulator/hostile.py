"""Malformed and hostile response bodies, which a client has to refuse."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

HOSTILE: Mapping[str, bytes] = MappingProxyType(
    {
        "empty": b"",
        "null": b"null",
        "array": b"[]",
        "not_json": b"\x00\xff{]",
        "html": b"<!DOCTYPE html><html><body><h1>Bad gateway</h1></body></html>",
        "nan": b'{"0": NaN, "1": 0.5}',
        "infinity": b'{"0": 1e999}',
        "negative": b'{"0": 1.5, "1": -0.5}',
        "sum": b'{"0": 0.5, "1": 0.1}',
        "key": b'{"spam": 1.0}',
        "range": b'{"340282366920938463463374607431768211456": 1.0}',
        "types": b'{"0": "1.0"}',
        "nested": b'{"0": {"0": 1.0}}',
        "surrogate": b'{"\\ud800": 1.0}',
        "duplicate": b'{"0": 0.5, "0": 1.0}',
        "deep": b"[" * 100_000 + b"]" * 100_000,
        "huge": b'{"0": 1.0, "x": "' + b"a" * 1_000_000 + b'"}',
    }
)
"""Bodies by name; ``gzip_bomb`` (a gigabyte of zeros in one megabyte) is made when asked for."""


def hostile_body(name: str) -> bytes:
    """Return the body of a name, or the text itself where no body has this name."""
    return _bomb() if name == "gzip_bomb" else HOSTILE.get(name, name.encode())


@lru_cache(maxsize=1)
def _bomb() -> bytes:
    zeros, count = bytes(1 << 20), 1 << 10
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = packer.compress(zeros) + packer.flush(zlib.Z_FULL_FLUSH)  # may follow itself
    check = 0
    for _ in range(count):
        check = zlib.crc32(zeros, check)
    head = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"
    return head + block * count + packer.flush() + struct.pack("<II", check, len(zeros) * count)
