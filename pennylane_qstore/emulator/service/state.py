"""A file of jobs and sessions, so that an emulator takes up where the last one stopped.

SQLite, JSON inside; nothing that is executed when read. Used on the event loop only.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from pennylane_qstore.emulator.service.jobs import StoredJob
from pennylane_qstore.emulator.service.sessions import ServiceSession
from pennylane_qstore.emulator.simulation.run import Distribution
from pennylane_qstore.errors import QStoreError
from pennylane_qstore.server.service import CircuitInfo, Failure

_FORMAT = 1
_APPLICATION_ID = 0x71535445
"""Mark of a state in SQLite's header: "qSTE". Earlier states had none."""
_MARK = f"PRAGMA user_version = {_FORMAT}; PRAGMA application_id = {_APPLICATION_ID};"
_APART = ("request", "results")
"""Fields of a job that have a column of their own."""
_RECORD = tuple(f.name for f in fields(StoredJob) if f.name not in _APART)
_SCHEMA = """
CREATE TABLE jobs (id TEXT PRIMARY KEY, sequence INTEGER, record BLOB, request BLOB, results BLOB);
CREATE TABLE sessions (id TEXT PRIMARY KEY, record BLOB);
CREATE TABLE bill (one INTEGER PRIMARY KEY CHECK (one = 1), usd REAL, jobs INTEGER);
INSERT INTO bill VALUES (1, 0, 0);
"""


class StateFile:
    """One file of jobs.

    Args:
        path: of the file; made, readable by its owner only, if it does not exist.

    Raises:
        QStoreError: the file cannot be opened, or is no state of an emulator.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        try:
            os.close(os.open(self._path, os.O_CREAT | os.O_RDWR, 0o600))
            self._db = sqlite3.connect(self._path, isolation_level=None)
            try:
                self._open()
            except BaseException:
                self._db.close()
                raise
        except (OSError, sqlite3.Error) as error:
            raise QStoreError(f"Cannot use {str(path)!r} as state: {error}") from error

    def save(self, job: StoredJob) -> None:
        """Write a job as it is now."""
        record = {name: getattr(job, name) for name in _RECORD}
        results = None if job.results is None else _pack(job.results)
        self._db.execute(
            "INSERT INTO jobs VALUES (?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET "
            "record = excluded.record, request = excluded.request, results = excluded.results",
            (job.id, job.sequence, orjson.dumps(record, default=list), job.request, results),
        )

    def remove(self, job: StoredJob) -> None:
        """Forget a job."""
        self._db.execute("DELETE FROM jobs WHERE id = ?", (job.id,))

    def save_session(self, session: ServiceSession) -> None:
        """Write a session as it is now."""
        self._db.execute(
            "INSERT OR REPLACE INTO sessions VALUES (?, ?)",
            (session.id, orjson.dumps(asdict(session))),
        )

    def save_bill(self, usd: float, jobs: int) -> None:
        """Write the bill.

        Args:
            usd: US dollars charged.
            jobs: jobs charged.
        """
        self._db.execute("UPDATE bill SET usd = ?, jobs = ?", (usd, jobs))

    def jobs(self) -> Iterator[StoredJob]:
        """Yield all jobs, in the order they were accepted."""
        for record, request, results in self._db.execute(
            "SELECT record, request, results FROM jobs ORDER BY sequence"
        ):
            data = {k: v for k, v in orjson.loads(record).items() if k in _RECORD}
            data["circuits"] = [CircuitInfo(*c) for c in data["circuits"]]
            data["shuffle"] = tuple(data["shuffle"])
            if data["failure"] is not None:
                data["failure"] = Failure(*data["failure"])
            yield StoredJob(
                **data, request=request, results=None if results is None else _unpack(results)
            )

    def sessions(self) -> Iterator[ServiceSession]:
        """Yield all sessions."""
        for (record,) in self._db.execute("SELECT record FROM sessions ORDER BY id"):
            yield ServiceSession(**orjson.loads(record))

    def bill(self) -> tuple[float, int]:
        """Return what has been billed: US dollars and jobs."""
        usd, jobs = self._db.execute("SELECT usd, jobs FROM bill").fetchone()
        return float(usd), int(jobs)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def _is_ours(self) -> bool:
        """Return whether the file has this version's tables: other programs count formats, too."""
        tables = {name for (name,) in self._db.execute("SELECT name FROM sqlite_master")}
        (application,) = self._db.execute("PRAGMA application_id").fetchone()
        return application in (0, _APPLICATION_ID) and tables >= {"jobs", "sessions", "bill"}

    def _open(self) -> None:
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        empty = self._db.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
        if version == 0 and empty:
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.executescript(f"BEGIN; {_SCHEMA} {_MARK} COMMIT;")
        elif version != _FORMAT or not self._is_ours():
            foreign = version in (0, _FORMAT)
            what = "is no state of an emulator" if foreign else f"has format {version}"
            raise QStoreError(
                f"{str(self._path)!r} {what}, and this version reads format {_FORMAT}: choose "
                "another file, or delete it."
            )
        self._db.execute("PRAGMA synchronous = NORMAL")


def _pack(results: list[Distribution]) -> bytes:
    return orjson.dumps(
        [
            (
                np.ascontiguousarray(r.states),
                np.ascontiguousarray(r.weights),
                r.shots,
                r.qubits,
                r.seed,
            )
            for r in results
        ],
        option=orjson.OPT_SERIALIZE_NUMPY,
    )


def _unpack(packed: bytes) -> list[Distribution]:
    results = []
    for states, weights, shots, qubits, seed in orjson.loads(packed):
        kind: Any = np.float64 if shots is None else np.int64
        arrays = np.array(states, dtype=np.uint64), np.array(weights, dtype=kind)
        results.append(Distribution(*arrays, shots, qubits, seed))
    return results
