"""The jobs of one batch, and what comes of them."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pennylane_qstore.errors import QStoreError

if TYPE_CHECKING:
    from pennylane_qstore.ionq.jobs.request_runner import JobResult
    from pennylane_qstore.ionq.ledger.rows import JobKey
    from pennylane_qstore.ionq.messages.job_request import JobRequest


@dataclass(slots=True, eq=False)
class JobCall:
    """The jobs of a batch of one run, and what comes of them.

    Args:
        sender: of the run's device.
        requests: the jobs, as the run sends them alone.
        keys: of the ledger, one for each; None for none.
    """

    sender: Any
    requests: Sequence[JobRequest]
    keys: list[JobKey] | None
    estimates: list[float | None] = field(init=False)
    results: list[JobResult | None] = field(init=False)
    errors: list[QStoreError | None] = field(init=False)
    interrupt: KeyboardInterrupt | None = None
    finished: bool = False

    def __post_init__(self) -> None:
        many = len(self.requests)
        self.estimates, self.results, self.errors = [None] * many, [None] * many, [None] * many

    def result(self) -> list[JobResult]:
        """Return one result per job.

        Raises:
            QStoreError: of the first job that failed, as :meth:`.IonQClient.run` raises it.
            KeyboardInterrupt: before all jobs had results.
        """
        if self.interrupt is not None:
            raise self.interrupt
        errors = [error for error in self.errors if error is not None]
        if not errors:
            return [result for result in self.results if result is not None]
        error = copy.copy(errors[0])
        error.job_ids = tuple(dict.fromkeys(id_ for e in errors for id_ in e.job_ids))
        failed = [i for i, e in enumerate(self.errors) if e is not None]
        found = {"results": self.results, "failed": failed, "errors": self.errors}
        error.details = {**error.details, **found}
        raise error from errors[0].__cause__
