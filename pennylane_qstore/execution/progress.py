"""Progress of a batch: a bar, or the user's own callback."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

logger = logging.getLogger(__name__)


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
    from pennylane_qstore.ionq.progress import ProgressBar

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
