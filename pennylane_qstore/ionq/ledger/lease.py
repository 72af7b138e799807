"""Holders of leases, and whether they still live."""

from __future__ import annotations

import functools
import os
import secrets
import socket
import sys
from pathlib import Path

_HOST = socket.gethostname()


def new_owner() -> str:
    """Return a name for the holder of a lease: host, process, its start, and a random part."""
    pid = os.getpid()
    return f"{_HOST}|{pid}|{_own_start(pid)}|{secrets.token_hex(4)}"


def is_alive(owner: str) -> bool:
    """Return whether the owner of a lease still runs; ``True`` where that cannot be known."""
    host, pid_text, started, _ = owner.split("|")
    if host != _HOST:
        return True
    pid = int(pid_text)
    if sys.platform == "win32":
        return True  # there, os.kill(pid, 0) would be a Ctrl-C; the lease runs out instead
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    # The pid may have been given to another process since.
    return not started or _started(pid) in ("", started)


@functools.cache
def _own_start(pid: int) -> str:
    # Kept, by process: reading it takes longer than all else that begins a row in memory.
    return _started(pid)


def _started(pid: int) -> str:
    """Return the start of a process, in the kernel's ticks; ``""`` where it cannot be told."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "dead" if fields[0] in "ZX" else fields[19]
