"""Labels of jobs: type, name, metadata, session. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

from pennylane_qstore.backends import takes_qasm_only
from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.ionq.messages.responses import SAFE_ID, TOKEN_KEY
from pennylane_qstore.run_names import NAME
from pennylane_qstore.validation import check

_MAX_METADATA_BYTES = 40_000


def job_type(circuits: int, backend: str) -> str:
    """Return IonQ's type of a job.

    Args:
        circuits: of the job.
        backend: IonQ's id.

    Returns:
        What ``type`` is in its JSON.
    """
    if takes_qasm_only(backend):
        return "ionq.qasm3.v1"
    return "ionq.circuit.v1" if circuits == 1 else "ionq.multi-circuit.v1"


def _is_text_to_text(metadata: object) -> bool:
    return (
        isinstance(metadata, Mapping)
        and all(isinstance(k, str) and isinstance(v, str) for k, v in metadata.items())
        and sum(len(k) + len(v) for k, v in metadata.items()) <= _MAX_METADATA_BYTES
        and TOKEN_KEY not in metadata
    )


def check_labels(
    job_name: str | None, metadata: Mapping[str, str] | None, session_id: str | None
) -> None:
    """Refuse what goes with a job but cannot be sent.

    Args:
        job_name: of the job.
        metadata: kept by the service.
        session_id: the session that it joins.

    Raises:
        ConfigurationError: one of them is of another kind, or has characters that IonQ does not
            take.
    """
    if job_name is not None:
        allowed = "letters, digits, space, '-' and '_'"
        check("job name", job_name, matches(NAME, job_name), allowed)
    if metadata is not None and not _is_text_to_text(metadata):
        raise ConfigurationError(
            f"metadata maps text to text, up to {_MAX_METADATA_BYTES:,} characters, without the "
            f"reserved entry {TOKEN_KEY!r}."
        )
    if session_id is not None:
        allowed = "letters, digits, '-' and '_'"
        check("session id", session_id, matches(SAFE_ID, session_id), allowed)


def matches(pattern: re.Pattern[str], value: object) -> bool:
    """Tell whether a value is a text that a pattern fits.

    Args:
        pattern: fits all of it.
        value: of any kind.

    Returns:
        True for such a text.
    """
    return isinstance(value, str) and pattern.fullmatch(value) is not None
