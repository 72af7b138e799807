"""Jobs of several runs as parts of common ones: which go together, their keys and shares."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from secrets import token_hex
from typing import TYPE_CHECKING

import orjson

from pennylane_qstore.execution.job_call import JobCall
from pennylane_qstore.ionq.ledger.rows import Account, JobKey, Share, State
from pennylane_qstore.ionq.messages.job_limits import job_slices
from pennylane_qstore.run_names import runs_entry

if TYPE_CHECKING:
    from pennylane_qstore.execution.sender import Sender
    from pennylane_qstore.ionq.ledger.rows import Submission
    from pennylane_qstore.ionq.messages.job_request import JobRequest


@dataclass(frozen=True, slots=True)
class Part:
    """One job of a run, which may become a share of another."""

    call: JobCall
    index: int
    rows: tuple[Submission, ...] = ()
    """The ledger's rows of its key."""

    @classmethod
    def of(cls, call: JobCall, index: int) -> Part:
        """Look up what the ledger has of a job.

        Args:
            call: of the run.
            index: of the job in it.

        Returns:
            The part.
        """
        key = cls(call, index).key
        rows = () if key is None else call.sender.client.ledger.history(key)
        return cls(call, index, tuple(rows))

    @property
    def request(self) -> JobRequest:
        """The job as the run sends it alone."""
        return self.call.requests[self.index]

    @property
    def key(self) -> JobKey | None:
        """The job's key in the ledger; None for none."""
        return None if self.call.keys is None else self.call.keys[self.index]

    @property
    def sender(self) -> Sender:
        """The sender of the run's device."""
        sender: Sender = self.call.sender
        return sender

    @property
    def weight(self) -> int:
        """Gates by which it pays for a common job; an empty one pays, too."""
        return max(1, self.request.gate_counts)

    @property
    def is_known(self) -> bool:
        """True where the ledger may have a job under its key."""
        return any(row.state is not State.REJECTED or row.share is None for row in self.rows)

    @property
    def share(self) -> Share | None:
        """The share of a common job that is all that the ledger has of it; None without one."""
        whole = self.is_known and all(row.share is not None for row in self.rows)
        share = self.rows[0].share if whole else None
        # Another program's is refused alone, by the name of its own run.
        equal = share is not None and share.payload_sha256 == self.request.payload_sha256
        return share if equal else None


def _settings_of(part: Part) -> Hashable:
    """Return a key of all that jobs must have in common to be one."""
    request, options = part.request, part.sender.options
    if not options.sends_batches or options.confirm or options.queue or part.is_known:
        return part.call, part.index
    takes_shots = request.backend != "simulator" or bool(request.noise)
    named = (request.noise, request.settings, request.metadata)
    if request.noise and request.noise.get("seed") is not None:
        return part.call, part.index
    return (
        *(request.backend, request.gateset, request.qubits, request.shots * takes_shots),
        *(_own_name(part), request.session_id, request.aggregation, options.fixed_job_size),
        orjson.dumps(named, option=orjson.OPT_SORT_KEYS),
    )


def packed(parts: Sequence[Part], *, joins: bool) -> list[list[Part]]:
    """Return the parts of each job; a job stays within the service's limits.

    Args:
        parts: jobs as their runs would send them alone.
        joins: whether several become one; those that the ledger has as one become it in any case.

    Returns:
        The parts of each job.
    """
    jobs = _rejoined(parts)
    again = {id(part) for job in jobs for part in job}
    groups: dict[Hashable, list[Part]] = {}
    for part in parts:
        if id(part) not in again:
            settings = _settings_of(part) if joins else (part.call, part.index)
            groups.setdefault(settings, []).append(part)
    for group in groups.values():
        requests = [part.request for part in group]
        circuits = [len(request.circuits) for request in requests]
        gates = [request.gate_counts for request in requests]
        sizes = [sum(map(len, request.circuits)) for request in requests]
        most = group[0].sender.options.fixed_job_size
        jobs += [group[one] for one in job_slices(circuits, gates, sizes, most)]
    return jobs


def _rejoined(parts: Sequence[Part]) -> list[list[Part]]:
    """Return the common jobs that the ledger knows, where all of their parts are asked for."""
    by_row: dict[int, list[tuple[Share, Part]]] = {}
    for part in parts:
        if (share := part.share) is not None:
            by_row.setdefault(part.rows[0].id, []).append((share, part))
    jobs = []
    for found in by_row.values():
        found.sort(key=lambda pair: pair[0].start)
        start = 0
        for share, _ in found:
            start = share.stop if share.start == start else -1
        if start == found[0][1].rows[0].circuits:
            jobs.append([part for _, part in found])
    return jobs


def _own_name(part: Part) -> str | None:
    """Return the name that the user gave to jobs; None where it is that of the run."""
    name = part.request.name
    return None if name == part.sender.scope.job_name else name


def joined_request(job: Sequence[Part]) -> JobRequest:
    """Return the request of a common job, or that of the only part."""
    request = job[0].request
    if len(job) == 1:
        return request
    joined = request.joined([part.request for part in job])
    runs: dict[str | None, int] = {}
    for part in job:
        name = part.request.name
        runs[name] = runs.get(name, 0) + part.weight
    if len(runs) == 1:
        return joined
    total = sum(runs.values())
    fractions = {name: weight / total for name, weight in runs.items() if name}
    entry = runs_entry(fractions) if len(fractions) == len(runs) else {}
    return replace(
        joined,
        name=f"{(request.name or '')[:50]} and {len(runs) - 1} more",
        metadata={**(request.metadata or {}), **entry} or None,
    )


def key_of(job: Sequence[Part]) -> JobKey | None:
    """Return the key of a job: of the only part, of the same job before, or a new one."""
    if len(job) == 1:
        return job[0].key
    if (share := job[0].share) is not None:
        return share.job_key
    named = any(part.key is not None for part in job)
    return JobKey(f"shared-{token_hex(8)}", 0, 0) if named else None


def shares_of(job: Sequence[Part], common: tuple[Account, ...]) -> list[Share]:
    """Return the share of each part: it pays by the gates of its circuits, times shots.

    Args:
        job: its parts.
        common: accounts that all of them are charged to, where they cost.

    Returns:
        One share for each.
    """
    total = sum(part.weight for part in job)
    shares = []
    for part, start, stop in ranges(job):
        key = part.key if len(job) > 1 else None
        sha, accounts = part.request.payload_sha256, part.sender.accounts
        accounts = (*accounts, *common) if accounts else ()
        shares.append(Share(key, sha, start, stop, part.weight / total, accounts))
    return shares


def ranges(job: Sequence[Part]) -> Iterator[tuple[Part, int, int]]:
    """Yield each part with the range of its circuits in the job."""
    start = 0
    for part in job:
        stop = start + len(part.request.circuits)
        yield part, start, stop
        start = stop
