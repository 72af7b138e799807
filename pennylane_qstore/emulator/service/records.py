"""Records that a restart must not lose: jobs, sessions, the bill; in memory and in a file."""

from __future__ import annotations

from collections.abc import Iterable

from pennylane_qstore.emulator.service.billing import Bill
from pennylane_qstore.emulator.service.job_store import JobStore
from pennylane_qstore.emulator.service.jobs import StoredJob
from pennylane_qstore.emulator.service.sessions import ServiceSession
from pennylane_qstore.emulator.service.state import StateFile
from pennylane_qstore.server.errors import not_found


class Records:
    """Jobs, sessions and the bill, written through to a file where there is one.

    Args:
        jobs: all jobs.
        bill: charges so far.
    """

    def __init__(self, jobs: JobStore, bill: Bill) -> None:
        self.jobs, self.bill = jobs, bill
        self.sessions: dict[str, ServiceSession] = {}
        self._file: StateFile | None = None

    def open(self, file: StateFile, now: float) -> list[StoredJob]:
        """Keep a file up to date from now on, and take up its records if there are none here.

        Args:
            file: the file.
            now: the time.

        Returns:
            The jobs taken up, in the order they were accepted.
        """
        self._file = file
        if self.jobs.accepted:
            return []
        self.sessions = {session.id: session for session in file.sessions()}
        self.bill.usd, self.bill.jobs = file.bill()
        jobs = list(file.jobs())
        for job in jobs:
            self.jobs.add(job, now)
        return jobs

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def find(self, job_id: str) -> tuple[StoredJob, int | None]:
        """Return the job, and the position of the circuit where the id is a child's.

        Raises:
            BadRequest: 404, no such job.
        """
        entry = self.jobs.find(job_id)
        if entry is None:
            raise not_found()
        return entry

    def known(self, job_ids: Iterable[str]) -> dict[str, StoredJob]:
        """Return the jobs of the ids that exist (parents, for the ids of children)."""
        entries = {job_id: self.jobs.find(job_id) for job_id in job_ids}
        return {job_id: entry[0] for job_id, entry in entries.items() if entry is not None}

    def session(self, session_id: str) -> ServiceSession:
        """Return a session.

        Raises:
            BadRequest: 404, no such session.
        """
        if session_id not in self.sessions:
            raise not_found()
        return self.sessions[session_id]

    def add(self, job: StoredJob, now: float) -> None:
        """Keep and charge a new job.

        Args:
            job: the job.
            now: the time.
        """
        if not job.dry_run:
            self.bill.jobs += 1
            self.bill.usd += job.billed_usd
        if job.session_id is not None:
            self.sessions[job.session_id].join(job.id, job.billed_usd, now)
        self.jobs.add(job, now)
        self.save(job)

    def refund(self, job: StoredJob) -> None:
        """Take a job's charge back."""
        self.bill.usd -= job.billed_usd
        if job.session_id in self.sessions:
            self.sessions[job.session_id].spent_usd -= job.billed_usd
        job.billed_usd = 0.0

    def save(self, job: StoredJob) -> None:
        """Note that a job has changed, and its session and the bill perhaps with it."""
        self.jobs.touch(job)
        if self._file is not None:
            self._file.save(job)
            self._file.save_bill(self.bill.usd, self.bill.jobs)
            if job.session_id in self.sessions:
                self._file.save_session(self.sessions[job.session_id])

    def save_session(self, session: ServiceSession) -> None:
        """Keep a session as it is now."""
        self.sessions[session.id] = session
        if self._file is not None:
            self._file.save_session(session)

    def remove(self, job: StoredJob) -> None:
        """Forget a job."""
        self.jobs.remove(job)
        if self._file is not None:
            self._file.remove(job)
