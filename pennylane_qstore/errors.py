"""Errors of this package: one family, all derived from :class:`QStoreError`.

Every error carries the ids of the jobs it concerns, so that nothing already paid for is
lost because something failed later: fetch them with ``qstore jobs results ID``.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any


class QStoreError(Exception):
    """Base of all errors of this package.

    Args:
        message: what was wrong, what is allowed, what to do.
        job_ids: ids of the jobs concerned, as IonQ knows them.
        details: further facts, kept as attributes in ``details`` (status code, failure
            code, indices of circuits, results that did arrive, ...).
    """

    def __init__(self, message: str, *, job_ids: Sequence[str] = (), **details: Any) -> None:
        super().__init__(message)
        self.job_ids = tuple(job_ids)
        self.details = details

    def __reduce__(self) -> tuple[Any, ...]:
        return functools.partial(type(self), job_ids=self.job_ids, **self.details), self.args


class ConfigurationError(QStoreError, ValueError):
    """An option, a value or a combination that is not allowed. Nothing was sent."""


class CompileError(QStoreError, ValueError):
    """A circuit that cannot be turned into native gates. Nothing was sent."""


class ConnectionFailed(QStoreError, ConnectionError):  # noqa: N818
    """The service could not be reached; no job was created."""


class ServiceError(QStoreError):
    """The service answered with an error status; ``details`` has ``status`` and ``body``."""


class AuthenticationError(ServiceError):
    """The API key was refused (401) or may not use the resource (403)."""


class InvalidResponse(QStoreError):  # noqa: N818
    """The service answered with a body that is malformed or contradicts itself."""


class JobFailed(QStoreError):  # noqa: N818
    """A job ended as failed; ``details`` has IonQ's ``code`` and ``failure`` text."""


class JobCanceled(QStoreError):  # noqa: N818
    """A job was cancelled or deleted before it completed."""


class JobTimeout(QStoreError, TimeoutError):  # noqa: N818
    """``max_wait`` seconds passed. The job goes on; its id is in ``job_ids``."""


class AmbiguousSubmission(QStoreError):  # noqa: N818
    """A POST may or may not have created a job, and the service's list does not tell."""


class BudgetExceeded(QStoreError):  # noqa: N818
    """The batch would cost more than what is left of the budget. Nothing was sent."""


class RunLocked(QStoreError):  # noqa: N818
    """Another process is at work on the checkpoint; ``details`` has its ``owner``."""


class LedgerError(QStoreError):
    """The ledger cannot be opened, or a key was used again with another payload."""


class QStoreDeprecationWarning(UserWarning):
    """An option or a name of this package that goes in a later release."""


class QStoreEfficiencyWarning(UserWarning):
    """A way to write the same in fewer jobs."""
