"""Files that are replaced at once."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path


def replace_file(path: Path, content: bytes) -> None:
    """Replace a file; a reader, or a process killed meanwhile, finds the old or the new.

    The file keeps its permissions. The new content waits beside it under a name that nobody can
    guess, and no link is followed.

    Args:
        path: of the file; its folder is made.
        content: of the file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{secrets.token_hex(8)}.part")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
    mode = permissions(path)
    number = os.open(part, flags, 0o666 if mode is None else mode)
    try:
        with open(number, "wb") as file:
            if mode is not None:  # what the process's umask took
                part.chmod(mode)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    sync_folder(path.parent)


def permissions(path: Path) -> int | None:
    """Return the permissions of a file; None where there is none."""
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return None


def sync_folder(folder: Path) -> None:
    """Let a new name in a folder outlive a power cut."""
    if os.name == "posix":
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)
