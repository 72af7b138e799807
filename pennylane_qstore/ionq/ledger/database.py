"""The ledger's file: where it lies, who may read it, how it is opened and migrated."""

from __future__ import annotations

import logging
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import platformdirs

from pennylane_qstore.errors import LedgerError
from pennylane_qstore.ionq.ledger.rows import run_account, whole_run

logger = logging.getLogger(__name__)

BUSY_S = 30.0
"""Longest wait of a transaction for another process's, in seconds."""

_APPLICATION_ID = 0x71535452
"""Mark of a ledger in SQLite's header: "qSTR"."""
_SQLITE_MAGIC = b"SQLite format 3\0"
_HEADER_BYTES = 100
_APPLICATION_ID_AT = slice(68, 72)

_FOREIGN = "the file is another program's, and was left as it is"

_FILE_MODE = 0o600
_FOLDER_MODE = 0o700
_OTHERS = 0o077
_NETWORK = ("nfs", "cifs", "smb", "lustre", "gpfs", "beegfs", "ceph", "glusterfs", "afs", "9p")
_WAL_ATTEMPTS = 200
_WAL_PAUSE_S = 0.02

# Rows an in-memory ledger keeps of what is finished, without and with a key.
_KEEP_IN_MEMORY = 1_000
_KEEP_KEYED_IN_MEMORY = 10_000


def default_path() -> Path:
    """Return where the ledger lies by default: in the user's data folder."""
    return platformdirs.user_data_path("pennylane-qstore") / "ledger.sqlite3"


def prepare_file(path: Path) -> None:
    """Create file and folder for the user's eyes only; tighten a file that is wider.

    Raises:
        LedgerError: they cannot be created, or the file is another program's.
    """
    try:
        if not path.parent.exists():
            path.parent.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
        try:
            # SQLite would create it readable by all; -wal and -shm take the file's mode.
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, _FILE_MODE))
        except FileExistsError:
            _refuse_foreign(path)
            if path.stat().st_mode & _OTHERS:
                path.chmod(_FILE_MODE)
    except OSError as error:
        raise LedgerError(
            f"The ledger {str(path)!r} cannot be created: {error.strerror}."
        ) from None


def _refuse_foreign(path: Path) -> None:
    """Refuse another program's file, before its mode, its journal or its tables are changed."""
    with path.open("rb") as file:
        header = file.read(_HEADER_BYTES)
    if not header:  # made by another process that has not written its tables yet
        return
    application = int.from_bytes(header[_APPLICATION_ID_AT], "big")
    # Ledgers had no mark at first: whether an unmarked file is one is seen in its tables.
    if not header.startswith(_SQLITE_MAGIC) or application not in (0, _APPLICATION_ID):
        raise LedgerError(f"{str(path)!r} is not a ledger: {_FOREIGN}.")


def journal_mode(path: Path, mounts: str | None = None) -> str:
    """Choose ``"WAL"``, or ``"DELETE"`` on a network file system, where WAL is not safe.

    Args:
        path: the ledger's file.
        mounts: text of the kernel's mount table, by default this machine's.

    Returns:
        A value of SQLite's ``PRAGMA journal_mode``.
    """
    # Where it lies, and not through which link: home folders are often links.
    kind = _file_system(path.resolve(), _mount_table() if mounts is None else mounts)
    if kind.removeprefix("fuse.").startswith((*_NETWORK, "sshfs")):
        logger.warning(
            "The ledger %s lies on a network file system (%s): it works more slowly there, "
            "without write-ahead log. A local folder is better (ledger=...).", path, kind
        )  # fmt: skip
        return "DELETE"
    return "WAL"


