"""The gateway's jobs in its ledger, and the limits on what they may cost.

Tables of their own in the ledger's file: one transaction checks the limits and takes a job in.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, NamedTuple

import orjson

from pennylane_qstore.errors import RunLocked
from pennylane_qstore.gateway.jobs import CHANGING, GatewayJob, job_from, record_of
from pennylane_qstore.ionq.ledger.budgets import sum_usd
from pennylane_qstore.ionq.ledger.lease import is_alive, new_owner
from pennylane_qstore.ionq.ledger.ledger import Intent, JobKey, Ledger, State, Submission
from pennylane_qstore.prices import apart, exceeds
from pennylane_qstore.server.errors import BadRequest

RUN = "gateway"
"""Run under which the ledger has the gateway's jobs at IonQ; their groups are its steps."""
SPENT = "SELECT coalesce(sum(coalesce(billed_usd, estimated_usd, 0)), 0) FROM gateway_jobs"
"""Query of bills and reservations, in US dollars."""
# Sums of money are taken from the index: rows hold bodies of megabytes before their prices.
_TABLES = """
CREATE TABLE IF NOT EXISTS gateway_jobs (
    id TEXT PRIMARY KEY, sequence INTEGER NOT NULL UNIQUE, user TEXT NOT NULL, run TEXT,
    record TEXT NOT NULL, request BLOB NOT NULL, estimated_usd REAL, billed_usd REAL,
    "group" INTEGER, settled INTEGER NOT NULL, changing TEXT NOT NULL, deleted INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS gateway_jobs_by_user
    ON gateway_jobs (user, run, billed_usd, estimated_usd);
CREATE TABLE IF NOT EXISTS gateway_holder (one INTEGER PRIMARY KEY, owner TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS gateway_tokens (
    sha256 TEXT PRIMARY KEY, user TEXT NOT NULL, created_at REAL NOT NULL, revoked_at REAL
);
CREATE TABLE IF NOT EXISTS gateway_users (user TEXT PRIMARY KEY, budget_usd REAL)
"""


def make_tables(ledger: Ledger) -> None:
    """Make the tables that a ledger does not have yet."""
    with ledger.changing("gateway tables") as db:
        for statement in _TABLES.split(";"):
            db.execute(statement)


class Limits(NamedTuple):
    """Limits on bills and reservations together, in US dollars; ``None`` for none.

    Attributes:
        total_usd: of everybody.
        user_usd: of each user; a user's own limit comes first.
        run_usd: of each run: the jobs of one user with one name.
    """

    total_usd: float | None = None
    user_usd: float | None = None
    run_usd: float | None = None


