"""Ends of a training run: a loss that no longer improves, and Ctrl-C."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from pennylane_qstore.training.history import StepRecord
from pennylane_qstore.validation import check_count

logger = logging.getLogger(__name__)


class EarlyStopping:
    """The best step so far, and the patience with the steps after it.

    Args:
        name: value that is looked at: ``"loss"`` or a metric.
        patience: steps with such a value that may pass without an improvement; None for no limit.
        min_delta: smallest decrease that is an improvement.

    Raises:
        ConfigurationError: ``patience`` is no whole number, 1 or more.
    """

    def __init__(self, name: str, patience: int | None, min_delta: float) -> None:
        self.patience: int | None = check_count("patience", patience, optional=True)
        self.name, self.min_delta = name, min_delta
        self.best: StepRecord | None = None

    def improves(self, record: StepRecord) -> bool:
        """Return True, and remember the step, where it is the best one so far."""
        value = record.value(self.name)
        least = None if self.best is None else self.best.value(self.name)
        better = value is not None and (least is None or value < least - self.min_delta)
        if better:
            self.best = record
        return better

    def is_exhausted(self, history: Sequence[StepRecord]) -> bool:
        """Return True where the best step is too long ago.

        Args:
            history: all steps of the run.
        """
        if self.patience is None or self.best is None:
            return False
        since = history[self.best.step :]
        return sum(r.value(self.name) is not None for r in since) >= self.patience


class Abandoned(KeyboardInterrupt):
    """The end of a step that Ctrl-C has kept from sending. What it had sent is found again."""

    def __init__(self) -> None:
        super().__init__("Interrupted before all of the step was sent.")


class Interrupt:
    """Ctrl-C during a run: after the first one nothing is sent, the second one leaves at once.

    A step whose jobs have all been sent is waited for; one that still has to send is abandoned,
    and a repetition finds the jobs that it had sent.
    """

    def __init__(self) -> None:
        self.requested = False
        self.abandoned = False
        """True where the step was ended by the first Ctrl-C."""
        self._is_sending = False
        self._sent: dict[int, bool] = {}  # requests of the batch: whether they have a job

    def clear(self) -> None:
        """Forget an earlier Ctrl-C."""
        self.requested = self.abandoned = False

    @contextmanager
    def sending(self) -> Iterator[None]:
        """Let Ctrl-C abandon the step inside while it has something to send."""
        self._is_sending, self._sent = True, {}
        try:
            yield
        finally:
            self._is_sending = False

    def begin_batch(self, _: Any = None) -> None:
        """Refuse another batch after Ctrl-C.

        Raises:
            KeyboardInterrupt: there was one.
        """
        if self.requested and self._is_sending:
            self._abandon()
        self._sent = {}

    def saw(self, progress: Any) -> None:
        """Take note of a job's state; one that has no job after Ctrl-C does not get one."""
        self._sent[progress.request] = progress.job_id is not None
        if self.requested and self._is_sending and progress.job_id is None:
            self._abandon()

    def _abandon(self) -> None:
        self.abandoned = True
        raise Abandoned

    @contextmanager
    def handled(self) -> Iterator[None]:
        """Handle Ctrl-C inside, unless the program has a handler of its own for it."""
        default = signal.default_int_handler
        if (
            threading.current_thread() is not threading.main_thread()
            or signal.getsignal(signal.SIGINT) is not default
        ):
            yield
            return

        def handle(number: int, frame: Any) -> None:
            if self.requested:
                self.abandoned = False
                default(number, frame)
            self.requested = True
            if self._is_sending and not (self._sent and all(self._sent.values())):
                self._abandon()
            logger.warning("The run stops after this step; Ctrl-C again stops it now.")

        signal.signal(signal.SIGINT, handle)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, default)
