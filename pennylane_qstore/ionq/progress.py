"""Progress of jobs: the event that callbacks get, a bar that is one, and how they are called."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, Self

from pennylane_qstore.ionq.messages.responses import TERMINAL

logger = logging.getLogger(__name__)


class Progress(NamedTuple):
    """One event of a job, as a progress callback gets it.

    Attributes:
        request: which request of the call.
        job_id: IonQ's id; ``None`` before the job exists.
        state: ``"submitting"``, ``"searching"`` for the job of a lost response, then IonQ's states.
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
        if progress.state in TERMINAL and progress.request not in self._ended:
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


@contextmanager
def progress_of(asked: Any) -> Iterator[Any]:
    """Yield the callback that was given, or a bar of this batch.

    Args:
        asked: a callback; True for a bar; None or False for neither.

    Yields:
        The callback to give to the client, or a false value.
    """
    if asked is not True:
        yield asked and _Listener(asked)
        return
    with ProgressBar(leave=False) as bar:
        yield bar


class _Listener:
    """A callback whose own error does not end a batch that is being paid for.

    Args:
        callback: called with each change of a job's state, until it raises.
    """

    def __init__(self, callback: Callable[[Any], None]) -> None:
        self._callback: Callable[[Any], None] | None = callback

    def __call__(self, progress: Any) -> None:
        if self._callback is None:
            return
        try:
            self._callback(progress)
        except Exception:
            self._callback = None
            logger.warning(
                "The callback of progress= raised an error and is not called again for this "
                "batch, which goes on.",
                exc_info=True,
            )
