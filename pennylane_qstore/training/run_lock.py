"""The lock of a run on its checkpoint: the same command started twice would pay twice.

The lock is the kernel's (``flock``), so that it ends with the process however that ends; the file
says who holds it. Where the file system has no such locks, the file itself is the lock. One whose
process on this machine is gone does not count. Of several starts that find it, the one that takes
a second lock, named after its content, replaces it.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import hashlib
import json
import os
import socket
import sys
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from pennylane_qstore.errors import ConfigurationError, RunLocked

if sys.platform != "win32":
    import fcntl

_P = ParamSpec("_P")
_T = TypeVar("_T")
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)
_FILE_MODE = 0o600


class RunLock:
    """Held while a run trains or evaluates; its holder may take it again.

    Args:
        checkpoint: the state file of the run; None locks nothing.
    """

    def __init__(self, checkpoint: Path | None) -> None:
        self.path = None if checkpoint is None else checkpoint.with_name(f"{checkpoint.name}.lock")
        self._file: int | None = None
        self._depth = 0
        _locks.add(self)

    def __enter__(self) -> None:
        if self.path is not None and not self._depth:
            try:
                self._file = _acquire(self.path)
            except OSError as error:
                raise ConfigurationError(
                    f"{str(self.path)!r}, beside the checkpoint, cannot be written: "
                    f"{error.strerror}. Take a checkpoint in a folder that you may write to."
                ) from error
        self._depth += 1

    def __exit__(self, *_: object) -> None:
        self._depth -= 1
        if self._file is None or self._depth:
            return
        number, self._file = self._file, None
        assert self.path is not None  # noqa: S101  (there is no file without it)
        self.path.unlink(missing_ok=True)  # before it is free: the next one makes its own
        os.close(number)

    def forget(self) -> None:
        """Let go of the parent's lock after a fork; the parent still has it."""
        if self._file is not None:
            os.close(self._file)
        self._file, self._depth = None, 0


def locked(method: Callable[_P, _T]) -> Callable[_P, _T]:
    """Make a method hold its object's ``_lock``."""

    @functools.wraps(method)
    def hold(*args: _P.args, **options: _P.kwargs) -> _T:
        run: Any = args[0]
        with run._lock:
            return method(*args, **options)

    return hold


def _acquire(path: Path) -> int:
    """Return the open lock file, with this process as its owner.

    Raises:
        RunLocked: another run has it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        try:
            number, is_new = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, _FILE_MODE), True
        except FileExistsError:
            try:
                number, is_new = os.open(path, os.O_RDWR | getattr(os, "O_NOFOLLOW", 0)), False
            except FileNotFoundError:
                continue
        held = _take(number, path, is_new)
        if held is not None:
            return held


def _take(number: int, path: Path, is_new: bool) -> int | None:
    """Take an open lock file; None if it has been given up or replaced meanwhile.

    Args:
        number: of the open file; closed unless it is returned.
        path: its name.
        is_new: whether this process has made it.

    Returns:
        Number of the open file that has the name now.

    Raises:
        RunLocked: another run has it.
    """
    is_free = _flock(number)
    has_flock = is_free is not None
    if not (is_free if has_flock else is_new or not _is_alive(_read(number))):
        error = _locked_error(path, _read(number))
        os.close(number)
        raise error
    if not (has_flock or is_new):
        with open(number, "rb") as stale:
            return _replace(path, stale.read())
    if not _is_named(number, path):
        os.close(number)
        return None
    owner = {"pid": os.getpid(), "host": socket.gethostname(), "since": time.time()}
    os.ftruncate(number, 0)
    os.pwrite(number, json.dumps(owner).encode(), 0)
    return number


def _replace(path: Path, stale: bytes) -> int | None:
    """Replace a lock file whose owner is gone; None if it has another content by now."""
    claim = path.with_name(f"{path.name}.{hashlib.sha256(stale).hexdigest()[:12]}")
    number = _acquire(claim)
    with contextlib.suppress(FileNotFoundError):
        if path.read_bytes() == stale:
            claim.replace(path)
            return number
    claim.unlink()
    os.close(number)
    return None


def _is_named(number: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(number))
    except FileNotFoundError:
        return False


def _flock(number: int) -> bool | None:
    """Take the kernel's lock; False if another has it, None where the file system has none."""
    if sys.platform == "win32":
        return None
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        return None
    return True


def _read(number: int) -> dict[str, Any]:
    """Return the owner that the file names; {} where it is still being written."""
    try:
        owner = json.loads(os.pread(number, 4096, 0))
    except ValueError:
        return {}
    return owner if isinstance(owner, dict) else {}


def _is_alive(owner: dict[str, Any]) -> bool:
    """Return whether the owner may still run; True where that cannot be known."""
    pid = owner.get("pid")
    if owner.get("host") != socket.gethostname() or type(pid) is not int or os.name != "posix":
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _locked_error(path: Path, owner: dict[str, Any]) -> RunLocked:
    since = owner.get("since")
    when = ""
    if isinstance(since, int | float) and 0 <= since < 2**40:
        when = time.strftime(" since %Y-%m-%d %H:%M:%S", time.localtime(since))
    who = f"process {owner.get('pid', '(unknown)')} on {owner.get('host', 'an unknown machine')}"
    return RunLocked(
        f"The run of this checkpoint is at work: {who} holds {str(path)!r}{when}. Nothing was "
        "sent. Wait until it has ended, or end it; a run of its own needs another checkpoint. Only "
        "if that process is surely gone, delete the file.",
        owner=owner,
    )


_locks: weakref.WeakSet[RunLock] = weakref.WeakSet()


def _after_fork() -> None:
    for lock in list(_locks):
        lock.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
