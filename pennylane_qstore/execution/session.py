"""Sessions of the service, which bound what a device's jobs may cost."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pennylane_qstore.errors import QStoreError

logger = logging.getLogger(__name__)


@contextmanager
def session(
    device: Any,
    *,
    cost_limit: float | None = None,
    job_limit: int | None = None,
    minutes: float | None = None,
) -> Iterator[Any]:
    """An IonQ session that the device's jobs join: the service itself bounds what they may do.

    Args:
        device: a ``qstore.ionq`` device.
        cost_limit: US dollars.
        job_limit: jobs.
        minutes: how long the session lasts.

    Yields:
        The session (``id``, ``backend``, ``settings``). It ends with the block.

    Raises:
        ServiceError: the account has no sessions (404), or the service refused the limits.
    """
    opened = device.client.create_session(
        device.target.backend.name,
        job_limit=job_limit,
        minutes=minutes,
        cost_limit_usd=cost_limit,
    )
    try:
        with device.executor.job_scope(session_id=opened.id):
            yield opened
    except BaseException:
        try:
            device.client.end_session(opened.id)
        except QStoreError as error:  # what went wrong first may carry results that are paid
            logger.warning("Session %s could not be ended: %s", opened.id, error)
        raise
    device.client.end_session(opened.id)