class Store:
    """Jobs in the ledger's file.

    Args:
        ledger: of the gateway.
        limits: on what jobs may cost.
    """

    def __init__(self, ledger: Ledger, limits: Limits) -> None:
        self.ledger = ledger
        self._limits = limits
        make_tables(ledger)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the ledger for one gateway; one that was killed does not hold it any more.

        Raises:
            RunLocked: another gateway has it.
        """
        owner = new_owner()
        with self.ledger.changing("gateway holder") as db:
            row = db.execute("SELECT owner FROM gateway_holder").fetchone()
            if row is not None and is_alive(row[0]):
                host, pid, *_ = row[0].split("|")
                raise RunLocked(
                    f"The gateway with process id {pid} on {host} has {self.ledger!r}: stop it, or "
                    "use another ledger. If that computer is gone, delete the row of the table "
                    "gateway_holder."
                )
            db.execute("INSERT OR REPLACE INTO gateway_holder VALUES (1, ?)", (owner,))
        try:
            yield
        finally:
            with self.ledger.changing("gateway holder") as db:
                db.execute("DELETE FROM gateway_holder WHERE owner = ?", (owner,))

    def insert(
        self,
        job: GatewayJob,
        request: bytes,
        estimated_usd: float | None,
        intent: Intent | None = None,
    ) -> Submission | None:
        """Take a job in, durably, and reserve its price.

        Args:
            job: new.
            request: body of its request.
            estimated_usd: its price, in US dollars; ``None`` where it cannot be told.
            intent: of its group, where it is alone in one and is about to be sent.

        Returns:
            The row of the intent.

        Raises:
            BadRequest: a limit does not hold it.
            BudgetExceeded, ConfigurationError: the ledger's own limit does not.
        """
        with self.ledger.changing("gateway job", durable=True) as db:
            if estimated_usd != 0:
                self._check(db, job, estimated_usd)
            db.execute(
                "INSERT INTO gateway_jobs VALUES (?, ?, ?, ?, ?, ?, ?, NULL, NULL, 0, ?, 0)",
                (
                    job.id, job.sequence, job.user, job.run, _json(record_of(job)),
                    request, estimated_usd, _changing(job),
                ),
            )  # fmt: skip
            return None if intent is None else self.ledger.begin([intent])[0][0]

    def begin(self, jobs: Sequence[GatewayJob], intent: Intent) -> tuple[Submission, bool]:
        """Write a group and its intent down, durably.

        Args:
            jobs: of the group.
            intent: for IonQ.

        Returns:
            The row of the intent, and whether it is new. A row that surely has no job, since the
            gateway stopped before it was sent, is followed by another one.

        Raises:
            BudgetExceeded, ConfigurationError: the ledger's own limit does not hold it.
        """
        with self.ledger.changing("intent", durable=True):
            self.save(jobs)
            row, is_new = self.ledger.begin([intent])[0]
            while row.state is State.REJECTED:
                intent = replace(intent, attempt=row.attempt + 1)
                row, is_new = self.ledger.begin([intent])[0]
            return row, is_new

    def leave(self) -> None:
        """Write down that there is no job of the intents that this process has not come to send.

        To be called when nothing is on its way any more.
        """
        mine = new_owner().rpartition("|")[0]
        query = (
            "SELECT id FROM submissions WHERE run = ? AND state = 'intent' "
            "AND substr(owner, 1, ?) = ?"
        )
        with self.ledger.changing("gateway change") as db:
            for (row,) in db.execute(query, (RUN, len(mine), mine)).fetchall():
                self.ledger.rejected(row, "the gateway stopped before it was sent")

    def save(self, jobs: Sequence[GatewayJob], row: int | None = None) -> None:
        """Write down what has changed of jobs, all or nothing.

        Args:
            jobs: changed.
            row: number of the ledger's row whose results they now have.
        """
        with self.ledger.changing("gateway change") as db:
            db.executemany(
                'UPDATE gateway_jobs SET billed_usd = ?, "group" = ?, settled = ?, changing = ? '
                "WHERE id = ?",
                [
                    (
                        job.billed_usd if job.is_billed else None,
                        job.group, job.settled, _changing(job), job.id,
                    )
                    for job in jobs
                ],
            )  # fmt: skip
            if row is not None:
                self.ledger.consumed([row])

    def delete(self, job: GatewayJob) -> None:
        """Hide a job from its client; what it costs stays counted."""
        with self.ledger.changing("gateway change") as db:
            db.execute("UPDATE gateway_jobs SET deleted = 1 WHERE id = ?", (job.id,))

    def requests(self, jobs: Sequence[GatewayJob]) -> list[bytes]:
        """Return the bodies of jobs' requests."""
        query = "SELECT request FROM gateway_jobs WHERE id = ?"
        with self.ledger.reading() as db:
            return [bytes(db.execute(query, (job.id,)).fetchone()[0]) for job in jobs]

    def load(self, keep: int) -> list[tuple[GatewayJob, bool]]:
        """Return jobs in the order in which they came, and whether each was deleted.

        Args:
            keep: how many of those whose end and bill are written down, the newest.

        Returns:
            Those jobs, and all others.
        """
        query = (
            "SELECT record, changing, deleted FROM gateway_jobs WHERE NOT settled "
            "OR billed_usd IS NULL OR sequence > "
            "(SELECT coalesce(max(sequence), 0) FROM gateway_jobs) - ? ORDER BY sequence"
        )
        with self.ledger.reading() as db:
            rows = db.execute(query, (keep,)).fetchall()
        return [(job_from(orjson.loads(r), orjson.loads(c)), bool(d)) for r, c, d in rows]

    def next_group(self) -> int:
        """Return a number that no group has had."""
        query = (
            'SELECT 1 + max(coalesce((SELECT max("group") FROM gateway_jobs), 0), '
            "coalesce((SELECT max(step) FROM submissions WHERE run = ?), 0))"
        )
        with self.ledger.reading() as db:
            return int(db.execute(query, (RUN,)).fetchone()[0])

    def _check(self, db: sqlite3.Connection, job: GatewayJob, price: float | None) -> None:
        limits, own = self._limits, None
        found = db.execute("SELECT budget_usd FROM gateway_users WHERE user = ?", (job.user,))
        if (row := found.fetchone()) is not None:
            own = row[0]
        user_usd = limits.user_usd if own is None else own
        checks: list[tuple[str, float | None, str, tuple[str, ...]]] = [
            ("this gateway", limits.total_usd, "1", ()),
            (f"user {job.user}", user_usd, "user = ?", (job.user,)),
        ]
        if job.run is not None:
            mine = (job.user, job.run)
            checks.append((f"run {job.run!r}", limits.run_usd, "user = ? AND run = ?", mine))
        for whose, limit, where, values in checks:
            if limit is None:
                continue
            if price is None:
                raise refused(
                    "The price of this job in US dollars cannot be told, so that the limit of "
                    f"{whose} cannot be kept."
                )
            spent = db.execute(f"{SPENT} WHERE {where}", values).fetchone()[0]
            if not values:  # what others have spent by the same ledger
                spent += sum_usd(db, "run IS NULL OR run <> ?", (RUN,))
            if exceeds(spent + price, limit):
                asked, left = apart(price, max(limit - spent, 0))
                raise refused(
                    f"The job is estimated at {asked}, and {left} of "
                    f"the limit of ${limit:,.2f} of {whose} is left."
                )


def group_key(group: int) -> JobKey:
    """Return the key by which the ledger has a group."""
    return JobKey(RUN, group, 0)


def _changing(job: GatewayJob) -> str:
    fields: dict[str, Any] = {name: getattr(job, name) for name in CHANGING}
    return _json(fields)


def refused(reason: str) -> BadRequest:
    """Return the error for a job that a limit does not hold."""
    return BadRequest(f"{reason} Nothing was sent.", status=402)


def _json(fields: dict[str, Any]) -> str:
    return orjson.dumps(fields, default=list).decode()  # named tuples become arrays
