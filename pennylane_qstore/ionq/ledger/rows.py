"""Intents, submissions and events: the rows of a ledger."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any, NamedTuple

import orjson

from pennylane_qstore.backends import is_qpu
from pennylane_qstore.errors import LedgerError

PART_MARK = "#"
"""Between the name of a run and that of a part of it."""
_DEVICE_OF_RUN = re.compile(r"(-[0-9a-f]{8})\.[0-9]+(?=$|#)")
"""The number that a training run gives its second and further devices, behind its own name."""


class State(StrEnum):
    """State of a submission."""

    INTENT = "intent"
    AMBIGUOUS = "ambiguous"
    SUBMITTED = "submitted"
    DONE = "done"
    CONSUMED = "consumed"
    REJECTED = "rejected"
    FAILED = "failed"
    CANCELED = "canceled"
    DUPLICATE = "duplicate"


UNSENT_STATES = (State.INTENT, State.AMBIGUOUS)
"""Rows of which no job is known."""

OPEN_STATES = (*UNSENT_STATES, State.SUBMITTED)
"""States in which a job may exist whose end is not known yet."""


ENDED_STATES = (State.DONE, State.CONSUMED, State.FAILED, State.CANCELED, State.DUPLICATE)
"""States of rows whose job has ended, so that it has a bill."""


class JobKey(NamedTuple):
    """Name by which a restarted run finds its job."""

    run: str
    step: int
    chunk: int


@dataclass(frozen=True, slots=True)
class Account:
    """The spending that a budget limits.

    Args:
        names: a row counts if it is charged to any of these; new rows are charged to all.
        budget_usd: limit of bills and reservations together, in US dollars; ``None`` for none.
        elsewhere: further ledgers that have rows of this account.
        process: id of the process whose budget it is.
    """

    names: tuple[str, ...]
    budget_usd: float | None = None
    elsewhere: tuple[Any, ...] = ()
    process: int = field(default_factory=os.getpid)


@dataclass(frozen=True, slots=True)
class Share:
    """The part of a job that is one run's.

    Args:
        key: under which the run finds it; ``None`` if nobody will ask for it again.
        payload_sha256: hash of the request that the run would send alone.
        start, stop: range of its circuits among those of the job.
        fraction: part of the bill, from 0 to 1.
        accounts: what that part is charged to; all of their budgets apply.
        shared: name of the job's own run, where the ledger has it.
    """

    key: JobKey | None
    payload_sha256: str
    start: int
    stop: int
    fraction: float
    accounts: tuple[Account, ...] = ()
    shared: str | None = None

    @property
    def job_key(self) -> JobKey | None:
        """Key of the whole job, where the ledger has it."""
        return None if self.shared is None else JobKey(self.shared, 0, 0)

    def fraction_of(self, part: tuple[int, ...] | None) -> float:
        """Return the part of the bill where only these circuits of the job are sent again."""
        if part is None:
            return self.fraction
        return sum(self.start <= index < self.stop for index in part) / len(part)


@dataclass(frozen=True, slots=True)
class Intent:
    """A request about to be sent.

    Args:
        service: base URL.
        backend, shots, circuits, qubits: of the job.
        payload_sha256: hash of the whole request, also where only a part is sent again.
        key: see :class:`JobKey`; ``None`` if nobody will ask for it again.
        attempt: 0, or how many rows the key had before.
        part: indices of the circuits sent, ``None`` for all.
        aggregation: how results of a debiased job are combined, ``None``: as the service does.
        estimated_usd: expected price, in US dollars.
        lease_s: how long the sender may take before others may look for the job, seconds.
        accounts: what the price is charged to; all of their budgets apply.
        shares: the parts of runs that share the job; each pays its own.
    """

    service: str
    backend: str
    shots: int
    circuits: int
    qubits: int
    payload_sha256: str
    key: JobKey | None = None
    attempt: int = 0
    part: tuple[int, ...] | None = None
    aggregation: str | None = None
    estimated_usd: float | None = None
    lease_s: float = 120.0
    accounts: tuple[Account, ...] = ()
    shares: tuple[Share, ...] = ()

    @property
    def charges(self) -> list[tuple[Account, float]]:
        """Accounts, and the part of the price that each pays."""
        whole = [(account, 1.0) for account in self.accounts]
        parts = [(a, s.fraction_of(self.part)) for s in self.shares for a in s.accounts]
        return [*whole, *parts]

    @property
    def is_paid(self) -> bool:
        """True unless the job is known to cost nothing."""
        return bool(self.estimated_usd) or (is_paid(self.backend) and self.estimated_usd is None)


@dataclass(frozen=True, slots=True)
class Submission:
    """One row. Times are seconds since the epoch, money is US dollars.

    ``share`` is the part of the run that asked, where several share the job.
    """

    id: int
    token: str | None
    state: State
    service: str
    backend: str
    shots: int
    circuits: int
    qubits: int
    payload_sha256: str
    key: JobKey | None
    attempt: int
    part: tuple[int, ...] | None
    aggregation: str | None
    estimated_usd: float | None
    billed_usd: float | None
    job_id: str | None
    results: bytes | None
    failure: str | None
    owner: str | None
    lease_until: float
    created_at: float
    updated_at: float
    share: Share | None = None


class Event(NamedTuple):
    """One entry of the audit trail."""

    submission: int
    at: float
    event: str
    detail: str | None


INTENT_COLUMNS = tuple(
    column.name
    for column in fields(Intent)
    if column.name not in ("key", "part", "lease_s", "accounts", "shares")
)
"""Columns that hold what an intent says, as it says it."""

_KEY = JobKey._fields
COLUMNS = tuple(
    name
    for column in fields(Submission)
    if column.name != "share"
    for name in (_KEY if column.name == "key" else [column.name])
)
"""Columns of a row, in the order in which :func:`submission_of` expects them."""

_NUMBER, _TEXT = (int, float), (str, type(None))
_KINDS: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("id", "shots", "circuits", "qubits", "attempt"), (int,)),
    **dict.fromkeys(("state", "service", "backend", "payload_sha256"), (str,)),
    **dict.fromkeys(("token", "run", "part", "aggregation", "job_id", "failure", "owner"), _TEXT),
    **dict.fromkeys(("step", "chunk"), (int, type(None))),
    **dict.fromkeys(("estimated_usd", "billed_usd"), (*_NUMBER, type(None))),
    **dict.fromkeys(("lease_until", "created_at", "updated_at"), _NUMBER),
    "results": (bytes, type(None)),
}
"""SQLite's columns take any type: what a row's values must be."""


def submission_of(row: tuple[Any, ...]) -> Submission:
    """Return the submission in a row of ``COLUMNS``.

    Raises:
        LedgerError: a value is none that this package writes: the file was damaged.
    """
    values = dict(zip(COLUMNS, row, strict=True))
    for name, kinds in _KINDS.items():
        if not isinstance(values[name], kinds):
            raise damaged_error(values["id"], f"{name} is a {type(values[name]).__name__}")
    run, step, chunk = (values.pop(name) for name in _KEY)
    values["key"] = None if run is None else JobKey(run, step, chunk)
    try:
        values["state"] = State(values["state"])
        values["part"] = None if values["part"] is None else tuple(orjson.loads(values["part"]))
    except (ValueError, TypeError) as error:
        raise damaged_error(values["id"], str(error)) from None
    return Submission(**values)


def damaged_error(row: Any, problem: str) -> LedgerError:
    """Return the error for a row that this package did not write so.

    Args:
        row: its number.
        problem: in words.

    Returns:
        The error, not raised.
    """
    return LedgerError(
        f"Submission {row!r} in the ledger is damaged: {problem}. Restore the file from a backup."
    )


def part_of(run: str, part: str) -> str:
    """Return the name of what a run does beside its steps; no part is the run itself.

    Args:
        run: name of the run.
        part: name of the part, or ``""``.

    Returns:
        A run name for keys.
    """
    return f"{run}{PART_MARK}{part}" if part else run


def whole_run(run: str) -> str:
    """Return the name of a run without that of a part, or of one of its devices."""
    return _DEVICE_OF_RUN.sub(r"\1", run).partition(PART_MARK)[0]


def run_account(run: str) -> str:
    """Return the account of a run and of all its parts."""
    return f"run:{run.partition(PART_MARK)[0]}"


def is_paid(backend: str) -> bool:
    """Return whether jobs on a backend cost money."""
    return is_qpu(backend)


def key_conflict(key: JobKey) -> LedgerError:
    """Return the error for a key that the ledger has with another payload."""
    return LedgerError(
        f"Run {key.run!r}, step {key.step}, chunk {key.chunk} is in the ledger with another "
        "payload: the run is not the same as before. Use a new run name, or the same program, "
        "data and seed."
    )