def open_database(path: Path | None, mode: str) -> sqlite3.Connection:
    """Open a ledger's database and bring it to the newest schema.

    Args:
        path: the file; ``None`` is a database in memory.
        mode: from :func:`journal_mode`.

    Returns:
        A connection that any thread may use; the caller guards it with a lock.

    Raises:
        LedgerError: not a ledger, or one of a newer version.
    """
    name = ":memory:" if path is None else str(path)
    try:
        db = sqlite3.connect(name, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
    except sqlite3.Error as error:
        raise LedgerError(f"The ledger {name!r} cannot be opened: {_reason(error)}.") from None
    try:
        if path is not None:
            _check_tables(db, name)
            _set_journal(db, mode, name)
        db.execute("PRAGMA foreign_keys=OFF")
        _migrate(db, name)
    except (sqlite3.Error, LedgerError) as error:
        db.close()
        if isinstance(error, LedgerError):
            raise
        raise LedgerError(f"{name!r} cannot be used as a ledger: {_reason(error)}.") from None
    return db


def _reason(error: sqlite3.Error) -> str:
    """Return the reason of an error; SQLite does not tell that file descriptors have run out."""
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError as problem:
        return f"{error} ({problem.strerror})"
    return str(error)


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """Run statements all or nothing; no transaction is left open, whatever fails."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        # A COMMIT that fails may leave the transaction open, and every process locked out.
        if db.in_transaction:
            with suppress(sqlite3.Error):  # the first error is the one to tell
                db.execute("ROLLBACK")
        raise


def forget_finished(db: sqlite3.Connection) -> None:
    """Delete the oldest rows of a ledger in memory whose results the caller has."""
    # The first bound is the same for all rows, so that an index finds the few that are old.
    old = db.execute(
        "SELECT id FROM submissions WHERE state = 'consumed' "
        "AND id <= (SELECT max(id) FROM submissions) - ? "
        "AND id <= (SELECT max(id) FROM submissions) - CASE WHEN run IS NULL THEN 0 ELSE ? END "
        "AND coalesce(billed_usd, estimated_usd, 0) = 0",  # money is not forgotten
        (_KEEP_IN_MEMORY, _KEEP_KEYED_IN_MEMORY),
    ).fetchall()
    db.executemany("DELETE FROM submissions WHERE id = ?", old)
    db.executemany("DELETE FROM events WHERE submission = ?", old)


def _check_tables(db: sqlite3.Connection, name: str) -> None:
    """Refuse a database with tables that are no ledger's."""
    tables = {table for (table,) in db.execute("SELECT name FROM sqlite_master")}
    if tables and not {"submissions", "events"} <= tables:
        raise LedgerError(f"{name!r} is not a ledger: {_FOREIGN}.")
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if tables and version < 1:
        raise LedgerError(f"{name!r} is not a ledger: it has tables, but no version.")


def _set_journal(db: sqlite3.Connection, mode: str, name: str) -> None:
    # Switching to WAL asks for the file alone and does not wait its turn, so that many
    # processes that open a new ledger at once have to take turns here.
    for attempt in range(_WAL_ATTEMPTS):
        try:
            (actual,) = db.execute(f"PRAGMA journal_mode={mode}").fetchone()
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or attempt == _WAL_ATTEMPTS - 1:
                raise
            time.sleep(_WAL_PAUSE_S)
            continue
        if actual.upper() != mode:
            logger.warning("The ledger %s takes no journal mode %s, but %s.", name, mode, actual)
        return


def _migrate(db: sqlite3.Connection, name: str) -> None:
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if version == len(_MIGRATIONS):
        return
    if version > len(_MIGRATIONS):
        raise LedgerError(
            f"The ledger {name!r} was written by a newer version of this package "
            f"(schema {version}, this one knows {len(_MIGRATIONS)}): upgrade the package."
        )
    with transaction(db):
        db.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
        # Another process may have migrated while this one waited for its turn.
        (version,) = db.execute("PRAGMA user_version").fetchone()
        for number in range(version, len(_MIGRATIONS)):
            _MIGRATIONS[number](db)
            db.execute(f"PRAGMA user_version = {number + 1}")


def _first_schema(db: sqlite3.Connection) -> None:
    _execute_file(db, "schema_1.sql")


def _second_schema(db: sqlite3.Connection) -> None:
    _execute_file(db, "schema_2.sql")
    rows = db.execute("SELECT id, run FROM submissions WHERE run IS NOT NULL").fetchall()
    charges = [(run_account(whole_run(run)), row) for row, run in rows]
    db.executemany("INSERT INTO charges (account, submission) VALUES (?, ?)", charges)


def _third_schema(db: sqlite3.Connection) -> None:
    _execute_file(db, "schema_3.sql")


def _execute_file(db: sqlite3.Connection, name: str) -> None:
    # Statement by statement: executescript would commit the migration's transaction.
    for statement in Path(__file__).with_name(name).read_text().split(";"):
        db.execute(statement)


_MIGRATIONS: tuple[Callable[[sqlite3.Connection], None], ...] = (
    _first_schema,
    _second_schema,
    _third_schema,
)


def _mount_table() -> str:
    try:
        return Path("/proc/self/mounts").read_text()
    except OSError:
        return ""  # no such table on this system: assume a local disk


def _file_system(path: Path, mounts: str) -> str:
    best, kind = "", ""
    for line in mounts.splitlines():
        fields = line.split()
        if len(fields) < 3:
            continue
        folder = fields[1].replace("\\040", " ")
        if path.is_relative_to(folder) and len(folder) >= len(best):
            best, kind = folder, fields[2]
    return kind
