"""Progress of jobs: the event that callbacks get, and a progress bar that is one."""

from __future__ import annotations

from typing import Any, NamedTuple, Self

_FINAL = frozenset({"completed", "failed", "canceled", "deleted"})


class Progress(NamedTuple):
    """One event of a job, as a progress callback gets it.

    Attributes:
        request: which request of the call.
        job_id: IonQ's id; ``None`` before the job exists.
        state: ``"submitting"``, then IonQ's states.
        elapsed_s: seconds since the call.
        predicted_wait_s: seconds in the queue still, if the service predicts them.
        circuits: circuits in the job.
    """

    request: int
    job_id: str | None
    state: str
    elapsed_s: float
    predicted_wait_s: float | None
    circuits: int


class ProgressBar:
    """Counts circuits as their jobs end, and says what the last job heard of is doing.

    A context manager; pass it as ``progress=``::

        with ProgressBar() as bar:
            client.run(requests, progress=bar)

    Args:
        options: passed on to ``tqdm.auto.tqdm``. Where there is neither a terminal nor a
            notebook, nothing is shown unless ``disable=False``.
    """

    def __init__(self, **options: Any) -> None:
        from tqdm.auto import tqdm

        shown = {"unit": "circuit", "desc": "IonQ", "total": 0, "disable": None, **options}
        self._bar = tqdm(**shown)
        self._seen: set[int] = set()
        self._ended: set[int] = set()

    def __call__(self, progress: Progress) -> None:
        """Show one event."""
        if progress.request not in self._seen:
            self._seen.add(progress.request)
            self._bar.total += progress.circuits
            self._bar.refresh()
        if progress.state in _FINAL and progress.request not in self._ended:
            self._ended.add(progress.request)
            self._bar.update(progress.circuits)
        wait = progress.predicted_wait_s
        ahead = "" if wait is None else f", about {wait:.0f} s in the queue"
        self._bar.set_postfix_str(f"{progress.job_id or 'new job'} {progress.state}{ahead}")

    def close(self) -> None:
        """Leave the bar as it stands."""
        self._bar.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
