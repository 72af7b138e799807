"""Records that a restart must not lose: jobs, sessions, the bill; in memory and in a file."""

from __future__ import annotations

from pennylane_qstore.emulator.service.billing import Bill
from pennylane_qstore.emulator.service.jobs import StoredJob
from pennylane_qstore.emulator.service.sessions import ServiceSession
from pennylane_qstore.emulator.service.state import StateFile
from pennylane_qstore.server.errors import not_found
from pennylane_qstore.server.job_index import JobIndex
from pennylane_qstore.server.service import TERMINAL


class _Sizes:
    """Sizes by job, oldest first, with a limit to their sum."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._sizes: dict[str, int] = {}
        self._sum = 0

    def add(self, job_id: str, size: int) -> None:
        self._sizes[job_id] = size
        self._sum += size

    def drop(self, job_id: str) -> None:
        self._sum -= self._sizes.pop(job_id, 0)

    def too_old(self) -> str | None:
        """Return the oldest job if the sum is over the limit; the only one may be larger."""
        over = self._sum > self._limit and len(self._sizes) > 1
        return next(iter(self._sizes)) if over else None


class Records(JobIndex[StoredJob]):
    """Jobs (newest last), sessions and the bill, written through to a file where there is one.

    Args:
        bill: charges so far.
        keep: jobs kept; beyond that the oldest finished ones are forgotten.
        keep_requests: circuits kept as they were sent (for clones, artifacts and the page),
            over all jobs; beyond that the oldest are forgotten, their results are not.
        keep_outcomes: outcomes kept in results, 16 bytes each, over all jobs; beyond that the
            oldest finished jobs are forgotten.
    """

    def __init__(
        self,
        bill: Bill,
        *,
        keep: int = 100_000,
        keep_requests: int = 40_000,
        keep_outcomes: int = 100_000_000,
    ) -> None:
        super().__init__()
        self.bill = bill
        self.sessions: dict[str, ServiceSession] = {}
        self._keep = keep
        self._requests = _Sizes(keep_requests)
        self._outcomes = _Sizes(keep_outcomes)
        self._file: StateFile | None = None
        self.accepted = 0
        self.circuits = 0

    def open(self, file: StateFile, now: float) -> list[StoredJob]:
        """Keep a file up to date from now on, and take up its records if there are none here.

        Args:
            file: the file.
            now: the time.

        Returns:
            The jobs taken up, in the order they were accepted.
        """
        self._file = file
        if self.accepted:
            return []
        self.sessions = {session.id: session for session in file.sessions()}
        self.bill.usd, self.bill.jobs = file.bill()
        jobs = list(file.jobs())
        for job in jobs:
            self._take_up(job, now)
        return jobs

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def session(self, session_id: str) -> ServiceSession:
        """Return a session.

        Raises:
            BadRequest: 404, no such session.
        """
        if session_id not in self.sessions:
            raise not_found()
        return self.sessions[session_id]

    def add(self, job: StoredJob, now: float) -> None:
        """Keep and charge a new job, and forget what is too old.

        Args:
            job: the job.
            now: the time; only jobs that have ended are forgotten.
        """
        if not job.dry_run:
            self.bill.jobs += 1
            self.bill.usd += job.billed_usd
        if job.session_id is not None:
            self.sessions[job.session_id].join(job.id, job.billed_usd, now)
        self._take_up(job, now)
        self.save(job)

    def end(self, job: StoredJob, now: float) -> None:
        """Note that a job's simulation has ended; too many outcomes push the oldest jobs out.

        Args:
            job: the job; its charge is taken back if it failed.
            now: the time; only jobs that have ended are forgotten.
        """
        if job.failure is not None:
            self.refund(job)
        if job.id in self._jobs:  # it may have been deleted meanwhile
            self._count_outcomes(job, now)
            self.save(job)

    def refund(self, job: StoredJob) -> None:
        """Take a job's charge back."""
        self.bill.usd -= job.billed_usd
        if job.session_id in self.sessions:
            self.sessions[job.session_id].spent_usd -= job.billed_usd
        job.billed_usd = 0.0

    def save(self, job: StoredJob) -> None:
        """Note that a job has changed, and its session and the bill perhaps with it."""
        self.touch(job)
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
        """Forget a job, in the file as well."""
        self._forget(job)
        if self._file is not None:
            self._file.remove(job)

    def _take_up(self, job: StoredJob, now: float) -> None:
        self.insert(job)
        self.accepted += 1
        self.circuits += len(job.circuits)
        self._requests.add(job.id, len(job.circuits))
        while (oldest := self._requests.too_old()) is not None:
            self._requests.drop(oldest)
            if oldest in self._jobs:
                self._jobs[oldest].request = None
        self._count_outcomes(job, now)
        while len(self) > self._keep and self.oldest.status(now) in TERMINAL:
            self._forget(self.oldest)

    def _count_outcomes(self, job: StoredJob, now: float) -> None:
        """Count a job's results, and forget the oldest jobs if there are too many."""
        if job.results is None:
            return
        self._outcomes.add(job.id, sum(len(result.states) for result in job.results))
        while (oldest := self._outcomes.too_old()) is not None:
            if oldest == job.id or self._jobs[oldest].status(now) not in TERMINAL:
                break
            self._forget(self._jobs[oldest])

    def _forget(self, job: StoredJob) -> None:
        """Forget a job and its children, in memory."""
        self.discard(job)
        self._requests.drop(job.id)
        self._outcomes.drop(job.id)
